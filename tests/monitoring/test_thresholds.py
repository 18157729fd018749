"""Thresholds are written down from what is deployed, in its own words (M7)."""

from dataclasses import replace

from chronos_ops.monitoring.thresholds import document, row
from tests.monitoring.standing import deployed, settings

TARGET = settings()
HAVE = deployed(TARGET)
DISK = HAVE["chronos/project-chronos/disk_used_percent"]


def test_threshold_periods_why_what_to_do() -> None:
    assert row(DISK) == {
        "alarm": "chronos/project-chronos/disk_used_percent",
        "metric": "disk_used_percent",
        "threshold": "Average > 80",
        "periods": "2 of 2 x 300 s; missing: breaching",
        "why": "a full disk stops the database (M1)",
        "what to do": "find what grows: pg_wal (archiving stuck?), logs, tables",
        "runbook": "",
        "state": "OK",
    }
    backup = row(HAVE["chronos/project-chronos/backup_age_hours"])
    assert backup["runbook"] == "pgbackrest_backup_restore"


def test_every_one_of_ours_explains_itself() -> None:
    table = [row(each) for each in HAVE.values()]
    assert all(line["why"] and line["what to do"] for line in table)
    text = document("production", "r1", table)
    assert text.count("\n| chronos/project-chronos/") == len(HAVE)
    assert "r1" in text


def test_a_foreign_description_is_not_explained_and_switched_off_is_said() -> None:
    found = row(replace(DISK, description="made by | hand", enabled=False, alarm=None))
    assert (found["why"], found["what to do"], found["metric"]) == ("", "", "")
    assert found["state"] == "OK (actions are off)"


def test_none_deployed() -> None:
    assert "None is deployed." in document("production", "r1", [])
