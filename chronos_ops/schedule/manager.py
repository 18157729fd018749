"""systemd on this machine: of the system, or of a user. The only place that writes units."""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from chronos_ops.model.errors import CommandFailed, UsageError
from chronos_ops.model.schedule import Schedule
from chronos_ops.schedule.units import schedule_in

_RUNS = ("running", "degraded", "starting", "initializing", "maintenance")


@dataclass(frozen=True)
class Installed:
    """A schedule as its timer's file says; `since`: when that file was written."""

    schedule: Schedule
    since: datetime


@dataclass(frozen=True)
class Manager:
    """`folder`: where its units lie."""

    system: bool
    folder: Path

    @classmethod
    def of(cls, *, system: bool) -> "Manager":
        own = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
        return cls(system, Path("/etc/systemd/system") if system else own / "systemd/user")

    def missing(self) -> str:
        """What keeps timers from running here; empty: nothing."""
        for program in ("systemctl", "systemd-analyze"):
            if shutil.which(program) is None:
                return f"there is no {program} (Debian: apt install systemd)"
        state = self._call("is-system-running", accept=None).strip().splitlines()[-1:]
        word = state[0] if state else "no answer"
        if word in _RUNS:
            return ""
        whose = "systemd is not process 1 here" if self.system else "your systemd --user is not up"
        return f"{whose} (systemctl is-system-running: {word})"

    def lingers(self) -> bool:
        """Do a user's timers run while nobody is logged in?"""
        user = str(os.getuid())
        asked = ["loginctl", "show-user", user, "--property=Linger", "--value"]
        try:
            return subprocess.run(asked, capture_output=True, text=True).stdout.strip() == "yes"
        except OSError:
            return False

    def installed(self) -> list[Installed]:
        """Raises UsageError: a timer of ours that cannot be read."""
        found = []
        for path in sorted(self.folder.glob("chronos-*.timer")):
            schedule = schedule_in(path.read_text(encoding="utf-8"))
            if schedule is not None:
                since = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                found.append(Installed(schedule, since))
        return found

    def changes(self, texts: dict[str, str]) -> dict[str, tuple[str, str]]:
        """File name to text before and after, of those that differ."""
        before = {name: self._text(name) for name in texts}
        return {name: (before[name], text) for name, text in texts.items() if before[name] != text}

    def verify(self, texts: dict[str, str], calendar: str) -> None:
        """By systemd's own reading. Raises CommandFailed with its words."""
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder, name) for name in texts]
            for path in paths:
                path.write_text(texts[path.name], encoding="utf-8")
            mode = [] if self.system else ["--user"]
            _run(["systemd-analyze", *mode, "verify", "--man=no", *map(str, paths)], quiet=folder)
        _run(["systemd-analyze", "calendar", calendar])

    def install(self, texts: dict[str, str]) -> None:
        """Write and start; what was before counts as no downtime. Raises CommandFailed, OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in self.changes(texts):
            (self.folder / name).write_text(texts[name], encoding="utf-8")
        self._call("daemon-reload")
        timer = next(name for name in texts if name.endswith(".timer"))
        self._call("stop", timer)
        self._call("clean", "--what=state", timer)  # else an old stamp starts a run at once
        self._call("enable", "--now", timer)

    def remove(self, name: str) -> None:
        """The timer ends; a run that is under way goes on. Raises CommandFailed."""
        if not self.missing():
            self._call("disable", "--now", f"{name}.timer")
        wanted = f"timers.target.wants/{name}.timer"  # stays where systemd was not up
        for unit in (wanted, f"{name}.timer", f"{name}.service", f"{name}-failed.service"):
            (self.folder / unit).unlink(missing_ok=True)
        if not self.missing():
            self._call("daemon-reload")

    def active(self, name: str) -> str:
        """systemd's word for the timer: active, inactive, failed; `not known` without systemd."""
        if self.missing():
            return "not known"
        return self._call("is-active", f"{name}.timer", accept=None).strip() or "not known"

    def _text(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def _call(self, *words: str, accept: int | None = 0) -> str:
        mode = [] if self.system else ["--user"]
        return _run(["systemctl", *mode, *words], accept=accept)


def schedules_of(target: str) -> tuple[Schedule, ...]:
    """The system's and this user's."""
    both = (Manager.of(system=system) for system in (True, False))
    every = (one.schedule for manager in both for one in manager.installed())
    return tuple(schedule for schedule in every if schedule.target == target)


def _run(argv: list[str], *, accept: int | None = 0, quiet: str | None = None) -> str:
    """Its output. `quiet`: lines that name this folder are complaints, whatever the exit code."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    except FileNotFoundError:
        raise UsageError("not installed here", argv[0], hint="apt install systemd") from None
    said = done.stdout + done.stderr
    complained = quiet is not None and quiet in said
    if complained or (accept is not None and done.returncode != accept):
        raise CommandFailed(" ".join(argv[:3]), done.returncode, said)
    return done.stdout
