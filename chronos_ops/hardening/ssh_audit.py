"""ssh-audit: what the SSH server offers that it should not (https://github.com/jtesta/ssh-audit)."""

import json
from dataclasses import dataclass
from typing import Any

from chronos_ops.execution.context import Context
from chronos_ops.hardening.programs import look
from chronos_ops.model.errors import UnreadableAnswer

_KINDS = ("kex", "key", "enc", "mac")


@dataclass(frozen=True)
class SshAudit:
    """Algorithms by ssh-audit's own words: a failure must go, a warning may be weighed."""

    software: str
    failures: tuple[str, ...]  # "kex ecdh-sha2-nistp256: using elliptic curves that are …"
    warnings: tuple[str, ...]


def read_audit(text: str) -> SshAudit:
    """Parse its JSON. Raises UnreadableAnswer, also for a server that offered nothing."""
    try:
        data = json.loads(text)
        found = {level: tuple(_notes(data, level)) for level in ("fail", "warn")}
        offered = sum(len(data[kind]) for kind in _KINDS)
        software = str(data["banner"]["software"])
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableAnswer("ssh-audit's answer cannot be read", repr(error)) from None
    if not offered:
        raise UnreadableAnswer("ssh-audit saw no algorithm", text[:200])
    return SshAudit(software, found["fail"], found["warn"])


def _notes(data: dict[str, Any], level: str) -> list[str]:
    return [
        f"{kind} {item['algorithm']}: {'; '.join(item['notes'][level])}"
        for kind in _KINDS
        for item in data[kind]
        if item["notes"].get(level)
    ]


def audit(context: Context, log: str = "ssh-audit.log") -> SshAudit:
    """Ask the host's SSH server. Raises NotInstalled, UnreadableAnswer.

    Without its connection-rate test, which is an attack on a production server (DHEat).
    """
    host = context.settings.host
    argv = ["ssh-audit", "-j", "--skip-rate-test", "-p", str(host.port), host.address]
    return read_audit(look(context, argv, log=log, timeout=120).stdout)
