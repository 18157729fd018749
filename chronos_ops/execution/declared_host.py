"""The declared host's address with its pinned keys: from a known_hosts file, or from Lightsail."""

from pathlib import Path

from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import SshAddress
from chronos_ops.model.errors import UsageError
from chronos_ops.model.settings import Settings


def declared_host(settings: Settings, aws: Aws) -> SshAddress:
    """Where the declared host is (P2). Raises UsageError if no key can be pinned."""
    host = settings.host
    if host.known_hosts_file is None:
        lines = _keys_from_lightsail(aws, host.instance, host.address)
    else:
        path = Path(host.known_hosts_file).expanduser()
        if not path.is_file():
            raise UsageError(
                "known_hosts file not found",
                path,
                hint="leave host.known_hosts_file out to pin the keys that Lightsail reports",
            )
        lines = tuple(_lines_for(path.read_text(encoding="utf-8"), host.address, host.port))
        if not lines:
            raise UsageError(f"no key of {host.address} in", path, hint="was the host rebuilt?")
    return SshAddress(
        host.address,
        host.port,
        host.user,
        host.key_file,
        lines,
        pg_port=settings.postgres.port,
    )


def _lines_for(text: str, address: str, port: int) -> list[str]:
    names = {address, f"[{address}]:{port}"}
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 3 and names & set(words[0].split(",")):
            found.append(line)
    return found


def _keys_from_lightsail(aws: Aws, instance: str, address: str) -> tuple[str, ...]:
    details = aws.call(
        "lightsail", "get_instance_access_details", instanceName=instance, protocol="ssh"
    )
    keys = details["accessDetails"].get("hostKeys", [])
    lines = tuple(f"{address} {key['algorithm']} {key['publicKey']}" for key in keys)
    if not lines:
        raise UsageError(
            f"Lightsail reports no host keys of {instance}",
            hint="wait a minute after the first boot, or name a known_hosts file",
        )
    return lines
