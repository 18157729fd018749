"""The root process of one lab: it owns mounts, bridge, cgroups and hosts, and answers a socket.

Started by `control.up` with at most one sudo, in a mount namespace of its own (`unshare --mount`),
and ended by `shutdown` or SIGTERM. Run as a program it stays in front until the lab is ready,
writing JSON lines: {"progress": TEXT}, then {"ready": true} or {"error": ...}.
"""

import argparse
import contextlib
import faulthandler
import json
import os
import pwd
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from chronos_ops.lab import acme, checkpoint, image, leftovers, protocol
from chronos_ops.lab.apt_sources import find_mirror
from chronos_ops.lab.errors import LabError
from chronos_ops.lab.fleet import Fleet
from chronos_ops.lab.network import raise_bridge
from chronos_ops.lab.places import Places, places
from chronos_ops.lab.services import MIRROR_PORT, Services

Tell = Callable[[dict[str, Any]], None]
_LONGEST_REQUEST = 4 * 1024**2


class Daemon:
    """One lab, from its start to its teardown."""

    def __init__(self, places: Places, owner: int) -> None:
        self.places = places
        self.owner = owner
        self.over = threading.Event()
        self.purge = False
        self.fleet: Fleet
        self.services = Services(places, owner)

    def start(self, progress: Callable[[str], None]) -> None:
        """Everything but the hosts that a client asks for. Raises LabError."""
        for text in leftovers.clear(self.places):
            progress(f"cleared what a killed run left: {text}")
        self._make_folders()
        self.fleet = Fleet(self.places)
        raise_bridge(self.fleet.network)
        gateway = str(self.fleet.network.gateway)
        self.services.start_mirror(gateway, find_mirror())
        mirror = f"http://{gateway}:{MIRROR_PORT}"
        image.ensure(self.places, mirror, progress)
        acme.ensure(self.places, mirror, progress)
        if not (self.fleet.hosts or self.fleet.memory.snapshots):
            image.prune(self.places)
        self.fleet.restore(progress)

    def _make_folders(self) -> None:
        group = pwd.getpwuid(self.owner).pw_gid
        for folder, mode in (
            (self.places.state, 0o755),
            (self.places.images, 0o700),
            (self.places.folder, 0o755),
            (self.places.folder / "hosts", 0o700),
            (self.places.logs, 0o750),
            (self.places.run, 0o755),
        ):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(mode)
        os.chown(self.places.logs, 0, group)
        self.places.pid_file.write_text(f"{os.getpid()}\n")

    def listen(self) -> socket.socket:
        """The socket, for the owner alone."""
        before = os.umask(0o177)
        try:
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            server.bind(str(self.places.socket))
        finally:
            os.umask(before)
        os.chown(self.places.socket, self.owner, -1)
        server.listen(64)
        threading.Thread(target=self._accept, args=(server,), name="accept", daemon=True).start()
        return server

    def _accept(self, server: socket.socket) -> None:
        while not self.over.is_set():
            try:
                pipe, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(pipe,), daemon=True).start()

    def _converse(self, pipe: socket.socket) -> None:
        with pipe, contextlib.suppress(OSError), pipe.makefile("rb") as reader:
            while line := reader.readline(_LONGEST_REQUEST):
                pipe.sendall(self._answer(line))

    def _answer(self, line: bytes) -> bytes:
        try:
            arguments = json.loads(line)
            deed = self._deeds()[arguments.pop("op")]
            return protocol.success(deed(**arguments))
        except LabError as error:
            return protocol.refusal(error)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            sys.excepthook(*sys.exc_info())
            return protocol.refusal(LabError("not a request", repr(error), kind="refused"))
        except OSError as error:
            sys.excepthook(*sys.exc_info())
            return protocol.refusal(LabError("the lab's daemon failed", error))

    def _deeds(self) -> dict[str, Callable[..., Any]]:
        fleet = self.fleet
        return {
            "ping": self.ping,
            "create": fleet.create,
            "start": fleet.start,
            "stop": fleet.stop,
            "kill": fleet.kill,
            "reboot": fleet.reboot,
            "delete": fleet.delete,
            "list": fleet.list_hosts,
            "info": fleet.info,
            "tag": fleet.tag,
            "inject": fleet.inject,
            "snapshot": fleet.snapshot,
            "snapshots": fleet.snapshots.shown,
            "delete_snapshot": fleet.snapshots.delete,
            "reserve_address": fleet.reserve_address,
            "release_address": fleet.release_address,
            "map_address": fleet.map_address,
            "unmap_address": fleet.unmap_address,
            "addresses": fleet.addresses,
            "open_ports": fleet.open_ports,
            "serve": self.services.serve,
            "services": self.services.shown,
            "shutdown": self.shutdown,
        }

    def ping(self) -> dict[str, Any]:
        network = self.fleet.network
        return {
            "lab": self.places.lab,
            "pid": os.getpid(),
            "gateway": str(network.gateway),
            "subnet": str(network.subnet),
            "bridge": network.bridge,
            "mirror": f"http://{network.gateway}:{MIRROR_PORT}",
            "state": str(self.places.state),
            "logs": str(self.places.logs),
        }

    def shutdown(self, purge: bool = True) -> dict[str, Any]:
        self.purge = purge
        self.over.set()
        return {}

    def tear_down(self) -> None:
        """The power is cut for all hosts at once; their disks stay unless the lab is purged."""
        threads = [threading.Thread(target=host.end_with_lab) for host in self.fleet.hosts.values()]
        for thread in threads:
            thread.start()
        self.services.stop(grace_seconds=0.5 if self.purge else 10)
        for thread in threads:
            thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(prog="chronos lab daemon")
    parser.add_argument("deed", choices=["run", "purge", "purge-tests", "keep", "put-back"])
    parser.add_argument("--lab", default="lab")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--owner", type=int, required=True)
    given = parser.parse_args()
    os.umask(0o022)
    where = places(given.lab, given.state)
    if given.deed == "purge-tests":
        _print({"cleared": leftovers.purge_dead_test_labs(given.state)})
    elif given.deed == "purge":
        with leftovers.try_lock(where) as held:
            _print({"cleared": leftovers.purge(where)} if held else {"busy": True})
    elif given.deed in ("keep", "put-back"):
        with leftovers.try_lock(where) as held:
            if held:
                (checkpoint.keep_disks if given.deed == "keep" else checkpoint.put_disks_back)(
                    where
                )
            _print({"kept" if held else "busy": True})
    else:
        _in_background(where, given.owner)


