"""Bans proven from outside: a stranger is dropped on the wire, an operator never (H2)."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution.context import Context
from chronos_ops.execution.hosts import host_name, make_host, remove_host
from chronos_ops.execution.provision import Provisioned
from chronos_ops.facts.fail2ban import FAIL2BAN, Fail2ban
from chronos_ops.hardening.guesses import Guessed, guess_postgres, guess_ssh, wait_open
from chronos_ops.hardening.jails import judge_jails
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, Status, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.plan import RunCommand
from chronos_ops.model.settings import Settings
from chronos_ops.plans.fail2ban import JAILS, is_spared, spared_networks
from chronos_ops.plans.firewall_wanted import covered, doors

ROLE = "stranger"
SHORT_SECONDS = 20  # the bans of the proof; long enough to be looked at, short enough to be awaited
_GUESS_SECONDS = 90.0
_LOG = "/var/log/fail2ban.log"
_STAMP = "%Y-%m-%d %H:%M:%S,%f"
_NAMES = {"sshd": "SSH", "postgresql": "PostgreSQL"}


def ban_proof(context: Context) -> Outcome:
    """Let a scratch host of this run guess until it is dropped, and see the timed unban.

    With `ban_proof: false` only the jails themselves are judged, and the ban is not known. What the
    scratch host needs is journalled first and taken away again, whatever happens.
    """
    findings = judge_jails(context)
    if not getattr(context.parameters, "ban_proof", True):
        hint = "run once more with `ban_proof = True`: what was left out is never passed"
        findings.append(_not_proven("switched off for this run (ban_proof = False)", hint))
        return Outcome(
            summary="**Not proven:** the jails were judged; no ban was made.", findings=findings
        )
    before = context.ask(FAIL2BAN)
    missing = [name for name in JAILS if name not in before.jails]
    if missing:
        findings.append(_not_proven(f"no jail {', '.join(missing)}"))
        return Outcome(summary="**No ban can be proven.**", findings=findings)
    table: list[dict[str, object]] = []
    made: list[Provisioned] = []
    since = _log_size(context)
    try:
        made.append(_stranger(context))
        with _short_bans(context, before):
            proof, table = _prove(context, made[0], since)
            findings += proof
    finally:
        context.say("removing the scratch host …")
        remove_host(context, ROLE)
        for host in made:  # last: what it had sent before may still have come in and been counted
            _let_go(context, host.address)
    findings.append(_nothing_left(context, before, made[0].address))
    good = all(finding.good for finding in findings)
    return Outcome(
        summary=f"A stranger ({made[0].address}) was dropped on the wire and let in again after "
        f"{SHORT_SECONDS} s; the operator was never hindered."
        if good
        else "**Bans are not proven.**",
        table=table,
        findings=findings,
        measures={"bans": table},
        text="\n".join(_log_lines(context, since, made[0].address)),
    )


def _log_size(context: Context) -> str:
    argv = ["sh", "-c", f"stat -c %s {_LOG} 2>/dev/null || echo 0"]
    return context.ssh.run(argv, sudo=True).stdout.strip()


def _log_lines(context: Context, since: str, address: str) -> list[str]:
    """fail2ban's own words on the stranger since then; none where it logs elsewhere."""
    script = 'tail -c "+$(($1 + 1))" "$2" 2>/dev/null | grep -F "$3" | grep -E "Ban|Unban"'
    argv = ["sh", "-c", script, "lines", since, _LOG, address]
    return context.ssh.run(argv, sudo=True, accept=(0, 1)).stdout.splitlines()


def banned_seconds(lines: list[str], jail: str) -> float | None:
    """From the first `Ban` to the next `Unban` of a jail, by fail2ban's log; None: not both."""
    moments = [
        (words[-2], datetime.strptime(f"{words[0]} {words[1]}", _STAMP).replace(tzinfo=UTC))
        for words in (line.split() for line in lines)
        if f"[{jail}]" in words
    ]
    for (first, begun), (then, ended) in pairwise(moments):
        if (first, then) == ("Ban", "Unban"):
            return (ended - begun).total_seconds()
    return None


def _stranger(context: Context) -> Provisioned:
    """A bare scratch host, whatever drills are made from."""
    drill = context.settings.drill.model_copy(update={"from_snapshot": None})
    return make_host(context, ROLE, context.settings.model_copy(update={"drill": drill}))


