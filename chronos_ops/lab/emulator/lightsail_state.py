"""What the lab's Lightsail knows: plain records, on disk after every change (0600)."""

import json
import os
import secrets
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Record = dict[str, Any]
KINDS = ("Instance", "KeyPair", "StaticIp", "InstanceSnapshot")
_KEPT_OPERATIONS = 1000


class State:
    """Records by kind and name, and operations by id. `changing()` locks and saves."""

    def __init__(self, path: Path, account: str, region: str) -> None:
        self.path = path
        self.account = account
        self.region = region
        self._lock = threading.RLock()
        self._data: dict[str, dict[str, Record]] = {kind: {} for kind in (*KINDS, "Operation")}
        if path.is_file():
            self._data.update(json.loads(path.read_text(encoding="utf-8")))
        for record in self._data["Instance"].values():  # whoever was at work died with us
            record.pop("_transition", None)
        for record in self._data["InstanceSnapshot"].values():
            if record["state"] == "pending":
                record.update(state="error")
        self._saved = ""

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock; on leaving, everything is on disk."""
        with self._lock:
            try:
                yield
            finally:
                self._save()

    def all(self, kind: str) -> dict[str, Record]:
        """The records of a kind, by name (live: change them inside `changing` only)."""
        return self._data[kind]

    def find(self, kind: str, name: str) -> Record | None:
        return self._data[kind].get(name)

    def new(self, kind: str, name: str, zone: str = "all", **more: Any) -> Record:
        """A fresh record with what every Lightsail resource has."""
        record = {
            "name": name,
            "arn": f"arn:aws:lightsail:{self.region}:{self.account}:{kind}/{uuid.uuid4()}",
            "supportCode": f"{secrets.randbelow(10**12):012d}/lab",
            "createdAt": time.time(),
            "location": {"availabilityZone": zone, "regionName": self.region},
            "resourceType": kind,
            "tags": [],
            **more,
        }
        self._data[kind][name] = record
        return record

    def operation(
        self, kind: str, name: str, operation: str, status: str = "Succeeded", details: str = ""
    ) -> Record:
        """Record one operation; `Started` ones are finished by `finish`."""
        now = time.time()
        zone = (self.find(kind, name) or {}).get("location", {}).get("availabilityZone", "all")
        record: Record = {
            "id": str(uuid.uuid4()),
            "resourceName": name,
            "resourceType": kind,
            "createdAt": now,
            "location": {"availabilityZone": zone, "regionName": self.region},
            "isTerminal": status != "Started",
            "operationDetails": details,
            "operationType": operation,
            "status": status,
            "statusChangedAt": now,
        }
        known = self._data["Operation"]
        known[record["id"]] = record
        for old in list(known)[:-_KEPT_OPERATIONS]:
            del known[old]
        return record

    def finish(self, operation: Record, error: str = "") -> None:
        """The operation ended; with `error` it failed."""
        operation.update(
            isTerminal=True, status="Failed" if error else "Succeeded", statusChangedAt=time.time()
        )
        if error:
            operation.update(errorCode="InternalFailure", errorDetails=error)

    def _save(self) -> None:
        text = json.dumps(self._data)
        if text == self._saved:
            return
        part = self.path.with_name(self.path.name + ".part")
        part.unlink(missing_ok=True)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
        part.replace(self.path)
        self._saved = text
