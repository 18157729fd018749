"""The copy of /etc/postgresql in the data directory, which every backup takes with it: is it so?"""

from chronos_ops.facts.reading import lines
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

KEPT = "chronos_etc"  # in the data directory: a copy of /etc/postgresql/<version>/<cluster>
# Names alone: what is in the files (pg_hba.conf, a password of a standby) stays there.
_SCRIPT = r"""
kept=$1
command -v pg_lsclusters >/dev/null && getent passwd postgres >/dev/null || exit 0
pg_lsclusters -h | while read -r version name _ _ _ data _; do
    printf '= %s/%s\n' "$version" "$name"
    runuser -u postgres -- sh -c 'cd / && diff -rq --exclude=packages.txt -- "$1" "$2" \
        && cat -- "$2/packages.txt" >/dev/null' same "/etc/postgresql/$version/$name" \
        "$data/$kept" 2>&1 </dev/null | head -n 20 | sed 's/^/| /'
done
"""


def _read(answer: ShellAnswer) -> dict[str, str]:
    found: dict[str, str] = {}
    cluster = ""
    for line in lines(answer):
        mark, _, text = line.partition(" ")
        if mark == "=" and "/" in text:
            cluster = text
            found[cluster] = ""
        elif mark == "|" and cluster:
            found[cluster] += f"{'; ' if found[cluster] else ''}{text}"
        else:
            raise UnreadableAnswer("not what differs from a kept configuration", line[:120])
    return found


# By cluster ("17/main"): which files differ, in diff's words; "": none does.
KEPT_CONFIGURATION: Fact[dict[str, str]] = Fact(
    "kept_configuration", ShellQuestion(("sh", "-c", _SCRIPT, "kept", KEPT), sudo=True), _read
)
