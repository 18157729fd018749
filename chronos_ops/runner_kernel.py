"""The kernel of a run and how it is stopped: signals and time-outs become one interrupt.

papermill on its own skips `finally` and later cells at SIGTERM and leaves the kernel's children
running. Here a signal interrupts the kernel's whole process group; the cells that tear down run
after it and are not interrupted; a kernel that does not obey is killed.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from chronos_ops.model.errors import UsageError

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Whatever the caller's shell says: the kernel's Python is ours, and starts nothing of the user's.
_DROPPED = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "JUPYTER_PATH", "IPYTHONDIR", "MPLBACKEND")


def kernel_command() -> list[str]:
    """The kernel is this interpreter's own, whatever kernelspec shadows `python3`."""
    return [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]


def kernel_environment(root: Path, private: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """Environment of the kernel; `private` is a folder that ends with the run."""
    kept = {name: value for name, value in os.environ.items() if name not in _DROPPED}
    return {
        **kept,
        "PYTHONPATH": str(root),
        "IPYTHONDIR": str(private),
        "AWS_EC2_METADATA_DISABLED": "true",
        **extra,
    }


class Stopper:
    """Knows whether the run is to end, and ends it. A context manager; main thread only."""

    def __init__(self, *, grace_seconds: float, run_seconds: float) -> None:
        self.reason = ""  # why the run was ended from outside; empty while it was not
        self.killed = False
        self.kernel_pid: Callable[[], int | None] = lambda: None
        self._grace = grace_seconds
        self._run_seconds = run_seconds
        self._protected = False
        self._busy = False
        self._timers: list[threading.Timer] = []
        self._before: dict[signal.Signals, Any] = {}
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            raise UsageError("a run needs a process of its own, and its main thread")
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._on_signal)
        self._after(self._run_seconds, lambda: self.stop(f"time-out of {self._run_seconds:g} s"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for timer in self._timers:
            timer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        again = "tearing down already" if self.reason else "ending the run, then tearing down"
        with suppress(OSError):  # no print: the interrupted code may be printing itself
            os.write(2, f"\nchronos: {name}: {again}\n".encode())
        self.stop(name)

    def stop(self, reason: str) -> None:
        """End the run: interrupt the kernel's group, unless it is tearing down already."""
        with self._lock:
            first, self.reason = not self.reason, self.reason or reason
            if first and self._busy and not self._protected:
                self._signal(signal.SIGINT)
                self._after(self._grace, self._kill_if_busy)

    @contextmanager
    def cell(self, seconds: float, *, protected: bool) -> Iterator[None]:
        """While a cell runs. Only a protected one (teardown) is not interrupted; both time out."""
        with self._lock:
            self._busy, self._protected = True, protected
        expired = (
            self.kill if protected else lambda: self.stop(f"time-out of a cell: {seconds:g} s")
        )
        timer = self._after(seconds, expired)
        try:
            yield
        finally:
            timer.cancel()
            with self._lock:
                self._busy = self._protected = False

    def kill(self) -> None:
        """Kill the kernel with its children, at once."""
        with self._lock:
            self.killed = True
            self.reason = self.reason or "the teardown timed out"
            self._signal(signal.SIGKILL)

    def _kill_if_busy(self) -> None:
        with self._lock:
            if self._busy and not self._protected:
                self.kill()

    def _signal(self, number: signal.Signals) -> None:
        pid = self.kernel_pid()
        if pid is not None:
            kill_group(pid, number)

    def _after(self, seconds: float, action: Callable[[], None]) -> threading.Timer:
        timer = threading.Timer(seconds, action)
        timer.daemon = True
        timer.start()
        self._timers.append(timer)
        return timer


def kill_group(pid: int, number: signal.Signals) -> None:
    """Signal a process group; no error if it is gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
