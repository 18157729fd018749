"""Does the host back up by itself? Timers, their jobs, a job that hangs (B6)."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from chronos_ops.facts.backups import RunningBackup
from chronos_ops.facts.systemd import Unit
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.finding import Finding, judge
from chronos_ops.plans.jobs import Schedule

HOUR = 3600
_STAMP = "%a %Y-%m-%d %H:%M:%S UTC"
_LOCAL = ("/etc/", "/run/")  # below /usr lies what the release brings for all units
LONGEST = {"full": 6 * HOUR, "diff": HOUR, "long-term": 12 * HOUR}


def moment(text: str) -> float | None:
    """systemd's own stamp (`Sun 2026-11-22 22:20:00 UTC`) in epoch seconds; None: never."""
    if text in ("", "n/a"):
        return None
    try:
        parsed = datetime.strptime(text, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        raise UnreadableAnswer("not a moment of systemd in UTC", text) from None
    return parsed.timestamp()


def judge_timer(schedule: Schedule, units: dict[str, Unit]) -> Finding:
    """The timer is enabled, waits, and knows when it will elapse."""
    timer = units.get(schedule.timer)
    return judge(
        f"backup.timer.{schedule.kind}",
        f"The timer of the {schedule.title} is enabled and waits",
        passed=timer is not None and timer.is_armed,
        observed="absent" if timer is None else timer.timing,
        expected=f"enabled, active: {schedule.calendar}",
        hint=f"systemctl enable --now {schedule.timer}; who disabled it?",
        requirement="B6",
    )


def judge_drop_ins(units: Iterable[Unit]) -> Finding:
    """The units do what their own files say: those are compared with what is declared."""
    there = {unit.name: [p for p in unit.drop_ins if p.startswith(_LOCAL)] for unit in units}
    return judge(
        "backup.units.own-files",
        "Nothing on this host changes what timers and jobs of the backups are set to",
        passed=not any(there.values()),
        observed="; ".join(f"{name}: {', '.join(p)}" for name, p in there.items() if p)
        or "no drop-in file",
        expected="no drop-in file below /etc or /run",
        hint="`systemctl cat` shows what it changes; what is meant belongs into the parameter "
        "file; then `systemctl revert UNIT`, `systemctl daemon-reload`",
        requirement="B6",
    )


def judge_running(running: Sequence[RunningBackup]) -> Finding:
    """No backup stands still or runs for ever: every later one waits for its lock (failure 7)."""
    longest = max(LONGEST.values())
    wrong = [b for b in running if b.state in "Tt" or b.seconds > longest]
    return judge(
        "backup.running",
        "No backup hangs",
        passed=not wrong,
        observed="; ".join(
            f"pid {b.pid} for {b.seconds / HOUR:.1f} h, state {b.state}: {b.command[:120]}"
            for b in wrong or running
        )
        or "none is running",
        expected=f"none, or one that works, for less than {longest / HOUR:.0f} h",
        hint="look at what it waits for (its log, /proc/PID/stack), then end it: kill PID; the "
        "next backup resumes from what it stored",
        requirement="B6",
    )


def judge_job(
    schedule: Schedule, units: dict[str, Unit], now: float, ends: Sequence[str]
) -> Finding:
    """The job's last run ended well, and a run in progress is not stuck.

    `ends`: the jobs' own log. systemd forgets at a reboot and says `success` of what never ran.
    """
    job = units.get(schedule.service)
    began = moment(job.started) if job else None
    running = job is not None and job.active == "activating"
    seconds = now - began if running and began is not None else 0.0
    longest = LONGEST[schedule.kind]
    good = job is not None and job.load == "loaded" and job.active != "failed"
    good = good and job is not None and job.result == "success" and seconds <= longest
    last = next((e for e in reversed(ends) if e.split()[1:2] == [schedule.kind]), "")
    word = "".join(last.split()[2:3])  # done, failed, skipped:
    passed = good and word != "failed" if last or running or not good else None
    return judge(
        f"backup.job.{schedule.kind}",
        f"The {schedule.title} did not fail, and does not hang",
        passed=passed,
        observed="no such service"
        if job is None or job.load != "loaded"
        else f"running for {seconds / HOUR:.1f} h"
        if running
        else f"{job.active}, last result {job.result}, its log: {last or 'it never ended'}",
        expected=f"success, or running for less than {longest / HOUR:.0f} h",
        hint=f"journalctl -u {schedule.service}",
        requirement="B6",
    )
