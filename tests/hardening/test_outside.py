"""What a scan says, and what is made of it: nothing that was not seen is passed."""

from pathlib import Path

import pytest

from chronos_ops.hardening import nmap, outside
from chronos_ops.hardening.nmap import Scan, read_scan
from chronos_ops.hardening.programs import NotInstalled
from chronos_ops.model.errors import ChronosError, UnreadableAnswer
from chronos_ops.model.finding import Finding, Status, not_known
from tests.hardening.looking import a_context, said, stand_ins
from tests.recorded_cases import example_settings

ALL = 65535


def hardened(**others: str) -> Scan:
    """22 and 5432 open, the rest dropped, but for `others` (p443="closed")."""
    states = {22: "open", 5432: "open"} | {int(k[1:]): v for k, v in others.items()}
    states = {port: state for port, state in states.items() if state != "filtered"}
    return Scan(ALL, states, {"filtered": ALL - len(states)}, 27.0)


def judged(scan: Scan) -> dict[str, Finding]:
    return {
        finding.id.rpartition(".")[2]: finding
        for finding in outside.port_findings(example_settings(), "ipv4", scan)
    }


def test_a_fresh_host_answers_on_every_port() -> None:
    scan = read_scan(said("nmap_fresh.xml"))
    assert scan.having("open") == [22, 5432]
    assert scan.rest == {"closed": 1037}
    assert scan.scanned == 1039
    assert scan.state_of(443) == "closed"
    found = judged(scan)
    assert found["declared-ports"].status is Status.PASS
    assert found["nothing-else"].status is Status.FAIL
    assert "1037 more ports answer" in found["nothing-else"].observed


@pytest.mark.parametrize("https", ["open", "closed", "filtered"])
def test_a_hardened_host_passes_whoever_listens_on_443(https: str) -> None:
    assert {f.status for f in judged(hardened(p443=https)).values()} == {Status.PASS}


@pytest.mark.parametrize(
    ("scan", "wrong", "words"),
    [
        (hardened(p80="open"), "nothing-else", "80 open"),
        (hardened(p80="closed"), "nothing-else", "80 closed"),  # it answers: nothing dropped it
        (hardened(p8080="unfiltered"), "nothing-else", "8080 unfiltered"),
        (hardened(p22="filtered"), "declared-ports", "22 filtered"),
        (hardened(p5432="closed"), "declared-ports", "5432 closed"),
        (hardened(p5432="filtered"), "declared-ports", "5432 filtered"),
        (Scan(ALL, {}, {"filtered": ALL}, 27.0), "declared-ports", "22 filtered"),
    ],
)
def test_each_difference_is_a_finding(scan: Scan, wrong: str, words: str) -> None:
    found = judged(scan)
    bad = [name for name, finding in found.items() if not finding.good]
    assert bad == [wrong]
    assert words in found[wrong].observed
    assert found[wrong].hint


def test_over_ipv6_only_what_is_declared_for_it_may_answer() -> None:
    """The operators' networks of the example are IPv4: nobody reaches PostgreSQL over IPv6."""
    settings = example_settings()
    assert outside.expected_ports(settings, 6, "2001:db8::1") == ({22}, {22, 443})
    assert outside.expected_ports(settings, 4, "") == ({22, 5432}, {22, 443, 5432})
    shut = Scan(ALL, {22: "open"}, {"filtered": ALL - 1}, 27.0)
    found = outside.port_findings(settings, "ipv6", shut, "2001:db8::1")
    assert all(finding.good for finding in found)
    found = outside.port_findings(settings, "ipv6", hardened(), "2001:db8::1")
    assert [f.id for f in found if not f.good] == ["outside.ipv6.nothing-else"]


def test_udp_that_answers_is_a_finding() -> None:
    fresh = read_scan(said("nmap_udp_fresh.xml"))
    assert fresh.having("closed") == [53, 68, 137, 500]
    assert outside.udp_finding(fresh).status is Status.FAIL
    silent = Scan(20, {}, {"open|filtered": 20}, 1.0)
    assert outside.udp_finding(silent).status is Status.PASS


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('exit="success"', 'exit="error"'),
        ("<runstats>", "<runstat>"),
        ("<ports>", "<nothing>"),
        ("</nmaprun>", ""),
    ],
)
def test_a_scan_that_broke_off_is_not_known(old: str, new: str) -> None:
    with pytest.raises(UnreadableAnswer):
        read_scan(said("nmap_fresh.xml").replace(old, new))


def test_a_scan_that_spoke_of_fewer_ports_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judges = stand_ins(tmp_path, monkeypatch)
    judges.script("nmap", "cat " + str(tmp_path / "fewer.xml"))
    (tmp_path / "fewer.xml").write_text(said("nmap_fresh.xml").replace('"1037"', '"1000"'))
    with pytest.raises(UnreadableAnswer, match="1002 ports"):
        nmap.scan(a_context(tmp_path), "192.0.2.10", "-", log="nmap.log")


def test_without_nmap_the_look_is_unknown_with_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_ins(tmp_path, monkeypatch)
    with pytest.raises(NotInstalled) as raised:
        nmap.scan(a_context(tmp_path), "192.0.2.10", "-", log="nmap.log")
    finding = not_known("outside.ipv4.scanned", "scanned", raised.value, "H1")
    assert finding.status is Status.UNKNOWN
    assert not finding.good
    assert "apt-get install nmap" in finding.hint


def test_a_program_that_hangs_is_an_error_not_a_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judges = stand_ins(tmp_path, monkeypatch)
    judges.script("nmap", "exec sleep 30")
    from chronos_ops.hardening.programs import look

    with pytest.raises(ChronosError, match="did not end"):
        look(a_context(tmp_path), ["nmap"], log="nmap.log", timeout=0.2)


def test_looks_side_by_side_keep_each_others_errors() -> None:
    def broken() -> int:
        raise ChronosError("no")

    seen = outside.together({"good": lambda: 1, "bad": broken})
    assert seen["good"] == 1
    assert isinstance(seen["bad"], ChronosError)


def test_before_nothing_is_judged_and_what_failed_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judges = stand_ins(tmp_path, monkeypatch)
    judges.answer("nmap", "nmap_fresh.xml")
    judges.answer("ssh-audit", "ssh_audit_fresh.json", 3)
    outcome = outside.outside_before(a_context(tmp_path, plan=True))
    assert outcome.findings == []
    seen = {row["look"]: row["seen"] for row in outcome.table}
    assert seen["ports"] == "open: 22, 5432; 1039 of 1039 ports answer"
    assert seen["ssh-audit"].startswith("6 failures")
    assert seen["sslyze"].startswith("not known: sslyze is not installed")
    assert outcome.measures["outside_before"] == seen
