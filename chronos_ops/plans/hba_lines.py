"""The lines of pg_hba.conf that are of another hand, and which of them stay (H5)."""

from dataclasses import replace

from chronos_ops.facts.hba import Line
from chronos_ops.plans.access import block_of

OURS = "# hardening.database_access"  # ends each line that a declared role has
SOCKET = Line("local", "all", "postgres", "", "peer")  # first: the superuser, for this machine
WEAK = ("md5", "password")
_LOCAL_METHODS = ("peer", "reject", "scram-sha-256", "cert")


def of_another_hand(text: str) -> str:
    """A pg_hba.conf without the operators' block and the lines of declared roles."""
    rest = text.replace(block_of(text).rstrip("\n") or "\0", "")
    return "".join(li for li in rest.splitlines(keepends=True) if not li.rstrip().endswith(OURS))


def kept(line: Line) -> Line | None:
    """A line of this machine's own, with scram for a weaker password; None: it goes.

    `ident` on the socket is what PostgreSQL itself takes for `peer`.
    """
    if line.kind != "local" and not line.loopback:
        return None
    if line.method in WEAK:
        return replace(line, method="scram-sha-256")
    if line.kind == "local" and line.method == "ident":
        return replace(line, method="peer")
    return line if line.method in _LOCAL_METHODS else None
