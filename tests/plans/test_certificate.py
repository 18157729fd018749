"""The certificate's plan: what is written, when one is issued, what closes port 80."""

import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from chronos_ops.facts.certbot import Certbot, ChallengePort, Renewal
from chronos_ops.facts.certificates import Certificate as Leaf
from chronos_ops.facts.certificates import CertificateFile, covers
from chronos_ops.facts.postgres import Cluster
from chronos_ops.facts.systemd import Unit
from chronos_ops.model.errors import UsageError
from chronos_ops.model.hardening import Certificate, Hardening
from chronos_ops.model.plan import Plan, RunCommand, WriteFile
from chronos_ops.model.settings import Settings
from chronos_ops.plans import certificate
from chronos_ops.plans.certificate_force import FORCED, FORCED_FILE, FORGET, force
from tests.recorded_cases import RECORDED, example_settings, parsed

NAMES = ("automatonicai.com", "www.automatonicai.com")


def settings_with(tmp_path: Path, **given: Any) -> Settings:
    ca = tmp_path / "ca.pem"
    ca.write_text("-----BEGIN CERTIFICATE-----\nCA\n-----END CERTIFICATE-----\n")
    declared = Certificate(
        names=given.pop("names", NAMES),
        directory_url="https://acme.chronos-lab.internal:14000/dir",
        directory_ca_file=str(ca),
        **given,
    )
    return example_settings().model_copy(update={"hardening": Hardening(certificate=declared)})


def live(names: tuple[str, ...] = NAMES, *, days: float = 60) -> CertificateFile:
    now = datetime.now(UTC)
    leaf = Leaf("AA", names[0], "CA", names, now - timedelta(days=30), now + timedelta(days=days))
    return CertificateFile("x", (leaf,), "", "600", "root:root", True)


def copy() -> CertificateFile:
    return replace(live(), key_mode="600", key_owner="postgres:postgres")


def unit(name: str, enabled: str = "enabled", active: str = "active") -> Unit:
    return Unit(name, "loaded", active, "waiting", enabled, "success")


def renewal_now() -> Renewal:
    found = parsed("certbot_renewal", "debian-13")
    assert isinstance(found, Renewal)
    return found


def values_of(settings: Settings, **given: Any) -> dict[str, Any]:
    """A host on which all is as it should be, but for what is given."""
    wanted = certificate.wanted_files(settings, "certbot")
    return {
        "certbot": Certbot("/usr/bin/certbot", "4.0.0", "certbot"),
        "clusters": [Cluster("17", "main", 5432, "online", "postgres", "/var/lib/postgresql")],
        "texts": {path: text for path, (text, _) in wanted.items()},
        "units": {
            "certbot.timer": unit("certbot.timer"),
            certificate.PORT_UNIT: unit(certificate.PORT_UNIT, active="inactive"),
        },
        "renewal": renewal_now(),
        "live": live(),
        "copy": copy(),
        "port": ChallengePort((), "", challenge_running=False),
    } | given


def ids(plan: Plan) -> list[str]:
    return [change.id for change in plan.changes]


def test_a_settled_host_has_nothing_to_do(tmp_path: Path) -> None:
    settings = settings_with(tmp_path)
    plan = certificate.plan(settings, values_of(settings))
    assert plan.empty
    assert plan.noop_reason
    assert not plan.refusals


def test_a_bare_host_gets_files_then_certificate_then_units(tmp_path: Path) -> None:
    settings = settings_with(tmp_path)
    texts = dict.fromkeys(certificate.wanted_files(settings, "certbot"))
    plan = certificate.plan(
        settings, values_of(settings, texts=texts, renewal=None, live=None, units={})
    )
    assert ids(plan) == [
        "certificate.certificate-deploy",
        "certificate.acme-directory-ca.pem",
        "certificate.acme-port",
        "certificate.chronos-acme-port.service",
        "certificate.chronos.conf",
        "certificate.issue",
        "certificate.enable.certbot.timer",
        "certificate.enable.chronos-acme-port.service",
    ]
    assert len(set(ids(plan))) == len(plan.changes)
    assert not plan.refusals
    undone = [change for change in plan.changes if change.id != "certificate.issue"]
    assert all(change.undo for change in undone)


