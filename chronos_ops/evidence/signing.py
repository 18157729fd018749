"""The archive's key: Ed25519, made at first use, only its owner's to read (R4)."""

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from chronos_ops.model.errors import UsageError

KEY = "archive-ed25519.pem"


def operator_state() -> Path:
    """The operator's own state: never in git, never beside the evidence. Raises UsageError."""
    try:
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise UsageError("no place for the archive's key", error) from None
    return Path(base) / "chronos-ops"


@dataclass(frozen=True)
class PublicKey:
    """Checks signatures. `fingerprint`: sha256 of its DER form, hexadecimal."""

    pem: bytes

    @property
    def fingerprint(self) -> str:
        der = self._key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(der).hexdigest()

    def _key(self) -> Ed25519PublicKey:
        try:
            key = load_pem_public_key(self.pem)
        except ValueError as error:
            raise UsageError("not a public key", error) from None
        if not isinstance(key, Ed25519PublicKey):
            raise UsageError("the public key is not Ed25519", type(key).__name__)
        return key

    def checks(self, signature: bytes, data: bytes) -> bool:
        """Whether that key signed these bytes. Raises UsageError if it is no Ed25519 key."""
        try:
            self._key().verify(signature, data)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """Signs. Its private half never leaves this object and its file."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.public = PublicKey(public)
        self.fingerprint = self.public.fingerprint

    def __repr__(self) -> str:
        return f"SigningKey({self.fingerprint})"

    def sign(self, data: bytes) -> bytes:
        """64 bytes (RFC 8032)."""
        return self._key.sign(data)


def operator_key(state: Path | None = None) -> SigningKey:
    """The operator's key, made at first use. Raises UsageError: readable to others, unreadable."""
    path = (state or operator_state()) / KEY
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & 0o077:
            raise UsageError(
                "the archive's key can be read by others",
                path,
                hint=f"if nobody has read it: chmod 600 {path}; else begin a new archive",
            )
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError("the archive's key cannot be used", f"{path}: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError("the archive's key is not Ed25519", path)
    return SigningKey(key)


def _make(path: Path) -> None:
    """Of two that make it at once, one wins and both use its key."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
            os.fsync(file.fileno())
        try:
            os.link(part, path)
        except FileExistsError:
            return
    finally:
        part.unlink()
