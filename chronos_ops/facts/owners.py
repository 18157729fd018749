"""Which packages bring the extensions and libraries that a database uses."""

from collections.abc import Mapping, Sequence

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

Owners = Mapping[str, str]  # extension or library: its package; "": none
_SCRIPT = r"""
major=$1; shift
for wanted; do
    kind=${wanted%%:*} name=${wanted#*:}
    if [ "$kind" = extension ]; then file=/usr/share/postgresql/$major/extension/$name.control
    else file=/usr/lib/postgresql/$major/lib/$name.so
    fi
    owner=$(dpkg-query -S "$file" 2>/dev/null | sed 's/[:,].*//;q')
    printf '%s %s %s\n' "$kind" "${owner:--}" "$name"
done
"""


def owners(major: int, extensions: Sequence[str], libraries: Sequence[str]) -> Fact[Owners]:
    """By the files of PostgreSQL `major` on the host."""
    wanted = [f"extension:{name}" for name in extensions]
    wanted += [f"library:{name}" for name in libraries]
    argv = ("sh", "-c", _SCRIPT, "owners", str(major), *wanted)
    return Fact("file_owners", ShellQuestion(argv), _read)


def _read(answer: ShellAnswer) -> Owners:
    found = {}
    for line in answer.stdout.splitlines():
        words = line.split(" ", 2)
        if len(words) != 3 or words[0] not in ("extension", "library"):
            raise UnreadableAnswer("not the owner of a file", line[:120])
        found[f"{words[0]} {words[2]}"] = "" if words[1] == "-" else words[1]
    return found
