"""Real conditions that drive an alarm: each made on the host, each undone from the journal (M4).

Only in a target marked `disposable`: what they do to a production host is what the alarms are for.
"""

from collections.abc import Callable
from dataclasses import dataclass

from chronos_ops.execution.context import Context
from chronos_ops.model.plan import CallAws, Deed, RunCommand
from chronos_ops.model.settings import Settings
from chronos_ops.plans.alarms import declared

_FILL = "/var/tmp/chronos-alarm-test"  # noqa: S108 - on the disk that is watched
_UNIT = "chronos-alarm-test"
_DENY = "chronos-alarm-test"
_LEAST_SECONDS = 600  # it ends by itself, whoever forgot it: not before its alarm could fire
_SPARE_PERIODS = 8  # beside an alarm's own
_TARGET_PERCENT = 90

# Reserve, not write: the disk counts as used at once. Never beyond the wanted share.
_FILL_SCRIPT = (
    "set -e; set -- $(df -B1 --output=size,used / | tail -n 1); "
    f"want=$(( $1 * {_TARGET_PERCENT} / 100 - $2 )); "
    f'[ "$want" -le 0 ] || fallocate -l "$want" {_FILL}'
)
_TAKE_SCRIPT = (
    "import psutil, time; m = psutil.virtual_memory(); "
    f"b = bytearray(max(int(m.available - m.total * {100 - _TARGET_PERCENT} / 100), 1)); "
    "time.sleep({seconds})"
)
_BURN_SCRIPT = (
    "for n in $(seq $(nproc)); do timeout {seconds} sh -c 'while :; do :; done' & done; wait"
)
_SEGMENTS_SCRIPT = (
    "for n in $(seq {count}); do psql -XqAt -p {port} -d postgres -c "
    "\"SELECT pg_logical_emit_message(false, 'chronos', 'alarm test'); SELECT pg_switch_wal();\" "
    "> /dev/null; done"
)


@dataclass(frozen=True)
class Condition:
    """What is done, how it is undone, and which metrics' alarms it drives."""

    name: str
    metrics: tuple[str, ...]
    make: tuple[Deed, ...]
    undo: tuple[Deed, ...]
    keep_up: Callable[[Context], None] | None = None  # once, after it was made
    others: bool = False  # others on the same machine may keep it up after the undo


def _seconds(settings: Settings) -> int:
    """How long a condition may last that ends by itself."""
    longest = max((d.alarm.evaluation_periods for d in declared(settings).values()), default=1)
    period = settings.monitoring.period_seconds
    return max(_LEAST_SECONDS, (longest + _SPARE_PERIODS) * period)


def _service(name: str, seconds: int, *argv: str) -> tuple[Deed, ...]:
    unit = f"{_UNIT}-{name}"
    limits = ("--collect", "--quiet", f"--property=RuntimeMaxSec={seconds}")
    return (RunCommand(argv=("systemd-run", *limits, f"--unit={unit}", "--", *argv)),)


def _stop(name: str) -> tuple[Deed, ...]:
    return (RunCommand(argv=("systemctl", "stop", f"{_UNIT}-{name}.service"), accept=(0, 5)),)


def _archiving(settings: Settings) -> Condition:
    """The host's key may not write any more: as a revoked key, or a wrong bucket policy (2)."""
    user = settings.backup.host_iam_user
    deny = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:PutObject", '
        '"Resource": "*"}]}'
    )
    policy = {"UserName": user, "PolicyName": _DENY}
    port = settings.postgres.port
    # The archiver, which gave up for a minute, is called by a new segment.
    wake = ("sh", "-c", _SEGMENTS_SCRIPT.format(port=port, count=1))

    def close_segments(context: Context) -> None:
        script = _SEGMENTS_SCRIPT.format(port=port, count=5)
        context.ssh.run(["sh", "-c", script], user="postgres")

    return Condition(
        name="archiving denied",
        metrics=("archive_backlog_files", "repository_lag_segments"),
        make=(
            CallAws(
                service="iam",
                operation="put_user_policy",
                arguments={**policy, "PolicyDocument": deny},
            ),
        ),
        undo=(
            CallAws(service="iam", operation="delete_user_policy", arguments=policy),
            RunCommand(argv=wake, user="postgres"),
        ),
        keep_up=close_segments,
    )


def conditions(settings: Settings) -> tuple[Condition, ...]:
    """Those of this target, beside the publisher's silence. None where it is not disposable."""
    if not settings.disposable:
        return ()
    seconds = _seconds(settings)
    found = (
        Condition(
            name="disk filled",
            metrics=("disk_used_percent",),
            make=(RunCommand(argv=("sh", "-c", _FILL_SCRIPT)),),
            undo=(RunCommand(argv=("rm", "-f", _FILL)),),
        ),
        Condition(
            name="memory taken",
            metrics=("memory_used_percent",),
            make=_service("memory", seconds, "python3", "-c", _TAKE_SCRIPT.format(seconds=seconds)),
            undo=_stop("memory"),
        ),
        Condition(
            name="CPU burnt",
            metrics=("cpu_used_percent",),
            make=_service("cpu", seconds, "sh", "-c", _BURN_SCRIPT.format(seconds=seconds)),
            undo=_stop("cpu"),
            others=True,
        ),
        _archiving(settings),
    )
    wanted = set(settings.monitoring.metrics)
    return tuple(each for each in found if set(each.metrics) & wanted)


def silence() -> Condition:
    """The publisher stops: safe anywhere, and every alarm must say so (21)."""
    timer = "chronos-metrics.timer"
    return Condition(
        name="publisher stopped",
        metrics=("heartbeat",),
        make=(RunCommand(argv=("systemctl", "stop", timer)),),
        undo=(RunCommand(argv=("systemctl", "start", timer)),),
    )
