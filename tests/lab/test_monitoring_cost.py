"""Dashboard, budget, cost and the looks at deployed alarms, on the lab's AWS (M5-M7; 21, 23)."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.evidence import report_monitoring
from chronos_ops.evidence.journal import FileJournal
from chronos_ops.evidence.redact import Redactor
from chronos_ops.execution.context import Context
from chronos_ops.execution.declared_host import declared_host
from chronos_ops.execution.deeds import Doer
from chronos_ops.facts import budgets, cloudwatch
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.finding import Status
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.parameters import parse_parameters
from chronos_ops.model.settings import load_settings
from chronos_ops.model.stage import Stage
from chronos_ops.monitoring import back_test as looks
from chronos_ops.monitoring.cost import cost
from chronos_ops.monitoring.series import series
from chronos_ops.monitoring.thresholds import FILE, thresholds
from chronos_ops.plans.alarms import ALARMS, dimensions, metrics, prefix
from chronos_ops.plans.bucket import BUCKET
from chronos_ops.plans.budget import BUDGET
from chronos_ops.plans.dashboard import DASHBOARD, body
from chronos_ops.plans.topic import topic_arn
from chronos_ops.runbook_stage import carry_out, make_plan
from tests.evidence.test_report import drilled, words

pytestmark = pytest.mark.lab
PERIOD = 10
OWN = "cost-under-test"  # a host of this test alone: other tests' alarms are left alone


@pytest.fixture(scope="module")
def context(lab: LabStatus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    folder = tmp_path_factory.mktemp("cost")
    settings = load_settings(lab.name)
    journal = FileJournal(folder, Redactor())
    aws = Aws(settings.aws, journal)
    ssh = Ssh(declared_host(settings, aws), journal)
    budget = settings.monitoring.budget.model_copy(update={"name": OWN})
    own = {"topic": OWN, "namespace": OWN, "dashboard": OWN, "budget": budget}
    changed = {
        "host": settings.host.model_copy(update={"instance": OWN}),
        "monitoring": settings.monitoring.model_copy(update=own),
    }
    found = Context(
        run_id=folder.name,
        folder=folder,
        settings=settings.model_copy(update=changed),
        parameters=parse_parameters("cloudwatch_monitoring", {"target": lab.name}),
        journal=journal,
        aws=aws,
        ssh=ssh,
    )
    yield found
    left = found.ask(cloudwatch.alarms(prefix(found.settings)))
    names = list(left)
    if names:
        aws.call("cloudwatch", "delete_alarms", AlarmNames=names)
    if found.ask(budgets.budget(settings.aws.account_id, OWN)) is not None:
        aws.call("budgets", "delete_budget", AccountId=settings.aws.account_id, BudgetName=OWN)
    found.close()


@pytest.fixture(scope="module")
def deployed(context: Context) -> Context:
    """Metrics of the last two minutes, in which the disk was full for a while; then alarms."""
    newest = int(time.time() // PERIOD)
    for metric in metrics(context.settings):
        data = [
            {
                "MetricName": metric,
                "Dimensions": [
                    {"Name": n, "Value": v} for n, v in dimensions(context.settings).items()
                ],
                "Timestamp": (newest - back) * PERIOD + 1,
                "Value": value(metric, back),
            }
            for back in range(12, -1, -1)
        ]
        context.aws.call("cloudwatch", "put_metric_data", Namespace=OWN, MetricData=data)
    apply(context, ALARMS)
    return context


def value(metric: str, back: int) -> float:
    if metric == "disk_used_percent":
        return 90 if 5 <= back <= 7 else 40
    return 60 if metric == "certificate_days_left" else 1


def apply(context: Context, stage: Stage) -> Outcome:
    done = carry_out(stage, context, lambda _plan, _text: None)
    assert [f.observed for f in done.findings if not f.good] == []
    return done


def found(outcome: Outcome) -> dict[str, Any]:
    return {finding.id: finding for finding in outcome.findings}


def test_the_dashboard_is_made_once_and_its_undo_is_exact(context: Context) -> None:
    fact = cloudwatch.dashboard(OWN)
    assert apply(context, DASHBOARD).measures["changes.dashboard"]["applied"] == 1
    assert context.ask(fact) == body(context.settings)
    assert "Nothing to do" in apply(context, DASHBOARD).summary
    theirs = '{"widgets": []}'
    context.aws.call("cloudwatch", "put_dashboard", DashboardName=OWN, DashboardBody=theirs)
    plan = make_plan(DASHBOARD, context)
    apply(context, DASHBOARD)
    assert context.ask(fact) == body(context.settings)
    doer = Doer(context.aws, context.ssh, context.journal.keep_secret)
    doer.do(plan.changes[0].undo[0])
    assert context.ask(fact) == {"widgets": []}
    context.aws.call("cloudwatch", "delete_dashboards", DashboardNames=[OWN])
    assert context.ask(fact) is None
    doer.do(plan.changes[0].deeds[0])
    doer.do(make_plan_undo(context))
    assert context.ask(fact) is None


def make_plan_undo(context: Context) -> Any:
    """The undo of making it where there was none."""
    return DASHBOARD.plan(context.settings, {"dashboard": None}).changes[0].undo[0]


def test_the_budget_tells_the_topic_and_is_mended(context: Context) -> None:
    account, declared = context.settings.aws.account_id, context.settings.monitoring.budget
    apply(context, BUDGET)
    assert "Nothing to do" in apply(context, BUDGET).summary
    there = context.ask(budgets.budget(account, declared.name))
    assert there is not None
    assert there.limit_usd == declared.limit_usd
    for percent in (80, 100):
        told = context.ask(budgets.told(account, declared.name, percent))
        assert told == {("SNS", topic_arn(context.settings))}
    raised = there.definition | {"BudgetLimit": {"Amount": "900", "Unit": "USD"}}
    context.aws.call("budgets", "update_budget", AccountId=account, NewBudget=raised)
    context.aws.call(
        "budgets",
        "delete_notification",
        AccountId=account,
        BudgetName=declared.name,
        Notification=budgets.notification(80),
    )
    planned = make_plan(BUDGET, context)
    assert [c.id for c in planned.changes] == ["budgets.budget", "budgets.notification.80"]
    apply(context, BUDGET)
    assert "Nothing to do" in apply(context, BUDGET).summary


def test_the_cost_follows_what_lies_in_the_bucket(lab: LabStatus, context: Context) -> None:
    real = Context(**{**vars(context), "settings": load_settings(lab.name)})
    apply(real, BUCKET)
    before = cost(real)
    assert {f.status for f in before.findings} == {Status.PASS}
    assert "2026-11-01" in before.summary
    bucket = real.settings.backup.bucket
    key = "live/backup/chronos/20260101-020000F/bundle/1"
    for _ in range(2):  # the second makes a former version of the first
        real.aws.call("s3", "put_object", Bucket=bucket, Key=key, Body=b"x" * 20_000_000)
    try:
        after = cost(real)
    finally:
        for version in real.aws.call("s3", "list_object_versions", Bucket=bucket, Prefix=key)[
            "Versions"
        ]:
            real.aws.call(
                "s3", "delete_object", Bucket=bucket, Key=key, VersionId=version["VersionId"]
            )
    groups = [each.measures["monitoring.cost"]["groups"]["storage"] for each in (before, after)]
    assert groups[1]["now"] - groups[0]["now"] == pytest.approx(40e6 / 2**30 * 0.025)
    rows = {row["item"]: row for row in after.table}
    assert float(rows["S3 repo1, STANDARD, former versions"]["quantity"].split()[0]) >= 0.0186
    # The same server is too dear for a plan that is too small.
    budget = real.settings.monitoring.budget.model_copy(update={"planned_usd": 5.0})
    monitoring = real.settings.monitoring.model_copy(update={"budget": budget})
    small = real.settings.model_copy(update={"monitoring": monitoring})
    over = found(cost(Context(**{**vars(real), "settings": small})))
    assert over["monitoring.cost.plan"].status is Status.FAIL
    assert "over by" in over["monitoring.cost.plan"].observed
    assert "publisher looks every 9 s" in over["monitoring.cost.plan"].observed
    assert "USD a month" in words(report_monitoring.cost_chart(drilled(measures=after.measures)))


def test_what_would_have_fired_and_the_panels_of_it(deployed: Context) -> None:
    outcome = looks.back_test(deployed)
    assert {f.id: f.observed for f in outcome.findings if not f.good} == {}
    rows = {row["alarm"]: row for row in outcome.table}
    assert "ALARM" in rows["disk_used_percent"]["would have changed"]
    assert " OK" in rows["disk_used_percent"]["would have changed"]
    assert rows["cpu_used_percent"]["datapoints"] >= 12
    assert "ALARM" not in rows["cpu_used_percent"]["would have changed"]
    seen = series(deployed)
    disk = seen.measures["monitoring.series"]["disk_used_percent"]
    assert 90 in [point for _, point in disk["points"]]
    assert disk["states"][-1][1] in ("OK", "ALARM")
    result = drilled(measures=seen.measures)
    assert "disk used" in words(report_monitoring.dashboard_panels(result))
    assert "disk_used_percent > 80" in words(report_monitoring.alarm_chart(result))


def test_thresholds_are_written_from_what_is_deployed(deployed: Context) -> None:
    outcome = thresholds(deployed)
    assert [f.status for f in outcome.findings] == [Status.PASS]
    text = (deployed.folder / FILE).read_text()
    assert f"| {prefix(deployed.settings)}disk_used_percent |" in text
    assert "a full disk stops the database" in text


def test_an_alarm_that_can_never_fire_is_found(
    deployed: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """failures.md 21 and 23."""
    monkeypatch.setattr(looks, "_FIRST_LOOK_SECONDS", 0)
    name = f"{prefix(deployed.settings)}wrong"
    deployed.aws.call(
        "cloudwatch",
        "put_metric_alarm",
        AlarmName=name,
        Namespace=OWN,
        MetricName="cpu_used_percent",
        Dimensions=[{"Name": "InstanceId", "Value": OWN}],
        Statistic="Average",
        Period=PERIOD,
        EvaluationPeriods=3,
        Threshold=80,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="missing",
    )
    try:
        bad = {f.id: f for f in looks.back_test(deployed).findings if not f.good}
        unexplained = found(thresholds(deployed))["monitoring.thresholds"]
    finally:
        deployed.aws.call("cloudwatch", "delete_alarms", AlarmNames=[name])
    wanted = {"monitoring.dimensions", "monitoring.state", "monitoring.missing-data"}
    assert set(bad) == wanted
    for finding in [*bad.values(), unexplained]:
        assert finding.status is Status.FAIL
        assert name in finding.observed
