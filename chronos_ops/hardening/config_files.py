"""What chronos-ops has written on the host, as it stands there now: found by its own words."""

from chronos_ops.execution.context import Context
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.outcome import Outcome

_PLACES = "/etc /usr/local/lib /usr/local/sbin /usr/local/bin"
_LINES = 60
# Secrets lie in /etc/pgbackrest (its own runbook shows that file, masked) and in keys.
_FIND = rf"""
grep -rlIs -e chronos-ops {_PLACES} --exclude-dir=pgbackrest --exclude-dir=ssl --exclude=*.key \
    --exclude=*.pem --exclude=*.before-chronos | sort | while read -r path; do
    grep -q -e 'PRIVATE KEY' "$path" && continue
    printf '==> %s %s <==\n' "$path" "$(stat -c '%a %U:%G' "$path")"
    head -n {_LINES} "$path"
done
"""


def config_files(context: Context) -> Outcome:
    """Every file that chronos-ops has written on the host (none that holds a secret)."""
    text = context.ssh.run(["sh", "-c", _FIND], sudo=True).stdout
    heads = [
        line[4:-4].split(" ")
        for line in text.splitlines()
        if line.startswith("==> ") and line.endswith(" <==")
    ]
    if any(len(words) != 3 for words in heads):
        raise UnreadableAnswer("a file's name has a space in it", heads)
    return Outcome(
        summary=f"{len(heads)} files carry the name of chronos-ops; "
        f"each is shown up to line {_LINES}.",
        table=[{"file": path, "mode": mode, "owner": owner} for path, mode, owner in heads],
        text=text.strip(),
    )


config_files.probe = True  # type: ignore[attr-defined] # reads only
