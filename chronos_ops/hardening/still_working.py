"""Does the host still do its work behind the new firewall: backups, updates, ACME, names (H1)."""

from pathlib import Path
from urllib.parse import urlsplit

from chronos_ops.execution.context import Context
from chronos_ops.facts.backups import StanzaInfo, info
from chronos_ops.facts.systemd import units
from chronos_ops.model.errors import UsageError
from chronos_ops.model.finding import Finding, Status, judge, not_known
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.question import ShellAnswer
from chronos_ops.model.settings import Settings
from chronos_ops.plans.jobs import schedules

_BACKUP_SECONDS = 3600.0
_OUTGOING = "`sudo ufw status verbose` on the host: outgoing must be allowed"
# apt-get exits 0 although a source could not be fetched, unless it is told otherwise.
_APT = ("apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "-o", "APT::Update::Error-Mode=any")
# The host's own Python (certbot's): the CA of a directory of one's own comes on stdin.
_DIRECTORY = """
import json, ssl, sys, urllib.request
ca = sys.stdin.read()
trusted = ssl.create_default_context(cadata=ca or None)
with urllib.request.urlopen(sys.argv[1], timeout=20, context=trusted) as answer:
    print("newOrder" in json.load(answer))
"""


def still_working(context: Context) -> Outcome:
    """Take a backup, push WAL, update package lists, reach ACME and resolve names on the host."""
    info_before = context.ask(info(context.settings.backup.stanza))
    findings: list[Finding] = []
    if info_before is None or not info_before.backups:
        findings.append(no_backups())
    else:
        context.say("a backup through its own service …")
        findings += [_wal(context, info_before), _backup(context, info_before)]
    context.say("package lists, ACME directory, names …")
    findings += [_updates(context), *_acme(context), _names(context)]
    good = all(finding.good for finding in findings)
    return Outcome(
        summary="What the host must reach, it reaches; backups go on."
        if good
        else "**Not all of the host's own work goes on.**",
        findings=findings,
    )


def no_backups() -> Finding:
    """What cannot go on because it never began."""
    return Finding(
        id="still-working.backup",
        status=Status.FAIL,
        title="Backups go on behind the firewall",
        observed="no backup of this host exists: there is nothing that could go on",
        expected="a new backup, and WAL in every repository",
        hint="run pgbackrest_backup_restore, then this runbook once more",
        requirement="H1",
    )


def told(answer: ShellAnswer) -> str:
    """The errors in what a command said, or its last line."""
    said = (answer.stdout + answer.stderr).strip().splitlines()
    wrong = [line for line in said if line.startswith(("E:", "W:", "Err")) or "ERROR" in line]
    return "; ".join(line.strip() for line in (wrong or said[-1:])[:3]) or "nothing was said"


def _wal(context: Context, before: StanzaInfo) -> Finding:
    """`pgbackrest check` closes a segment, and waits until every repository has it."""
    argv = ["pgbackrest", f"--stanza={before.name}", "--log-level-console=info", "check"]
    log = context.folder / "logs" / "still-working-check.log"
    answer = context.ssh.run(argv, user="postgres", accept=range(256), log=log)
    arrived = (answer.stdout + answer.stderr).count("successfully archived")
    wanted = len(before.repositories)
    return judge(
        "still-working.wal",
        "A WAL segment reaches every repository",
        passed=answer.exit_code == 0 and arrived == wanted,
        observed=f"{arrived} of {wanted} repositories"
        + ("" if answer.exit_code == 0 else f"; exit code {answer.exit_code}: {told(answer)}"),
        expected=f"{wanted} of {wanted}",
        hint=_OUTGOING,
        requirement="H1",
    )


def _backup(context: Context, before: StanzaInfo) -> Finding:
    """A differential through its own service, and looked for in the repository."""
    identifier, title = "still-working.backup", "A backup goes through its own service"
    service = next(s.service for s in schedules(context.settings) if s.kind == "diff")
    if context.ask(units(service))[service].load != "loaded":
        return Finding(
            id=identifier,
            status=Status.FAIL,
            title=title,
            observed=f"{service} is not on the host",
            expected="a new backup in repo1",
            hint="run pgbackrest_backup_restore to its end",
            requirement="H1",
        )
    log = context.folder / "logs" / "still-working-backup.log"
    argv = ["systemctl", "start", service]
    answer = context.ssh.run(argv, sudo=True, accept=range(256), timeout=_BACKUP_SECONDS, log=log)
    after = context.ask(info(before.name))
    known = {backup.label for backup in before.backups}
    new = [b.label for b in after.of_repo(1) if b.label not in known] if after else []
    return judge(
        identifier,
        title,
        passed=answer.exit_code == 0 and bool(new),
        observed=f"{new[-1]} is in repo1" if new else f"no new backup; {told(answer)}",
        expected="a new backup in repo1",
        hint=f"journalctl -u {service}; {_OUTGOING}",
        requirement="H1",
    )


def _updates(context: Context) -> Finding:
    log = context.folder / "logs" / "still-working-apt.log"
    answer = context.ssh.run([*_APT, "update"], sudo=True, accept=range(256), log=log)
    return judge(
        "still-working.updates",
        "Package lists can be fetched",
        passed=answer.exit_code == 0,
        observed="every source answered" if answer.exit_code == 0 else told(answer),
        expected="every source answers",
        hint=_OUTGOING,
        requirement="H1",
    )


def _acme(context: Context) -> list[Finding]:
    certificate = context.settings.hardening.certificate
    if certificate is None:
        return []  # the steps of the certificate say so, and fail
    identifier, title = "still-working.acme", "The host reaches the ACME directory"
    authority = ""
    if certificate.directory_ca_file is not None:
        path = Path(certificate.directory_ca_file).expanduser()
        if not path.is_file():
            error = UsageError("hardening.certificate.directory_ca_file is not a file", path)
            return [not_known(identifier, title, error, "H4")]
        authority = path.read_text(encoding="ascii")
    argv = ["python3", "-c", _DIRECTORY, certificate.directory_url]
    answer = context.ssh.run(argv, stdin=authority, accept=range(256), timeout=60)
    reached = answer.exit_code == 0 and answer.stdout.strip() == "True"
    return [
        judge(
            identifier,
            title,
            passed=reached,
            observed="it answers, its certificate is trusted" if reached else told(answer),
            expected=f"{certificate.directory_url} answers",
            hint=_OUTGOING,
            requirement="H4",
        )
    ]


def _names(context: Context) -> Finding:
    """What the host must find by name: the repository's endpoint, and the ACME directory."""
    wanted = names_to_resolve(context.settings)
    script = 'for name; do getent ahosts "$name" >/dev/null || echo "$name"; done'
    answer = context.ssh.run(["sh", "-c", script, "names", *wanted], timeout=60)
    lost = answer.stdout.split()
    return judge(
        "still-working.names",
        "The host resolves the names that it needs",
        passed=not lost,
        observed=f"not resolved: {', '.join(lost)}" if lost else ", ".join(wanted),
        expected="each name has an address",
        hint="resolvectl status, /etc/resolv.conf; DNS is UDP and TCP 53, outgoing",
        requirement="H1",
    )


def names_to_resolve(settings: Settings) -> list[str]:
    """The S3 endpoint of the repositories, and the ACME directory's host."""
    backup, certificate = settings.backup, settings.hardening.certificate
    names = [backup.host_s3_endpoint or f"s3.{settings.aws.region}.amazonaws.com"]
    if certificate is not None:
        names.append(urlsplit(certificate.directory_url).hostname or certificate.directory_url)
    return names
