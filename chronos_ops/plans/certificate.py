"""The host's certificate by ACME: certbot, its hooks, the first issuance, the renewal (H4)."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from chronos_ops.facts import postgres
from chronos_ops.facts.certbot import (
    CERTBOT,
    CHALLENGE_PORT,
    LIVE,
    Certbot,
    ChallengePort,
    Renewal,
    renewal,
)
from chronos_ops.facts.certificates import CertificateFile, certificate_file, now
from chronos_ops.facts.files import texts
from chronos_ops.facts.systemd import Unit, units
from chronos_ops.model.errors import UsageError
from chronos_ops.model.hardening import Certificate
from chronos_ops.model.plan import Change, Deed, Plan, RemoveFile, RunCommand, WriteFile
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.certificate_force import FORCED, FORCED_FILE, foreign_schedule
from chronos_ops.plans.cluster import declared_cluster
from chronos_ops.plans.templating import render

LIBRARY = "/usr/local/lib/chronos"
DEPLOY = f"{LIBRARY}/certificate-deploy"
PORT = f"{LIBRARY}/acme-port"
DNS_HOOK = f"{LIBRARY}/acme-dns-hook"
DIRECTORY_CA = f"{LIBRARY}/acme-directory-ca.pem"
STORE = "/etc/ssl/chronos"  # outside /etc/postgresql, which is kept with the backups
SERVER_CERT = f"{STORE}/postgres/server.crt"
SERVER_KEY = f"{STORE}/postgres/server.key"
STATE = "/var/lib/chronos-certificate"
PORT_UNIT = "chronos-acme-port.service"
UNITS = "/etc/systemd/system"
_RELOAD = RunCommand(argv=("systemctl", "daemon-reload"))
_CLOSE = RunCommand(argv=(PORT, "close"))


def certificate_name(declared: Certificate) -> str:
    """certbot's name of the certificate: its subject, without the wildcard."""
    return declared.names[0].removeprefix("*.")


def _file_text(path: str, noun: str) -> str:
    file = Path(path).expanduser()
    if not file.is_file():
        raise UsageError(f"{noun} is not a file", path)
    return file.read_text(encoding="utf-8")


def wanted_files(settings: Settings, unit: str) -> dict[str, tuple[str, str]]:
    """Path: (text, mode) of all that is written. Raises UsageError (a declared file is missing)."""
    declared = settings.hardening.certificate
    if declared is None:
        return {}
    http = declared.challenge == "http-01"
    drop_in = render(
        "certbot-drop-in.conf.j2",
        ca_file=DIRECTORY_CA if declared.directory_ca_file else "",
        deploy_script=DEPLOY,
        forced=FORCED,
        forced_file=FORCED_FILE,
        port_script=PORT if http else "",
    )
    deploy = render(
        "certificate-deploy.sh.j2",
        domain=certificate_name(declared),
        live=f"{LIVE}/{certificate_name(declared)}",
        store=STORE,
        state=STATE,
        port=settings.postgres.port,
    )
    found = {DEPLOY: (deploy, "0755")}
    if declared.directory_ca_file:
        text = _file_text(declared.directory_ca_file, "hardening.certificate.directory_ca_file")
        found[DIRECTORY_CA] = (text, "0644")
    if http:
        found[PORT] = (render("acme-port.sh.j2"), "0755")
        text = render("acme-port.service.j2", port_script=PORT)
        found[f"{UNITS}/{PORT_UNIT}"] = (text, "0644")
    elif declared.dns_hook:
        text = _file_text(declared.dns_hook, "hardening.certificate.dns_hook")
        found[DNS_HOOK] = (text, "0700")
    found[f"{UNITS}/{unit}.service.d/chronos.conf"] = (drop_in, "0644")
    return found


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """certbot, its units and files, the certificate, port 80."""
    declared = settings.hardening.certificate
    if declared is None:
        return {}
    name = certificate_name(declared)
    paths = {p for u in ("certbot", "snap.certbot.renew") for p in wanted_files(settings, u)}
    return {
        "certbot": CERTBOT,
        "clusters": postgres.CLUSTERS,
        "texts": texts(*sorted(paths), FORCED_FILE),
        "units": units("certbot.timer", "snap.certbot.renew.timer", PORT_UNIT),
        "renewal": renewal(name),
        "live": certificate_file(f"{LIVE}/{name}/fullchain.pem", f"{LIVE}/{name}/privkey.pem"),
        "copy": certificate_file(SERVER_CERT, SERVER_KEY),
        "port": CHALLENGE_PORT,
    }


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """Hooks and drop-in first, then the certificate, then the timer."""
    name = "certificate"
    declared = settings.hardening.certificate
    if declared is None:
        return Plan(name=name, refusals=("no `hardening.certificate` in the parameter file",))
    port: ChallengePort = values["port"]
    certbot: Certbot = values["certbot"] or Certbot("certbot", "", "certbot")
    changes = _files(wanted_files(settings, certbot.unit), values["texts"])
    changes += _left_open(port)
    told = values["texts"].get(FORCED_FILE)
    changes += foreign_schedule(certificate_name(declared), values["renewal"], told)
    reason = issue_reason(declared, values["renewal"], values["live"])
    if reason:
        changes.append(_issue(settings, declared, certbot, values["live"], reason))
    elif values["clusters"]:
        changes += _hand_over(values["live"], values["copy"])
    changes += _units(declared, certbot, values["units"])
    return Plan(
        name=name,
        changes=tuple(changes),
        noop_reason="" if changes else "the certificate is there, and its renewal is scheduled",
        refusals=_refusals(settings, declared, port, values, reason),
    )