@contextlib.contextmanager
def _short_bans(context: Context, before: Fail2ban) -> Iterator[None]:
    """Bans of SHORT_SECONDS for as long as this lasts; journalled, put back in any case."""
    resource = f"fail2ban:bantime/{host_name(context, ROLE)}"
    put_back = tuple(_set_ban(name, before.jails[name].ban_seconds) for name in JAILS)
    context.journal.resource(resource, put_back)
    try:
        for name in JAILS:
            context.ssh.run(_set_ban(name, SHORT_SECONDS).argv, sudo=True)
        yield
    finally:
        for deed in put_back:
            context.ssh.run(deed.argv, sudo=True)
        context.journal.removed(resource)


def _set_ban(jail: str, seconds: int) -> RunCommand:
    return RunCommand(argv=("fail2ban-client", "set", jail, "bantime", str(seconds)))


def _let_go(context: Context, address: str) -> None:
    """Its address was, or will be, somebody else's: no ban from before, none left behind."""
    for name in JAILS:
        argv = ("fail2ban-client", "set", name, "unbanip", address)
        context.ssh.run(argv, sudo=True, accept=(0, 255))


def _prove(
    context: Context, host: Provisioned, since: str
) -> tuple[list[Finding], list[dict[str, object]]]:
    settings = context.settings
    spared = spared_networks(settings)
    if is_spared(host.address, spared):
        return [_not_proven(f"{host.address} lies in the operators' networks: never banned")], []
    target, scratch = settings.host.address, context.host(host.ssh_address())
    ports = {"sshd": settings.host.port, "postgresql": settings.postgres.port}
    findings: list[Finding] = []
    rows: dict[str, dict[str, object]] = {}
    awaited: list[str] = []
    _let_go(context, host.address)
    for jail, port in ports.items():
        context.say(f"{host.name} guesses at {_NAMES[jail]} until it is dropped …")
        guess = guess_ssh if jail == "sshd" else guess_postgres
        guessed = guess(scratch, target, port, _GUESS_SECONDS)
        seen = context.ask(FAIL2BAN)
        filtered = _nmap(scratch, target, port) if guessed.shut_out else ""
        findings += judge_ban(
            jail, host.address, guessed, seen, filtered, strangers=_strangers(settings, port)
        )
        rows[jail] = {
            "jail": jail,
            "guesses": guessed.guesses,
            "port before": guessed.before,
            "port after": guessed.after + (f" (nmap: {filtered})" if filtered else ""),
            "seconds until dropped": round(guessed.seconds, 1),
        }
        if guessed.shut_out:
            findings += _operator_in(context, jail)
            awaited.append(jail)
    for jail in awaited:
        context.say(f"waiting for the timed unban at {_NAMES[jail]} …")
        again = wait_open(scratch, target, ports[jail], SHORT_SECONDS * 3.0)
        lasted = banned_seconds(_log_lines(context, since, host.address), jail)
        rows[jail]["seconds banned"] = "not logged" if lasted is None else round(lasted, 1)
        findings.append(_unbanned(jail, again, lasted))
    return findings, list(rows.values())


def _nmap(scratch: Ssh, host: str, port: int) -> str:
    """What nmap says on the scratch host, where it is installed: `filtered`."""
    script = 'command -v nmap >/dev/null || exit 0; nmap -n -Pn -oG - -p "$2" "$1"'
    said = scratch.run(["sh", "-c", script, "nmap", host, str(port)], accept=range(256)).stdout
    word = f"{port}/"
    return said.partition(word)[2].partition("/")[0]


def _strangers(settings: Settings, port: int) -> tuple[str, ...]:
    """Who may come to a port by the parameters, and is not spared: whom a ban could meet."""
    networks = [n for door in doors(settings) if door.port == port for n in door.networks]
    spared = spared_networks(settings)
    return tuple(network for network in networks if not covered(network, spared))


