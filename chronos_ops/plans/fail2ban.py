"""fail2ban: jails for SSH and PostgreSQL that drop, and never the operators (H2)."""

import ipaddress
from collections.abc import Iterable
from typing import Any

from chronos_ops.facts import postgres, postgres_log
from chronos_ops.facts.fail2ban import FAIL2BAN, Fail2ban
from chronos_ops.facts.files import texts
from chronos_ops.facts.postgres_files import CONFIG_FILES
from chronos_ops.facts.sshd import SSHD
from chronos_ops.model.plan import Change, Deed, Plan, RemoveFile, RunCommand, WriteFile
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.cluster import declared_cluster, missing_cluster
from chronos_ops.plans.drop_in import drop_in_change, overriding
from chronos_ops.plans.postgres_log import FILE_NAME, Source, failregex, source, wanted_log
from chronos_ops.plans.templating import render

NAME = "fail2ban"
FILTER = "chronos-postgresql"
JAILS_PATH = "/etc/fail2ban/jail.d/zz-chronos.local"
FILTER_PATH = f"/etc/fail2ban/filter.d/{FILTER}.conf"
JAILS = ("sshd", "postgresql")
LOOPBACK = ("127.0.0.0/8", "::1/128")
_SSH_JOURNAL = "_SYSTEMD_UNIT=ssh.service + _COMM=sshd + _COMM=sshd-session"

# Until the new process says that a jail is in operation, it is blind: a restart is not enough.
_RESTART = r"""
set -eu
log=/var/log/fail2ban.log
fail2ban-client -t >/dev/null
systemctl enable --quiet fail2ban.service
at=$(stat -c %s "$log" 2>/dev/null || echo 0)
systemctl restart fail2ban.service
pid=$(systemctl show -p MainPID --value fail2ban.service)
said() {
  tail -c "+$((at + 1))" "$log" 2>/dev/null | grep -F "[$pid]:" || :
  journalctl -q -o cat "_PID=$pid" 2>/dev/null || :
}
case "$(fail2ban-client -V)" in 0.*) word=started ;; *) word=operation ;; esac
for jail in "$@"; do
  name=${jail%:*}
  line="Jail '$name' started"
  [ "${jail#*:}" = file ] || [ $word = started ] || line="[$name] Jail is in operation"
  n=0
  until said | grep -qF "$line"; do
    n=$((n + 1))
    if [ $n -gt 400 ] || ! systemctl is-active --quiet fail2ban.service; then
      echo "fail2ban did not say: $line" >&2
      said | grep -iE 'error|warning' >&2 || journalctl -q -n 20 -u fail2ban.service >&2
      exit 1
    fi
    sleep 0.1
  done
done
"""


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """What bans, what is read, and how PostgreSQL logs."""
    declared = settings.postgres
    return {
        "fail2ban": FAIL2BAN,
        "sshd": SSHD,
        "texts": texts(JAILS_PATH, FILTER_PATH, name="fail2ban_texts"),
        "clusters": postgres.CLUSTERS,
        "log": postgres_log.LOG_SETTINGS,
        "collector": postgres_log.COLLECTOR_FILES,
        "stderr": postgres_log.stderr(declared.cluster, declared.port),
        "files": CONFIG_FILES,
    }


def spared_networks(settings: Settings) -> tuple[str, ...]:
    """Who is never banned: loopback, the operators, and whom the parameters name."""
    named = (*settings.postgres.operator_networks, *settings.hardening.bans.ignore_networks)
    return (*LOOPBACK, *dict.fromkeys(named))


def is_spared(address: str, networks: Iterable[str]) -> bool:
    """Whether an address (or network) lies in one of the networks."""
    try:
        found = ipaddress.ip_network(address, strict=False)
    except ValueError:
        return False
    for text in networks:
        network = ipaddress.ip_network(text)
        if network.version == found.version and found.subnet_of(network):  # type: ignore[arg-type]
            return True
    return False


