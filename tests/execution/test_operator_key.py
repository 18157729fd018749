"""The operator's public key, from the private one that the target declares."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from chronos_ops.execution.operator_key import public_line
from chronos_ops.model.errors import UsageError


@pytest.mark.parametrize(
    ("make", "form"),
    [
        (ed25519.Ed25519PrivateKey.generate, serialization.PrivateFormat.OpenSSH),
        (lambda: rsa.generate_private_key(65537, 2048), serialization.PrivateFormat.OpenSSH),
        (
            lambda: rsa.generate_private_key(65537, 2048),
            serialization.PrivateFormat.TraditionalOpenSSL,
        ),
    ],
    ids=["ed25519", "rsa", "rsa-pem"],
)
def test_the_operators_public_key_comes_from_the_private_one(
    tmp_path: Path, make: Callable[[], Any], form: serialization.PrivateFormat
) -> None:
    key, path = make(), tmp_path / "key"
    none = serialization.NoEncryption()
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, none))
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    assert public_line(str(path)) == public.decode()


def test_a_key_that_cannot_be_read_is_refused_early(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with pytest.raises(UsageError, match="not found"):
        public_line(str(path))
    locked = serialization.BestAvailableEncryption(b"secret")
    pem = serialization.Encoding.PEM
    openssh = serialization.PrivateFormat.OpenSSH
    key = ed25519.Ed25519PrivateKey.generate()
    for content in (b"nonsense", key.private_bytes(pem, openssh, locked)):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="without a passphrase"):
            public_line(str(path))
