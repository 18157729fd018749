"""SSH to a host with pinned keys, nothing trusted on first use. The only fabric importer."""

import errno
import io
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast

import paramiko
from fabric import Config, Connection
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey
from paramiko.ssh_exception import NoValidConnectionsError

from chronos_ops.connectors.tunnel import tunnel
from chronos_ops.model.errors import CommandFailed, TransportError, UnreadableAnswer, UsageError
from chronos_ops.model.journal import Journal
from chronos_ops.model.question import Rows, ShellAnswer, ShellQuestion, SqlQuestion
from chronos_ops.model.secret import Secret

CONNECT_SECONDS = 10.0
_RELOAD_SECONDS = 2.0
_CHUNK = 32768
# What a cluster or role may have set by default and our superuser's sessions must not inherit.
SESSION_OPTIONS = "-c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=60s"


@dataclass(frozen=True)
class SshAddress:
    """Where a host is and which keys it must show. `known_hosts` are lines of a known_hosts file;
    their host column does not matter, the keys do."""

    host: str
    port: int
    user: str
    key_file: str
    known_hosts: tuple[str, ...] = ()
    pg_port: int = field(default=5432, compare=False)


def command_line(argv: Sequence[str], *, sudo: bool = False, user: str = "") -> str:
    """The shell's text for an argv: quoted, from `/`, in a fixed locale, with `sudo -n`."""
    if not argv or isinstance(argv, str):
        raise UsageError("a command is a sequence of words", repr(argv))
    words = ["env", "LC_ALL=C.UTF-8", *argv]
    if user:
        words = ["sudo", "-n", "-u", user, "--", *words]
    elif sudo:
        words = ["sudo", "-n", "--", *words]
    return "cd / && " + shlex.join(words)


def _bytes(content: str | bytes | Secret) -> bytes:
    if isinstance(content, Secret):
        content = content.reveal()
    return content.encode() if isinstance(content, str) else content


