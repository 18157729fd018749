"""Every rule of the linter is met by the example, and fails alone on what it is there for."""

import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from chronos_ops.model.errors import UsageError
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.metrics import METRICS
from chronos_ops.model.schedule import Schedule
from chronos_ops.model.settings import parse_settings
from chronos_ops.plans.lint import RULES, Subject, lint

EXAMPLE = Path(__file__).parents[3] / "parameters" / "production.example.yaml"
TODAY = datetime.date(2026, 11, 23)
CERTIFICATE = {"names": ["automatonicai.com"], "email": "ops@automatonicai.com"}
EXCEPTION = {
    "control": "kernel.modules",
    "accepted": "2026-01-01",
    "expires": "2026-12-31",
    "reason": "the vendor's module is needed",
    "by": "ops",
}


def findings(changes: dict[str, Any], text: str = "") -> dict[str, Finding]:
    data = yaml.safe_load(EXAMPLE.read_text())
    changes = {"hardening.certificate": CERTIFICATE} | changes
    for place, value in changes.items():
        *path, last = place.split(".")
        node = data
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value
    subject = Subject(parse_settings(data), text or EXAMPLE.read_text(), TODAY)
    return {finding.id: finding for finding in lint(subject)}


def test_the_example_is_clean() -> None:
    found = findings({})
    assert {f.id: f.observed for f in found.values() if not f.good} == {}
    assert "at least the last 3.0 days" in found["lint.backup.restore-points"].observed


BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("lint.backup.tiers", {"backup.long_term.expire_after_days": 300}),
    ("lint.backup.tiers", {"backup.long_term.deep_archive_after_days": 20}),
    ("lint.backup.prefixes", {"backup.long_term_prefix": "/live/long"}),
    ("lint.backup.readable", {"backup.long_term.transition_min_bytes": 1000}),
    ("lint.backup.recovery-point", {"backup.archive_timeout_seconds": 900}),
    ("lint.backup.utc", {"backup.full_calendar": "*-*-* 02:00:00"}),
    ("lint.backup.collisions", {"backup.diff_calendar": "*-*-* *:00:00 UTC"}),
    ("lint.backup.collisions", {"backup.long_term.full_calendar": "Sun *-*-* 02:00:00 UTC"}),
    ("lint.backup.restore-points", {"backup.retention_full": 1}),
    ("lint.access.database", {"hardening.firewall": {"database_networks": ["0.0.0.0/0"]}}),
    ("lint.access.database", {"hardening.firewall": {"database_networks": ["::/0"]}}),
    ("lint.access.bans", {"hardening.bans": {"ignore_networks": ["128.0.0.0/1"]}}),
    ("lint.access.exceptions", {"hardening.exceptions": [EXCEPTION | {"expires": "2026-11-23"}]}),
    ("lint.access.exceptions", {"hardening.exceptions": [EXCEPTION | {"expires": "2027-06-01"}]}),
    ("lint.access.exceptions", {"hardening.exceptions": [EXCEPTION | {"accepted": "2026-12-01"}]}),
    ("lint.access.certificate", {"hardening.certificate": None}),
    ("lint.drill.recovery-time", {"drill.operator_response_seconds": 3000}),
    ("lint.drill.disposable", {"disposable": True}),
    ("lint.drill.query", {"drill.application_query": "DELETE FROM orders"}),
    ("lint.drill.query", {"drill.application_query": "SELECT 1; DROP TABLE orders"}),
    ("lint.drill.reaping", {"drill.reap_after_hours": 0}),
    ("lint.monitoring.email", {"monitoring.email": None}),
    ("lint.monitoring.topic-key", {"monitoring.topic_key": "arn:aws:kms:x:1:alias/aws/s3"}),
    ("lint.monitoring.ticks", {"monitoring.publish_seconds": 300}),
    ("lint.monitoring.metrics", {"monitoring.metrics": [metric.name for metric in METRICS]}),
    ("lint.monitoring.vitals", {"monitoring.metrics": ["heartbeat", "cpu_used_percent"]}),
    (
        "lint.monitoring.resolution",
        {"monitoring.period_seconds": 30, "monitoring.publish_seconds": 10},
    ),
    ("lint.monitoring.budget", {"monitoring.budget": {"planned_usd": 30}}),
    ("lint.monitoring.notified", {"monitoring.budget": {"notify_percent": [100]}}),
]


