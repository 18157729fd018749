"""pg_hba.conf as text: each line as the words that PostgreSQL's own manual names."""

import ipaddress
import re
from dataclasses import dataclass

_WORD = re.compile(r'"[^"]*"|[^\s"#,]+(?:,\s*[^\s"#,]+)*|#.*')
_KINDS = ("local", "host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc")


@dataclass(frozen=True)
class Line:
    """One record. `address` with its netmask, if written apart; "" for `local`."""

    kind: str
    database: str
    user: str
    address: str
    method: str
    options: str = ""

    @property
    def loopback(self) -> bool:
        """It admits this machine alone."""
        if self.address in ("localhost", "samehost"):
            return True
        try:
            return ipaddress.ip_network(self.address, strict=False).is_loopback
        except ValueError:
            return False

    def text(self) -> str:
        words = (self.kind, self.database, self.user, self.address, self.method, self.options)
        widths = (8, 12, 18, 19, 0, 0)
        pairs = zip(words, widths, strict=True)
        return " ".join(word.ljust(width) for word, width in pairs).rstrip()


def records(text: str) -> tuple[Line, ...]:
    """The records of a pg_hba.conf. Lines that are none (includes, nonsense) are left out."""
    found = []
    joined = text.replace("\\\n", " ")
    for line in joined.splitlines():
        words = [word for word in _WORD.findall(line) if not word.startswith("#")]
        if not words or words[0] not in _KINDS:
            continue
        kind, rest = words[0], words[1:]
        if kind == "local":
            rest.insert(2, "")
        if len(rest) > 4 and re.fullmatch(r"[\d.]+|[\da-fA-F:]+", rest[3]):
            rest[2] = f"{rest[2]}/{rest.pop(3)}"
        if len(rest) < 4:
            continue
        found.append(Line(kind, rest[0], rest[1], rest[2], rest[3], " ".join(rest[4:])))
    return tuple(found)
