"""The operator's public key, from the private one that the target declares."""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from chronos_ops.model.errors import UsageError


def public_line(key_file: str) -> str:
    """The line for authorized_keys. Raises UsageError: no such file, no key without passphrase."""
    path = Path(key_file).expanduser()
    if not path.is_file():
        raise UsageError("SSH key file not found", key_file)
    raw = path.read_bytes()
    load = (
        serialization.load_ssh_private_key
        if b"BEGIN OPENSSH" in raw
        else serialization.load_pem_private_key
    )
    try:
        public = load(raw, None).public_key()
        line = public.public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError("not a private key without a passphrase", f"{key_file}: {error}") from None
    return line.decode("ascii")
