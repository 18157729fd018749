"""The certificate and the database's door on a real host: issued, renewed, broken, mended.

One host of its own is taken through it all, in order; each fault is named by its finding alone.
"""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.connectors import names
from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.postgres import PgAddress, Postgres
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.evidence.journal import FileJournal
from chronos_ops.evidence.redact import Redactor
from chronos_ops.execution.context import Context
from chronos_ops.execution.declared_host import declared_host
from chronos_ops.facts.certbot import CHALLENGE_PORT
from chronos_ops.facts.certificates import read_der
from chronos_ops.facts.ufw import UFW as UFW_STATE
from chronos_ops.hardening.dns_checks import certificate_checks
from chronos_ops.hardening.outside_database import outside_database
from chronos_ops.hardening.renewal import renewal
from chronos_ops.hardening.served import served_certificate, show
from chronos_ops.lab import acme, control
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.errors import UnfitTarget
from chronos_ops.model.finding import Status
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.parameters import parse_parameters
from chronos_ops.model.secret import Secret
from chronos_ops.model.settings import Settings, load_settings
from chronos_ops.plans.access import DATABASE_ACCESS
from chronos_ops.plans.certificate import CERTIFICATE, DEPLOY, DIRECTORY_CA
from chronos_ops.plans.postgres_hba import POSTGRES_HBA
from chronos_ops.plans.postgres_tls import POSTGRES_TLS
from chronos_ops.runbook_stage import carry_out, make_plan
from tests.lab.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.destructive]
STAGES = (CERTIFICATE, DATABASE_ACCESS, POSTGRES_TLS, POSTGRES_HBA)
HOST = "certified"
NAME = "db.certified.example"
UFW = "for p in 22 5432 443; do ufw allow $p/tcp; done; ufw --force enable"


@dataclass
class Certified:
    """The host, the lab's ACME service, and a context that may be given other settings."""

    context: Context
    lab: LabStatus
    acme: acme.LabAcme

    def sh(self, command: str, *, check: bool = True) -> str:
        accept = (0,) if check else range(256)
        answer = self.context.ssh.run(["sh", "-c", command], sudo=True, accept=accept)
        return answer.stdout + answer.stderr

    def names(self, deed: str, **body: Any) -> None:
        """Tell the lab's resolver something."""
        url, data = f"{self.acme.names_url}/{deed}", json.dumps(body).encode()
        request = urllib.request.Request(url, data)  # noqa: S310 - the lab's own
        urllib.request.urlopen(request, timeout=5).close()  # noqa: S310

    def declares(self, **certificate: Any) -> Context:
        """The context with another certificate declared."""
        settings = self.context.settings
        declared = settings.hardening.certificate
        assert declared is not None
        changed = declared.model_copy(update=certificate)
        hardening = settings.hardening.model_copy(update={"certificate": changed})
        return replace(self.context, settings=settings.model_copy(update={"hardening": hardening}))

    def served(self) -> str:
        """The serial that PostgreSQL serves."""
        declared = self.context.settings.hardening.certificate
        assert declared is not None
        shown = show(self.context, declared, 5432, postgres=True)
        return read_der(shown.der).serial

    def open_port(self) -> bool:
        return "80/tcp" in self.sh("ufw show added")


def apply(context: Context, *stages: Any) -> int:
    """Bring the stages to what is declared; how many changes that took."""
    found = 0
    for stage in stages:
        outcome = carry_out(stage, context, lambda _plan, _diff: None)
        assert all(finding.good for finding in outcome.findings), outcome.findings
        found += next(iter(outcome.measures.values()))["applied"]
    return found


def bad(outcome: Outcome) -> dict[str, str]:
    """The findings that are not good, with what was seen."""
    return {f.id: f.observed for f in outcome.findings if not f.good}


@pytest.fixture(scope="module")
def certified(lab: LabStatus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Certified]:
    """A host with PostgreSQL as its package leaves it, and an active UFW."""
    host = control.request(
        lab.name,
        "create",
        name=HOST,
        image="db",
        memory_bytes=1024**3,
        disk_bytes=8 * 1024**3,
        user_data=control._MAKE_CLUSTER,
    )
    everybody = {"protocol": "tcp", "cidrs": ["0.0.0.0/0"], "ipv6Cidrs": ["::/0"]}
    ports = [{"fromPort": n, "toPort": n} | everybody for n in (22, 80, 443, 5432)]
    control.request(lab.name, "open_ports", name=HOST, ports=ports)
    folder = tmp_path_factory.mktemp("certified")
    settings = _settings(load_settings(lab.name), host, folder)
    journal = FileJournal(folder, Redactor())
    aws = Aws(settings.aws, journal)
    given = {"target": lab.name, "allow_restart": True}
    context = Context(
        run_id=folder.name,
        folder=folder,
        settings=settings,
        parameters=parse_parameters("security_hardening", given),
        journal=journal,
        aws=aws,
        ssh=Ssh(declared_host(settings, aws), journal),
    )
    found = Certified(context, lab, acme.describe(lab.user_dir, lab.gateway))
    found.names("add-a", host=f"{NAME}.", addresses=[host["address"]])
    until(lambda: "online" in found.sh("pg_lsclusters", check=False), "PostgreSQL runs")
    found.sh(UFW)
    yield found
    context.close()
    control.request(lab.name, "delete", name=HOST)