def wanted_source(values: dict[str, Any], cluster: postgres.Cluster) -> tuple[Source, str]:
    """Where the jail must read once the plan is applied, and the log_line_prefix there."""
    log = {name: setting.value for name, setting in values["log"].items()}
    path = f"{values['files'].drop_in_directory}/{FILE_NAME}"
    for item in wanted_log(values["log"], path, cluster, values["collector"], values["stderr"]):
        log[item.name] = item.value
    return source(log, cluster, values["collector"], values["stderr"]), log["log_line_prefix"]


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """PostgreSQL's log made readable, the jails and their filter, banned operators let in."""
    fail2ban: Fail2ban = values["fail2ban"]
    cluster = declared_cluster(settings, values["clusters"])
    if cluster is None:
        return Plan(name=NAME, refusals=(missing_cluster(settings, values["clusters"]),))
    path = f"{values['files'].drop_in_directory}/{FILE_NAME}"
    wanted = wanted_log(values["log"], path, cluster, values["collector"], values["stderr"])
    found, prefix = wanted_source(values, cluster)
    refusals = _refusals(settings, fail2ban, found)
    refusals += overriding(wanted, values["log"], values["files"], path) if wanted else []
    log = drop_in_change(
        identifier="bans.postgres-log",
        title="make PostgreSQL's log tell who was refused, and when",
        why="without the client's address in a line nobody can be banned for it",
        file_name=FILE_NAME,
        purpose="what fail2ban must find in the log",
        wanted=wanted,
        settings=values["log"],
        files=values["files"],
        cluster=cluster,
    )
    changes = [
        log,
        _configuration(settings, values, found, prefix),
        *_let_in(settings, fail2ban),
    ]
    done = tuple(change for change in changes if change is not None)
    reason = f"{' and '.join(JAILS)} are in operation; PostgreSQL's log: {found.shown}"
    return Plan(
        name=NAME,
        changes=done,
        noop_reason="" if done else reason,
        refusals=tuple(refusals),
    )


def _refusals(settings: Settings, fail2ban: Fail2ban, found: Source) -> list[str]:
    if not fail2ban.installed:
        return ["fail2ban is not installed: apt-get install fail2ban python3-systemd nftables"]
    refusals = []
    if found.journal and not fail2ban.reads_journal:
        refusals.append(
            f"PostgreSQL logs to the journal ({found.journal}) and fail2ban cannot read it: "
            "apt-get install python3-systemd"
        )
    whole = [n for n in spared_networks(settings) if n.endswith("/0")]
    if whole:
        refusals.append(
            f"{', '.join(whole)} is never to be banned, so nobody would be: narrow "
            "postgres.operator_networks or hardening.bans.ignore_networks"
        )
    return refusals


def jail_text(settings: Settings, values: dict[str, Any], found: Source) -> str:
    """Our jails."""
    sshd = values["sshd"]
    return render(
        "fail2ban-jails.local.j2",
        spared=spared_networks(settings),
        bans=settings.hardening.bans,
        ssh_ports=sshd.ports or (str(settings.host.port),),
        ssh_journal=_SSH_JOURNAL if values["fail2ban"].reads_journal else "",
        filter=FILTER,
        postgres_port=settings.postgres.port,
        source=found,
    )


def filter_text(found: Source, prefix: str) -> str:
    """Our filter."""
    return render(
        "fail2ban-postgresql.conf.j2",
        source=found,
        prefix=prefix,
        failregex=failregex(found, prefix),
    )


def amiss(
    settings: Settings, fail2ban: Fail2ban, found: Source, ssh_ports: tuple[str, ...]
) -> list[str]:
    """What the running server does otherwise than wanted."""
    if fail2ban.active != "active" or not fail2ban.answers:
        return [f"fail2ban is {fail2ban.active or 'not known'} {fail2ban.error}".strip()]
    wrong = [] if fail2ban.enabled == "enabled" else [f"fail2ban.service is {fail2ban.enabled}"]
    bans = settings.hardening.bans
    for name in JAILS:
        jail = fail2ban.jails.get(name)
        if jail is None:
            wrong.append(f"no jail {name}")
            continue
        seen = (jail.ban_seconds, jail.find_seconds, jail.max_retry)
        if seen != (bans.ban_seconds, bans.find_seconds, bans.max_retry):
            wrong.append(f"{name}: bantime, findtime, maxretry {seen}")
        if set(jail.blocktypes) != {"drop"}:
            wrong.append(f"{name}: bans by {', '.join(jail.blocktypes) or 'nothing'}")
        open_to = [n for n in spared_networks(settings) if not is_spared(n, jail.ignored)]
        if open_to:
            wrong.append(f"{name}: {', '.join(open_to)} may be banned")
        ports = ssh_ports if name == "sshd" else (str(settings.postgres.port),)
        guarded = {port for text in jail.ports for port in text.split(",")}
        if not set(ports) <= guarded:
            wrong.append(f"{name}: guards port {', '.join(sorted(guarded))}")
    wrong += _blind(fail2ban, found)
    return wrong


