"""What is there, asked of the machine, the lab's daemon, AWS and the database themselves."""

import fcntl
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.kills_judge import Inventory
from benchmarks.kills_strikes import marked
from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution.declared_host import declared_host
from chronos_ops.lab import control
from chronos_ops.model.settings import Settings
from tests.lab.machine import state_of

_STEADY = """
SELECT (SELECT system_identifier FROM pg_control_system()) AS system,
       (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline,
       pg_is_in_recovery() AS recovering, current_setting('archive_mode') AS archives,
       (SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database) AS databases,
       (SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles) AS roles,
       (SELECT count(*) FROM pg_replication_slots) AS slots
"""
_FILES = """
find /etc/pgbackrest* /etc/postgresql /etc/cron* /etc/systemd/system -type f | sort
find /tmp /var/tmp /var/lib/postgresql -maxdepth 2 |
  grep -v -e /systemd-private -e '^/tmp/[.]' -e '^/tmp/pgbackrest' | sort
"""


def inventory(settings: Settings, runs: Path) -> Inventory:
    """Everything that a drill could leave, by kind; process ids and addresses are left out."""
    aws = Aws(settings.aws)
    try:
        found = {kind: sorted(look(aws, settings)) for kind, look in _LOOKS.items()}
    finally:
        aws.close()
    found["hosts"] = sorted(h["name"] for h in control.hosts(settings.target))
    found["processes of runs"] = sorted(marked().values())
    found["locks"] = [str(runs / ".lock")] if _held(runs / ".lock") else []
    found["claims"] = sorted(_unended(runs))
    found["temporary files"] = sorted(
        str(p.relative_to(runs)) for p in runs.glob("2*/**/.*") if p.is_file()
    )
    found |= state_of(settings.target)  # whichever checkout its daemon was started from
    found["processes"] = [re.sub(r"^\S*/bin/python", "python", p) for p in found["processes"]]
    return found


def _names(operation: str, key: str, service: str = "lightsail", name: str = "name") -> Any:
    return lambda aws, _settings: [x[name] for x in aws.call(service, operation)[key]]


def _objects(aws: Aws, settings: Settings) -> list[str]:
    bucket = settings.backup.bucket
    found = aws.call("s3", "list_object_versions", Bucket=bucket, Prefix="drills/")
    parts = aws.call("s3", "list_multipart_uploads", Bucket=bucket).get("Uploads", [])
    return [
        *(x["Key"] for x in found.get("Versions", [])),
        *(f"delete marker {x['Key']}" for x in found.get("DeleteMarkers", [])),
        *(f"unfinished {x['Key']}" for x in parts if x["Key"].startswith("drills/")),
    ]


def _keys(aws: Aws, _settings: Settings) -> list[str]:
    users = [user["UserName"] for user in aws.call("iam", "list_users")["Users"]]
    keys = [
        f"{user} {key['AccessKeyId']}"
        for user in users
        for key in aws.call("iam", "list_access_keys", UserName=user)["AccessKeyMetadata"]
    ]
    return users + keys


_LOOKS: dict[str, Callable[[Aws, Settings], list[str]]] = {
    "instances": _names("get_instances", "instances"),
    "key pairs": _names("get_key_pairs", "keyPairs"),
    "static addresses": _names("get_static_ips", "staticIps"),
    "snapshots": _names("get_instance_snapshots", "instanceSnapshots"),
    "users and keys": _keys,
    "secrets": _names("describe_parameters", "Parameters", "ssm", "Name"),
    "objects of drills": _objects,
}


def _held(lock: Path) -> bool:
    if not lock.exists():
        return False
    handle = os.open(lock, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _unended(runs: Path) -> list[str]:
    """Claims of slots without an end, and drafts of claims."""
    found = []
    for path in (runs / ".claims").glob("*"):
        try:
            if json.loads(path.read_text())["end"]:
                continue
        except (ValueError, KeyError):
            pass
        found.append(path.name)
    return found


def steady(settings: Settings) -> dict[str, str]:
    """The declared host's database, and that a WAL segment of it arrives (pgBackRest's check)."""
    aws = Aws(settings.aws)
    try:
        with Ssh(declared_host(settings, aws)) as ssh:
            row = {name: str(value) for name, value in ssh.sql_rows(_STEADY)[0].items()}
            stanza = f"--stanza={settings.backup.stanza}"
            checked = ssh.run(
                ["pgbackrest", stanza, "check"], user="postgres", accept=tuple(range(256))
            )
            files = ssh.run(["sh", "-c", _FILES], sudo=True).stdout
    finally:
        aws.close()
    said = (checked.stdout + checked.stderr)[-200:]
    return {**row, "archiving": "works" if checked.exit_code == 0 else said, "files": files}