def test_the_challenge_closes_the_port_however_it_ends(tmp_path: Path) -> None:
    settings = settings_with(tmp_path)
    plan = certificate.plan(settings, values_of(settings, renewal=None, live=None))
    deed = plan.changes[0].deeds[0]
    assert isinstance(deed, RunCommand)
    line = " ".join(deed.argv)
    assert "ExecStopPost=/usr/local/lib/chronos/acme-port close" in line
    assert "--standalone --pre-hook /usr/local/lib/chronos/acme-port open" in line
    assert "--post-hook /usr/local/lib/chronos/acme-port close" in line
    assert "REQUESTS_CA_BUNDLE=" in line
    assert "-d automatonicai.com -d www.automatonicai.com" in line
    drop_in = certificate.wanted_files(settings, "certbot")
    text, _ = drop_in["/etc/systemd/system/certbot.service.d/chronos.conf"]
    assert "ExecStartPost=/usr/local/lib/chronos/certificate-deploy" in text
    assert "ExecStopPost=/usr/local/lib/chronos/acme-port close" in text


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"live": live(("automatonicai.com",))}, "it is for automatonicai.com"),
        ({"live": live(days=-1)}, "it has expired"),
        ({"renewal": replace(renewal_now(), server="https://other/dir")}, "it is from"),
        ({"renewal": replace(renewal_now(), deploy_hook="")}, "another deploy-hook"),
        ({"renewal": replace(renewal_now(), post_hook="true")}, "another post-hook"),
        ({"renewal": None}, "there is none yet"),
    ],
)
def test_a_certificate_is_issued_when_what_is_there_does_not_do(
    tmp_path: Path, given: dict[str, Any], reason: str
) -> None:
    settings = settings_with(tmp_path)
    plan = certificate.plan(settings, values_of(settings, **given))
    assert ids(plan) == ["certificate.issue"]
    assert reason in plan.changes[0].title


def test_a_certificate_that_the_timer_will_renew_is_left_alone(tmp_path: Path) -> None:
    settings = settings_with(tmp_path)
    assert certificate.plan(settings, values_of(settings, live=live(days=2))).empty


@pytest.mark.parametrize(
    "found",
    [
        None,
        replace(copy(), key_mode="644"),
        replace(copy(), key_owner="root:root"),
        replace(copy(), key_matches=False),
        replace(copy(), chain=(replace(live().leaf, serial="BB"),)),
    ],
)
def test_a_copy_that_is_not_certbots_or_is_readable_is_made_anew(
    tmp_path: Path, found: CertificateFile | None
) -> None:
    settings = settings_with(tmp_path)
    plan = certificate.plan(settings, values_of(settings, copy=found))
    assert ids(plan) == ["certificate.hand-over"]


def test_a_port_that_was_left_open_is_closed_but_not_during_a_challenge(tmp_path: Path) -> None:
    settings = settings_with(tmp_path)
    left = parsed("challenge_port", "left-open")
    assert ids(certificate.plan(settings, values_of(settings, port=left))) == [
        "certificate.port-closed"
    ]
    running = replace(left, challenge_running=True)
    assert certificate.plan(settings, values_of(settings, port=running)).empty
    foreign = replace(running, rules=(*running.rules, "ufw allow 80/tcp comment 'old app'"))
    (change,) = certificate.plan(settings, values_of(settings, port=foreign)).changes
    assert change.before == "ufw allow 80/tcp comment 'old app'\n"


def test_a_taken_port_refuses_a_standalone_challenge(tmp_path: Path) -> None:
    settings = settings_with(tmp_path)
    taken = ChallengePort((), "nginx", challenge_running=False)
    plan = certificate.plan(settings, values_of(settings, port=taken, live=None))
    assert "port 80 is taken by nginx" in plan.refusals[0]
    assert not certificate.plan(settings, values_of(settings, port=taken)).refusals


def test_a_challenge_by_name_service_needs_no_port(tmp_path: Path) -> None:
    hook = tmp_path / "hook"
    hook.write_text("#!/bin/sh\n")
    settings = settings_with(
        tmp_path,
        names=("*.automatonicai.com", "automatonicai.com"),
        challenge="dns-01",
        dns_hook=str(hook),
        dns_delegation="challenge.example.net",
    )
    files = certificate.wanted_files(settings, "certbot")
    assert certificate.PORT not in files
    assert files[certificate.DNS_HOOK] == ("#!/bin/sh\n", "0700")
    plan = certificate.plan(settings, values_of(settings, renewal=None, live=None))
    deed = plan.changes[0].deeds[0]
    assert isinstance(deed, RunCommand)
    argv = list(deed.argv)
    assert argv[argv.index("--manual-auth-hook") + 1].endswith("auth challenge.example.net")
    assert "--standalone" not in argv
    assert argv[argv.index("--cert-name") + 1] == "automatonicai.com"
    hook.unlink()
    with pytest.raises(UsageError, match="dns_hook is not a file"):
        certificate.wanted_files(settings, "certbot")


