"""Units of systemd: what they are set to, and what they are doing."""

from dataclasses import dataclass

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

_PROPERTIES = (
    "Id,LoadState,ActiveState,SubState,UnitFileState,Result,NextElapseUSecRealtime,"
    "LastTriggerUSec,ActiveEnterTimestamp,InactiveExitTimestamp,NeedDaemonReload,DropInPaths"
)


@dataclass(frozen=True)
class Unit:
    """One unit. Moments are systemd's own text, in UTC; empty: never, or not of this kind."""

    name: str
    load: str  # loaded, not-found, masked
    active: str  # active, inactive, activating, failed
    sub: str
    enabled: str  # enabled, disabled, static; empty: no such file
    result: str
    next_elapse: str = ""
    last_trigger: str = ""
    started: str = ""  # of a oneshot that runs: since when
    need_reload: bool = False
    drop_ins: tuple[str, ...] = ()  # files that change what its own file says

    @property
    def is_armed(self) -> bool:
        """Of a timer: whether it will come. While what it started runs it has no next moment."""
        ready = (self.load, self.enabled, self.active) == ("loaded", "enabled", "active")
        return ready and (self.sub == "running" or bool(self.next_elapse))

    @property
    def following(self) -> str:
        """Of a timer: its next moment, for people."""
        if self.sub == "running":
            return "known when its job has ended"
        return self.next_elapse or "never"

    @property
    def timing(self) -> str:
        """Of a timer: its state and next moment, for people."""
        return f"{self.enabled or 'no file'}, {self.active}, next {self.following}"


def _read_units(answer: ShellAnswer) -> dict[str, Unit]:
    found: dict[str, Unit] = {}
    for block in answer.stdout.strip().split("\n\n"):
        pairs = (line.partition("=") for line in block.splitlines())
        values = {key: value for key, _, value in pairs}
        if "Id" not in values or "ActiveState" not in values:
            raise UnreadableAnswer("not a unit of systemctl show", block[:200])
        found[values["Id"]] = Unit(
            name=values["Id"],
            load=values.get("LoadState", ""),
            active=values["ActiveState"],
            sub=values.get("SubState", ""),
            enabled=values.get("UnitFileState", ""),
            result=values.get("Result", ""),
            next_elapse=values.get("NextElapseUSecRealtime", ""),
            last_trigger=values.get("LastTriggerUSec", ""),
            started=values.get("InactiveExitTimestamp", ""),
            need_reload=values.get("NeedDaemonReload") == "yes",
            drop_ins=tuple(values.get("DropInPaths", "").split()),
        )
    return found


def units(*names: str) -> Fact[dict[str, Unit]]:
    """The state of each unit by its name; one that does not exist is `not-found`."""
    argv = ("env", "TZ=UTC", "systemctl", "show", "--no-pager", "-p", _PROPERTIES, *names)
    return Fact("systemd_units", ShellQuestion(argv), _read_units)
