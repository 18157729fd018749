"""pg_hba.conf as text: each line as the words that PostgreSQL's own manual names, and whom it fits.

Whether a line fits may not be known from its text alone (files, regular expressions, names of
hosts): then the answer is None, neither yes nor no.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

_NAME = r'(?:"[^"]*"|[^\s"#,])+'
_WORD = re.compile(rf"#.*|{_NAME}(?:,\s*{_NAME})*")
_ITEM = re.compile(_NAME)
_KINDS = ("local", "host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc")


@dataclass(frozen=True)
class Client:
    """Who asks to be let in. `address`: "" for the unix socket; `groups`: of the role."""

    role: str
    database: str
    address: str
    tls: bool = False
    replication: bool = False
    groups: tuple[str, ...] = ()


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
        network = self.network
        return network is not None and network.is_loopback

    @property
    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
        """The address, where it is one; None: a keyword, or the name of a host."""
        try:
            return ipaddress.ip_network(self.address, strict=False)
        except ValueError:
            return None

    def text(self) -> str:
        words = (self.kind, self.database, self.user, self.address, self.method, self.options)
        widths = (8, 12, 18, 19, 0, 0)
        pairs = zip(words, widths, strict=True)
        return " ".join(word.ljust(width) for word, width in pairs).rstrip()

    def fits(self, client: Client) -> bool | None:
        """Whether the server would take this line for that client; None: not known."""
        return _every(
            (
                self._kind_fits(client),
                self.names_role(client.role, client.groups),
                _any(_database(item, client) for item in items(self.database)),
                self._address_fits(client.address),
            )
        )

    def names_role(self, role: str, groups: tuple[str, ...] = ()) -> bool | None:
        """Whether the line is for that role."""
        return _any(_role(item, role, groups) for item in items(self.user))

    def _kind_fits(self, client: Client) -> bool | None:
        if (self.kind == "local") != (client.address == ""):
            return False
        if self.kind == "hostgssenc":
            return False if client.tls else None
        if self.kind in ("hostssl", "hostnossl"):
            return client.tls == (self.kind == "hostssl")
        return True

    def _address_fits(self, address: str) -> bool | None:
        if not address or self.address == "all":
            return True
        given, network = ipaddress.ip_address(address), self.network
        if network is not None:
            return given.version == network.version and given in network
        if self.address in ("localhost", "samehost") and given.is_loopback:
            return True
        return False if self.address == "localhost" else None


def records(text: str) -> tuple[Line, ...]:
    """The records of a pg_hba.conf. Lines that are none (includes, nonsense) are left out."""
    return tuple(line for _, line in _read(text) if line is not None)


def strange_lines(text: str) -> tuple[str, ...]:
    """What is neither a record nor a comment: includes, nonsense."""
    return tuple(" ".join(words) for words, line in _read(text) if line is None)


def items(word: str) -> tuple[str, ...]:
    """The items of a list of names, quotes kept: they take a keyword's meaning away."""
    return tuple(_ITEM.findall(word))


def name_of(item: str) -> str:
    """The name, without its quotes."""
    return item.replace('"', "")


def _read(text: str) -> Iterable[tuple[list[str], Line | None]]:
    for line in text.replace("\\\n", " ").splitlines():
        words = [word for word in _WORD.findall(line) if not word.startswith("#")]
        if words:
            yield words, _record(words)


def _record(words: list[str]) -> Line | None:
    if words[0] not in _KINDS:
        return None
    kind, rest = words[0], words[1:]
    if kind == "local":
        rest.insert(2, "")
    if len(rest) > 4 and re.fullmatch(r"[\d.]+|[\da-fA-F:]+", rest[3]):
        rest[2] = f"{rest[2]}/{rest.pop(3)}"
    if len(rest) < 4:
        return None
    return Line(kind, rest[0], rest[1], rest[2], rest[3], " ".join(rest[4:]))


def _role(item: str, role: str, groups: tuple[str, ...]) -> bool | None:
    if item.startswith("+"):
        return name_of(item[1:]) in (role, *groups)
    if item.startswith(("@", "/")):
        return None
    return item == "all" or name_of(item) == role


def _database(item: str, client: Client) -> bool | None:
    if item.startswith(("@", "/")):
        return None
    if client.replication or item == "replication":  # `all` does not stand for it
        return client.replication and item == "replication"
    if item in ("samerole", "samegroup"):
        return client.database in (client.role, *client.groups)
    return item == "all" or name_of(item if item != "sameuser" else client.role) == client.database


def _any(said: Iterable[bool | None]) -> bool | None:
    found = set(said)
    return True if True in found else None if None in found else False


def _every(said: Iterable[bool | None]) -> bool | None:
    found = set(said)
    return False if False in found else None if None in found else True
