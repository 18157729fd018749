"""Names as the world sees them (DNS), asked from the operator's machine. The only DNS importer."""

from dataclasses import dataclass
from typing import Any

import dns.exception
import dns.rdatatype
import dns.resolver

from chronos_ops.model.errors import TransportError, UsageError

_SECONDS = 5.0
_PORT = 53


@dataclass(frozen=True)
class Caa:
    """One CAA record (RFC 8659): `issue "letsencrypt.org"`."""

    critical: bool
    tag: str
    value: str


class Names:
    """Asks one server ("ADDRESS[:PORT]"), or whom the system asks."""

    def __init__(self, server: str | None = None) -> None:
        self._resolver = dns.resolver.Resolver(configure=server is None)
        self._resolver.lifetime = _SECONDS
        if server is not None:
            address, _, port = (
                server.rpartition(":") if server.count(":") == 1 else (server, "", "")
            )
            if port and not port.isdigit():
                raise UsageError("not a DNS server's port", server)
            self._resolver.nameservers = [address]
            self._resolver.port = int(port or _PORT)

    def addresses(self, name: str) -> tuple[str, ...]:
        """A and AAAA records, sorted. Raises TransportError: not known."""
        return tuple(sorted([*self.records(name, "A"), *self.records(name, "AAAA")]))

    def cname(self, name: str) -> str:
        """What the name is an alias of, without the final dot; "": of nothing."""
        found = self.records(name, "CNAME")
        return found[0].rstrip(".").lower() if found else ""

    def caa(self, name: str) -> tuple[Caa, ...]:
        """The CAA records that govern a name: its own, or its nearest ancestor's."""
        labels = name.rstrip(".").split(".")
        while labels:
            if records := self._records(".".join(labels), "CAA"):
                return tuple(
                    Caa(bool(r.flags & 128), r.tag.decode().lower(), r.value.decode())
                    for r in records
                )
            labels = labels[1:]
        return ()

    def records(self, name: str, kind: str) -> list[str]:
        """Records of one type as text; empty: none, or no such name. Raises TransportError."""
        return [record.to_text() for record in self._records(name, kind)]

    def _records(self, name: str, kind: str) -> list[Any]:
        try:
            answer = self._resolver.resolve(name, kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN:
            return []
        except dns.exception.DNSException as error:
            raise TransportError(
                f"the name service does not tell {kind} of {name}", error
            ) from None
        return list(answer.rrset or [])
