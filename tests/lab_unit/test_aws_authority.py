"""The lab's certificate authority: what it issues is trusted by it, for the named names only."""

import socket
import ssl
import threading
from pathlib import Path

import pytest

from chronos_ops.lab.authority import Authority, Leaf, make_authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path / "ca")


def test_the_authority_is_made_once(authority: Authority) -> None:
    before = authority.ca_file.read_bytes()
    assert make_authority(authority.folder).ca_file.read_bytes() == before


def test_keys_are_for_the_owner_alone(authority: Authority) -> None:
    leaf = authority.issue("server", ["127.0.0.1"], authority.folder)
    for path in (authority.key_file, leaf.key):
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["127.0.0.1", "s3.lab.internal"])
def test_a_client_that_trusts_the_authority_accepts_its_names(
    authority: Authority, name: str
) -> None:
    leaf = authority.issue("server", ["127.0.0.1", "s3.lab.internal"], authority.folder)
    assert _handshake(leaf, authority, name) == ""


def test_another_name_is_not_accepted(authority: Authority) -> None:
    leaf = authority.issue("server", ["s3.lab.internal"], authority.folder)
    assert "mismatch" in _handshake(leaf, authority, "s3.other.internal")


def test_another_authority_is_not_trusted(authority: Authority, tmp_path: Path) -> None:
    leaf = authority.issue("server", ["127.0.0.1"], authority.folder)
    assert "verify failed" in _handshake(leaf, make_authority(tmp_path / "other"), "127.0.0.1")


def _handshake(leaf: Leaf, trusted: Authority, name: str) -> str:
    """What a client says to this certificate: nothing if it is content."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(leaf.chain, leaf.key)
    here, there = socket.socketpair()

    def serve() -> None:
        try:
            serving.wrap_socket(there, server_side=True).close()
        except OSError:
            there.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        trust = ssl.create_default_context(cafile=str(trusted.ca_file))
        trust.verify_flags |= ssl.VERIFY_X509_STRICT
        with trust.wrap_socket(here, server_hostname=name):
            return ""
    except ssl.SSLCertVerificationError as error:
        return str(error)
    finally:
        here.close()
        thread.join()
