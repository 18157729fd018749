"""SSH and bans on a real host: hardened, broken by another hand, seen, mended (H2, H3; 16, 17)."""

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from chronos_ops.execution.context import Context
from chronos_ops.execution.deeds import Doer
from chronos_ops.facts.fail2ban import FAIL2BAN
from chronos_ops.hardening import jails
from chronos_ops.hardening.logins import outside_logins
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.errors import UnfitTarget
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.plan import Plan
from chronos_ops.model.stage import Stage
from chronos_ops.plans.access import DATABASE_ACCESS
from chronos_ops.plans.fail2ban import BANS
from chronos_ops.plans.ssh import SSH
from chronos_ops.runbook_stage import carry_out, make_plan
from tests.lab.own_host import own_host

pytestmark = pytest.mark.lab
Run = Callable[..., str]
HOST = "guarded"
_TRACES = (
    "find /etc/ssh /etc/fail2ban /etc/postgresql/*/main/conf.d -type f -printf '%p %m %u ' "
    "-exec sha256sum {} ';' | sort"
)


@pytest.fixture(scope="module")
def context(lab: LabStatus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """A host of these tests alone, as a target like any other."""
    with own_host(lab, HOST, tmp_path_factory.mktemp("run")) as found:
        yield found


@pytest.fixture(scope="module")
def run(context: Context) -> Run:
    """run(command): as root on the host."""

    def say(command: str, *, check: bool = True) -> str:
        accept = (0,) if check else range(256)
        return context.ssh.run(["sh", "-c", command], sudo=True, accept=accept).stdout

    return say


@dataclass
class Story:
    """What was before the first plan, and every plan that was applied since."""

    traces: str
    logins: Outcome
    plans: list[Plan] = field(default_factory=list)

    def apply(self, stage: Stage, context: Context) -> Plan:
        """Carry a stage out; a second plan must be empty."""
        done = carry_out(stage, context, lambda plan, text: self.plans.append(plan))
        assert {finding.status for finding in done.findings} == {Status.PASS}, done.findings
        return self.plans[-1]


def by_id(findings: list[Finding]) -> dict[str, Status]:
    return {finding.id: finding.status for finding in findings}


def write(run: Run, path: str, text: str) -> None:
    run(f"printf %s {shlex.quote(text)} > {path}")


@pytest.fixture(scope="module")
def story(context: Context, run: Run) -> Story:
    """The host as it came, then hardened."""
    carry_out(DATABASE_ACCESS, context, lambda plan, text: None)
    found = Story(run(_TRACES), outside_logins(context))
    for stage in (SSH, BANS):
        found.apply(stage, context)
    return found


def test_only_the_operators_key_enters(story: Story, context: Context) -> None:
    before = by_id(story.logins.findings)
    assert before["logins.operator"] is Status.PASS
    assert before["logins.password"] is Status.FAIL
    assert before["logins.nothing-else-offered"] is Status.FAIL
    after = outside_logins(context)
    assert set(by_id(after.findings).values()) == {Status.PASS}, after.findings
    assert [change.id for change in story.plans[0].changes] == ["ssh.drop-in", "ssh.moduli"]


def test_a_later_drop_in_and_match_blocks_open_nothing(
    story: Story, context: Context, run: Run
) -> None:
    folder = "/etc/ssh/sshd_config.d"
    opened = "PasswordAuthentication yes\nPermitRootLogin yes\n"
    write(run, f"{folder}/50-cloud-init.conf", f"{opened}Match User root,admin\n{opened}")
    run("systemctl reload ssh")
    assert by_id(outside_logins(context).findings)["logins.password"] is Status.PASS
    assert make_plan(SSH, context).empty

    run(f"mv {folder}/50-cloud-init.conf {folder}/00-a.conf; systemctl reload ssh")
    seen = by_id(outside_logins(context).findings)
    assert seen["logins.password"] is Status.FAIL
    assert seen["ssh.effective"] is Status.FAIL
    [change] = story.apply(SSH, context).changes
    assert "00-a.conf:1 PasswordAuthentication yes" in change.before
    assert set(by_id(outside_logins(context).findings).values()) == {Status.PASS}
    run(f"rm {folder}/00-a.conf")


def test_rules_that_lock_out_are_refused_before_a_reload(
    story: Story, context: Context, run: Run
) -> None:
    path = "/etc/ssh/sshd_config.d/60-users.conf"
    write(run, path, "AllowUsers somebody-else\n")
    with pytest.raises(UnfitTarget, match="AllowUsers somebody-else does not admit admin"):
        carry_out(SSH, context, lambda plan, text: None)
    write(run, path, "AllowUsers somebody-else admin\n")
    assert [c.id for c in story.apply(SSH, context).changes] == ["ssh.reload"]
    run(f"rm {path}; systemctl reload ssh")


def test_blind_and_dead_jails_and_a_banned_operator_are_seen_and_mended(
    story: Story, context: Context, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(by_id(jails.judge_jails(context)).values()) == {Status.PASS}
    # another format, more words, another place (failure 17)
    for setting, value in (
        ("log_line_prefix", "%t [%p]: [%l-1] db=%d,user=%u,app=%a,client=%h "),
        ("log_error_verbosity", "verbose"),
        ("log_destination", "syslog"),
    ):
        context.ssh.sql(f"ALTER SYSTEM SET {setting} = '{value}'")
    context.ssh.sql("SELECT pg_reload_conf()")
    monkeypatch.setattr(jails, "_SECONDS", 3)  # it says nothing for however long
    blind = by_id(jails.judge_jails(context))
    monkeypatch.undo()
    assert blind["bans.jails"] is Status.FAIL
    assert blind["bans.postgresql.notices"] is Status.FAIL
    story.apply(BANS, context)
    assert set(by_id(jails.judge_jails(context)).values()) == {Status.PASS}
    assert "SYSLOG_IDENTIFIER=postgres" in run("fail2ban-client get postgresql journalmatch")

    for setting in ("log_line_prefix", "log_error_verbosity", "log_destination"):
        context.ssh.sql(f"ALTER SYSTEM RESET {setting}")
    context.ssh.sql("SELECT pg_reload_conf()")
    operator = context.settings.postgres.operator_networks[0].partition("/")[0]
    run(f"fail2ban-client set postgresql banip {operator}; fail2ban-client stop sshd")
    fail2ban = context.ask(FAIL2BAN)
    assert operator in fail2ban.dropped
    assert fail2ban.verdicts == ("drop",)
    assert jails.judge_operators(context.settings, fail2ban).status is Status.FAIL
    plan = story.apply(BANS, context)
    assert [c.id for c in plan.changes] == ["bans.jails", "bans.let-in.postgresql"]
    assert "no jail sshd" in plan.changes[0].why
    assert operator not in run("nft list ruleset")
    assert set(by_id(jails.judge_jails(context)).values()) == {Status.PASS}


def test_every_plan_is_undone_exactly(story: Story, context: Context, run: Run) -> None:
    doer = Doer(context.aws, context.ssh, context.journal.keep_secret)
    for plan in reversed(story.plans):
        for change in reversed(plan.changes):
            for deed in change.undo:
                doer.do(deed)
    assert run(_TRACES) == story.traces
    assert by_id(outside_logins(context).findings) == by_id(story.logins.findings)
