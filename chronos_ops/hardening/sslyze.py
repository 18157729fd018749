"""sslyze: PostgreSQL's TLS against Mozilla's configuration "intermediate"."""

import re
from dataclasses import dataclass

from chronos_ops.execution.context import Context
from chronos_ops.hardening.programs import look
from chronos_ops.model.errors import UnreadableAnswer


@dataclass(frozen=True)
class TlsScan:
    """`compliant` by sslyze's own word; `issues`: what it names."""

    compliant: bool
    issues: tuple[str, ...]


def read_scan(text: str, exit_code: int) -> TlsScan:
    """Read its compliance section. Raises UnreadableAnswer: word and exit code must agree."""
    match = re.search(r"^ +\S+:\d+: (OK - Compliant|FAILED - Not compliant)\.", text, re.MULTILINE)
    if match is None:
        raise UnreadableAnswer("sslyze came to no conclusion", text.strip()[-400:])
    compliant = match[1].startswith("OK")
    if compliant != (exit_code == 0):
        raise UnreadableAnswer(f"sslyze said {match[1]!r}", f"and ended with {exit_code}")
    issues = re.findall(r"^ +\* ([a-z_]+: .+)$", text[match.end() :], re.MULTILINE)
    if not compliant and not issues:
        raise UnreadableAnswer("sslyze names no issue", text[match.start() :][:400])
    return TlsScan(compliant, tuple(issues))


def scan(context: Context, log: str = "sslyze.log") -> TlsScan:
    """Scan PostgreSQL from this machine. Raises NotInstalled, UnreadableAnswer."""
    settings = context.settings
    certificate = settings.hardening.certificate
    argv = ["sslyze", "--starttls", "postgres", "--mozilla_config", "intermediate"]
    if certificate is not None:
        argv += ["--sni", certificate.names[0].replace("*.", "any.")]
        if certificate.trusted_ca_file is not None:
            argv += ["--certinfo_ca_file", certificate.trusted_ca_file]
    port = settings.postgres.port
    if settings.postgres.connect == "ssh_tunnel":
        with context.ssh.forward(port) as local:
            said = look(context, [*argv, f"127.0.0.1:{local}"], log=log)
    else:
        said = look(context, [*argv, f"{settings.host.address}:{port}"], log=log)
    return read_scan(said.stdout, said.exit_code)
