"""Judges that are not ours: their words and their exit codes must agree, else it is not known."""

import json
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.hardening import judges, lynis, ssh_audit, sslyze
from chronos_ops.hardening.before_after import NONE, audit_counts, rows
from chronos_ops.model.errors import ChronosError, UnreadableAnswer
from chronos_ops.model.finding import Status
from tests.hardening.looking import a_context, said, stand_ins


def test_ssh_audit_counts_what_must_go() -> None:
    fresh = ssh_audit.read_audit(said("ssh_audit_fresh.json"))
    assert len(fresh.failures) == 6
    assert any(text.startswith("kex ecdh-sha2-nistp256: ") for text in fresh.failures)
    hardened = ssh_audit.read_audit(said("ssh_audit_hardened.json"))
    assert hardened.failures == ()
    assert hardened.software.startswith("OpenSSH_")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.pop("kex"),
        lambda data: data.pop("banner"),
        lambda data: data.update(kex=[], key=[], enc=[], mac=[]),
    ],
)
def test_an_answer_of_ssh_audit_that_is_not_whole_is_not_known(spoil: Any) -> None:
    data = json.loads(said("ssh_audit_hardened.json"))
    spoil(data)
    with pytest.raises(UnreadableAnswer):
        ssh_audit.read_audit(json.dumps(data))
    with pytest.raises(UnreadableAnswer):
        ssh_audit.read_audit("[exception] cannot connect to 192.0.2.10 port 22\n")


def test_sslyze_is_taken_at_its_word_and_its_exit_code() -> None:
    fresh = sslyze.read_scan(said("sslyze_fresh.txt"), 1)
    assert not fresh.compliant
    assert [text.split(":")[0] for text in fresh.issues] == [
        "certificate_path_validation",
        "maximum_certificate_lifespan",
        "ciphers",
    ]
    assert sslyze.read_scan(said("sslyze_hardened.txt"), 0) == sslyze.TlsScan(True, ())
    for text, code in (
        (said("sslyze_hardened.txt"), 1),
        (said("sslyze_fresh.txt"), 0),
        ("192.0.2.10:5432 => ERROR: Connection rejected\n", 0),
        ("", 0),
    ):
        with pytest.raises(UnreadableAnswer):
            sslyze.read_scan(text, code)


def test_lynis_index_counts_only_of_a_whole_report() -> None:
    report = lynis.read_report(said("lynis_fresh.dat"))
    assert report.index == 65
    assert report.tests == 251
    assert len(report.warnings) == 7
    assert "PKGS-7392: Found one or more vulnerable packages." in report.warnings
    for line in ("finish=true", "hardening_index=65", "lynis_tests_done=251"):
        with pytest.raises(UnreadableAnswer):
            lynis.read_report(said("lynis_fresh.dat").replace(line, ""))


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("ssh-audit", ssh_audit.SshAudit("OpenSSH_10.0", (), ("mac x: weak",)), Status.PASS),
        ("ssh-audit", ssh_audit.SshAudit("OpenSSH_10.0", ("kex x: bad",), ()), Status.FAIL),
        ("sslyze", sslyze.TlsScan(True, ()), Status.PASS),
        ("sslyze", sslyze.TlsScan(False, ("ciphers: x",)), Status.FAIL),
        ("lynis", lynis.Report(80, (), (), 251), Status.PASS),
        ("lynis", lynis.Report(79, (), (), 251), Status.FAIL),
        ("lynis", UnreadableAnswer("lynis' report has no index"), Status.UNKNOWN),
        ("sslyze", ChronosError("sslyze did not end in 300 s"), Status.ERROR),
    ],
)
def test_a_floor_that_is_not_met_or_not_known_is_no_pass(
    name: str, value: Any, status: Status
) -> None:
    finding = judges.judged(name, value)
    assert (finding.id, finding.status) == (f"judge.{name}", status)


def test_judges_that_were_switched_off_prove_nothing(tmp_path: Path) -> None:
    outcome = judges.judges(a_context(tmp_path, judges=False))
    assert {finding.status for finding in outcome.findings} == {Status.UNKNOWN}
    assert all("not proven" in finding.observed for finding in outcome.findings)


def test_what_a_judge_said_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = stand_ins(tmp_path, monkeypatch)
    found.answer("ssh-audit", "ssh_audit_hardened.json")
    context = a_context(tmp_path)
    assert ssh_audit.audit(context).failures == ()
    kept = (tmp_path / "logs/ssh-audit.log").read_text()
    assert kept.startswith("$ ssh-audit -j --skip-rate-test")
    assert kept.endswith("[exit 0]\n")


def test_before_and_after_stand_side_by_side() -> None:
    measures = {
        "outside_before": {
            "ports": "open: 22",
            "ssh-audit": "5 failures, 9 warnings",
            "lynis": "index 65",
        },
        "outside_ports": [{"": "IPv4", "ports": 65535, "open": "22, 5432", "dropped": 65532}],
        "judges_after": {"ssh-audit": "0 failures, 5 warnings", "lynis": "index 84"},
        "audit_after": {"ssh": {"pass": 9}, "kernel": {"pass": 2, "not_applicable": 3}},
    }
    shown = {row["look"]: (row["before"], row["after"]) for row in rows(measures)}
    assert list(shown.values()) == [
        ("open: 22", "IPv4: open 22, 5432, 65532 of 65535 dropped"),
        ("5 failures, 9 warnings", "0 failures, 5 warnings"),
        (NONE, NONE),
        ("index 65", "index 84"),
        (NONE, "0 failed, 11 passed, 3 do not apply"),
    ]
    assert audit_counts({"ssh": {"fail": 2, "error": 1}}) == "2 failed, 1 broke"
