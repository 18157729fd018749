"""Certificates on the host: what a file holds, and who may read its key."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

_END = "-----END CERTIFICATE-----"


@dataclass(frozen=True)
class Certificate:
    """One X.509 certificate. `serial` is hexadecimal, as openssl writes it; moments are UTC."""

    serial: str
    subject: str
    issuer: str
    names: tuple[str, ...]  # DNS names of subjectAltName
    not_before: datetime
    not_after: datetime

    def days_left(self, now: datetime) -> float:
        """Days until it expires; negative: it has."""
        return (self.not_after - now).total_seconds() / 86400


@dataclass(frozen=True)
class CertificateFile:
    """A chain and its key on the host. `key_matches`: the key belongs to the certificate."""

    path: str
    chain: tuple[Certificate, ...]
    chain_pem: str
    key_mode: str  # "600"
    key_owner: str  # "postgres:postgres"
    key_matches: bool

    @property
    def leaf(self) -> Certificate:
        return self.chain[0]


def described(certificate: x509.Certificate) -> Certificate:
    """A certificate in this project's words."""
    serial = f"{certificate.serial_number:X}"
    return Certificate(
        serial=serial if len(serial) % 2 == 0 else f"0{serial}",
        subject=_common_name(certificate.subject) or ", ".join(_dns_names(certificate)[:1]),
        issuer=_common_name(certificate.issuer),
        names=_dns_names(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def read_der(der: bytes) -> Certificate:
    """A certificate as it came over the wire. Raises UnreadableAnswer."""
    try:
        return described(x509.load_der_x509_certificate(der))
    except ValueError as error:
        raise UnreadableAnswer("not a certificate", error) from None


def to_pem(der: bytes) -> str:
    """DER as PEM."""
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode("ascii")


def read_pem(text: str) -> tuple[Certificate, ...]:
    """A chain, leaf first. Raises UnreadableAnswer: none, or one that cannot be read."""
    try:
        return tuple(described(c) for c in x509.load_pem_x509_certificates(text.encode()))
    except ValueError as error:
        raise UnreadableAnswer("not a certificate", error) from None


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()


def _dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_oid(
            ExtensionOID.SUBJECT_ALTERNATIVE_NAME
        )
    except x509.ExtensionNotFound:
        return ()
    value = extension.value
    assert isinstance(value, x509.SubjectAlternativeName)
    return tuple(value.get_values_for_type(x509.DNSName))


def covers(names: Sequence[str], name: str) -> bool:
    """Whether one of the certificate's names is `name`, a wildcard of one label included."""
    if name in names:
        return True
    return f"*.{name.partition('.')[2]}" in names


# The key never leaves the host: it is compared with the certificate there.
_SCRIPT = """
set -eu
[ -e "$1" ] || { echo absent; exit 0; }
echo "key $(stat -L -c '%a %U:%G' "$2" 2>/dev/null || echo '- -')"
if [ "$(openssl x509 -noout -pubkey -in "$1")" = "$(openssl pkey -pubout -in "$2" 2>/dev/null)" ]
then echo matches yes; else echo matches no; fi
cat "$1"
"""


def certificate_file(path: str, key_path: str) -> Fact[CertificateFile | None]:
    """The chain in `path` and its key; None: there is no such file."""

    def read(answer: ShellAnswer) -> CertificateFile | None:
        if answer.stdout.strip() == "absent":
            return None
        head, _, rest = answer.stdout.partition("\n")
        matches, _, pem = rest.partition("\n")
        words = head.split()
        if len(words) != 3 or words[0] != "key" or not matches.startswith("matches "):
            raise UnreadableAnswer("not the description of a certificate", answer.stdout[:120])
        return CertificateFile(
            path=path,
            chain=read_pem(pem),
            chain_pem=pem[: pem.rfind(_END) + len(_END)] + "\n",
            key_mode=words[1],
            key_owner=words[2],
            key_matches=matches == "matches yes",
        )

    argv = ("sh", "-c", _SCRIPT, "certificate", path, key_path)
    return Fact("certificate_file", ShellQuestion(argv, sudo=True), read)


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)
