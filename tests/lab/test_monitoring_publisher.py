"""The publisher on a real host: what arrives, what it costs, what it survives (M2, M8; 7, 21)."""

import json
import shlex
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.connectors.aws import AwsRefused
from chronos_ops.drill.stamp import leave_stamp
from chronos_ops.execution.context import Context
from chronos_ops.execution.deeds import remove_iam_user
from chronos_ops.lab import control
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.alarm import State, datapoints, evaluate
from chronos_ops.model.finding import Status
from chronos_ops.model.result import Verdict
from chronos_ops.model.settings import Settings
from chronos_ops.monitoring.burst import burst_capacity
from chronos_ops.monitoring.flow import samples
from chronos_ops.plans import publisher
from chronos_ops.plans.alarms import declared
from chronos_ops.plans.publisher import METRICS_IDENTITY, METRICS_PACKAGES, PUBLISHER
from chronos_ops.runbook_stage import carry_out, make_plan
from tests.lab.aws_callers import with_key
from tests.lab.own_host import own_host
from tests.lab.waiting import until

pytestmark = pytest.mark.lab
Run = Callable[..., str]
HOST = "metered"
STAGES = (METRICS_PACKAGES, METRICS_IDENTITY, PUBLISHER)
# One child, its greatest memory (MiB) and its CPU seconds, by the kernel's own account.
_COST = (
    "import os, resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, "
    "stdout=subprocess.DEVNULL); r = resource.getrusage(resource.RUSAGE_CHILDREN); "
    "print(r.ru_maxrss / 1024, r.ru_utime + r.ru_stime)"
)


