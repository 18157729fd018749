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
        && cat -- "$2/packages.txt" >/dev/null && echo alike' same "/etc/postgresql/$version/$name" \
        "$data/$kept" 2>&1 </dev/null | head -n 20 | sed 's/^/| /'
done
"""  # noqa: E501


def _read(answer: ShellAnswer) -> dict[str, str]:
    said: dict[str, list[str]] = {}
    cluster = ""
    for line in lines(answer):
        mark, _, text = line.partition(" ")
        if mark == "=" and "/" in text:
            cluster = text
            said[cluster] = []
        elif mark == "|" and cluster:
            said[cluster].append(text)
        else:
            raise UnreadableAnswer("not what differs from a kept configuration", line[:120])
    silent = [cluster for cluster, words in said.items() if not words]
    if silent:  # diff was cut off: that nothing differs it would have said
        raise UnreadableAnswer("whether the kept configuration differs", ", ".join(silent))
    return {name: "" if words == ["alike"] else "; ".join(words) for name, words in said.items()}


# By cluster ("17/main"): which files differ, in diff's words; "": none does.
KEPT_CONFIGURATION: Fact[dict[str, str]] = Fact(
    "kept_configuration", ShellQuestion(("sh", "-c", _SCRIPT, "kept", KEPT), sudo=True), _read
)
