"""Bad input is refused before anything starts: no kernel, no folder, no lock."""

from typing import Any

import pytest

from chronos_ops import runner
from chronos_ops.model.errors import UsageError
from chronos_ops.model.parameters.disaster_recovery import DisasterRecovery
from chronos_ops.runner_parameters import parameters_from_text, refuse_secret

BACKUP, DRILL = "pgbackrest_backup_restore", "disaster_recovery"


def drill(**overrides: str) -> DisasterRecovery:
    parsed = parameters_from_text(DRILL, "lab", overrides, "", plan=False)
    assert isinstance(parsed, DisasterRecovery)
    return parsed


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("commits_per_second", "20", 20.0),
        ("commits_per_second", "2.5e1", 25.0),
        ("fault_offset_seconds", "-1", -1.0),
        ("probe_failures", "3", 3),
        ("recovery_target", "time:2026-11-22 02:30:00+01:00", "time:2026-11-22 02:30:00+01:00"),
        ("recovery_target", "name:0123", "name:0123"),
    ],
)
def test_text_becomes_the_declared_type(name: str, text: str, value: Any) -> None:
    parsed = getattr(drill(**{name: text}), name)
    assert (parsed, type(parsed)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("probe_failures", "0123", "write 123"),
        ("probe_failures", "3.0", "probe_failures is a whole number: '3.0'"),
        ("probe_failures", "", "probe_failures is a whole number"),
        ("probe_failures", "0", "greater than or equal to 1"),
        ("commits_per_second", "nan", "commits_per_second is a number"),
        ("commits_per_second", "1e999", "commits_per_second is a number"),
        ("commits_per_second", "020", "write 20"),
        ("commit_per_second", "20", "did you mean 'commits_per_second'?"),
        ("plan", "true", "use --plan"),
        ("approve", "lab", "use --approve"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, text: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        drill(**{name: text})
    assert said in refused.value.text()


@pytest.mark.parametrize("text", ["True", "1", "yes", "0", "TRUE", ""])
def test_a_flag_is_true_or_false(text: str) -> None:
    with pytest.raises(UsageError, match="allow_restart is true or false"):
        parameters_from_text(BACKUP, "lab", {"allow_restart": text}, "", plan=False)


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "postgres://admin:geheim@db/x",
        "host=db password=geheim",
        "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    ],
)
def test_a_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError, match="looks like") as refused:
        drill(recovery_target=text)
    assert text not in refused.value.text()


@pytest.mark.parametrize(
    "text", ["", "lab", "instance_lost", "time:2026-11-22T02:30:00Z", "lsn:0/3000060", "x" * 60]
)
def test_ordinary_values_are_no_secrets(text: str) -> None:
    refuse_secret("x", text)


def test_an_unknown_runbook_is_named(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "notebooks_dir", lambda: tmp_path)
    (tmp_path / "disaster_recovery.ipynb").write_text("{}")
    with pytest.raises(UsageError, match="did you mean 'disaster_recovery'"):
        runner.run("disaster_recover", "lab", {})
