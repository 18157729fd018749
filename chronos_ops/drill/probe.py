"""The outside probe: it alone decides that the database is down (phase `detect`, D6)."""

import threading
import time
from dataclasses import dataclass

from chronos_ops.connectors.postgres import PgAddress, Postgres
from chronos_ops.model.errors import ChronosError, CommandFailed, TransportError
from chronos_ops.model.secret import Secret


@dataclass(frozen=True)
class Look:
    """One look from outside. `at` is on the monotonic clock, when the answer was known."""

    at: float
    ok: bool
    said: str


class Probe:
    """Looks once a second over a new connection, knowing nothing of the fault.

    `sql` is the application's question: a table that is gone is as down as a host that is gone.
    """

    def __init__(
        self,
        address: PgAddress,
        password: Secret | None,
        sql: str = "SELECT 1",
        interval: float = 1.0,
    ) -> None:
        self._address = address
        self._password = password
        self._sql = sql
        self._interval = interval
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self.looks: list[Look] = []
        self._thread = threading.Thread(target=self._run, daemon=True, name="outside-probe")

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def look(self) -> Look:
        """One look, now."""
        postgres = Postgres(self._address, self._password)
        try:
            postgres.query(self._sql)
        except (TransportError, CommandFailed) as error:
            return Look(time.monotonic(), False, str(error.value)[:200])
        finally:
            postgres.close()
        return Look(time.monotonic(), True, "answered")

    def _run(self) -> None:
        """A look a second, also while an earlier one still waits for its answer."""
        due = time.monotonic()
        while not self._stop.is_set():
            threading.Thread(target=self._note, daemon=True, name="outside-look").start()
            due = max(due + self._interval, time.monotonic())
            self._stop.wait(due - time.monotonic())

    def _note(self) -> None:
        look = self.look()
        with self._changed:
            self.looks.append(look)
            self._changed.notify_all()

    def wait_down(self, failures: int, since: float, timeout: float) -> Look:
        """Wait for that many failures in a row after `since`; gives the one that decided.

        Raises ChronosError if the database still answers at the deadline.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while (found := failing(self.looks, failures, since)) is None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise ChronosError(
                        f"the outside probe did not see {failures} failures in {timeout:.0f} s",
                        self.looks[-1] if self.looks else "no look at all",
                    )
                self._changed.wait(left)
        return found

    def stop(self) -> None:
        """No more looks; one that is under way ends by its own time-out."""
        self._stop.set()


def failing(looks: list[Look], failures: int, since: float) -> Look | None:
    """The look with which `failures` in a row were reached, or None."""
    row = 0
    for look in looks:
        row = 0 if look.ok or look.at < since else row + 1
        if row == failures:
            return look
    return None
