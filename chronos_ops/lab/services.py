"""What runs beside the hosts: the package mirror, and what the lab's owner asks for.

All sit in one cgroup of the lab, by which they are found again after their parent was killed.
"""

import contextlib
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from chronos_ops.lab import cgroups, packages
from chronos_ops.lab.apt_sources import Mirror
from chronos_ops.lab.errors import LabError
from chronos_ops.lab.places import SERVICES, Places
from chronos_ops.lab.run import works

MIRROR_PORT = 3142
_GRACE_SECONDS = 5
_STEADY_SECONDS = 10


@dataclass
class Service:
    """A program that is started again when it ends by itself."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    joins: Path
    script: Path | None = None  # given on standard input
    restarts: int = 0
    process: "subprocess.Popen[bytes] | None" = None
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._spawn()
        self._thread = threading.Thread(target=self._keep, name=f"keep-{self.name}", daemon=True)
        self._thread.start()

    def _spawn(self) -> None:
        with contextlib.ExitStack() as stack:
            out = stack.enter_context(self.log.open("ab"))
            given: IO[bytes] | int = subprocess.DEVNULL
            if self.script:
                given = stack.enter_context(self.script.open("rb"))
            self.process = subprocess.Popen(
                ["sh", "-c", f'echo $$ > {self.joins} && exec "$@"', "sh", *self.argv],
                stdin=given,
                stdout=out,
                stderr=out,
                env=dict(self.env),
                cwd="/",
                start_new_session=True,
            )

    def _keep(self) -> None:
        while self.process is not None:
            begun = time.monotonic()
            self.process.wait()
            if self._over.is_set():
                return
            self.restarts += 1
            steady = time.monotonic() - begun > _STEADY_SECONDS
            if self._over.wait(0.2 if steady else min(2.0 * self.restarts, 30)):
                return
            self._spawn()

    def stop(self, *, grace_seconds: float = _GRACE_SECONDS) -> None:
        self._over.set()
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(grace_seconds)


class Services:
    """The services of one lab. `owner` is the uid that the owner's own run as."""

    def __init__(self, places: Places, owner: int) -> None:
        self.places = places
        self.owner = owner
        self.cgroup = places.cgroup(SERVICES)
        self.running: dict[str, Service] = {}
        self._guard = threading.Lock()

    def _start(
        self, name: str, argv: Sequence[str], env: Mapping[str, str], script: Path | None = None
    ) -> Service:
        log = self.places.logs / f"{name}.log"
        service = Service(name, argv, env, log, cgroups.create_unlimited(self.cgroup), script)
        self.running[name] = service
        service.start()
        return service

    def start_mirror(self, address: str, mirror: Mirror) -> None:
        """The package cache, as an unprivileged user. Raises LabError."""
        account = _unprivileged()
        cache = self.places.packages
        cache.mkdir(parents=True, exist_ok=True)
        os.chown(cache, account.pw_uid, account.pw_gid)
        become = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}"]
        become += ["--clear-groups", "--no-new-privs", "--"]
        sources = json.dumps({"debian": mirror.debian, "debian-security": mirror.security})
        argv = [*become, _python_for(become), "-I", "-"]
        argv += ["--listen", address, "--port", str(MIRROR_PORT), "--cache", str(cache)]
        argv += ["--sources", sources] + (["--proxy", mirror.proxy] if mirror.proxy else [])
        self._start("packages", argv, _plain(), Path(packages.__file__))
        _until(lambda: _listens(address), "packages", self.places.logs)

    def serve(self, name: str, argv: Sequence[str], env: Mapping[str, str]) -> dict[str, Any]:
        """Run the owner's service as the owner; the one of that name before it is ended."""
        with self._guard:
            before = self.running.pop(name, None)
            if before:
                before.stop()
            account = pwd.getpwuid(self.owner)
            become = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}"]
            become += ["--init-groups", "--"]
            service = self._start(name, [*become, *argv], env)
        return {"pid": service.process.pid if service.process else None}

    def shown(self) -> dict[str, Any]:
        return {
            name: {
                "pid": service.process.pid if service.process else None,
                "running": service.process is not None and service.process.poll() is None,
                "restarts": service.restarts,
            }
            for name, service in self.running.items()
        }

    def stop(self, *, grace_seconds: float = _GRACE_SECONDS) -> None:
        """End them all: politely, then not."""
        threads = [
            threading.Thread(target=service.stop, kwargs={"grace_seconds": grace_seconds})
            for service in self.running.values()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        cgroups.kill(self.cgroup)
        cgroups.remove(self.cgroup)
        self.running.clear()


def _plain() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}


def _unprivileged() -> pwd.struct_passwd:
    for name in ("_apt", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise LabError("no unprivileged user on this machine", "_apt, nobody")


def _python_for(become: Sequence[str]) -> str:
    """A Python that this user may run: the one of a home folder it may not."""
    for python in (os.path.realpath(sys.executable), "/usr/bin/python3"):
        check = "import sys; sys.exit(sys.version_info < (3, 11))"
        if works([*become, python, "-I", "-c", check]):
            return python
    raise LabError("no Python 3.11 that an unprivileged user may run", sys.executable)


def _listens(address: str) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((address, MIRROR_PORT), 1):
        return True
    return False


def _until(ready: Callable[[], bool], name: str, logs: Path, deadline_seconds: float = 15) -> None:
    deadline = time.monotonic() + deadline_seconds
    while not ready():
        if time.monotonic() > deadline:
            log = logs / f"{name}.log"
            said = log.read_text(errors="replace")[-1500:] if log.is_file() else ""
            raise LabError(f"{name} did not start", said.strip())
        time.sleep(0.02)
