"""How the runner learns the kernel's secrets, so that it can redact the notebook it writes.

A unix socket in a private folder; nothing is ever stored. The kernel goes on only after the
runner has answered, so no output can come before the secret in it is known.
"""

import os
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from chronos_ops.evidence.redact import Redactor
from chronos_ops.model.secret import Secret

SOCKET_VARIABLE = "CHRONOS_SECRETS_SOCKET"
_SECONDS = 10.0


def send_secret(secret: Secret) -> None:
    """Tell the runner, if one listens. A runner that died writes no notebook any more."""
    path = os.environ.get(SOCKET_VARIABLE)
    if not path:
        return
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_SECONDS)
            connection.connect(path)
            connection.sendall(secret.reveal().encode("utf-8", "surrogateescape"))
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)
    except (FileNotFoundError, ConnectionError):
        return


class SecretListener:
    """Adds every secret that the kernel sends to a redactor. A context manager."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._folder = Path(tempfile.mkdtemp(prefix="chronos-"))  # mode 0700
        self.path = self._folder / "secrets"
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(self.path))
        self._server.listen(16)
        self._thread = threading.Thread(target=self._serve, name="secrets", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                try:
                    self._take(connection)
                except OSError:
                    continue

    def _take(self, connection: socket.socket) -> None:
        connection.settimeout(_SECONDS)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
        self._redactor.add(Secret(b"".join(parts).decode("utf-8", "surrogateescape")))
        connection.sendall(b"1")