def _refusals(
    settings: Settings,
    declared: Certificate,
    port: ChallengePort,
    values: dict[str, Any],
    reason: str,
) -> tuple[str, ...]:
    found = []
    if declared.challenge == "http-01" and port.taken_by and reason:
        found.append(
            f"port 80 is taken by {port.taken_by}: a standalone challenge needs it. "
            "Use `challenge: dns-01`, or let it listen on 443 only"
        )
    if declared_cluster(settings, values["clusters"]) is None and values["clusters"]:
        found.append(f"PostgreSQL is not on port {settings.postgres.port}, as declared")
    return tuple(found)


# -- files


def _files(wanted: dict[str, tuple[str, str]], texts_now: dict[str, str | None]) -> list[Change]:
    found = []
    for path, (text, mode) in wanted.items():
        current = texts_now[path]
        if current == text:
            continue
        undo: Deed = (
            RemoveFile(path=path)
            if current is None
            else WriteFile(path=path, content=current, mode=mode)
        )
        reload: tuple[Deed, ...] = (_RELOAD,) if path.startswith(UNITS) else ()
        name = path.rpartition("/")[2]
        found.append(
            Change(
                id=f"certificate.{name}",
                title=f"write {path}",
                why=_WHY.get(path, "the renewal's unit fails where the hand-over failed (H4)"),
                deeds=(WriteFile(path=path, content=text, mode=mode), *reload),
                undo=(undo, *reload),
                before=current or "",
                after=text,
            )
        )
    return found


_WHY = {
    DEPLOY: "a renewed certificate is served only after a reload; what is served is looked at (H4)",
    PORT: "port 80 is open during a challenge and at no other time (H1)",
    DNS_HOOK: "sets and clears the challenge's TXT record, without an inbound port (H4)",
    DIRECTORY_CA: "the directory's own HTTPS is not signed by a public authority",
    f"{UNITS}/{PORT_UNIT}": "a power cut during a challenge would leave port 80 open (H1)",
}


# -- the certificate


def issue_reason(
    declared: Certificate, renewal_now: Renewal | None, live: CertificateFile | None
) -> str:
    """Why a certificate must be issued now; "": what is there does."""
    if renewal_now is None or live is None:
        return "there is none yet"
    if set(live.leaf.names) != set(declared.names):
        return f"it is for {', '.join(live.leaf.names)}"
    if renewal_now.server != declared.directory_url:
        return f"it is from {renewal_now.server}"
    if live.leaf.not_after - now() < timedelta(0):
        return f"it has expired at {live.leaf.not_after:%Y-%m-%d %H:%M} UTC"
    wanted = _hooks(declared)
    have = {
        "authenticator": renewal_now.authenticator,
        "pre-hook": renewal_now.pre_hook,
        "post-hook": renewal_now.post_hook,
        "deploy-hook": renewal_now.deploy_hook,
        "manual-auth-hook": renewal_now.manual_auth_hook,
        "manual-cleanup-hook": renewal_now.manual_cleanup_hook,
    }
    other = [key for key, value in have.items() if value != wanted.get(key, "")]
    return f"its renewal has another {', '.join(other)}" if other else ""


def _hooks(declared: Certificate) -> dict[str, str]:
    if declared.challenge == "http-01":
        return {
            "authenticator": "standalone",
            "pre-hook": f"{PORT} open",
            "post-hook": f"{PORT} close",
            "deploy-hook": DEPLOY,
        }
    extra = f" {declared.dns_delegation}" if declared.dns_delegation else ""
    return {
        "authenticator": "manual",
        "manual-auth-hook": f"{DNS_HOOK} auth{extra}",
        "manual-cleanup-hook": f"{DNS_HOOK} cleanup{extra}",
        "deploy-hook": DEPLOY,
    }