def judge_ban(
    jail: str,
    address: str,
    guessed: Guessed,
    seen: Fail2ban,
    filtered: str = "",
    *,
    strangers: tuple[str, ...],
) -> list[Finding]:
    """Whether the stranger was shut out on the wire, and by fail2ban.

    A port that he never reached proves nothing: unless by the parameters it is open to nobody who
    could be banned (`strangers`), and so is dropped for him.
    """
    name = _NAMES[jail]
    banned = seen.jails[jail].banned if jail in seen.jails else ()
    if guessed.before == "dropped" and address not in (*banned, *seen.dropped):
        return [
            Finding(
                id=f"bans.{jail}.dropped",
                status=Status.UNKNOWN if strangers else Status.NOT_APPLICABLE,
                title=f"A stranger who guesses at {name} is dropped on the wire",
                observed=f"dropped for {address} before any guess; by the parameters it is open to "
                + (", ".join(strangers) or "nobody who could be banned"),
                expected="open at first, dropped after the guesses",
                hint="do both firewalls let in whom the parameters name? For this proof the "
                "scratch host has to be among them (hardening.firewall)"
                if strangers
                else "",
                requirement="H2",
            )
        ]
    last = guessed.said[-1] if guessed.said else "no guess"
    dropped = guessed.shut_out and filtered in ("", "filtered")
    return [
        judge(
            f"bans.{jail}.dropped",
            f"A stranger who guesses at {name} is dropped on the wire",
            passed=dropped if guessed.before == "open" else None,
            observed=f"{guessed.before} before, {guessed.after} after {guessed.guesses} guesses"
            + (f"; nmap: {filtered}" if filtered else "")
            + ("" if dropped else f" ({last})"),
            expected="open before, dropped (not refused) after",
            hint="is the jail blind? `sudo fail2ban-regex`, /var/log/fail2ban.log; a REJECT is the "
            "package's default: banaction = nftables[blocktype=drop]",
            requirement="H2",
        ),
        judge(
            f"bans.{jail}.named",
            f"fail2ban names the banned address ({name})",
            passed=address in banned and address in seen.dropped,
            observed=f"jail {jail}: {', '.join(banned) or 'nobody'}; "
            f"nftables: {', '.join(sorted(seen.dropped)) or 'nobody'}",
            expected=f"{address} in both",
            hint="what else dropped the packets: OpenSSH's PerSourcePenalties, a firewall?",
            requirement="H2",
        ),
    ]


def _operator_in(context: Context, jail: str) -> list[Finding]:
    """A second, new connection with sudo while the stranger is banned."""
    try:
        with Ssh(context.ssh.address, context.journal) as second:
            second.run(["true"], sudo=True)
        observed, passed = "a new connection with sudo", True
    except ChronosError as error:
        observed, passed = error.text(), False
    return [
        judge(
            f"bans.{jail}.operator-in",
            f"The operator gets in while a stranger is banned ({_NAMES[jail]})",
            passed=passed,
            observed=observed,
            expected="a new connection with sudo",
            hint="sudo fail2ban-client set sshd unbanip ADDRESS, from Lightsail's console",
            requirement="H2",
        )
    ]


def _unbanned(jail: str, again: Guessed, lasted: float | None) -> Finding:
    timed = lasted is None or lasted >= SHORT_SECONDS - 5
    return judge(
        f"bans.{jail}.timed-unban",
        f"The ban ends by itself ({_NAMES[jail]})",
        passed=again.after == "open" and timed,
        observed=f"{again.after}"
        + ("" if lasted is None else f"; by fail2ban's log it lasted {lasted:.1f} s"),
        expected=f"open again after {SHORT_SECONDS} s (set for this proof)",
        hint="`sudo fail2ban-client status`, /var/log/fail2ban.log",
        requirement="H2",
    )


def _nothing_left(context: Context, before: Fail2ban, address: str) -> Finding:
    """Ban times as before; the scratch host neither banned nor there."""
    after = context.ask(FAIL2BAN)
    left = []
    for name in JAILS:
        jail, former = after.jails.get(name), before.jails[name]
        if jail is None or jail.ban_seconds != former.ban_seconds:
            left.append(f"{name}: bantime {jail.ban_seconds if jail else 'unknown'}")
        elif address in jail.banned:
            left.append(f"{name}: {address} is still banned")
    if address in after.dropped:
        left.append(f"nftables: {address} is still dropped")
    return judge(
        "bans.proof.nothing-left",
        "Nothing of the proof is left on the host",
        passed=not left,
        observed="; ".join(left) or "ban times as before, nobody of this run banned",
        expected="as before",
        hint="sudo fail2ban-client reload",
        requirement="H2",
    )


_WHOM = "narrow postgres.operator_networks to the operators; run the stage fail2ban"


def _not_proven(reason: str, hint: str = _WHOM) -> Finding:
    return judge(
        "bans.proof",
        "A real ban is seen from outside",
        passed=None,
        observed=f"not proven: {reason}",
        expected="a stranger is dropped",
        hint=hint,
        requirement="H2",
    )
