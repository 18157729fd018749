"""The SSH connector's own promises that need no host."""

import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from chronos_ops.connectors.ssh import Ssh, SshAddress, command_line
from chronos_ops.model.errors import TransportError, UsageError

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIJqjLLNvqTSVBlNhmKGkGWfKDWPyJTYb3e7xqJ3dVZmN"


def address(tmp_path: Path, *lines: str, port: int = 1) -> SshAddress:
    key = tmp_path / "key"
    key.write_text("not a key\n", encoding="utf-8")
    return SshAddress("127.0.0.1", port, "admin", str(key), lines)


def test_words_are_quoted_for_the_remote_shell() -> None:
    text = command_line(["echo", "a b", "$(reboot)", "it's"])
    assert text == """cd / && env LC_ALL=C.UTF-8 echo 'a b' '$(reboot)' 'it'"'"'s'"""


def test_sudo_never_waits_for_a_password() -> None:
    assert command_line(["id"], sudo=True) == "cd / && sudo -n -- env LC_ALL=C.UTF-8 id"
    assert command_line(["id"], user="postgres").startswith("cd / && sudo -n -u postgres -- ")


def test_a_command_is_never_a_plain_string() -> None:
    with pytest.raises(UsageError, match="sequence of words"):
        command_line("rm -rf /")


def test_nothing_is_trusted_on_first_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no pinned host key"):
        Ssh(address(tmp_path)).open()


def test_a_broken_pin_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a known_hosts line"):
        Ssh(address(tmp_path, "127.0.0.1 ssh-ed25519 rubbish")).open()


def test_an_unreachable_host_is_a_transport_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(TransportError, match="not reachable") as caught:
        Ssh(address(tmp_path, f"127.0.0.1 ssh-ed25519 {KEY}")).run(["true"])
    assert "is the host up" in caught.value.hint
    assert caught.value.exit_status == 3


def test_a_server_that_reloads_is_asked_again(tmp_path: Path) -> None:
    """sshd does not listen for a moment while it reads its configuration anew."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))  # not listening: refused
        asked: list[str] = []

        def listen() -> None:
            server.listen()
            peer, _ = server.accept()
            asked.append("again")
            peer.close()

        later = threading.Timer(0.3, listen)
        later.start()
        where = address(tmp_path, f"127.0.0.1 ssh-ed25519 {KEY}")
        with pytest.raises(TransportError, match="not reachable"):
            Ssh(replace(where, port=server.getsockname()[1])).open()
        later.join()
    assert asked == ["again"]


def test_a_missing_key_file_is_wrong_usage(tmp_path: Path) -> None:
    where = SshAddress("127.0.0.1", 1, "admin", str(tmp_path / "none"), ("x",))
    with pytest.raises(UsageError, match="key file not found"):
        Ssh(where).open()
