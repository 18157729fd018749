"""A renewal, for real where that harms nobody, else against Let's Encrypt's staging (H4)."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from chronos_ops.execution.context import Context
from chronos_ops.execution.deeds import Doer
from chronos_ops.facts.certbot import CERTBOT, CHALLENGE_PORT, Certbot
from chronos_ops.facts.certificates import CertificateFile, now, read_der
from chronos_ops.hardening.certificate_trust import undeclared
from chronos_ops.hardening.dns_checks import issuer
from chronos_ops.hardening.served import judge_serial, live_file, show
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, judge, not_known
from chronos_ops.model.hardening import Certificate
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.question import ShellAnswer
from chronos_ops.plans.certificate import DEPLOY, DIRECTORY_CA, PORT, certificate_name
from chronos_ops.plans.certificate_force import FORGET, force

_SECONDS = 900.0
# The unit that the timer starts.
_START = 'systemctl start "$1" || { journalctl -u "$1" -n 30 --no-pager -o cat >&2; exit 1; }'
_FORCED = "renewal:forced"


def renewal(context: Context) -> Outcome:
    """Renew by the timer's own unit; or, where the directory counts, rehearse it in staging."""
    declared = context.settings.hardening.certificate
    if declared is None:
        return undeclared("renewal")
    certbot = context.ask(CERTBOT)
    before = context.ask(live_file(declared))
    if certbot is None or before is None:
        return Outcome(summary="There is nothing to renew yet.", findings=[_nothing(certbot)])
    due = is_due(before)
    if due or declared.renewal_proof == "renew":
        argv = ["sh", "-c", _START, "renew", f"{certbot.unit}.service"]
        how = "it was due" if due else "it was told to, once"
    else:
        argv, how = dry_run_argv(declared, certbot), "a rehearsal"
    log = context.folder / "logs" / "renewal.log"
    context.say(f"renewing: {how} …")
    told = how == "it was told to, once"
    with forced(context, certificate_name(declared)) if told else nullcontext():
        answer = context.ssh.run(argv, sudo=True, accept=range(256), timeout=_SECONDS, log=log)
    after = context.ask(live_file(declared))
    rehearsed = how == "a rehearsal"
    findings = [
        _came(answer, before, after, rehearsed=rehearsed),
        _hand_over(context),
        _closed(context),
    ]
    findings.append(_served(context, declared, after))
    if rehearsed:
        where = _staging(declared)
        summary = f"A rehearsal at {where}: nothing was replaced, no rate limit was touched."
    else:
        summary = f"`{certbot.unit}.service` renewed at {declared.directory_url}: {how}."
    return Outcome(
        summary=summary,
        findings=findings,
        measures={"certificate.renewal": how},
    )


@contextmanager
def forced(context: Context, name: str) -> Iterator[None]:
    """certbot's unit is told in /run to renew what is not due yet: no file of certbot's is changed.

    Its end takes that away, however it ends, and so does the teardown of a killed run.
    """
    doer = Doer(context.aws, context.ssh, context.journal.keep_secret)
    context.journal.resource(_FORCED, (FORGET,))
    try:
        for deed in force(name):
            doer.do(deed)
        yield
    finally:
        doer.do(FORGET)
        context.journal.removed(_FORCED)


def is_due(live: CertificateFile) -> bool:
    """As certbot reckons: a third of its life is left (half of a short one)."""
    leaf = live.leaf
    life = (leaf.not_after - leaf.not_before).total_seconds()
    left = (leaf.not_after - now()).total_seconds()
    return left < life / (3 if life > 10 * 86400 else 2)


def dry_run_argv(declared: Certificate, certbot: Certbot) -> list[str]:
    """Let's Encrypt has a staging of its own; another directory is asked itself, or nobody."""
    argv = ["systemd-run", "--wait", "--pipe", "--collect", "--quiet", "-p", "RuntimeMaxSec=900"]
    if declared.challenge == "http-01":
        argv += ["-p", f"ExecStopPost={PORT} close"]
    if declared.directory_ca_file:
        argv += ["-E", f"REQUESTS_CA_BUNDLE={DIRECTORY_CA}"]
    argv += [certbot.program, "renew", "--dry-run", "--no-random-sleep-on-renew"]
    argv += ["--cert-name", certificate_name(declared)]
    if issuer(declared) != "letsencrypt.org":
        argv += ["--server", declared.directory_url]
    return argv


def _staging(declared: Certificate) -> str:
    if issuer(declared) == "letsencrypt.org":
        return "Let's Encrypt's staging"
    return declared.directory_url


def _nothing(certbot: Certbot | None) -> Finding:
    return judge(
        "certificate.renewal",
        "A renewal comes through",
        passed=False,
        observed="certbot is not installed" if certbot is None else "no certificate yet",
        expected="a renewed certificate",
        hint="stages `hardening-packages` and `certificate` come first",
        requirement="H4",
    )


def _came(
    answer: ShellAnswer, before: CertificateFile, after: CertificateFile | None, *, rehearsed: bool
) -> Finding:
    serials = (before.leaf.serial, after.leaf.serial if after else "none")
    tail = _said(answer)
    if rehearsed:
        passed = answer.exit_code == 0 and "simulated renewals succeeded" in answer.stdout
        observed = "the simulated renewal succeeded" if passed else tail
    else:
        passed = answer.exit_code == 0 and serials[0] != serials[1]
        observed = f"{serials[0]} → {serials[1]}" if answer.exit_code == 0 else tail
    return judge(
        "certificate.renewal",
        "A renewal comes through",
        passed=passed,
        observed=observed,
        expected="a simulated renewal that succeeds" if rehearsed else "another serial number",
        hint="journalctl -u certbot.service; /var/log/letsencrypt/letsencrypt.log on the host",
        requirement="H4",
    )


def _said(answer: ShellAnswer) -> str:
    """What certbot said, without systemd's own words."""
    lines = [line.strip() for line in (answer.stdout + answer.stderr).splitlines()]
    own = ("certbot.service:", "Starting ", "Finished ", "Failed to start", "Job for ", "See ")
    said = [line for line in lines if line.strip("- ") and not line.startswith(own)]
    return " | ".join(said[-4:]) or "nothing was said"


def _hand_over(context: Context) -> Finding:
    answer = context.ssh.run([DEPLOY], sudo=True, accept=range(256), timeout=120)
    return judge(
        "certificate.renewal.hand-over",
        "The hook hands it over, and finds it served",
        passed=answer.exit_code == 0,
        observed=(answer.stdout + answer.stderr).strip(),
        expected="exit code 0",
        hint=f"sudo {DEPLOY}",
        requirement="H4",
    )


def _closed(context: Context) -> Finding:
    port = context.ask(CHALLENGE_PORT)
    return judge(
        "certificate.renewal.port-closed",
        "Port 80 is closed again on the host",
        passed=not port.rules,
        observed="; ".join(port.rules) or "no rule lets it in",
        expected="no rule lets it in",
        hint=f"sudo {PORT} close",
        requirement="H1",
    )


def _served(context: Context, declared: Certificate, after: CertificateFile | None) -> Finding:
    identifier = "certificate.renewal.served"
    title = "PostgreSQL serves what the renewal left"
    try:
        shown = show(context, declared, context.settings.postgres.port, postgres=True)
    except ChronosError as error:
        return not_known(identifier, title, error, "H4")
    return judge_serial(identifier, title, read_der(shown.der), after)
