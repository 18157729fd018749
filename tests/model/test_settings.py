"""Parameter files are read strictly; what is wrong is named, with the nearest right name."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from chronos_ops.model.errors import UsageError
from chronos_ops.model.settings import Settings, load_settings, parse_settings


def good() -> dict[str, Any]:
    """The least that a target needs."""
    return {
        "target": "staging",
        "aws": {"account_id": "123456789012", "profile": "chronos"},
        "host": {"instance": "db", "address": "192.0.2.10", "key_file": "~/.ssh/id_ed25519"},
        "postgres": {"operator_networks": ["192.0.2.0/24"]},
        "backup": {"bucket": "project-chronos-backups"},
    }


def test_defaults_are_the_requirements() -> None:
    settings = parse_settings(good())
    assert settings.disposable is False  # D3
    assert settings.aws.region == "ca-central-1"  # B1
    assert (settings.backup.retention_full, settings.backup.retention_diff) == (4, 4)  # B6
    assert settings.backup.archive_timeout_seconds == 60  # B3
    assert settings.backup.noncurrent_days == 30  # B1
    assert settings.backup.long_term is not None
    assert settings.backup.long_term.retention_days == 365  # B2
    assert settings.backup.long_term.expire_after_days == 400  # B2
    assert settings.objectives.recovery_time_seconds == 3600
    assert settings.objectives.recovery_point_seconds == 900


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("aws.account_id", "1234", "aws.account_id"),
        ("aws.account_id", 123456789012, "aws.account_id"),
        ("postgres.operator_networks", ["10.0.0.0/33"], "10.0.0.0/33"),
        ("postgres.operator_networks", ["10.0.0.1/8"], "host bits set"),
        ("postgres.connect", "udp", "postgres.connect"),
        ("backup.noncurrent_days", 29, "backup.noncurrent_days"),
        ("backup.archive_timeout_seconds", 0, "backup.archive_timeout_seconds"),
        ("host.port", "ssh", "host.port"),
        ("disposable", "perhaps", "disposable"),
        ("backup.retension_full", 4, "did you mean 'retention_full'?"),
        ("hots", {}, "did you mean 'host'?"),
        ("aws.secret_access_key", "x", "aws.secret_access_key: unknown key"),
    ],
)
def test_a_wrong_place_is_named(place: str, value: object, said: str) -> None:
    data = good()
    *folders, last = place.split(".")
    inner = data
    for folder in folders:
        inner = inner[folder]
    inner[last] = value
    with pytest.raises(UsageError, match=r"not valid: .*parameter file") as caught:
        parse_settings(data)
    assert said in str(caught.value)


@pytest.mark.parametrize("place", ["target", "aws", "host", "postgres", "backup"])
def test_what_is_missing_is_named(place: str) -> None:
    data = good()
    del data[place]
    with pytest.raises(UsageError, match=f"{place}: missing"):
        parse_settings(data)


@pytest.mark.parametrize("data", [None, [], "text", 3])
def test_what_is_no_mapping_is_refused(data: object) -> None:
    with pytest.raises(UsageError, match="not a mapping"):
        parse_settings(data)


def test_settings_are_frozen() -> None:
    settings = parse_settings(good())
    with pytest.raises(ValueError, match="frozen"):
        settings.disposable = True  # type: ignore[misc]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "staging.yaml").write_text(yaml.safe_dump(good()))
    (tmp_path / "production.example.yaml").write_text("target: production\n")
    return tmp_path


def test_a_target_is_loaded_by_name(folder: Path) -> None:
    assert isinstance(load_settings("staging", folder), Settings)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("stagin", "did you mean 'staging'?"),
        ("zzz", "targets here: staging"),
        ("../staging", "staging"),
        ("", "targets here: staging"),
    ],
)
def test_an_unknown_target_is_refused(folder: Path, name: str, hint: str) -> None:
    with pytest.raises(UsageError, match="unknown target") as caught:
        load_settings(name, folder)
    assert hint in caught.value.hint


def test_a_file_that_names_another_target_is_refused(folder: Path) -> None:
    (folder / "production.yaml").write_text(yaml.safe_dump(good()))
    with pytest.raises(UsageError, match="names another target") as caught:
        load_settings("production", folder)
    assert "target: production" in caught.value.hint


def test_unreadable_yaml_is_refused_with_its_place(folder: Path) -> None:
    (folder / "broken.yaml").write_text("target: [broken\n")
    with pytest.raises(UsageError, match=r"broken\.yaml is not readable YAML") as caught:
        load_settings("broken", folder)
    assert "line 1, column 9" in str(caught.value)
