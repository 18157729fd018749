"""The audit on a hardened host: each control fails when its own thing is broken, and it alone.

Breaking all of them one by one would take as many audits. Instead each gets a code of four
rounds out of ten, and is broken in these: a control must fail in exactly the rounds of its own
code. No code lies within another, so a break that upset a second control would make that one fail
in a round too many.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.evidence.journal import FileJournal
from chronos_ops.evidence.redact import Redactor
from chronos_ops.execution.context import Context
from chronos_ops.execution.declared_host import declared_host
from chronos_ops.execution.deeds import Doer
from chronos_ops.facts.audit_host import audit_host
from chronos_ops.hardening.access_document import FILE, access_document
from chronos_ops.hardening.audit import SECONDS, audit_after, judge_all
from chronos_ops.lab import control
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.finding import Status
from chronos_ops.model.parameters import parse_parameters
from chronos_ops.model.plan import Plan
from chronos_ops.model.settings import load_settings
from chronos_ops.plans.baseline import BASELINE
from chronos_ops.plans.fail2ban import BANS
from chronos_ops.plans.hardening_packages import PACKAGE_LISTS, PACKAGES
from chronos_ops.plans.postgres_baseline import POSTGRES_BASELINE, POSTGRES_CHECKSUMS
from chronos_ops.plans.postgres_hba import POSTGRES_HBA
from chronos_ops.plans.ssh import SSH
from chronos_ops.runbook_stage import carry_out, make_plan
from tests.lab.audit_breaks import BREAKS, HEAD, TAIL, Break

pytestmark = pytest.mark.lab
HOST = "audited"
ROUNDS, WEIGHT = 10, 4
STAGES = (
    PACKAGE_LISTS,
    PACKAGES,
    BASELINE,
    POSTGRES_BASELINE,
    POSTGRES_CHECKSUMS,
    SSH,
    BANS,
    POSTGRES_HBA,
)
FIREWALL = "ufw allow 22/tcp && ufw allow from {network} to any port 5432 && ufw --force enable"


@pytest.fixture(scope="module")
def context(lab: LabStatus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """A host of the image with PostgreSQL, hardened by the stages."""
    host = control.request(
        lab.name,
        "create",
        name=HOST,
        image="db",
        memory_bytes=1024**3,
        disk_bytes=8 * 1024**3,
        user_data=control._MAKE_CLUSTER,
    )
    found = _context(lab, host, tmp_path_factory.mktemp("audited"))
    network = found.settings.postgres.operator_networks[0]
    try:
        found.ssh.run(["sh", "-c", FIREWALL.format(network=network)], sudo=True)
        found.ssh.run(["useradd", "-m", "-s", "/bin/bash", "auditee"], sudo=True)
        yield found
    finally:
        found.close()
        control.request(lab.name, "delete", name=HOST)


def _context(lab: LabStatus, host: dict[str, Any], folder: Path) -> Context:
    known_hosts = folder / "known_hosts"
    known_hosts.write_text("".join(f"{host['address']} {key}\n" for key in host["host_keys"]))
    declared = load_settings(lab.name)
    where = {"instance": host["name"], "address": host["address"]}
    keys = {"known_hosts_file": str(known_hosts)}
    settings = declared.model_copy(update={"host": declared.host.model_copy(update=where | keys)})
    journal = FileJournal(folder, Redactor())
    aws = Aws(settings.aws, journal)
    given = {"target": lab.name, "allow_restart": True}
    return Context(
        run_id=folder.name,
        folder=folder,
        settings=settings,
        parameters=parse_parameters("security_hardening", given),
        journal=journal,
        aws=aws,
        ssh=Ssh(declared_host(settings, aws), journal),
    )


@pytest.fixture(scope="module")
def planned() -> dict[str, Plan]:
    """The plans of the baseline as they were on the bare host, for the last test."""
    return {}


@pytest.fixture(scope="module")
def hardened(context: Context, planned: dict[str, Plan]) -> Context:
    for stage in STAGES:
        if stage in (BASELINE, POSTGRES_BASELINE):
            planned[stage.name] = make_plan(stage, context)
        outcome = carry_out(stage, context, lambda _plan, _text: None)
        assert all(finding.good for finding in outcome.findings), outcome.findings
    return context


def statuses(context: Context) -> dict[str, Status]:
    """Every control's verdict, by the host's readings alone (the account's are not asked)."""
    readings = context.ask(audit_host(context.settings))
    return {i.control.id: i.verdict.status for i in judge_all(context.settings, readings)}


def round_script(context: Context, before: set[Break], wanted: set[Break]) -> str:
    """From what is broken now to what shall be."""
    lines = [b.mend for b in BREAKS if b in before - wanted]
    lines += [b.spoil for b in BREAKS if b in wanted - before]
    head = HEAD.format(network=context.settings.postgres.operator_networks[0])
    apart = (line if line.startswith("sql ") else f"( {line}\n)" for line in lines)
    return head + "\n".join(apart) + TAIL


def test_breaks_are_of_controls_that_there_are_and_codes_tell_them_apart() -> None:
    assert len({b.control for b in BREAKS}) == len(BREAKS)
    assert len(BREAKS) <= len(list(itertools.combinations(range(ROUNDS), WEIGHT)))


def test_each_control_fails_when_its_own_thing_is_broken_and_it_alone(hardened: Context) -> None:
    steady = statuses(hardened)
    assert {b.control for b in BREAKS if steady[b.control] is not Status.PASS} == set()
    codes = dict(zip(BREAKS, itertools.combinations(range(ROUNDS), WEIGHT), strict=False))
    failed: dict[str, list[int]] = {identifier: [] for identifier in steady}
    broken: set[Break] = set()
    for number in range(ROUNDS):
        wanted = {b for b, code in codes.items() if number in code}
        hardened.ssh.run(["sh", "-c", round_script(hardened, broken, wanted)], sudo=True)
        broken = wanted
        for identifier, status in statuses(hardened).items():
            if status is Status.FAIL and steady[identifier] is not Status.FAIL:
                failed[identifier].append(number)
            assert status not in (Status.ERROR, Status.UNKNOWN) or status is steady[identifier]
    hardened.ssh.run(["sh", "-c", round_script(hardened, broken, set())], sudo=True)
    expected = {b.control: list(code) for b, code in codes.items()}
    wrong = {i: (r, expected.get(i, [])) for i, r in failed.items() if r != expected.get(i, [])}
    assert wrong == {}  # control: (rounds in which it failed, rounds in which it should have)
    assert statuses(hardened) == steady  # all mended


def test_a_second_plan_of_the_baseline_is_empty(hardened: Context) -> None:
    for stage in (BASELINE, POSTGRES_BASELINE, POSTGRES_CHECKSUMS):
        plan = make_plan(stage, hardened)
        assert plan.empty, (stage.name, [change.title for change in plan.changes])
        assert not plan.refusals


def test_the_audit_is_fast_and_its_findings_name_their_mend(hardened: Context) -> None:
    outcome = audit_after(hardened)
    assert outcome.measures["audit_after_seconds"] < SECONDS
    assert not [f for f in outcome.findings if f.status in (Status.ERROR, Status.UNKNOWN)]
    assert all(f.hint for f in outcome.findings if not f.good)


def test_the_access_document_shows_what_has_changed(hardened: Context) -> None:
    base = hardened.folder / "outputs"
    first, second = base / "20260101T000000Z-a", base / "20260102T000000Z-b"
    for folder in (first, second):
        folder.mkdir(parents=True)
    hardened.folder, kept = first, hardened.folder
    try:
        assert "The first of this target" in access_document(hardened).summary
        hardened.ssh.sql("CREATE ROLE newcomer LOGIN;")
        hardened.folder = second
        outcome = access_document(hardened)
    finally:
        hardened.folder = kept
        hardened.ssh.sql("DROP ROLE IF EXISTS newcomer;")
    changed = [line for line in outcome.text.splitlines() if line[0] in "+-"]
    assert changed == ["+| newcomer | LOGIN | - | none |"]
    assert outcome.measures["access_document"]["changed"] == 1
    assert "SHA256:" in (second / FILE).read_text()


def test_a_key_file_that_nobody_can_read_is_not_known_and_named(hardened: Context) -> None:
    path = "/home/auditee/.ssh/authorized_keys"
    spoil = f"install -d -m 0700 -o auditee ~auditee/.ssh; umask 077; echo no key > {path}"
    hardened.ssh.run(["sh", "-c", spoil], sudo=True)
    try:
        seen = statuses(hardened)
        outcome = access_document(hardened)
    finally:
        hardened.ssh.run(["rm", "-r", "/home/auditee/.ssh"], sudo=True)
    unknown = {identifier for identifier, status in seen.items() if status is Status.UNKNOWN}
    assert {"ssh.allowed-users", "ssh.authorities", "accounts.postgres-login"} <= unknown
    assert [f.status for f in outcome.findings] == [Status.ERROR]
    assert f"{path}:1" in outcome.findings[0].observed


def test_an_undone_baseline_leaves_what_was_there(
    hardened: Context, planned: dict[str, Plan]
) -> None:
    """Everything undone, newest first: the plan is again the one of the bare host."""
    doer = Doer(hardened.aws, hardened.ssh, hardened.journal.keep_secret)
    for stage in (POSTGRES_BASELINE, BASELINE):
        for change in reversed(planned[stage.name].changes):
            for deed in change.undo:
                doer.do(deed)
        again = make_plan(stage, hardened)
        assert {c.id: c.before for c in again.changes} == {
            c.id: c.before for c in planned[stage.name].changes
        }
