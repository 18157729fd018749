"""What a server shows in its TLS handshake, seen from here: on a bare port, or PostgreSQL's."""

import socket
import ssl
import struct
from dataclasses import dataclass

from chronos_ops.model.errors import TransportError

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # PostgreSQL manual, "Message Formats"
_SECONDS = 10.0


@dataclass(frozen=True)
class Shown:
    """The leaf in DER, and whether a client that verifies chain and name is content."""

    der: bytes
    version: str
    cipher: str
    verified: bool
    said: str  # why it is not verified


def handshake(address: str, port: int, *, name: str, ca_file: str, postgres: bool = False) -> Shown:
    """Shake hands as a client that asks for `name`. Raises TransportError: no TLS there."""
    try:
        trusting = ssl.create_default_context(cafile=ca_file)
        der, version, cipher = _shake(address, port, name, trusting, postgres=postgres)
        return Shown(der, version, cipher, verified=True, said="")
    except ssl.SSLCertVerificationError as error:
        said = error.verify_message or str(error)
    except OSError as error:
        raise TransportError(f"no TLS at {address}:{port}", error) from None
    blind = ssl.create_default_context()
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE  # only to look at what the verifying client refused
    try:
        der, version, cipher = _shake(address, port, name, blind, postgres=postgres)
    except OSError as error:
        raise TransportError(f"no TLS at {address}:{port}", error) from None
    return Shown(der, version, cipher, verified=False, said=said)


def _shake(
    address: str, port: int, name: str, context: ssl.SSLContext, *, postgres: bool
) -> tuple[bytes, str, str]:
    with socket.create_connection((address, port), _SECONDS) as plain:
        if postgres:
            plain.sendall(_SSL_REQUEST)
            if (answer := plain.recv(1)) != b"S":
                raise ConnectionError(f"PostgreSQL offers no TLS (it said {answer!r})")
        with context.wrap_socket(plain, server_hostname=name) as secure:
            cipher = secure.cipher()
            return (
                secure.getpeercert(binary_form=True) or b"",
                secure.version() or "",
                cipher[0] if cipher else "",
            )
