"""The rendered publisher as a real process: only boto3 is another's, and says what it got."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from chronos_ops.plans.templating import render

ACCOUNT = "123456789012"
MIB16 = 16 * 1024**2
_BOTO3 = """
import json, os
from pathlib import Path

EDGE = Path(os.environ["EDGE"])

class Refusal(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.response = {"Error": {"Code": code}}

class Client:
    def __init__(self, service, made):
        self.service, self.made = service, made
    def _call(self, name, said):
        with (EDGE / "calls").open("a") as calls:
            calls.write(json.dumps([name, said, self.made]) + "\\n")
        if (EDGE / "down").exists():
            raise OSError("Could not connect to the endpoint URL")
    def get_caller_identity(self):
        self._call("identity", {})
        return {"Account": (EDGE / "account").read_text()}
    def put_metric_data(self, **said):
        self._call("put", said)
        left = EDGE / "puts-left"
        if left.exists():
            if not int(left.read_text()):
                raise OSError("connection reset")
            left.write_text(str(int(left.read_text()) - 1))
        poison = EDGE / "poison"
        times = [datum["Timestamp"] for datum in said["MetricData"]]
        if poison.exists() and float(poison.read_text()) in times:
            raise Refusal("InvalidParameterValue")
        with (EDGE / "got").open("a") as got:
            got.write(json.dumps(said) + "\\n")

class Session:
    def __init__(self, **made):
        self.made = made
    def client(self, service, *, config, endpoint_url, verify):
        return Client(service, {**self.made, "endpoint_url": endpoint_url, "verify": verify})
"""

REPOSITORY: dict[str, Any] = {
    "name": "chronos",
    "db": [{"id": 1, "repo-key": 1}, {"id": 1, "repo-key": 2}],
    "repo": [{"key": 1}, {"key": 2}],
    "archive": [
        {"database": {"id": 1, "repo-key": key}, "max": "0000000100000001000000FE"}
        for key in (1, 2)
    ],
    "backup": [],
}
SERVER: dict[str, Any] = {
    "segment_bytes": MIB16,
    "wal_file": "0000000100000001000000FF",  # the one being written: FE is the last closed one
    "ready_files": 3,
    "failed_count": 10,
    "connections": 5,
    "max_connections": 50,
    "oldest_transaction_seconds": 1.5,
    "checksum_failures": 0,
}


class Publisher:
    """One host's publisher in a folder; `tick()` runs it once."""

    def __init__(self, folder: Path, *metrics: str) -> None:
        self.folder = folder
        for name in ("state", "collected", "edge", "lib/boto3", "lib/botocore"):
            (folder / name).mkdir(parents=True)
        (folder / "lib/boto3/__init__.py").write_text(_BOTO3)
        (folder / "lib/botocore/__init__.py").touch()
        (folder / "lib/botocore/config.py").write_text("def Config(**options): return options\n")
        self.edge("account", ACCOUNT)
        self.edge("credentials", "")
        self.stamp = folder / "stamp"
        self.config: dict[str, Any] = {
            "account": ACCOUNT,
            "region": "ca-central-1",
            "profile": "chronos-metrics",
            "endpoint_url": None,
            "ca_file": None,
            "namespace": "Chronos",
            "dimension": ["Host", "db"],
            "metrics": list(metrics) or ["heartbeat"],
            "units": {"cpu_used_percent": "Percent", "heartbeat": "Count"},
            "resolution_seconds": 60,
            "connect_seconds": 5,
            "read_seconds": 10,
            "stanza": "chronos",
            "drill_stamp": str(self.stamp),
            "stale_seconds": 180,
            "slow_stale_seconds": 900,
        }
        self.program = folder / "publish.py"
        self.program.write_text(
            render(
                "metrics-publish.py.j2",
                managed="test",
                config=folder / "config.json",
                collected=folder / "collected",
                spool_ticks=5,
            )
        )

    def edge(self, name: str, text: str | None) -> None:
        """What stands at the other side; None: nothing."""
        path = self.folder / "edge" / name
        if text is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(text)

    def collect(self, name: str, value: Any, *, age_seconds: float = 0) -> None:
        """Leave what the collector would have left; text stays text."""
        path = self.folder / "collected" / name
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        at = time.time() - age_seconds
        os.utime(path, (at, at))

    def spool(self, *ages_seconds: float, values: dict[str, float] | None = None) -> list[float]:
        """Ticks that wait since then; their times."""
        times = [time.time() - age for age in ages_seconds]
        waiting = [{"at": at, "values": values or {"heartbeat": 1}} for at in times]
        (self.folder / "state/spool.json").write_text(json.dumps(waiting))
        return times

    def waiting(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.folder / "state/spool.json").read_text())
        return found

    def tick(self, *, good: bool = True) -> "subprocess.CompletedProcess[str]":
        (self.folder / "config.json").write_text(json.dumps(self.config))
        edge = self.folder / "edge"
        done = subprocess.run(
            [sys.executable, "-B", str(self.program)],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(self.folder / "lib"),
                "STATE_DIRECTORY": str(self.folder / "state"),
                "AWS_SHARED_CREDENTIALS_FILE": str(edge / "credentials"),
                "EDGE": str(edge),
            },
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert (done.returncode == 0) is good, done.stdout + done.stderr
        return done

    def got(self) -> list[dict[str, Any]]:
        """Every datum that arrived."""
        path = self.folder / "edge/got"
        lines = path.read_text().splitlines() if path.exists() else []
        return [datum for line in lines for datum in json.loads(line)["MetricData"]]

    def newest(self) -> dict[str, float]:
        """The values of the newest tick that arrived."""
        data = self.got()
        last = max(datum["Timestamp"] for datum in data)
        return {d["MetricName"]: d["Value"] for d in data if d["Timestamp"] == last}

    def calls(self) -> list[str]:
        lines = (self.folder / "edge/calls").read_text().splitlines()
        return [json.loads(line)[0] for line in lines]