def _settings(settings: Settings, host: dict[str, Any], folder: Path) -> Settings:
    known_hosts = folder / "known_hosts"
    known_hosts.write_text("".join(f"{host['address']} {key}\n" for key in host["host_keys"]))
    declared = settings.hardening.certificate
    assert declared is not None, "the lab has no ACME service"
    certificate = declared.model_copy(update={"names": (NAME,)})
    return settings.model_copy(
        update={
            "host": settings.host.model_copy(
                update={"address": host["address"], "known_hosts_file": str(known_hosts)}
            ),
            "hardening": settings.hardening.model_copy(update={"certificate": certificate}),
        }
    )


def test_a_bare_host_is_brought_to_tls_and_a_second_look_finds_nothing(
    certified: Certified,
) -> None:
    context = certified.context
    found = certificate_checks(context)
    assert not {key for key in bad(found) if key != "certificate.way-in"}, bad(found)
    assert apply(context, *STAGES) > 8
    assert apply(context, *STAGES) == 0
    assert bad(served_certificate(context)) == {}
    assert bad(outside_database(context)) == {}
    assert not certified.open_port()


def test_a_renewal_comes_through_and_is_served(certified: Certified) -> None:
    before = certified.served()
    assert bad(renewal(certified.context)) == {}
    assert certified.served() != before
    assert certified.sh("ls /run/chronos-certificate", check=False).startswith("ls: cannot access")
    assert apply(certified.context, CERTIFICATE) == 0
    # A proof of old that was cut off: the host would renew at every start.
    certified.sh("sed -i '1i renew_before_expiry = 3650 days' /etc/letsencrypt/renewal/*.conf")
    assert apply(certified.context, CERTIFICATE) == 1
    assert apply(certified.context, CERTIFICATE) == 0
    rehearsal = certified.declares(renewal_proof="dry-run")
    now = certified.served()
    assert bad(renewal(rehearsal)) == {}
    assert certified.served() == now


