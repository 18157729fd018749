"""No lock-out (H9): a change reverts by itself unless a second, new connection with sudo succeeds.

The way back is on the host's disk before the first deed: a script, a timer, and a service that also
runs at boot. It is taken away only through a connection made after the change.
"""

import time
from contextlib import closing
from dataclasses import dataclass

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution import guard_script as text
from chronos_ops.execution.context import Context
from chronos_ops.execution.new_connection import answers_at_last, answers_twice, explained
from chronos_ops.model.errors import ChronosError, CommandFailed, Refused
from chronos_ops.model.plan import Change, RunCommand

_SHARE = 0.5  # of the timer's time, for the second connection to succeed
_AFTER_SECONDS = 90.0  # beyond the timer: until the host must have taken it all back
_SHORT = 20.0  # for a word with the host
_FIRED = 75
_STANDS = 76

_PATHS = f"""
set -u
root={text.ROOT}; dir=$root/$1; name=chronos-guard-$1; units={text.UNITS}
gone() {{
  systemctl stop "$name.timer" 2>/dev/null
  rm -f "$units/multi-user.target.wants/$name.service" "$units/$name.service" "$units/$name.timer"
  systemctl daemon-reload
  systemctl reset-failed "$name.service" "$name.timer" 2>/dev/null
  rm -rf "$dir"
}}
"""

# One line for each guard that is there: its name and what became of it.
_LOOK = f"""
cd {text.ROOT} 2>/dev/null || exit 0
for dir in */; do
  id=${{dir%/}}; [ -d "$id" ] || continue
  if [ -e "$id/confirmed" ]; then state=confirmed
  elif [ -e "$id/reverted" ]; then state=reverted
  elif [ -e "$id/fired" ]; then state=fired
  elif [ -e "$id/armed" ]; then state=armed
  else state=unarmed; fi
  echo "$state $id"
done
"""
# Nobody else's guard between the look and ours: both under one lock.
_CLAIM = (
    _PATHS
    + """
mkdir -p -m 0700 "$root"; chmod 0700 "$root"
exec 8>"$root/.lock"; flock 8
for other in "$root"/*/; do [ ! -d "$other" ] || { echo "$other"; exit 75; }; done
mkdir -m 0700 "$dir"
"""
)
_ARM = (
    _PATHS
    + """
set -e
systemctl daemon-reload
systemctl enable --quiet "$name.service"
systemctl start "$name.timer"
systemctl is-active --quiet "$name.timer"
systemctl is-enabled --quiet "$name.service"
: > "$dir/armed"
sync
"""
)
_RENEW = (
    _PATHS
    + """
exec 9>>"$dir/lock"; flock 9
[ ! -e "$dir/fired" ] || exit 75
systemctl restart "$name.timer"
"""
)
_CONFIRM = (
    _PATHS
    + """
exec 9>>"$dir/lock" || exit 75
flock 9
[ ! -e "$dir/fired" ] || exit 75
: > "$dir/confirmed"; sync
gone
"""
)
_REVERT = (
    _PATHS
    + """
[ -e "$dir/armed" ] && [ ! -e "$dir/confirmed" ] || exit 76
systemctl reset-failed "$name.service" "$name.timer" 2>/dev/null
systemctl start "$name.service" || "$dir/revert" || { tail -n 20 "$dir/log" >&2; exit 1; }
[ -e "$dir/reverted" ] || { echo "not taken back" >&2; exit 1; }
"""
)
_CLEAR = _PATHS + "gone\n"
_PROOF = (
    _PATHS
    + """
for left in "$dir" "$units/$name.service" "$units/$name.timer" \
            "$units/multi-user.target.wants/$name.service"; do
  [ ! -e "$left" ] && [ ! -L "$left" ] || { echo "$left is still there"; exit 1; }
done
systemctl list-units --all --plain --no-legend "$name.*" | grep . && exit 1
exit 0
"""
)


def leftovers(ssh: Ssh) -> list[str]:
    """What guards of other runs did, in words; what they left is cleared.

    Raises Refused while one is armed or at work: what it guards may be taken back at any moment.
    """
    answer = ssh.run(["sh", "-c", _LOOK], sudo=True, timeout=_SHORT)
    said: list[str] = []
    for line in answer.stdout.splitlines():
        state, _, identifier = line.partition(" ")
        if state in ("armed", "fired", "unarmed"):
            raise Refused(
                f"a guard of another run is {state} on {ssh.address.host}",
                identifier,
                hint="it takes its changes back by itself, in a minute at most; at once: "
                f"`sudo systemctl start {text.unit(identifier)}`, then run again"
                if state != "unarmed"
                else f"if no other run is at work: `sudo rm -r {text.folder(identifier)}`",
            )
        _clear(ssh, identifier)
        said.append(
            f"an earlier run's change was not confirmed and the host took it back ({identifier})"
            if state == "reverted"
            else f"cleared what an earlier run's confirmed guard left ({identifier})"
        )
    return said