def _print(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _in_background(where: Places, owner: int) -> None:
    """Fork; the parent passes on what the child tells until the lab is ready."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setsid()
        _serve(where, owner, os.fdopen(writing, "w", buffering=1))
    os.close(writing)

    def end(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
    with os.fdopen(reading) as lines:
        for line in lines:
            _print(json.loads(line))


def _serve(where: Places, owner: int, out: Any) -> NoReturn:
    def tell(line: dict[str, Any]) -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody listens any more
            out.write(json.dumps(line) + "\n")

    try:
        with leftovers.try_lock(where) as held:
            if held:
                _live(where, owner, tell, out)
            else:
                tell({"busy": True})
    except LabError as error:
        tell(
            {
                "error": error.text(),
                "noun": error.noun,
                "hint": error.hint,
                "value": None if error.value is None else str(error.value),
                "exit_status": error.exit_status,
            }
        )
        os._exit(1)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)


def _live(where: Places, owner: int, tell: Tell, out: Any) -> None:
    daemon = Daemon(where, owner)
    leftovers.purge_dead_test_labs(where.state)
    _redirect(where)

    def end(_number: int, _frame: FrameType | None) -> None:
        daemon.over.set()
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    faulthandler.register(signal.SIGUSR1)  # where it stands, into its log
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        daemon.start(lambda text: tell({"progress": text}))
        server = daemon.listen()
        tell({"ready": True})
        out.close()
        with server:
            daemon.over.wait()
    except SystemExit:
        tell({"error": "the lab was told to end"})
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if hasattr(daemon, "fleet"):
            daemon.tear_down()
        (leftovers.purge if daemon.purge else leftovers.clear)(where)


def _redirect(where: Places) -> None:
    """Standard input from nowhere, output to the lab's log."""
    where.logs.mkdir(parents=True, exist_ok=True)
    with Path(os.devnull).open("rb") as nothing, (where.logs / "daemon.log").open("ab") as log:
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)


if __name__ == "__main__":
    main()
