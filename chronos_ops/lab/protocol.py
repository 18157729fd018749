"""How a lab's daemon is spoken to: one JSON object a line on a unix socket, one answer a line.

A request is `{"op": NAME, ...arguments}`; the answer `{"ok": true, "result": ...}` or
`{"ok": false, "error": TEXT, "kind": KIND, "noun": ..., "value": ..., "hint": ...}`.

op             arguments                                        result
ping                                                            {lab, pid, gateway, subnet, ...}
create         name, image, memory_bytes, disk_bytes, user,     host
               authorized_keys, user_data, tags, metadata,
               bundle, blueprint, aliases, extra_hosts,
               address, snapshot, wait (default true)
start          name, wait                                       host
stop           name (clean shutdown)                            host
kill           name (power failure; the disk stays)             host
reboot         name, wait (clean shutdown, then start)          host
delete         name (its disk too)                              {}
snapshot       name, snapshot (the new one's name): a copy of   snapshot
               the disk as of one moment, running or not
snapshots                                                       {snapshots: [snapshot]}
delete_snapshot  name (hosts made from it stay)                 {}
list                                                            {hosts: [host]}
info           name                                             host
tag            name, tags, metadata (both replaced if given)    host
map_address    static_ip, name (moved if it was mapped)         {static_ip, name}
unmap_address  static_ip                                        {}
addresses                                                       {static_ip: name}
reserve_address                                                 {address}: static, nobody's yet
release_address  address                                        {}
inject         extra_hosts, ca_certificates, authorized_keys    {}
               (where none are given), for every host created
               from now on
serve          name, argv, env (run as the lab's owner)         {pid}
services                                                        {name: {pid, restarts}}
shutdown       purge (default true: disks and records too)      {} before it is done

A host: name, aliases, address, static_ip, state (starting, running, stopping, stopped),
image, memory_bytes, disk_bytes, user, tags, metadata, bundle, blueprint, host_keys (public key
lines), machine_id, created_at, boots.

A snapshot: name, file, image, layers, disk_bytes, allocated_bytes, created_at.
"""

import json
import socket
from pathlib import Path
from typing import Any

from chronos_ops.lab.errors import LabError

Answer = dict[str, Any]


def call(path: Path, op: str, /, *, timeout_seconds: float = 180, **arguments: Any) -> Answer:
    """Ask the daemon behind `path`. Raises LabError: unanswered, or what it said."""
    line = json.dumps({"op": op, **arguments}).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as pipe:
            pipe.settimeout(timeout_seconds)
            pipe.connect(str(path))
            pipe.sendall(line)
            with pipe.makefile("rb") as reader:
                text = reader.readline()
    except OSError as error:
        raise LabError(f"the lab's daemon does not answer {op}", error, kind="unanswered") from None
    if not text:
        raise LabError(f"the lab's daemon hung up on {op}", kind="unanswered")
    answer: Answer = json.loads(text)
    if not answer.get("ok"):
        raise LabError(
            str(answer.get("noun", answer.get("error"))),
            answer.get("value"),
            hint=str(answer.get("hint", "")),
            kind=str(answer.get("kind", "failed")),
        )
    result: Answer = answer["result"]
    return result


def success(result: Answer) -> bytes:
    """The answer of an operation that worked."""
    return json.dumps({"ok": True, "result": result}).encode() + b"\n"


def refusal(error: LabError) -> bytes:
    """The answer of one that did not."""
    answer = {
        "ok": False,
        "error": error.text(),
        "kind": error.kind,
        "noun": error.noun,
        "value": None if error.value is None else str(error.value),
        "hint": error.hint,
    }
    return json.dumps(answer).encode() + b"\n"