def _blind(fail2ban: Fail2ban, found: Source) -> list[str]:
    """Jails that do not read where the lines are written (failure 17)."""
    wrong = []
    jail = fail2ban.jails.get("postgresql")
    reads = (*jail.files, *jail.journal) if jail else ()
    if jail and (found.journal or found.file) not in reads:
        wrong.append(f"postgresql: reads {', '.join(reads) or 'nothing'}, not {found.shown}")
    ssh = fail2ban.jails.get("sshd")
    if ssh and fail2ban.reads_journal and not any("ssh.service" in j for j in ssh.journal):
        wrong.append(f"sshd: reads {', '.join((*ssh.files, *ssh.journal)) or 'nothing'}")
    return wrong


def restart(fail2ban: Fail2ban, found: Source) -> RunCommand:
    """Restart, and wait until the new process says that each jail is in operation."""
    jails = [
        f"sshd:{'journal' if fail2ban.reads_journal else 'file'}",
        f"postgresql:{'journal' if found.journal else 'file'}",
    ]
    return RunCommand(argv=("sh", "-c", _RESTART, "restart", *jails), timeout_seconds=150)


def _configuration(
    settings: Settings, values: dict[str, Any], found: Source, prefix: str
) -> Change | None:
    fail2ban: Fail2ban = values["fail2ban"]
    if not fail2ban.installed:
        return None
    wanted = {
        FILTER_PATH: filter_text(found, prefix),
        JAILS_PATH: jail_text(settings, values, found),
    }
    current: dict[str, str | None] = values["texts"]
    new = {path: text for path, text in wanted.items() if current[path] != text}
    wrong = amiss(settings, fail2ban, found, values["sshd"].ports)
    if not new and not wrong and not fail2ban.stale:
        return None
    deed = restart(fail2ban, found)
    undo: list[Deed] = []
    for path in new:
        former = current[path]
        undo.append(
            RemoveFile(path=path) if former is None else WriteFile(path=path, content=former)
        )
    undo += [RunCommand(argv=argv, timeout_seconds=60) for argv in _as_it_was(fail2ban)]
    return Change(
        id="bans.jails",
        title="ban who guesses at SSH or PostgreSQL: his packets are dropped",
        why=f"in effect now: {'; '.join(wrong) or 'other files than wanted'}"[:600],
        deeds=(*(WriteFile(path=p, content=t) for p, t in new.items()), deed),
        undo=tuple(undo),
        before="".join(current[path] or "" for path in new),
        after="".join(new.values()) or "restarted, each jail in operation",
        guard=True,  # a jail that bans the operator is a lock-out too
    )


def _as_it_was(fail2ban: Fail2ban) -> list[tuple[str, ...]]:
    """Running or not, started at boot or not, as before."""
    unit = "fail2ban.service"
    verb = "restart" if fail2ban.active == "active" else "stop"
    found: list[tuple[str, ...]] = [("systemctl", verb, unit)]
    if fail2ban.enabled == "disabled":
        found.append(("systemctl", "disable", "--quiet", unit))
    return found


def banned_operators(settings: Settings, fail2ban: Fail2ban) -> dict[str, tuple[str, ...]]:
    """Jail: banned addresses that lie in the operators' networks (a ban by hand does that)."""
    spared = spared_networks(settings)
    found = {
        name: tuple(address for address in jail.banned if is_spared(address, spared))
        for name, jail in fail2ban.jails.items()
    }
    return {name: addresses for name, addresses in found.items() if addresses}


def _let_in(settings: Settings, fail2ban: Fail2ban) -> list[Change]:
    return [
        Change(
            id=f"bans.let-in.{jail}",
            title=f"let {', '.join(addresses)} in again: banned in the jail {jail}",
            why="these are operators; `ignoreip` does not stop a ban by hand",
            deeds=(RunCommand(argv=("fail2ban-client", "set", jail, "unbanip", *addresses)),),
            undo=(),
            before="\n".join(f"{jail}: {address} banned" for address in addresses),
            after=f"{jail}: no operator banned",
        )
        for jail, addresses in banned_operators(settings, fail2ban).items()
    ]


BANS = Stage(NAME, facts, plan)
