"""The three units of a schedule, as text: timer, service, and what a failure leaves (R2).

Source: systemd.timer(5), systemd.service(5), systemd.exec(5); lines that begin with X- are ours.
"""

from pathlib import Path

from chronos_ops.model.schedule import Schedule

ENTRY = "X-Chronos-Schedule="
FAILED = ".schedule-failed"
_RUN_SECONDS = 13 * 3600  # the runner ends itself after 12 h
_STOP_SECONDS = 45 * 60  # its teardown may take 30 minutes


def unit_texts(schedule: Schedule, root: Path, outputs: Path, *, system: bool) -> dict[str, str]:
    """File name to text. `root` holds `chronos`; `system`: not of a user's own manager."""
    name = schedule.name
    title = f"chronos-ops: {schedule.runbook} on {schedule.target}"
    online = "Wants=network-online.target\nAfter=network-online.target\n" if system else ""
    user = "User=root\n" if system else ""  # said, so that systemd sets HOME: ~/.aws is there
    command = " ".join(map(_quoted, (str(root / "chronos"), *schedule.arguments())))
    mark = outputs / schedule.target / FAILED
    # No Python here: it may be what failed.
    told = (
        f"echo '<3>{name} failed: '$MONITOR_SERVICE_RESULT $MONITOR_EXIT_STATUS;"
        f' mkdir -p {_shell(mark.parent)} && echo "$(date -u +%FT%TZ)'
        f' {name} $MONITOR_SERVICE_RESULT $MONITOR_EXIT_STATUS" >>{_shell(mark)}'
    )
    return {
        f"{name}.timer": f"""# Written by chronos-ops.
[Unit]
Description={title}
{ENTRY}{schedule.text().replace("%", "%%")}

[Timer]
OnCalendar={schedule.calendar}
Persistent=true
RandomizedDelaySec={schedule.delay_seconds}
AccuracySec=1s

[Install]
WantedBy=timers.target
""",
        f"{name}.service": f"""# Written by chronos-ops.
[Unit]
Description={title}
{online}OnFailure={name}-failed.service

[Service]
Type=oneshot
{user}WorkingDirectory={_plain(root)}
ExecStart={command}
Environment=AWS_EC2_METADATA_DISABLED=true LC_ALL=C.UTF-8
# The runner alone is told to end: it tears down before it does.
KillMode=mixed
TimeoutStartSec={_RUN_SECONDS}
TimeoutStopSec={_STOP_SECONDS}
Restart=no
""",
        f"{name}-failed.service": f"""# Written by chronos-ops.
[Unit]
Description={title}: a run failed

[Service]
Type=oneshot
ExecStart=/bin/sh -c {_quoted(told)}
""",
    }


def schedule_in(text: str) -> Schedule | None:
    """What a timer's file holds; None: none of ours. Raises UsageError: a broken one."""
    for line in text.splitlines():
        if line.startswith(ENTRY):
            return Schedule.from_text(line.removeprefix(ENTRY).replace("%%", "%"))
    return None


def _plain(path: Path) -> str:
    return str(path).replace("%", "%%")


def _quoted(word: str) -> str:
    """For ExecStart: neither a specifier nor a variable of systemd, nor a line of its own."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    escaped = escaped.replace("\n", "\\n").replace("\r", "\\r")
    return '"' + escaped.replace("%", "%%").replace("$", "$$") + '"'


def _shell(path: Path) -> str:
    return "'" + str(path).replace("'", "'\\''") + "'"