@dataclass
class Guard:
    """The way back of one plan's guarded changes, on one host. Call `arm` before the first deed,
    `renew` before each further one, then `confirm`; `take_back` when anything failed."""

    plan: str
    changes: list[Change]
    context: Context
    ssh: Ssh

    def __post_init__(self) -> None:
        self.seconds = self.context.settings.hardening.guard_seconds
        self.id = text.guard_id(self.context.run_id, self.plan)
        self.script = text.revert_script(self.id, self.changes)
        self.armed = False
        self._since = 0.0

    @property
    def titles(self) -> list[str]:
        return [change.title for change in self.changes]

    def arm(self) -> None:
        """Put the way back on the host and start its clock. Raises Refused if there is another."""
        self.context.say(f"arming the way back ({self.seconds} s) …")
        self._claim()
        self.context.journal.resource(self._resource, (self._undo(),))
        service, timer, _ = text.unit_files(self.id)
        with self.context.journal.interval("deed", f"arm {self._resource}", seconds=self.seconds):
            self.ssh.put(f"{text.folder(self.id)}/revert", self.script, mode="0700")
            self.ssh.put(service, text.service_text(self.id, self.titles))
            self.ssh.put(timer, text.timer_text(self.id, self.seconds))
            self._do(self.ssh, _ARM)
        self.armed = True
        self._since = time.monotonic()

    def _claim(self) -> None:
        try:
            self._do(self.ssh, _CLAIM)
        except CommandFailed as error:
            if error.exit_code != _FIRED:
                raise
            raise Refused(
                "another guard is armed on this host",
                error.output.strip(),
                hint="another run is at work on it, or was killed: run again in a minute",
            ) from None

    def renew(self) -> None:
        """Start the clock anew. Raises ChronosError if it has run out already."""
        try:
            self._do(self.ssh, _RENEW)
        except CommandFailed as error:
            raise self._too_late(error) from None
        self._since = time.monotonic()

    def confirm(self) -> None:
        """A second, new connection with sudo; then the way back goes. Raises ChronosError."""
        with closing(Ssh(self.ssh.address, self.ssh.journal)) as second:
            answers_twice(self.context, second, self._since + self.seconds * _SHARE)
            self.context.journal.note("second connection", guard=self.id, answered=True)
            try:
                self._do(second, _CONFIRM)
            except CommandFailed as error:
                raise self._too_late(error) from None
            self.armed = False
            self._do(second, _PROOF)
        self.context.journal.removed(self._resource)

    def take_back(self, error: BaseException) -> ChronosError | None:
        """After `error`: at once by the connection that lives, else wait until the host did it.

        The error to be raised in its place, if it was the way to the host that failed.
        """
        if not self.armed:
            return None
        self.context.say("not confirmed: taking it back …")
        with self.context.journal.interval("deed", f"take back {self._resource}"):
            self._ask_old_connection()
            if not isinstance(error, Exception):  # interrupted: the host needs nobody
                return None
            taken_back = self._wait_taken_back(error)
        self.armed = False
        self.context.journal.removed(self._resource)
        if taken_back:
            return explained(error, self.changes)
        if isinstance(error, ChronosError):  # lost between the confirmation and its answer
            error.add("the change was confirmed before that, and stands")
        return None

    # -- steps

    @property
    def _resource(self) -> str:
        return f"guard:{self.id}"

    def _undo(self) -> RunCommand:
        """For the teardown of a run that died: revert now, leave nothing."""
        script = f"( {_REVERT} )\ncase $? in 0|{_STANDS}) ;; *) exit 1 ;; esac\n{_CLEAR}"
        return RunCommand(argv=("sh", "-c", script, "guard", self.id), timeout_seconds=330)

    def _do(self, ssh: Ssh, script: str, seconds: float = 60) -> None:
        ssh.run(["sh", "-c", script, "guard", self.id], sudo=True, timeout=seconds)

    def _too_late(self, error: CommandFailed) -> ChronosError:
        if error.exit_code != _FIRED:
            return error
        return ChronosError(
            f"the guard's {self.seconds} s ran out before the change was confirmed",
            self.plan,
            hint="set hardening.guard_seconds higher",
        )

    def _ask_old_connection(self) -> None:
        try:
            self._do(self.ssh, _REVERT, _SHORT * 3)
        except ChronosError as error:  # the timer needs no connection
            self.context.journal.note("the old connection could not revert", error=error.text())
            self.ssh.close()

    def _wait_taken_back(self, because: BaseException) -> bool:
        """A new connection works, nothing of the guard is left; False: the change stands."""
        deadline = self._since + self.seconds + _AFTER_SECONDS
        self.context.say(f"waiting until {self.ssh.address.host} lets us in again …")
        try:
            with closing(Ssh(self.ssh.address, self.ssh.journal)) as fresh:
                answers_at_last(self.context, fresh, deadline)
                # Once more, also for what was still being done when the timer struck.
                argv = ["sh", "-c", _REVERT, "guard", self.id]
                said = fresh.run(argv, sudo=True, accept=(0, _STANDS), timeout=330)
                _clear(fresh, self.id)
                self._do(fresh, _PROOF)
                return said.exit_code == 0
        except ChronosError as error:
            log = f"{text.folder(self.id)}/log"
            error.add(f"not known to be taken back: {'; '.join(self.titles)}; see {log} there")
            raise error from because


def _clear(ssh: Ssh, identifier: str) -> None:
    ssh.run(["sh", "-c", _CLEAR, "guard", identifier], sudo=True, timeout=60)
