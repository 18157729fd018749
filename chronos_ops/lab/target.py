"""What makes a lab a target like any other: its operator's key, and `parameters/<lab>.yaml`."""

import ipaddress
import os
import subprocess
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from chronos_ops.lab.acme import LabAcme
from chronos_ops.lab.aws import S3_NAME, LabAws
from chronos_ops.lab.errors import LabError
from chronos_ops.lab.places import Places
from chronos_ops.lab.run import run
from chronos_ops.model.settings import parameters_dir, parse_settings
from chronos_ops.model.timing import utc_now

INSTANCE = "project-chronos"
DB = "db"  # the alias of the declared host
USER = "admin"
OPERATOR_MAIL = "operator@lab.example"
_INBOX = "/_lab/inbox"
_HEAD = """# The lab {lab!r} as a target: written by `./chronos lab up`, gone with `lab down`.
# Not committed: addresses and keys are this machine's own.
"""


def private_key(places: Places) -> Path:
    return places.user / "id_ed25519"


def make_operator(places: Places) -> str:
    """The operator's key pair of this lab, made once; the public line."""
    places.user.mkdir(parents=True, exist_ok=True, mode=0o700)
    places.user.chmod(0o700)
    key = private_key(places)
    if not key.is_file():
        comment = f"operator@{places.lab}"
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", key])
    return key.with_suffix(".pub").read_text().strip()


def write_known_hosts(places: Places, hosts: Iterable[Mapping[str, Any]]) -> Path:
    """The host keys as the lab made them: never trusted on first use."""
    lines = [f"{host['address']} {key}\n" for host in hosts for key in host["host_keys"]]
    return _write(places.user / "known_hosts", "".join(lines))


def parameters_file(places: Places) -> Path:
    return parameters_dir() / f"{places.lab}.yaml"


def write_parameters(
    places: Places,
    aws: LabAws,
    acme: LabAcme | None,
    host: Mapping[str, Any],
    subnet: str,
    known_hosts: Path,
) -> Path:
    """Write `parameters/<lab>.yaml`, mode 0600. Raises UsageError if it is not a valid target."""
    data: dict[str, Any] = {
        "target": places.lab,
        "disposable": True,
        "aws": aws.settings(),
        "host": {
            "instance": host["name"],
            "address": host["address"],
            "user": host["user"],
            "key_file": str(private_key(places)),
            "known_hosts_file": str(known_hosts),
        },
        "postgres": {
            "extensions": ["pg_stat_statements", "pg_trgm", "vector"],
            "operator_networks": [f"{ipaddress.ip_network(subnet)[1]}/32"],  # this machine alone
        },
        "backup": {
            "bucket": "project-chronos-backups",
            "host_s3_endpoint": S3_NAME,
            "host_s3_port": aws.port,
            "host_s3_ca": str(aws.ca_file),
            "host_s3_uri_style": "path",
        },
        "archive": {
            "bucket": "project-chronos-evidence",
            "create_bucket": True,
            "retention_days": 30,
        },
        "drill": {"bundle_id": "small_3_0", "blueprint_id": "debian_13", "user": USER},
    }
    data["monitoring"] = {
        "period_seconds": 10,
        "publish_seconds": 10,
        "host_endpoint_url": f"https://{S3_NAME}:{aws.port}",
        "host_ca_file": str(aws.ca_file),
        "email": OPERATOR_MAIL,
        "inbox": {"url": f"{aws.endpoint_url}{_INBOX}", "ca_file": str(aws.ca_file)},
        # Periods of 10 s have their price: alarms of high resolution, the publisher's looks.
        "budget": {"planned_usd": 60, "limit_usd": 80},
    }
    today = utc_now().date()
    accepted = {
        "accepted": today,
        "expires": today + timedelta(days=365),
        "reason": "periods of 10 s: an alarm is driven and back within two minutes",
        "by": "the lab",
    }
    data["lint_exceptions"] = [
        {"control": f"lint.monitoring.{rule}", **accepted} for rule in ("ticks", "resolution")
    ]
    # The rest of the subnet stands for applications: they reach the database, and may be banned.
    data["hardening"] = {"firewall": {"database_networks": [str(ipaddress.ip_network(subnet))]}}
    if acme is not None:
        data["hardening"]["certificate"] = acme.settings()
    parse_settings(data, f"parameters/{places.lab}.yaml")
    text = _HEAD.format(lab=places.lab) + yaml.safe_dump(data, sort_keys=False)
    path = parameters_file(places)
    path.parent.mkdir(exist_ok=True)
    return _write(path, text)


def ssh(places: Places, host: Mapping[str, Any], known_hosts: Path, command: list[str]) -> int:
    """ssh to a host of the lab; its exit code."""
    argv = ["ssh", "-F", "none", "-i", str(private_key(places)), "-o", "IdentitiesOnly=yes"]
    argv += ["-o", f"UserKnownHostsFile={known_hosts}", "-o", "StrictHostKeyChecking=yes"]
    argv += [f"{host['user']}@{host['address']}", *command]
    try:
        return subprocess.run(argv).returncode
    except FileNotFoundError:
        raise LabError("ssh is not installed", hint="apt-get install openssh-client") from None


def _write(path: Path, text: str) -> Path:
    """Whole or not at all, for its owner alone; left as it is if it says this already."""
    if path.is_file() and path.read_text() == text:
        return path
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(text)
    part.replace(path)
    return path