def issue_argv(declared: Certificate, certbot: Certbot) -> tuple[str, ...]:
    """certbot as a unit of its own: its end closes the port, however it ends."""
    argv = ["systemd-run", "--wait", "--pipe", "--collect", "--quiet"]
    argv += ["--unit=chronos-certificate", "-p", "RuntimeMaxSec=900"]
    if declared.challenge == "http-01":
        argv += ["-p", f"ExecStopPost={PORT} close"]
    if declared.directory_ca_file:
        argv += ["-E", f"REQUESTS_CA_BUNDLE={DIRECTORY_CA}"]
    argv += [certbot.program, "certonly", "--non-interactive", "--agree-tos", "--force-renewal"]
    argv += ["--renew-with-new-domains", "--server", declared.directory_url]
    if declared.email:
        argv += ["-m", declared.email]
    else:
        argv.append("--register-unsafely-without-email")
    argv += ["--cert-name", certificate_name(declared)]
    for name in declared.names:
        argv += ["-d", name]
    http = declared.challenge == "http-01"
    argv += ["--preferred-challenges", "http" if http else "dns"]
    for key, value in _hooks(declared).items():
        argv += ["--" + value] if key == "authenticator" else ["--" + key, value]
    return tuple(argv)


def _issue(
    settings: Settings,
    declared: Certificate,
    certbot: Certbot,
    live: CertificateFile | None,
    reason: str,
) -> Change:
    unit = f"{certbot.unit}.service"
    return Change(
        id="certificate.issue",
        title=f"have a certificate issued for {', '.join(declared.names)}: {reason}",
        why=f"clients of {settings.host.address} verify who answers (H4, H5)",
        deeds=(
            RunCommand(argv=issue_argv(declared, certbot), timeout_seconds=960),
            RunCommand(argv=(DEPLOY,)),
            # An earlier failure of the unit is over now.
            RunCommand(argv=("systemctl", "reset-failed", unit), accept=(0, 1)),
        ),
        before="" if live is None else f"{', '.join(live.leaf.names)}, {live.leaf.issuer}\n",
        after=f"{', '.join(declared.names)}, by {declared.directory_url} ({declared.challenge})\n",
    )  # no undo: what was issued stays issued, and nothing uses it until PostgreSQL is told to


def _hand_over(live: CertificateFile | None, copy: CertificateFile | None) -> list[Change]:
    """The hook of an earlier renewal failed, or the copy was changed since."""
    wanted = ("600", "postgres:postgres", live.leaf.serial if live else "")
    have = (copy.key_mode, copy.key_owner, copy.leaf.serial) if copy else ("", "", "none")
    if have == wanted and copy is not None and copy.key_matches:
        return []
    return [
        Change(
            id="certificate.hand-over",
            title="hand the certificate over to PostgreSQL",
            why="what certbot keeps is not what PostgreSQL reads (H5)",
            deeds=(RunCommand(argv=(DEPLOY,)),),
            before=f"{' '.join(have)}\n",
            after=f"{' '.join(wanted)}\n",
        )  # no undo: what was there is certbot's former certificate, or readable to others
    ]


def _left_open(port: ChallengePort) -> list[Change]:
    if not port.left_open:
        return []
    return [
        Change(
            id="certificate.port-closed",
            title="close port 80, which a challenge has left open",
            why="it is open during a challenge and at no other time (H1)",
            deeds=(_CLOSE,),
            before="\n".join(port.left_open) + "\n",
        )  # no undo: a challenge opens it by itself
    ]


# -- units


def _units(declared: Certificate, certbot: Certbot, now_units: dict[str, Unit]) -> list[Change]:
    timer = f"{certbot.unit}.timer"
    wanted = {timer: ("enabled, active", "a renewal that nobody has to remember (H4)")}
    if declared.challenge == "http-01":
        wanted[PORT_UNIT] = ("enabled", _WHY[f"{UNITS}/{PORT_UNIT}"])
    found = []
    for name, (state, why) in wanted.items():
        unit = now_units.get(name)
        have = "absent" if unit is None else f"{unit.enabled or 'absent'}, {unit.active}"
        if have.startswith(state):
            continue
        flags = ("--now",) if state.endswith("active") else ()
        found.append(
            Change(
                id=f"certificate.enable.{name}",
                title=f"enable {name}",
                why=why,
                deeds=(RunCommand(argv=("systemctl", "enable", *flags, name)),),
                undo=(RunCommand(argv=("systemctl", "disable", *flags, name)),),
                before=f"{have}\n",
                after=f"{state}\n",
            )
        )
    return found


CERTIFICATE = Stage("certificate", facts, plan)