@pytest.mark.parametrize(("rule", "changes"), BROKEN)
def test_a_broken_parameter_fails_its_rule_alone(rule: str, changes: dict[str, Any]) -> None:
    found = findings(changes)
    wrong = [f for f in found.values() if not f.good]
    assert [f.id for f in wrong] == [rule]
    assert wrong[0].status is Status.FAIL
    assert "Why: " in wrong[0].hint


@pytest.mark.parametrize(
    "line",
    [
        "  key: AKIAIOSFODNN7EXAMPLE",
        "  -----BEGIN OPENSSH PRIVATE KEY-----",
        "  url: https://user:hunter2@example.com",
        "  password: hunter2",
        "  aws_secret_access_key: abc",
    ],
)
def test_a_secret_in_the_file_is_found_and_not_shown(line: str) -> None:
    found = findings({}, EXAMPLE.read_text() + line + "\n")["lint.access.secrets"]
    assert found.status is Status.FAIL
    assert f"line {len(EXAMPLE.read_text().splitlines()) + 1}" in found.observed
    assert "hunter2" not in found.observed
    assert "AKIA" not in found.observed


def test_metrics_beyond_the_free_ones_are_told_with_their_price() -> None:
    names = [metric.name for metric in METRICS if metric.default]
    found = findings({"monitoring.metrics": [*names, "load_per_cpu", "swap_used_percent"]})
    assert "2 beyond the free: 0.80 USD" in found["lint.monitoring.metrics"].observed


def test_an_unknown_calendar_is_unknown_not_passed() -> None:
    found = findings({"backup.full_calendar": "Mon *-*~1 02:00:00 UTC"})
    for rule in ("lint.backup.utc", "lint.backup.collisions", "lint.backup.restore-points"):
        assert found[rule].status is Status.UNKNOWN


def test_a_rule_says_why_how_and_where_from() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.why.endswith(".")
        assert rule.mend.endswith(".")
        assert rule.source


def scheduled(*calendars: str, login: str = "keys") -> dict[str, Finding]:
    schedules = tuple(Schedule(f"r{n}", "x", when) for n, when in enumerate(calendars))
    settings = parse_settings(yaml.safe_load(EXAMPLE.read_text()))
    subject = Subject(settings, "", TODAY, schedules, login)
    return {f.id: f for f in lint(subject) if f.id.startswith("lint.schedule.")}


def test_schedules_that_meet_and_logins_that_end_are_found() -> None:
    good = scheduled("Sun *-*-* 04:00:00 UTC", "*-*-* 05:06:00 UTC")
    assert {f.status for f in good.values()} == {Status.PASS}
    meeting = scheduled("Sun *-*-* 23:30:00 UTC", "Mon *-*-* 00:30:00 UTC")
    assert meeting["lint.schedule.collisions"].status is Status.FAIL
    assert "r0 and r1 at 2026-11-29 23:30 UTC" in meeting["lint.schedule.collisions"].observed
    sso = scheduled("Sun *-*-* 04:00:00 UTC", login="sso")
    assert [f.id for f in sso.values() if not f.good] == ["lint.schedule.identity"]
    assert {f.status for f in scheduled(login="sso").values()} == {Status.NOT_APPLICABLE}


def test_an_accepted_rule_is_none_between_its_days_alone() -> None:
    rule = "lint.monitoring.resolution"
    given = EXCEPTION | {"control": rule}
    changes = {"monitoring.period_seconds": 10, "monitoring.publish_seconds": 10}
    found = findings(changes | {"lint_exceptions": [given]})[rule]
    assert found.status is Status.NOT_APPLICABLE
    assert "accepted by ops until 2026-12-31" in found.observed
    for days in ({"expires": "2026-11-23"}, {"accepted": "2026-11-24"}):
        found = findings(changes | {"lint_exceptions": [given | days]})[rule]
        assert found.status is Status.FAIL
        assert "exception" in found.observed


def test_an_exception_of_no_rule_is_refused() -> None:
    with pytest.raises(UsageError, match=r"lint\.nothing"):
        findings({"lint_exceptions": [EXCEPTION | {"control": "lint.nothing"}]})
