"""The monitoring runbook on the lab: every alarm is heard; what silences them is found (M1-M4)."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chronos_ops import runner
from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.drill.stamp import leave_stamp
from chronos_ops.evidence.folder import outputs_dir
from chronos_ops.evidence.journal import FileJournal
from chronos_ops.evidence.redact import Redactor
from chronos_ops.execution.context import Context
from chronos_ops.execution.declared_host import declared_host
from chronos_ops.facts import cloudwatch, sns
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.parameters import parse_parameters
from chronos_ops.model.result import Result, Verdict
from chronos_ops.model.settings import load_settings
from chronos_ops.monitoring.channels import channels, failed_actions
from chronos_ops.monitoring.conditions import conditions
from chronos_ops.monitoring.flow import samples
from chronos_ops.monitoring.series import states
from chronos_ops.plans.alarms import prefix
from chronos_ops.plans.topic import EMAIL, NOTIFICATION, topic_arn
from chronos_ops.runbook_stage import carry_out
from tests.lab.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]
QUIET_PERIODS = 60 if "CHRONOS_LONG_TESTS" in os.environ else 6
RUNBOOK = "cloudwatch_monitoring"
BACKUP = "pgbackrest_backup_restore"


@pytest.fixture(scope="module")
def context(lab: LabStatus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    folder = tmp_path_factory.mktemp("monitoring")
    settings = load_settings(lab.name)
    journal = FileJournal(folder, Redactor())
    aws = Aws(settings.aws, journal)
    found = Context(
        run_id=folder.name,
        folder=folder,
        settings=settings,
        parameters=parse_parameters(RUNBOOK, {"target": lab.name}),
        journal=journal,
        aws=aws,
        ssh=Ssh(declared_host(settings, aws), journal),
    )
    yield found
    found.ssh.run(["systemctl", "disable", "--now", "chronos-metrics.timer"], sudo=True)
    found.close()


@pytest.fixture(scope="module")
def monitored(lab: LabStatus, context: Context) -> Result:
    """Backups, the dry run, then the whole runbook, headlessly."""
    backup = {"pitr_test": "false", "allow_restart": "true"}
    assert runner.run(BACKUP, lab.name, backup, approve=lab.name).verdict is Verdict.PASSED
    planned = runner.run(RUNBOOK, lab.name, {}, plan=True)
    assert planned.verdict is Verdict.PLANNED, planned.reasons
    assert changes(planned, "applied") == 0
    assert context.ask(cloudwatch.alarms(prefix(context.settings))) == {}
    assert context.ask(sns.topic(topic_arn(context.settings))) is None
    done = runner.run(RUNBOOK, lab.name, {}, approve=lab.name)
    assert done.verdict is Verdict.PASSED, done.reasons
    return done


def changes(result: Result, word: str) -> int:
    found = [v for k, v in result.measures.items() if k.startswith("changes.")]
    return sum(int(each[word]) for each in found)


def bad(outcome: Outcome) -> list[str]:
    return [f.id for f in outcome.findings if not f.good]


def folder_of(result: Result) -> Path:
    return outputs_dir() / result.target / result.run_id


def test_every_alarm_was_told_by_both_channels_and_came_back(
    monitored: Result, context: Context
) -> None:
    found = {f.id: f for f in monitored.findings if f.id.startswith("monitoring.alarm.")}
    assert len(found) == len(context.settings.monitoring.metrics) == 10
    for finding in found.values():
        assert "ALARM told by queue, e-mail; back to OK told by queue, e-mail" in finding.observed
    how = {f.id.rsplit(".", 1)[1]: f.observed.split(":")[0] for f in found.values()}
    real = {metric for metric, word in how.items() if "nonce" not in word}
    wanted = {m for c in conditions(context.settings) for m in c.metrics}
    assert real == wanted | {"heartbeat"}
    assert (folder_of(monitored) / "executed.html").is_file()


def test_nothing_of_the_conditions_is_left(monitored: Result, context: Context) -> None:
    assert monitored.verdict is Verdict.PASSED
    look = (
        "ls /var/tmp | grep chronos-alarm; systemctl list-units --plain 'chronos-alarm*' | grep run"
    )
    left = context.ssh.run(["sh", "-c", look], sudo=True, accept=(0, 1)).stdout
    assert left == ""
    user = context.settings.backup.host_iam_user
    names = context.aws.call("iam", "list_user_policies", UserName=user)["PolicyNames"]
    assert not [name for name in names if "alarm-test" in name]


def test_a_second_run_finds_nothing_to_do(lab: LabStatus, monitored: Result) -> None:
    again = runner.run(RUNBOOK, lab.name, {"test_alarms": "false"}, approve=lab.name)
    assert again.verdict is Verdict.PASSED, again.reasons
    assert changes(monitored, "applied") > 20
    assert changes(again, "planned") == 0


def test_an_idle_database_stays_quiet(monitored: Result, context: Context) -> None:
    """A control run: nothing happens, and no alarm says otherwise.

    But for the CPU's: what a lab host counts is this machine's, and others may work on it.
    """
    assert monitored.verdict is Verdict.PASSED
    # The age of the drills is the one alarm with a reason: as if one had passed.
    assert leave_stamp("disaster_recovery", context, Verdict.PASSED) == []
    wanted = cloudwatch.alarms(prefix(context.settings))
    names = [name for name in context.ask(wanted) if not name.endswith("cpu_used_percent")]
    assert len(names) == 9

    def all_well() -> bool:
        now = context.ask(wanted)
        return {now[name].state for name in names} == {"OK"}

    until(all_well, "every alarm is OK", 120)
    quiet = datetime.now(UTC)
    longest = 3 * QUIET_PERIODS * context.settings.monitoring.period_seconds
    until(lambda: len(samples(context, "heartbeat", quiet)) >= QUIET_PERIODS, "periods", longest)
    changed = {name: states(context, name, quiet) for name in names}
    assert {name: seen for name, seen in changed.items() if seen} == {}
    assert all_well()


def _policy(context: Context) -> None:
    context.aws.call(
        "sns",
        "set_topic_attributes",
        TopicArn=topic_arn(context.settings),
        AttributeName="Policy",
        AttributeValue='{"Version": "2012-10-17", "Statement": []}',
    )


def _managed_key(context: Context) -> None:
    context.aws.call(
        "sns",
        "set_topic_attributes",
        TopicArn=topic_arn(context.settings),
        AttributeName="KmsMasterKeyId",
        AttributeValue="alias/aws/sns",
    )


def _unsubscribe(protocol: str) -> Callable[[Context], None]:
    def deed(context: Context) -> None:
        for each in context.ask(sns.subscriptions(topic_arn(context.settings))):
            if each.protocol == protocol:
                context.aws.call("sns", "unsubscribe", SubscriptionArn=each.arn)

    return deed


@pytest.mark.parametrize(
    ("finding", "fault"),
    [
        ("monitoring.topic", _policy),
        ("monitoring.topic-key", _managed_key),
        ("monitoring.queue", _unsubscribe("sqs")),
    ],
)
def test_what_silences_every_alarm_is_found_and_mended(
    monitored: Result, context: Context, finding: str, fault: Callable[[Context], Any]
) -> None:
    """failures.md 22, and the traps of M3."""
    assert monitored.verdict is Verdict.PASSED
    assert bad(channels(context)) == []
    fault(context)
    assert bad(channels(context)) == [finding]
    carry_out(NOTIFICATION, context, lambda _plan, _diff: None)
    assert bad(channels(context)) == []


def test_an_action_that_failed_is_found_in_the_history(monitored: Result, context: Context) -> None:
    assert monitored.verdict is Verdict.PASSED
    assert failed_actions(context).good
    _policy(context)
    name = f"{prefix(context.settings)}heartbeat"
    for state in ("ALARM", "OK"):
        context.aws.call(
            "cloudwatch",
            "set_alarm_state",
            AlarmName=name,
            StateValue=state,
            StateReason="a test",
        )
    found = failed_actions(context)
    assert not found.good
    assert name in found.observed
    carry_out(NOTIFICATION, context, lambda _plan, _diff: None)


def test_an_unsubscribed_mail_is_asked_for_again_and_is_a_finding_until_confirmed(
    monitored: Result, context: Context
) -> None:
    assert monitored.verdict is Verdict.PASSED
    _unsubscribe(EMAIL)(context)
    assert "monitoring.email" in bad(channels(context))
    carry_out(NOTIFICATION, context, lambda _plan, _diff: None)
    pending = next(f for f in channels(context).findings if f.id == "monitoring.email")
    assert not pending.good
    assert "pending" in pending.observed
