"""A host on which a backup would be restored: room, memory, and what is installed there."""

from dataclasses import dataclass, field

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

_SCRIPT = r"""
export LC_ALL=C
major=$1 bin=/usr/lib/postgresql/$1/bin
place=/var/lib/postgresql; [ -d "$place" ] || place=/var/lib
set -- $(df -B1 --output=size,avail "$place" | tail -n 1)
echo "disk $2"
echo "memory $(awk '/^MemTotal:/ {printf "%.0f", $2 * 1024}' /proc/meminfo)"
echo "hugepages $(awk '/^HugePages_Total:/ {print $2}' /proc/meminfo)"
echo "processes $(sort -n /proc/sys/kernel/pid_max /proc/sys/kernel/threads-max | head -n 1)"
echo "glibc $(getconf GNU_LIBC_VERSION | cut -d ' ' -f 2)"
[ ! -x "$bin/postgres" ] || "$bin/postgres" -V | sed 's/.* \([0-9][0-9]*\).*/major \1/;q'
[ ! -x "$bin/postgres" ] || ldd "$bin/postgres" |
    sed -n 's/.*libicuuc[.]so[.]\([0-9]*\).*/icu \1/p'
for file in /usr/share/postgresql/"$major"/extension/*.control; do
    name=${file##*/}; [ ! -e "$file" ] || echo "extension ${name%.control}"
done
for file in /usr/lib/postgresql/"$major"/lib/*.so; do
    name=${file##*/}; [ ! -e "$file" ] || echo "library ${name%.so}"
done
locale -a 2>/dev/null | sed 's/^/locale /'
for file in /usr/share/i18n/locales/*; do
    [ ! -e "$file" ] || echo "definition ${file##*/}"
done
"""


@dataclass(frozen=True)
class ReceivingHost:
    """Bytes; names without ending. What is None cannot be known of it."""

    disk_free: int
    memory: int
    processes: int | None = None
    huge_pages: int | None = None
    major: str | None = None  # of the wanted PostgreSQL; "": it is not there
    glibc: str | None = None
    icu: str | None = None
    extensions: frozenset[str] | None = None
    libraries: frozenset[str] | None = None
    locales: frozenset[str] | None = None
    definitions: frozenset[str] = field(default_factory=frozenset)  # locales that can be made


def receiving_host(major: str) -> Fact[ReceivingHost]:
    """The host, looked at for one major version of PostgreSQL."""
    argv = ("sh", "-c", _SCRIPT, "host", major)
    return Fact("receiving_host", ShellQuestion(argv, sudo=True), _read)


def _read(answer: ShellAnswer) -> ReceivingHost:
    said: dict[str, list[str]] = {}
    for line in answer.stdout.splitlines():
        name, _, value = line.partition(" ")
        said.setdefault(name, []).append(value)
    try:
        return ReceivingHost(
            disk_free=int(said["disk"][0]),
            memory=int(said["memory"][0]),
            processes=int(said["processes"][0]),
            huge_pages=int(said["hugepages"][0] or 0),
            major=said.get("major", [""])[0],
            glibc=said["glibc"][0],
            icu=said.get("icu", [""])[0],
            extensions=frozenset(said.get("extension", ())),
            libraries=frozenset(said.get("library", ())),
            locales=frozenset(said.get("locale", ())),
            definitions=frozenset(said.get("definition", ())),
        )
    except (KeyError, ValueError) as error:
        raise UnreadableAnswer("the host does not tell what it has", repr(error)) from None
