"""The SSH connector's own promises that need no host."""

import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from paramiko import ChannelException, SSHException

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


class Line:
    """A connection whose sessions begin, or break as `broken` says."""

    def __init__(self, broken: Exception | None = None) -> None:
        self.broken, self.transport, self.is_connected = broken, self, True
        self.asked: list[str] = []

    def open_session(self, timeout: float) -> "Line":
        if self.broken is not None:
            raise self.broken
        return self

    def exec_command(self, text: str) -> None:
        self.asked.append(text)

    def set_keepalive(self, seconds: int) -> None:
        pass

    def close(self) -> None:
        self.is_connected = False


def connected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *lines: Line) -> Ssh:
    """A connector that gets these connections, one after the other."""
    left = iter(lines)
    monkeypatch.setattr(Ssh, "_connected", lambda _self: next(left))
    monkeypatch.setattr("chronos_ops.connectors.ssh._converse", lambda *_: (0, b"said", b""))
    return Ssh(address(tmp_path))


@pytest.mark.parametrize("broken", [ConnectionResetError(104, "reset"), SSHException("not active")])
def test_a_connection_that_ended_while_nobody_spoke_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Exception
) -> None:
    cut, fresh = Line(broken), Line()
    ssh = connected(monkeypatch, tmp_path, cut, fresh)
    assert ssh.run(["true"]).stdout == "said"
    assert (cut.asked, cut.is_connected) == ([], False)
    assert len(fresh.asked) == 1  # the command was sent once


def test_one_that_ends_again_at_once_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reset = ConnectionResetError(104, "reset")
    ssh = connected(monkeypatch, tmp_path, Line(reset), Line(reset))
    with pytest.raises(TransportError, match="lost its connection"):
        ssh.run(["true"])


@pytest.mark.parametrize("broken", [TimeoutError(), ChannelException(1, "prohibited")])
def test_a_host_that_is_silent_or_refuses_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Exception
) -> None:
    ssh = connected(monkeypatch, tmp_path, Line(broken))
    with pytest.raises(TransportError):
        ssh.run(["true"])


def test_a_missing_key_file_is_wrong_usage(tmp_path: Path) -> None:
    where = SshAddress("127.0.0.1", 1, "admin", str(tmp_path / "none"), ("x",))
    with pytest.raises(UsageError, match="key file not found"):
        Ssh(where).open()
