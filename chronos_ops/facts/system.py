"""The operating system: release, processors, PostgreSQL that lives in a container."""

import shlex
from dataclasses import dataclass

from chronos_ops.facts.reading import lines, whole_number
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion


@dataclass(frozen=True)
class OsRelease:
    """os-release(5): `id` is debian or ubuntu; `version_id` e.g. 13, 24.04."""

    id: str
    version_id: str
    codename: str
    pretty_name: str


def _read_os_release(answer: ShellAnswer) -> OsRelease:
    values: dict[str, str] = {}
    for line in lines(answer):
        key, separator, value = line.partition("=")
        if separator:
            values[key] = " ".join(shlex.split(value))
    for key in ("ID", "VERSION_ID"):
        if not values.get(key):
            raise UnreadableAnswer(f"/etc/os-release has no {key}", answer.stdout[:200])
    pretty = values.get("PRETTY_NAME", values["ID"])
    return OsRelease(
        values["ID"],
        values["VERSION_ID"],
        values.get("VERSION_CODENAME", ""),
        pretty,
    )


OS_RELEASE = Fact("os_release", ShellQuestion(("cat", "/etc/os-release")), _read_os_release)

CORES: Fact[int] = Fact(
    "cores",
    ShellQuestion(("nproc",)),
    lambda answer: whole_number(answer, "the number of cores"),
)

# A server inside Docker, Podman or LXC has a PID namespace of its own; a service of systemd never.
_CONTAINED = (
    "own=$(readlink /proc/1/ns/pid); for p in $(pgrep -x 'postgres|postmaster' || true); do "
    'there=$(readlink "/proc/$p/ns/pid" || true); '
    '[ -z "$there" ] || [ "$there" = "$own" ] || echo "$p"; done'
)

POSTGRES_IN_CONTAINER: Fact[bool] = Fact(
    "postgres_in_container",
    ShellQuestion(("sh", "-c", _CONTAINED), sudo=True),
    lambda answer: bool(lines(answer)),
)
