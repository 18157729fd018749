"""Whom a client trusts for what the host serves: the declared CA, or this machine's own."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chronos_ops.execution.context import Context
from chronos_ops.model.errors import UsageError
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.hardening import Certificate
from chronos_ops.model.outcome import Outcome

_SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora
    "/etc/ssl/cert.pem",  # macOS
)


def trusted_file(declared: Certificate) -> str:
    """A file of CA certificates. Raises UsageError: there is none."""
    if declared.trusted_ca_file is not None:
        path = Path(declared.trusted_ca_file).expanduser()
        if not path.is_file():
            raise UsageError("hardening.certificate.trusted_ca_file is not a file", path)
        return str(path)
    for text in _SYSTEM:
        if Path(text).is_file():
            return text
    raise UsageError(
        "no CA certificates on this machine",
        ", ".join(_SYSTEM),
        hint="install ca-certificates, or set hardening.certificate.trusted_ca_file",
    )


def strange_authority(folder: Path) -> str:
    """A CA that has signed nothing: who trusts only it must refuse every server."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody's CA")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "strange-ca.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return str(path)


def undeclared(step: str) -> Outcome:
    """Without a certificate in the parameter file a step about it fails, in its own words."""
    return Outcome(
        summary="The parameter file declares no certificate.",
        findings=[
            Finding(
                id=f"certificate.{step}",
                status=Status.FAIL,
                title="A certificate is declared",
                observed="no `hardening.certificate` in the parameter file",
                expected="names, and the directory that issues for them",
                hint="see parameters/production.example.yaml",
                requirement="H4",
            )
        ],
    )


def static_address(context: Context) -> str:
    """The address that the names must have (H4)."""
    settings = context.settings
    return settings.hardening.static_ip or settings.host.address