@pytest.fixture(scope="module")
def context(lab: LabStatus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """A host of these tests alone, whose publisher has its own user, key and namespace."""
    own = {
        "namespace": f"PublisherUnderTest{time.time():.0f}",
        "host_iam_user": "metrics-under-test",
        "host_key_secret": "/test/metrics/access-key",
    }

    def change(settings: Settings) -> Settings:
        monitoring = settings.monitoring.model_copy(update=own)
        return settings.model_copy(update={"monitoring": monitoring})

    with own_host(lab, HOST, tmp_path_factory.mktemp("run"), change=change) as found:
        yield found
        remove_iam_user(found.aws, own["host_iam_user"])
        for part in ("id", "secret"):
            found.aws.call("ssm", "delete_parameter", Name=f"{own['host_key_secret']}/{part}")


@pytest.fixture(scope="module")
def run(context: Context) -> Run:
    """run(command): as root on the host."""

    def say(command: str, *, check: bool = True) -> str:
        accept = (0,) if check else range(256)
        return context.ssh.run(["sh", "-c", command], sudo=True, accept=accept).stdout

    return say


@pytest.fixture(scope="module")
def sending(context: Context, run: Run) -> float:
    """The stages, as the runbook applies them; since when (epoch)."""
    began = time.time()
    for stage in STAGES:
        done = carry_out(stage, context, lambda plan, text: None)
        assert all(finding.status is Status.PASS for finding in done.findings), done.findings
    run(f"systemctl stop {publisher.TIMER}")  # the tests say when, until the reboot
    until(lambda: not active(run), "the end of a tick")
    assert "sent" in tick(run)
    return began


def active(run: Run) -> bool:
    units = f"{publisher.SERVICE} {publisher.COLLECTOR} {publisher.SLOW}"
    return "activ" in run(f"systemctl is-active {units}", check=False).replace("inactive", "")


def tick(run: Run) -> str:
    """One tick, as the timer starts it; what it said."""
    cursor = run("journalctl -n 1 -o json --output-fields=MESSAGE")
    run(f"systemctl start {publisher.SERVICE}", check=False)
    after = shlex.quote(json.loads(cursor)["__CURSOR"])
    return run(f"journalctl -o cat -u {publisher.SERVICE} --after-cursor={after}")


def arrived(context: Context, metric: str, since: float) -> list[float]:
    """The values that CloudWatch holds, by periods of ten seconds."""
    start = datetime.fromtimestamp(since // 10 * 10, UTC)
    return [sample.value for sample in samples(context, metric, start)]


def newest(context: Context, metric: str, since: float) -> float:
    found: list[float] = until(lambda: arrived(context, metric, since), metric)
    return found[-1]


@pytest.mark.usefixtures("sending")
def test_a_second_plan_finds_nothing_to_do_and_a_stopped_timer(context: Context, run: Run) -> None:
    assert [c.id for c in make_plan(PUBLISHER, context).changes] == ["publisher.timer"]
    run(f"systemctl start {publisher.TIMER}")
    for stage in STAGES:
        plan = make_plan(stage, context)
        assert plan.empty, (stage.name, [change.title for change in plan.changes])
    run(f"systemctl stop {publisher.TIMER}")
    until(lambda: not active(run), "the end of a tick")


def test_what_arrives_has_one_dimension_and_is_true(
    context: Context, run: Run, sending: float
) -> None:
    until(lambda: arrived(context, "memory_used_percent", sending), "memory")
    listed = context.aws.call(
        "cloudwatch", "list_metrics", Namespace=context.settings.monitoring.namespace
    )["Metrics"]
    assert [m["Dimensions"] for m in listed] == [[{"Name": "Host", "Value": HOST}]] * len(listed)
    vitals = {"disk_used_percent", "cpu_used_percent", "memory_used_percent"}
    database = {"archive_backlog_files", "archive_failures"}
    assert vitals | database | {"heartbeat", "drill_age_hours"} <= {m["MetricName"] for m in listed}
    size, used = run("df -B1 --output=size,used / | tail -n 1").split()
    seen = newest(context, "disk_used_percent", sending)
    assert seen == pytest.approx(100 * int(used) / int(size), abs=8)  # root's share is left out
    memory = dict(line.split(":") for line in run("cat /proc/meminfo").splitlines())
    total, available = (int(memory[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
    assert total <= 1024**2  # of this host, not of the machine that it runs on
    seen = newest(context, "memory_used_percent", sending)
    assert seen == pytest.approx(100 - 100 * available / total, abs=10)
    assert newest(context, "drill_age_hours", sending) == 87600


def test_a_tick_is_small_and_nothing_stays_behind(run: Run, sending: float) -> None:
    """At most 60 MB at its peak; 1 % of one CPU at a tick a minute is 0.6 s (M2)."""
    assert sending
    run("rm -rf /tmp/tick && install -d -o postgres /tmp/tick/c && "
        f"install -d -o {publisher.USER} /tmp/tick/s")  # fmt: skip
    own = f"AWS_CONFIG_FILE={publisher.AWS_CONFIG} AWS_EC2_METADATA_DISABLED=true "
    own += f"AWS_SHARED_CREDENTIALS_FILE={publisher.CREDENTIALS} STATE_DIRECTORY=/tmp/tick/s"
    program = f"/usr/bin/python3 -I -B {publisher.PROGRAM}"
    cost = f"python3 -c {shlex.quote(_COST)}"
    send = f"cd /tmp; sudo -u {publisher.USER} env {own} {cost} {program}"
    collect = (
        f"cd /tmp; sudo -u postgres env STATE_DIRECTORY=/tmp/tick/c {cost} {publisher.COLLECT}"
    )
    told = {"first": run(send), "send": run(send)}  # the first asks whose key it is, too
    told |= {"server": run(f"{collect} server"), "slow": run(f"{collect} slow")}
    costs = {name: tuple(map(float, text.split())) for name, text in told.items()}
    print(costs)
    assert max(memory for memory, _ in costs.values()) <= 60
    assert sum(costs[name][1] for name in ("send", "server", "slow")) <= 0.6
    assert not active(run)
    assert run(f"pgrep -u {publisher.USER}", check=False) == ""


def test_a_gap_of_the_network_is_caught_up_with_the_times_of_the_ticks(
    context: Context, lab: LabStatus, run: Run, sending: float
) -> None:
    assert sending
    since = time.time()
    way = f"ip daddr {lab.gateway} tcp dport {lab.endpoint_url.rpartition(':')[2]} drop"
    run("nft add table inet gap && nft 'add chain inet gap out { type filter hook output "
        f"priority 0; }}' && nft add rule inet gap out {way}")  # fmt: skip
    try:
        first = tick(run)
        middle = time.time()
        second = tick(run)
    finally:
        run("nft delete table inet gap")
    assert "not sent, 1 ticks wait" in first
    assert "not sent, 2 ticks wait" in second
    assert arrived(context, "heartbeat", since // 10 * 10 + 10) == []
    waiting = json.loads(run("cat /var/lib/chronos-metrics/spool.json"))
    assert since < waiting[0]["at"] < middle < waiting[1]["at"]
    assert "sent 3 ticks" in tick(run)
    times = sample_times(context, since)
    assert {waiting[0]["at"] // 10, waiting[1]["at"] // 10} <= {at // 10 for at in times}


def sample_times(context: Context, since: float) -> list[float]:
    start = datetime.fromtimestamp(since, UTC) - timedelta(seconds=10)
    return [sample.at for sample in samples(context, "heartbeat", start)]


def test_its_key_can_do_nothing_else(context: Context, tmp_path: Path, sending: float) -> None:
    assert sending
    settings = context.settings
    name = settings.monitoring.host_key_secret
    key, secret = (context.aws.get_secret(f"{name}/{part}").reveal() for part in ("id", "secret"))
    thief = with_key(settings.aws, key, secret, tmp_path)
    datum = {"MetricName": "heartbeat", "Value": 1}

    def refused(service: str, operation: str, **arguments: Any) -> bool:
        try:
            thief.call(service, operation, **arguments)
        except AwsRefused as error:
            return error.code.startswith(("AccessDenied", "AuthorizationError"))
        return False

    put = {"MetricData": [datum]}
    mine = settings.monitoring.namespace
    try:
        assert not refused("cloudwatch", "put_metric_data", Namespace=mine, **put)
        assert refused("cloudwatch", "put_metric_data", Namespace="Chronos", **put)
        assert refused("cloudwatch", "put_metric_data", Namespace=f"{mine}2", **put)
        assert refused("cloudwatch", "list_metrics")
        assert refused("cloudwatch", "describe_alarms")
        assert refused("cloudwatch", "delete_alarms", AlarmNames=["any"])
        assert refused("sns", "list_topics")
        assert refused("s3", "list_buckets")
        assert refused("iam", "list_users")
        assert refused("ssm", "get_parameter", Name=f"{name}/secret", WithDecryption=True)
    finally:
        thief.close()


def test_backups_that_have_stopped_grow_old(context: Context, run: Run, sending: float) -> None:
    """7: the timer is off. The repository answers as one whose last backup was 50 hours ago."""
    assert sending
    since = time.time()
    said = {
        "name": context.settings.backup.stanza,
        "db": [{"id": 1, "repo-key": 1}],
        "repo": [{"key": 1}],
        "archive": [{"database": {"id": 1, "repo-key": 1}, "max": "000000010000000000000001"}],
        "backup": [
            {
                "database": {"repo-key": 1},
                "type": "full",
                "error": False,
                "timestamp": {"stop": since - 50 * 3600},
            }
        ],
    }
    program = f"#!/bin/sh\ncat <<'END'\n{json.dumps([said])}\nEND\n"
    fake, left = "/usr/local/bin/pgbackrest", publisher.COLLECTED
    run(f"printf %s {shlex.quote(program)} > {fake} && chmod 755 {fake} && rm -f {left}/*.asked")
    try:
        tick(run)
        until(lambda: run(f"ls {left}/server-then.json", check=False), "a look into it")
        tick(run)
    finally:
        run(f"rm {fake}")
    assert newest(context, "backup_age_hours", since) == pytest.approx(50, abs=0.1)
    assert newest(context, "repository_lag_segments", since) >= 0


def test_a_drill_that_passed_is_known_at_the_next_tick(
    context: Context, run: Run, sending: float
) -> None:
    assert sending
    assert leave_stamp("disaster_recovery", context, Verdict.PASSED) == []
    assert run(f"stat -c '%a %U' {publisher.DRILL_STAMP}") == "644 root\n"
    since = time.time()
    tick(run)
    least = context.aws.call(
        "cloudwatch",
        "get_metric_statistics",
        Namespace=context.settings.monitoring.namespace,
        MetricName="drill_age_hours",
        Dimensions=[{"Name": "Host", "Value": HOST}],
        StartTime=datetime.fromtimestamp(since // 10 * 10, UTC),
        EndTime=datetime.now(UTC) + timedelta(seconds=10),
        Period=10,
        Statistics=["Minimum"],
    )["Datapoints"]
    assert min(point["Minimum"] for point in least) < 0.1


def test_no_burst_capacity_where_lightsail_gives_none(context: Context) -> None:
    (finding,) = burst_capacity(context).findings
    assert finding.status is Status.NOT_APPLICABLE
    assert finding.observed == "this Lightsail gives no such metric"


def test_it_survives_a_reboot_and_its_end_is_an_alarm(
    context: Context, lab: LabStatus, run: Run, sending: float
) -> None:
    """21: a publisher that is gone leaves no data, and no data is breaching."""
    assert sending
    context.ssh.close()
    control.request(lab.name, "reboot", name=HOST)
    since = time.time()
    until(lambda: sample_times(context, since + 10), "a heartbeat after the reboot", 60)
    run(
        f"systemctl stop {publisher.TIMER}; systemctl kill -s KILL {publisher.SERVICE}", check=False
    )
    last = sample_times(context, since)[-1]
    wanted = next(
        d.alarm for d in declared(context.settings).values() if d.alarm.metric == "heartbeat"
    )
    start = datetime.fromtimestamp(last - 60, UTC)
    known = samples(context, "heartbeat", start)
    alive = evaluate(wanted, datapoints(wanted, known, last + 20), State.OK)
    gone = evaluate(wanted, datapoints(wanted, known, last + 60), State.OK)
    assert (alive, gone) == (State.OK, State.ALARM)
