"""Objects of a repository read by the host itself: with its key, and decrypted where one can."""

from collections.abc import Sequence
from dataclasses import dataclass

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion


@dataclass(frozen=True)
class Wanted:
    """What is to be read: decrypted, or (`size`) a stretch of the bytes as they are stored."""

    path: str  # relative to the repository
    offset: int = 0
    size: int = 0


@dataclass(frozen=True)
class Seen:
    """What came of it: pgBackRest's exit code and words, bytes and their SHA-1."""

    path: str
    exit_code: int
    size: int
    sha1: str
    said: str

    @property
    def ok(self) -> bool:
        return self.exit_code == 0 and self.size > 0

    @property
    def denied(self) -> bool:
        """The key was refused."""
        return "403" in self.said or "AccessDenied" in self.said

    @property
    def frozen(self) -> bool:
        return "InvalidObjectState" in self.said

    @property
    def undecipherable(self) -> bool:
        """Bytes came, and the passphrase does not open them (CryptoError, or garbage)."""
        words = ("[095]", "cipher", "FormatError", "unable to flush", "ChecksumError")
        return not self.denied and any(word in self.said for word in words)


# A stretch of an object is cut out on the host: only its SHA-1 travels. Four at a time.
_SCRIPT = r"""
set -u
stanza=$1 repo=$2; shift 2
into=$(mktemp -d) || exit 1
trap 'rm -rf "$into"' EXIT
fetch() {
    pgbackrest --stanza="$stanza" --repo="$repo" --log-level-console=off \
        --log-level-stderr=error "$@" 2>"$into/$number.said"
    echo $? >"$into/$number.code"
}
cut() { tail -c "+$((offset + 1))" | { head -c "$size"; cat >/dev/null; }; }
look() {
    number=${1%% *} rest=${1#* }; offset=${rest%% *} rest=${rest#* }
    size=${rest%% *} path=${rest#* }
    if [ "$size" = 0 ]; then fetch repo-get "$path" >"$into/$number"
    else fetch --raw repo-get "$path" | cut >"$into/$number"
    fi
    set -- $(sha1sum <"$into/$number")
    printf '== %s %s %s %s %s\n' "$number" "$(cat "$into/$number.code")" \
        "$(wc -c <"$into/$number")" "$1" \
        "$(head -c 600 "$into/$number.said" | tr '\n' ' ' | tr -cd '[:print:]')"
}
running=0
for wanted; do
    look "$wanted" &
    running=$((running + 1)); [ $((running % 4)) != 0 ] || wait
done
wait
"""


def reads(stanza: str, repo: int, wanted: Sequence[Wanted]) -> Fact[list[Seen]]:
    """Each object read by the host's key and passphrase, in the order in which they are wanted."""
    lines = [f"{n} {w.offset} {w.size} {w.path}" for n, w in enumerate(wanted)]
    argv = ("sh", "-c", _SCRIPT, "reads", stanza, str(repo), *lines)

    def read(answer: ShellAnswer) -> list[Seen]:
        found: dict[int, Seen] = {}
        for line in answer.stdout.splitlines():
            words = line.split(" ", 5)
            if words[0] != "==" or len(words) < 5 or not words[1].isdigit():
                raise UnreadableAnswer("not the answer of a read", line[:120])
            number = int(words[1])
            said = words[5].strip() if len(words) > 5 else ""
            found[number] = Seen(wanted[number].path, int(words[2]), int(words[3]), words[4], said)
        if sorted(found) != list(range(len(wanted))):
            raise UnreadableAnswer("not every read was answered", f"{len(found)}/{len(wanted)}")
        return [found[number] for number in range(len(wanted))]

    return Fact("repository_reads", ShellQuestion(argv, user="postgres"), read)
