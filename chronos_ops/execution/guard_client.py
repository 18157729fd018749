"""A guarded change that this machine undoes: Lightsail's firewall (H9).

No timer on the host can, for the host never holds Lightsail's permissions. The undo is journalled
before the deed; it is done unless a new connection succeeds, or by the teardown of a killed run.
"""

import time
from contextlib import closing
from dataclasses import dataclass

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution.context import Context
from chronos_ops.execution.deeds import Doer
from chronos_ops.execution.new_connection import answers, answers_twice, explained
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.plan import Change

_PAUSE_SECONDS = 3.0  # between connections, while what was changed may still come into force
_REFUSED_SECONDS = 25.0  # for so long no new connection: it has, and has locked out
_AGAIN_SECONDS = 60.0  # after the undo, until a new connection must work


@dataclass
class ClientGuard:
    """As `Guard`, for changes that are undone by calls from here."""

    plan: str
    changes: list[Change]
    context: Context
    ssh: Ssh
    doer: Doer

    def __post_init__(self) -> None:
        self.armed = False
        self.undo = tuple(deed for change in reversed(self.changes) for deed in change.undo)
        self._resource = f"guard:{self.context.run_id}-{self.plan}"

    def arm(self) -> None:
        """Journal the undo, before anything is done."""
        self.context.journal.resource(self._resource, self.undo)
        self.armed = True

    def renew(self) -> None:
        """There is no clock to be started anew."""

    def confirm(self) -> None:
        """A second, new connection with sudo. Raises TransportError, CommandFailed."""
        seconds = self.context.settings.hardening.guard_seconds
        with closing(Ssh(self.ssh.address, self.ssh.journal)) as second:
            answers_twice(self.context, second, time.monotonic() + seconds / 2)
            self._watch(second)
        self.armed = False
        self.context.journal.removed(self._resource)

    def _watch(self, second: Ssh) -> None:
        """A change that comes into force late is judged at the end of its time, or when it does."""
        late = max(change.late_seconds for change in self.changes)
        end = time.monotonic() + late
        while (left := end - time.monotonic()) > 0:
            self.context.say(f"new connections must go on to work, for {left:.0f} s …")
            second.close()
            time.sleep(min(_PAUSE_SECONDS, left))
            answers(self.context, second, time.monotonic() + _REFUSED_SECONDS)

    def take_back(self, error: BaseException) -> ChronosError | None:
        """Every undo, whatever happened; then a new connection must work."""
        if not self.armed:
            return None
        self.context.say("not confirmed: taking it back …")
        broken: ChronosError | None = None
        with self.context.journal.interval("deed", f"take back {self._resource}"):
            for deed in self.undo:
                try:
                    self.doer.do(deed)
                except ChronosError as reason:
                    broken = broken or reason
            if broken is not None:
                broken.add("what was changed could NOT be taken back: `./chronos reap` tries again")
                return broken
            if not isinstance(error, Exception):
                return None
            with closing(Ssh(self.ssh.address, self.ssh.journal)) as fresh:
                answers(self.context, fresh, time.monotonic() + _AGAIN_SECONDS)
        self.armed = False
        self.context.journal.removed(self._resource)
        return explained(error, self.changes)