class Ssh:
    """One connection to one host, opened at first use and opened anew when it broke.

    Raises TransportError when the way fails (what is on the host is then not known) and
    CommandFailed when a command answers with an exit code that was not accepted.
    """

    def __init__(self, address: SshAddress, journal: Journal | None = None) -> None:
        self.address = address
        self.journal = journal
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Ssh({self.address.user}@{self.address.host}:{self.address.port})"

    # -- the connection

    def _fresh(self) -> Connection:
        address = self.address
        if not address.known_hosts:
            raise UsageError(
                f"no pinned host key for {address.host}",
                hint="pin it from GetInstanceAccessDetails or name a known_hosts file",
            )
        if not Path(address.key_file).expanduser().is_file():
            raise UsageError("SSH key file not found", address.key_file)
        connection = Connection(
            address.host,
            user=address.user,
            port=address.port,
            connect_timeout=int(CONNECT_SECONDS),
            config=Config(overrides={"load_ssh_configs": False}),
            connect_kwargs={
                "key_filename": str(Path(address.key_file).expanduser()),
                "allow_agent": False,
                "look_for_keys": False,
                "banner_timeout": CONNECT_SECONDS,
                "auth_timeout": CONNECT_SECONDS,
            },
        )
        client = cast(paramiko.SSHClient, connection.client)
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        name = address.host if address.port == 22 else f"[{address.host}]:{address.port}"
        for key_type, key in _pinned_keys(address.known_hosts):
            client.get_host_keys().add(name, key_type, key)
        return connection

    def _connected(self) -> Connection:
        """A refusal is tried again for a moment: sshd that reloads does not listen in between."""
        deadline = time.monotonic() + _RELOAD_SECONDS
        while True:
            connection = self._fresh()
            try:
                connection.open()
            except NoValidConnectionsError as error:
                refused = {each.errno for each in error.errors.values()} == {errno.ECONNREFUSED}
                if not refused or time.monotonic() >= deadline:
                    raise
                time.sleep(0.1)
            else:
                return connection

    def open(self) -> None:
        """Connect now, if not connected. Raises TransportError, UsageError (no key, no pin)."""
        with self._lock:
            if self._connection is not None and self._connection.is_connected:
                return
            where = repr(self)
            try:
                connection = self._connected()
            except paramiko.BadHostKeyException as error:
                raise TransportError(
                    f"{where} shows another host key than the pinned one",
                    error,
                    hint="if the host was rebuilt, pin its keys anew; else somebody is in between",
                ) from None
            except paramiko.AuthenticationException as error:
                raise TransportError(
                    f"{where} refuses the key {self.address.key_file}",
                    error,
                    hint="is it in ~/.ssh/authorized_keys of that user?",
                ) from None
            except (paramiko.SSHException, OSError, EOFError) as error:
                raise TransportError(
                    f"{where} is not reachable",
                    error,
                    hint="is the host up, port open, address right?",
                ) from None
            transport = connection.transport
            if transport is not None:
                transport.set_keepalive(10)
            self._connection = connection

    def close(self) -> None:
        """Close, if open. Never raises."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *ignored: object) -> None:
        self.close()

    # -- commands

    def run(
        self,
        argv: Sequence[str],
        *,
        sudo: bool = False,
        user: str = "",
        stdin: str | bytes | Secret = "",
        accept: Sequence[int] = (0,),
        timeout: float = 600,
        log: Path | None = None,
    ) -> ShellAnswer:
        """Run one command and return what it said. `timeout` in seconds (TransportError)."""
        text = command_line(argv, sudo=sudo, user=user)
        with self._remote(" ".join(argv)[:120], argv=list(argv), host=self.address.host):
            self.open()
            code, out, err = self._execute(text, _bytes(stdin), timeout)
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a", encoding="utf-8") as sink:
                sink.write(f"$ {shlex.join(argv)}\n{out}{err}[exit {code}]\n")
        if code not in accept:
            raise CommandFailed(f"{shlex.join(argv)[:300]} on {self.address.host}", code, err + out)
        return ShellAnswer(code, out, err)

    def _remote(self, name: str, **data: Any) -> Any:
        if self.journal is None:
            return nullcontext()
        return self.journal.interval("remote", name, **data)

    def _execute(self, text: str, stdin: bytes, timeout: float) -> tuple[int, str, str]:
        deadline = time.monotonic() + timeout
        try:
            channel = self._session()
            channel.exec_command(text)
            code, out, err = _converse(channel, stdin, deadline)
        except TimeoutError:
            self.close()
            raise TransportError(
                f"{self!r} did not answer in {timeout:.0f} s", text[:200], hint="is the host alive?"
            ) from None
        except (paramiko.SSHException, OSError, EOFError) as error:
            self.close()
            raise TransportError(
                f"{self!r} lost its connection during", f"{text[:200]}: {error}"
            ) from None
        if code == -1:
            self.close()
            raise TransportError(f"{self!r} lost its connection during", text[:200])
        return code, out.decode(errors="replace"), err.decode(errors="replace")

    def _session(self) -> paramiko.Channel:
        """A channel for one command. A connection that ended while nobody spoke (a router that
        forgot it) is made anew, once: nothing of the command was sent yet."""
        transport = self._transport()
        try:
            return transport.open_session(timeout=CONNECT_SECONDS)
        except (TimeoutError, paramiko.ChannelException):
            raise
        except (paramiko.SSHException, OSError, EOFError):
            with self._lock:
                if self._connection is not None and self._connection.transport is transport:
                    self._connection.close()
                    self._connection = None
        self.open()
        return self._transport().open_session(timeout=CONNECT_SECONDS)

    def _transport(self) -> paramiko.Transport:
        transport = self._connection.transport if self._connection else None
        if transport is None:
            raise TransportError(f"{self!r} lost its connection")
        return transport

    def ask(self, question: ShellQuestion | SqlQuestion) -> ShellAnswer | Rows:
        """Execute a question; a query comes back as rows."""
        if isinstance(question, ShellQuestion):
            return self.run(
                question.argv, sudo=question.sudo, user=question.user, accept=question.accept
            )
        return self.sql_rows(question.sql, question.database)

    def sql_rows(self, sql: str, database: str = "postgres") -> Rows:
        """Rows of a SELECT, run through psql as the cluster's superuser (peer authentication)."""
        import json

        body = sql.strip().rstrip(";")
        wrapped = f"SELECT coalesce(json_agg(q), '[]') FROM (\n{body}\n) q;"
        answer = self.sql(wrapped, database)
        try:
            return cast(Rows, json.loads(answer.stdout))
        except ValueError:
            raise UnreadableAnswer("psql's answer is not JSON", answer.stdout[:200]) from None

    def sql(
        self, script: str | Secret, database: str = "postgres", timeout: float = 600
    ) -> ShellAnswer:
        """Run SQL through psql's stdin as superuser, stopping at the first error."""
        argv = ["env", f"PGOPTIONS={SESSION_OPTIONS}", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1"]
        argv += ["-p", str(self.address.pg_port), "-d", database]
        return self.run(argv, user="postgres", stdin=script, timeout=timeout)

    # -- files

    def put(
        self,
        path: str,
        content: str | bytes | Secret,
        *,
        owner: str = "root",
        group: str = "root",
        mode: str = "0644",
    ) -> None:
        """Write a file atomically: new file beside it, owner and mode, then content, rename."""
        script = (
            'set -eu; f="$1"; t="$1.chronos-new"; mkdir -p "$(dirname "$f")"; umask 077; '
            ': > "$t"; chown "$2:$3" "$t"; chmod "$4" "$t"; cat > "$t"; sync "$t"; mv -f "$t" "$f"'
        )
        argv = ["sh", "-c", script, "put", path, owner, group, mode]
        self.run(argv, sudo=True, stdin=content)

    def get(self, path: str, *, sudo: bool = False) -> bytes:
        """The bytes of a file. Raises CommandFailed if it is not there."""
        import base64

        return base64.b64decode(self.run(["base64", path], sudo=sudo).stdout)

    @contextmanager
    def forward(self, remote_port: int) -> Iterator[int]:
        """A local port on 127.0.0.1 that leads to `remote_port` on the host's loopback."""
        self.open()
        transport = self._transport()
        target = ("127.0.0.1", remote_port)

        def channel(peer: tuple[str, int]) -> paramiko.Channel:
            return transport.open_channel("direct-tcpip", target, peer, timeout=CONNECT_SECONDS)

        with tunnel(channel) as local_port:
            yield local_port


def _pinned_keys(lines: Sequence[str]) -> Iterator[tuple[str, paramiko.PKey]]:
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        try:
            entry = HostKeyEntry.from_line(line)
        except InvalidHostKey:
            entry = None
        if entry is None or entry.key is None:
            raise UsageError("not a known_hosts line", line[:80])
        yield entry.key.get_name(), entry.key


def _converse(channel: paramiko.Channel, stdin: bytes, deadline: float) -> tuple[int, bytes, bytes]:
    """Feed stdin, drain both outputs until the command ends. Raises TimeoutError."""
    channel.settimeout(1.0)
    out, err = io.BytesIO(), io.BytesIO()
    helpers = [
        threading.Thread(target=_feed, args=(channel, stdin, deadline), daemon=True),
        threading.Thread(target=_drain_quietly, args=(channel.recv_stderr, err, deadline)),
    ]
    for helper in helpers:
        helper.daemon = True
        helper.start()
    try:
        _drain(channel.recv, out, deadline)
        for helper in helpers:
            helper.join(max(0.0, deadline - time.monotonic()))
        while not channel.status_event.wait(0.2):
            if time.monotonic() > deadline:
                raise TimeoutError
        return channel.recv_exit_status(), out.getvalue(), err.getvalue()
    finally:
        channel.close()


def _feed(channel: paramiko.Channel, stdin: bytes, deadline: float) -> None:
    view = memoryview(stdin)
    with suppress(OSError, EOFError):  # the command may end without reading all of it
        while view and time.monotonic() < deadline:
            with suppress(TimeoutError):
                view = view[channel.send(bytes(view[:_CHUNK])) :]
        channel.shutdown_write()


def _drain(receive: Callable[[int], bytes], sink: io.BytesIO, deadline: float) -> None:
    while True:
        try:
            chunk = receive(_CHUNK)
        except TimeoutError:
            if time.monotonic() > deadline:
                raise
            continue
        if not chunk:
            return
        sink.write(chunk)


def _drain_quietly(receive: Callable[[int], bytes], sink: io.BytesIO, deadline: float) -> None:
    with suppress(TimeoutError, OSError, EOFError):  # the reader of stdout tells
        _drain(receive, sink, deadline)
