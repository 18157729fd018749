"""Files on a host: their text, owner and mode, or None where there is none."""

from dataclasses import dataclass

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

_ABSENT, _PRESENT = "absent", "present"
_SCRIPT = (
    'for f in "$@"; do if [ -e "$f" ]; then '
    'printf \'present %s %s\\n\' "$(stat -c \'%a %U:%G %s\' "$f")" "$f"; cat -- "$f"; '
    "else printf 'absent - - 0 %s\\n' \"$f\"; fi; printf '\\n'; done"
)


@dataclass(frozen=True)
class FileState:
    """A file as it is: what an exact undo needs."""

    text: str
    mode: str  # "0644"
    owner: str
    group: str


def _read_states(answer: ShellAnswer) -> dict[str, FileState | None]:
    found: dict[str, FileState | None] = {}
    rest = answer.stdout
    while rest:
        head, _, rest = rest.partition("\n")
        words = head.split(" ", 4)
        if words[0] == _ABSENT and len(words) == 5:
            found[words[4]] = None
            rest = rest[1:]
        elif words[0] == _PRESENT and len(words) == 5:
            # stat counts bytes; the text may hold more of them than characters
            body = rest.encode()[: int(words[3])].decode(errors="replace")
            owner, _, group = words[2].partition(":")
            found[words[4]] = FileState(body, words[1].zfill(4), owner, group)
            rest = rest[len(body) + 1 :]
        else:
            raise UnreadableAnswer("not the listing of a file", head[:120])
    return found


def _read(answer: ShellAnswer) -> dict[str, str | None]:
    return {path: f.text if f else None for path, f in _read_states(answer).items()}


def states(*paths: str, name: str = "file_states") -> Fact[dict[str, FileState | None]]:
    """Text, owner and mode of each file; None if it is not there. Never for secrets."""
    question = ShellQuestion(("sh", "-c", _SCRIPT, "texts", *paths), sudo=True)
    return Fact(name, question, _read_states)


def texts(*paths: str, name: str = "file_texts") -> Fact[dict[str, str | None]]:
    """The text of each file; None if it is not there. Never for files that hold secrets."""
    return Fact(name, ShellQuestion(("sh", "-c", _SCRIPT, "texts", *paths), sudo=True), _read)
