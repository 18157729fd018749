"""Files on a host: their text, or None where there is none."""

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

_ABSENT, _PRESENT = "absent", "present"
_SCRIPT = (
    'for f in "$@"; do if [ -e "$f" ]; then '
    'printf \'present %s %s\\n\' "$(stat -c \'%a %U:%G %s\' "$f")" "$f"; cat -- "$f"; '
    "else printf 'absent - - 0 %s\\n' \"$f\"; fi; printf '\\n'; done"
)


def _read(answer: ShellAnswer) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
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
            found[words[4]] = body
            rest = rest[len(body) + 1 :]
        else:
            raise UnreadableAnswer("not the listing of a file", head[:120])
    return found


def texts(*paths: str, name: str = "file_texts") -> Fact[dict[str, str | None]]:
    """The text of each file; None if it is not there. Never for files that hold secrets."""
    return Fact(name, ShellQuestion(("sh", "-c", _SCRIPT, "texts", *paths), sudo=True), _read)