def test_a_wildcard_needs_the_name_service() -> None:
    with pytest.raises(ValidationError, match="dns-01"):
        Certificate(names=("*.automatonicai.com",))
    with pytest.raises(ValidationError, match="dns_hook"):
        Certificate(names=("*.automatonicai.com",), challenge="dns-01")


def test_what_makes_a_renewal_come_too_early_is_seen_and_taken_out(tmp_path: Path) -> None:
    """Of a proof that was cut off in its middle, or of another hand."""
    settings = settings_with(tmp_path)
    always = replace(renewal_now(), renew_before="3650 days")
    (change,) = certificate.plan(settings, values_of(settings, renewal=always)).changes
    assert change.id == "certificate.renew-before"
    assert change.before == "renew_before_expiry = 3650 days\n"
    conf = tmp_path / "renewal.conf"
    text = "renew_before_expiry = 3650 days\n# renew_before_expiry = 30 days\nversion = 4.0.0\n"
    conf.write_text(text)
    for deeds, wanted in ((change.deeds, text.split("\n", 1)[1]), (change.undo, text)):
        (deed,) = deeds
        assert isinstance(deed, RunCommand)
        assert deed.argv[-1] == "/etc/letsencrypt/renewal/automatonicai.com.conf"
        subprocess.run([*deed.argv[:-1], str(conf)], check=True)
        assert conf.read_text() == wanted

    values = values_of(settings)
    values["texts"] |= {FORCED_FILE: f"XDG_CONFIG_HOME={FORCED}\n"}
    (change,) = certificate.plan(settings, values).changes
    assert change.deeds == (FORGET,)


def test_a_renewal_is_told_in_run_and_forgotten_by_the_end_of_the_unit(tmp_path: Path) -> None:
    settings = settings_with(tmp_path)
    drop_in = certificate.wanted_files(settings, "certbot")
    text, _ = drop_in["/etc/systemd/system/certbot.service.d/chronos.conf"]
    assert f"EnvironmentFile=-{FORCED_FILE}" in text
    assert f"ExecStopPost=/bin/rm -rf {FORCED}" in text
    paths = [deed.path for deed in force("db.example") if isinstance(deed, WriteFile)]
    assert len(paths) == 2
    assert all(path.startswith("/run/") for path in paths)


def test_ubuntus_snap_renews_by_another_unit(tmp_path: Path) -> None:
    settings = settings_with(tmp_path)
    snap = parsed("certbot", "ubuntu-snap-unproven")
    wanted = certificate.wanted_files(settings, snap.unit)
    path = "/etc/systemd/system/snap.certbot.renew.service.d/chronos.conf"
    assert path in wanted
    texts = {p: text for p, (text, _) in wanted.items()} | {path: None}
    values = values_of(settings, certbot=snap, texts=texts)
    values["units"] |= {"snap.certbot.renew.timer": unit("snap.certbot.renew.timer")}
    assert ids(certificate.plan(settings, values)) == ["certificate.chronos.conf"]


def test_without_a_declared_certificate_the_stage_says_so() -> None:
    plan = certificate.plan(example_settings().model_copy(update={"hardening": Hardening()}), {})
    assert "hardening.certificate" in plan.refusals[0]


def test_names_of_a_certificate() -> None:
    assert covers(("*.automatonicai.com",), "www.automatonicai.com")
    assert not covers(("*.automatonicai.com",), "automatonicai.com")
    assert not covers(("*.automatonicai.com",), "a.b.automatonicai.com")
    assert covers(("automatonicai.com",), "automatonicai.com")


def test_the_recorded_port_is_of_the_script_that_is_written() -> None:
    case = json.loads((RECORDED / "challenge_port" / "left-open.json").read_text())
    assert "80/tcp comment 'chronos-ops: ACME challenge'" in case["answer"]["stdout"]