def test_names_that_lead_elsewhere_are_found_before_a_challenge(
    certified: Certified, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "elsewhere.certified.example"
    context = certified.declares(names=(other,))
    certified.names("add-a", host=f"{other}.", addresses=["192.0.2.1"])
    certified.names("add-caa", host="certified.example.", policies=[{"tag": "issue", "value": ";"}])
    found = bad(certificate_checks(context))
    assert found[f"certificate.address.{other}"] == "192.0.2.1"
    assert found[f"certificate.caa.{other}"] == 'issue ";"'
    certified.names("clear-caa", host="certified.example.")
    certified.names("clear-a", host=f"{other}.")
    certified.names("add-a", host=f"{other}.", addresses=[context.settings.host.address])
    certified.names("add-aaaa", host=f"{other}.", addresses=["2001:db8::1"])
    found = bad(certificate_checks(context))
    assert set(found) - {"certificate.way-in"} == {f"certificate.address.{other}"}
    assert "2001:db8::1" in found[f"certificate.address.{other}"]
    monkeypatch.setattr(names, "_SECONDS", 0.5)
    nowhere = certified.declares(dns_server=f"{certified.lab.gateway}:9")
    unknown = {f.id: f.status for f in certificate_checks(nowhere).findings}
    assert unknown[f"certificate.address.{NAME}"] is Status.UNKNOWN


def test_a_failed_hand_over_is_a_failed_unit_and_mended_by_the_next_run(
    certified: Certified,
) -> None:
    """certbot itself ends with 0 here (failures 18)."""
    certified.sh(f"mv {DEPLOY} {DEPLOY}.away")
    before = certified.served()
    by_hand = "certbot renew -q --force-renewal --no-random-sleep-on-renew"
    certified.sh(f"REQUESTS_CA_BUNDLE={DIRECTORY_CA} {by_hand}")  # exit code 0
    certified.sh("systemctl start certbot.service", check=False)
    found = bad(served_certificate(certified.context))
    assert certified.served() == before
    assert found["certificate.served.postgres"].startswith(f"served: {before}")
    assert "certificate.last-renewal" in found
    certified.sh(f"mv {DEPLOY}.away {DEPLOY}")
    certified.sh("systemctl stop 'postgresql@*'; systemctl start certbot.service", check=False)
    assert "PostgreSQL does not answer" in certified.sh("cat /var/lib/chronos-certificate/failed")
    assert "certbot.service" in certified.sh("systemctl --failed --plain --no-legend")
    certified.sh("systemctl start postgresql; systemctl start certbot.service")
    assert bad(served_certificate(certified.context)) == {}
    assert certified.served() != before


def test_a_key_that_others_may_read_is_found_and_set_right(certified: Certified) -> None:
    certified.sh("chmod 0644 /etc/ssl/chronos/postgres/server.key")
    found = bad(served_certificate(certified.context))
    assert set(found) == {"certificate.key"}
    assert found["certificate.key"].startswith("644")
    certified.sh("systemctl start certbot.service")
    assert bad(served_certificate(certified.context)) == {}


def test_port_80_left_open_is_found_and_closed_by_the_next_run(certified: Certified) -> None:
    certified.sh("/usr/local/lib/chronos/acme-port open")
    assert set(bad(served_certificate(certified.context))) == {"certificate.port-closed"}
    plan = make_plan(CERTIFICATE, certified.context)
    assert [change.id for change in plan.changes] == ["certificate.port-closed"]
    assert apply(certified.context, CERTIFICATE) == 1
    assert not certified.open_port()


def test_a_short_certificate_is_renewed_by_the_timer_and_found_when_it_has_expired(
    certified: Certified,
) -> None:
    """Natural renewal; a challenge that is killed; ACME down; expired; mended by the next run."""
    short = acme.LabAcme(certified.lab.user_dir / "acme-short", certified.lab.gateway, 14100)
    state = Path(control.request(certified.lab.name, "ping")["state"])
    argv, env = acme.directory_command(short, state, validity_seconds=20)
    control.request(certified.lab.name, "serve", name="acme-short", argv=argv, env=env)
    acme.fetch_root(short)
    settings = {k: short.settings()[k] for k in ("directory_url", "directory_ca_file")}
    context = certified.declares(**settings, trusted_ca_file=str(short.root_file))
    assert apply(context, CERTIFICATE) >= 2
    assert bad(outside_database(context)) == {}
    first = certified.served()
    timer = "[Timer]\nOnCalendar=\nOnCalendar=*:*:*\nRandomizedDelaySec=0\nAccuracySec=1s\n"
    certified.sh(
        "mkdir -p /run/systemd/system/certbot.timer.d; "
        f"printf '{timer}' >/run/systemd/system/certbot.timer.d/now.conf; "
        "systemctl daemon-reload; systemctl restart certbot.timer"
    )
    until(lambda: certified.served() != first, "another certificate is served")
    assert "certbot.timer" in certified.sh("systemctl show -p TriggeredBy certbot.service")

    # The directory does not answer any more: the timer's unit fails, and port 80 is closed.
    certified.sh(
        "nft add table inet away; nft add chain inet away out '{ type filter hook output "
        "priority 0; }'; nft add rule inet away out tcp dport 14100 reject"
    )
    until(
        lambda: "failed" in certified.sh("systemctl is-failed certbot.service", check=False),
        "the renewal has failed",
    )
    certified.sh(
        "systemctl stop certbot.timer; rm -r /run/systemd/system/certbot.timer.d; "
        "systemctl daemon-reload; systemctl start certbot.timer"
    )
    verified = f"certificate.verified.{NAME}"
    until(
        lambda: "expired" in bad(served_certificate(context)).get(verified, ""),
        "the certificate has expired",
    )
    found = bad(served_certificate(context))
    assert {verified, "certificate.days-left", "certificate.last-renewal"} <= set(found)
    assert "database.verified" in bad(outside_database(context))
    assert not certified.open_port()
    certified.sh("nft delete table inet away")

    # A challenge that nobody answers is killed: what it opened is closed again.
    certified.names("clear-a", host=f"{NAME}.")
    certified.names("add-a", host=f"{NAME}.", addresses=["192.0.2.1"])
    certified.sh("systemctl start --no-block certbot.service")
    until(certified.open_port, "port 80 is open")
    assert context.ask(CHALLENGE_PORT).challenge_running
    assert context.ask(UFW_STATE).challenge
    certified.sh("systemctl kill --kill-whom=main -s KILL certbot.service")
    until(lambda: not certified.open_port(), "port 80 is closed")
    # A name is not certbot at work.
    certified.sh("cp /bin/sleep /run/certbot; systemd-run -q /run/certbot 30")
    assert not context.ask(CHALLENGE_PORT).challenge_running
    certified.names("clear-a", host=f"{NAME}.")
    certified.names("add-a", host=f"{NAME}.", addresses=[context.settings.host.address])

    assert apply(certified.context, CERTIFICATE) >= 2
    assert bad(served_certificate(certified.context)) == {}


def test_a_wildcard_comes_by_the_name_service_through_a_delegation(certified: Certified) -> None:
    wild = "wild.certified.example"
    target = "challenges.lab.example"
    context = certified.declares(
        names=(f"*.{wild}", wild),
        challenge="dns-01",
        dns_hook=str(certified.acme.dns_hook),
        dns_delegation=target,
    )
    assert "certificate.delegation." + wild in bad(certificate_checks(context))
    certified.names("set-cname", host=f"_acme-challenge.{wild}.", target=f"{target}.")
    assert "certificate.delegation." + wild not in bad(certificate_checks(context))
    assert apply(context, CERTIFICATE) >= 2
    assert bad(served_certificate(context)) == {}
    assert apply(certified.context, CERTIFICATE) >= 1
    assert bad(served_certificate(certified.context)) == {}


def test_roles_come_to_their_own_database_and_nobody_is_locked_out_unasked(
    certified: Certified,
) -> None:
    context = certified.context
    password = Secret("certified-password")
    context.journal.keep_secret(password)
    context.ssh.sql(
        "CREATE ROLE app LOGIN PASSWORD 'certified-password'; CREATE DATABASE appdb OWNER app;"
        "SET password_encryption = 'md5'; CREATE ROLE aged LOGIN PASSWORD 'old';"
    )
    assert set(bad(outside_database(context))) == {"database.passwords"}
    context.ssh.sql("DROP ROLE aged")
    hba = certified.sh("ls /etc/postgresql/*/main/pg_hba.conf").strip()
    certified.sh(f"echo 'host all all 0.0.0.0/0 md5' >>{hba}")
    context.ssh.sql("SELECT pg_reload_conf()")
    found = bad(outside_database(context))
    assert {"database.rules", "database.refused.plain"} <= set(found)
    assert found["database.refused.plain"] == "let in"

    address = context.settings.host.address
    client = Postgres(PgAddress(address, 5432, "appdb", "app"), password)
    client.query("SELECT 1")
    with pytest.raises(UnfitTarget, match="the role app is connected to appdb"):
        apply(context, POSTGRES_HBA)
    client.close()
    access = {"role": "app", "database": "appdb"}
    data = context.settings.model_dump(mode="json")
    data["hardening"]["database_access"] = [access]
    declared = replace(context, settings=Settings.model_validate(data))
    assert apply(declared, POSTGRES_HBA) == 1
    outcome = outside_database(declared)
    assert bad(outcome) == {}
    assert "database.refused.other-database.app" in {f.id for f in outcome.findings}
    client.query("SELECT 1")
    client.close()
    assert make_plan(DATABASE_ACCESS, declared).empty
    data["postgres"]["connect"] = "ssh_tunnel"
    tunnelled = replace(context, settings=Settings.model_validate(data))
    assert bad(outside_database(tunnelled)) == {}


def test_after_a_reboot_everything_still_holds(certified: Certified) -> None:
    certified.sh("/usr/local/lib/chronos/acme-port open")  # as if the power had gone then
    control.request(certified.lab.name, "reboot", name=HOST)
    context = certified.context
    context.ssh.close()
    until(lambda: "online" in certified.sh("pg_lsclusters", check=False), "PostgreSQL runs")
    until(lambda: not certified.open_port(), "port 80 is closed")
    assert bad(outside_database(context)) == {}
    assert bad(served_certificate(context)) == {}

    files = "/etc/postgresql/*/main/conf.d"
    certified.sh(f"printf \"listen_addresses = 'localhost'\\n\" >$(echo {files})/99-late.conf")
    certified.sh("systemctl restart 'postgresql@*'")
    found = bad(outside_database(context))
    assert (
        found["database.listens"] == "127.0.0.1, [::1]" or "127.0.0.1" in found["database.listens"]
    )
    assert {"database.listens", "database.verified"} <= set(found)
    plan = make_plan(POSTGRES_TLS, context)
    assert "99-late.conf" in plan.refusals[0]
