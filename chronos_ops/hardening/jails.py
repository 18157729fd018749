"""fail2ban's jails judged while they work: a login that fails now must be noticed now (H2, 17)."""

import re
import secrets
import time

from chronos_ops.connectors.postgres import PgAddress, connect
from chronos_ops.execution.context import Context
from chronos_ops.facts.fail2ban import Fail2ban
from chronos_ops.hardening.programs import look
from chronos_ops.model.errors import ChronosError, TransportError
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.secret import Secret
from chronos_ops.model.settings import Settings
from chronos_ops.plans.cluster import declared_cluster, missing_cluster
from chronos_ops.plans.fail2ban import (
    FILTER_PATH,
    JAILS,
    amiss,
    banned_operators,
    facts,
    filter_text,
    is_spared,
    spared_networks,
    wanted_source,
)

_SECONDS = 20
_NAMES = {"sshd": "SSH", "postgresql": "PostgreSQL"}
_LOG = "/var/log/fail2ban.log"
_WAIT = r"""
n=0
until { tail -c "+$(($1 + 1))" "$4" 2>/dev/null
        journalctl -q -o cat -u fail2ban --since "@$2" 2>/dev/null; } | grep -E "$3"; do
  n=$((n + 1)); [ $n -lt "$5" ] || exit 1; sleep 0.2
done
"""


def judge_jails(context: Context) -> list[Finding]:
    """What the running server does, whom it bans, and whether each jail notices a failed login."""
    context.say("asking fail2ban …")
    values = {name: context.ask(fact) for name, fact in facts(context.settings).items()}
    fail2ban: Fail2ban = values["fail2ban"]
    cluster = declared_cluster(context.settings, values["clusters"])
    if cluster is None:
        wrong = [missing_cluster(context.settings, values["clusters"])]
    else:
        found, prefix = wanted_source(values, cluster)
        wrong = amiss(context.settings, fail2ban, found, values["sshd"].ports)
        if values["texts"][FILTER_PATH] != filter_text(found, prefix):
            wrong.append("postgresql: its filter was made for another log format")
    findings = [
        judge(
            "bans.jails",
            "The jails for SSH and PostgreSQL are in operation, and read where the logs are",
            passed=not wrong,
            observed="; ".join(wrong)[:600] or f"{', '.join(JAILS)} in operation",
            expected=f"{', '.join(JAILS)} in operation, bans are drops",
            hint="run the stage fail2ban once more; /var/log/fail2ban.log",
            requirement="H2",
        ),
        judge_operators(context.settings, fail2ban),
    ]
    for jail in JAILS:
        context.say(f"a failed login at {_NAMES[jail]}, that the jail must notice …")
        findings.append(_notices(context, jail))
    return findings


def judge_operators(settings: Settings, fail2ban: Fail2ban) -> Finding:
    """Nobody of the operators is banned, by a jail or by hand."""
    banned = {a for found in banned_operators(settings, fail2ban).values() for a in found}
    spared = spared_networks(settings)
    banned |= {address for address in fail2ban.dropped if is_spared(address, spared)}
    return judge(
        "bans.operators-free",
        "No operator is banned",
        passed=not banned if fail2ban.answers else None,
        observed=", ".join(sorted(banned)) or ("nobody" if fail2ban.answers else fail2ban.error),
        expected="nobody of the operators' networks",
        hint="sudo fail2ban-client unban ADDRESS; the stage fail2ban does it (`ignoreip` does not "
        "stop a ban by hand)",
        requirement="H2",
    )


def _notices(context: Context, jail: str) -> Finding:
    """Fail to log in from here; fail2ban must say that it saw it (and spares us)."""
    size, now = context.ssh.run(
        ["sh", "-c", f"stat -c %s {_LOG} 2>/dev/null || echo 0; date +%s"], sudo=True
    ).stdout.split()
    begun = time.monotonic()
    try:
        address = _fail_at_ssh(context) if jail == "sshd" else _fail_at_postgres(context)
    except ChronosError as error:
        observed, passed = f"no login could be tried: {error.text()}"[:300], None
    else:
        pattern = rf"\[{jail}\] (Ignore|Found|Ban) {re.escape(address)}"
        argv = ["sh", "-c", _WAIT, "wait", size, now, pattern, _LOG, str(_SECONDS * 5)]
        said = context.ssh.run(argv, sudo=True, accept=(0, 1), timeout=_SECONDS + 60)
        passed = said.exit_code == 0
        observed = (
            f"noticed after {time.monotonic() - begun:.1f} s"
            if passed
            else f"a login of {address} failed, and the jail said nothing in {_SECONDS} s"
        )
    return judge(
        f"bans.{jail}.notices",
        f"A failed login at {_NAMES[jail]} is noticed by its jail",
        passed=passed,
        observed=observed,
        expected=f"noticed within {_SECONDS} s",
        hint="the jail is blind: another log format, another place of the log, or it is dead; run "
        "the stage fail2ban, which asks the server what it logs",
        requirement="H2",
    )


def _fail_at_ssh(context: Context) -> str:
    """Knock as a user that does not exist. Our address, as the host sees it."""
    came_from = context.ssh.run(["sh", "-c", 'echo "${SSH_CONNECTION%% *}"']).stdout.strip()
    address = context.ssh.address
    argv = ["ssh", "-F", "none", "-p", str(address.port)]
    # Nothing is told to the other side here, so its key does not matter.
    for option in (
        "BatchMode=yes",
        "PubkeyAuthentication=no",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "IdentityAgent=none",
        "ConnectTimeout=10",
    ):
        argv += ["-o", option]
    argv += [f"nobody-{secrets.token_hex(3)}@{address.host}", "true"]
    said = look(context, argv, log="failed-login-ssh.log", timeout=60)
    if "Permission denied" not in said.stderr:
        raise ChronosError("SSH did not answer with a refusal", said.stderr.strip()[-200:])
    return came_from


def _fail_at_postgres(context: Context) -> str:
    """Ask for the database as a role that does not exist. Our address, as the server sees it."""
    declared = context.settings.postgres
    role = f"nobody_{secrets.token_hex(3)}"
    if declared.connect == "ssh_tunnel":
        with context.ssh.forward(declared.port) as port:
            _refused(PgAddress("127.0.0.1", port, "postgres", role, "prefer"))
        return "127.0.0.1"
    _refused(PgAddress(context.settings.host.address, declared.port, "postgres", role, "prefer"))
    return context.ssh.run(["sh", "-c", 'echo "${SSH_CONNECTION%% *}"']).stdout.strip()


def _refused(address: PgAddress) -> None:
    """Raises ChronosError: it was let in, or nobody was there to refuse it."""
    try:
        connect(address, Secret(secrets.token_hex(8))).close()
    except TransportError as error:
        if "FATAL" in str(error.value):
            return
        raise
    raise ChronosError("PostgreSQL let in a role that does not exist", address.user)
