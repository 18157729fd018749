"""The host's own work behind the firewall: what is asked, and what a missing backup means."""

from chronos_ops.hardening import still_working
from chronos_ops.model.finding import Status
from chronos_ops.model.question import ShellAnswer
from tests.recorded_cases import example_settings


def test_names_are_those_that_the_host_needs() -> None:
    assert still_working.names_to_resolve(example_settings()) == [
        "s3.ca-central-1.amazonaws.com",
        "acme-v02.api.letsencrypt.org",
    ]
    own = example_settings(host_s3_endpoint="s3.example.net")
    assert still_working.names_to_resolve(own)[0] == "s3.example.net"


def test_a_host_without_any_backup_does_not_pass() -> None:
    finding = still_working.no_backups()
    assert finding.status is Status.FAIL
    assert "pgbackrest_backup_restore" in finding.hint


def test_of_what_apt_says_the_errors_are_shown() -> None:
    said = "Hit:1 http://deb\nErr:2 http://deb\n  Could not connect\nE: Failed to fetch x\n"
    assert still_working.told(ShellAnswer(100, said)) == "Err:2 http://deb; E: Failed to fetch x"
    assert still_working.told(ShellAnswer(1, "", "one\ntwo\n")) == "two"
    assert still_working.told(ShellAnswer(1, "")) == "nothing was said"
