"""What differs on Ubuntu, by facts made by hand from its documentation: unproven on a real host."""

import json
from dataclasses import replace

import pytest

from chronos_ops.facts.postgres import Cluster
from chronos_ops.facts.sshd import Sshd
from chronos_ops.model.plan import RunCommand, WriteFile
from chronos_ops.model.settings import Settings
from chronos_ops.plans import hardening_packages
from chronos_ops.plans.ssh import PATH, beaten_by, drop_in, plan
from chronos_ops.plans.ssh_wanted import wanted_values
from tests.recorded_cases import RECORDED, example_settings, parsed

CASES = ("ubuntu-22.04-unproven", "ubuntu-24.04-unproven")


def ubuntus(**host: str) -> Settings:
    settings = example_settings()
    given = {"user": "ubuntu"} | host
    return settings.model_copy(update={"host": settings.host.model_copy(update=given)})


def sshd_of(case: str) -> Sshd:
    found = parsed("sshd", case)
    assert isinstance(found, Sshd)
    return found


def test_every_unproven_case_says_so_itself() -> None:
    """A later reader must not take a hand-made answer for a recorded one."""
    paths = [p for p in RECORDED.glob("*/*.json") if "unproven" in p.stem or "ubuntu" in p.stem]
    assert len(paths) >= 11
    for path in paths:
        case = json.loads(path.read_text(encoding="utf-8"))
        assert "unproven" in path.stem, path
        assert "unproven" in case["source"], path


@pytest.mark.parametrize("case", CASES)
def test_the_cloud_images_drop_ins_do_not_win_over_ours(case: str) -> None:
    sshd = sshd_of(case)
    assert any(path.endswith("60-cloudimg-settings.conf") for path in sshd.texts)
    found = plan(ubuntus(), {"sshd": sshd})
    assert found.refusals == ()
    change = found.changes[0]
    assert change.id == "ssh.drop-in"
    assert change.guard
    assert beaten_by(sshd, change.after) == []  # Ubuntu's main file includes before it sets
    written = [deed.path for deed in change.deeds if isinstance(deed, WriteFile)]
    assert written == [f"{PATH}.new"]
    was_open = sshd.first("passwordauthentication") == "yes"  # 50-cloud-init.conf, read first
    assert ("PasswordAuthentication yes" in change.before) is was_open


@pytest.mark.parametrize("case", CASES)
def test_an_older_openssh_gets_only_what_it_knows(case: str) -> None:
    sshd = sshd_of(case)
    text = drop_in(ubuntus(), sshd)
    assert "PerSourcePenaltyExemptList" not in text  # OpenSSH 9.8 on
    assert "mlkem768x25519-sha256" not in text
    assert "sntrup761x25519-sha512@openssh.com" in text
    assert {k.lower() for k in wanted_values(ubuntus(), sshd)} <= set(sshd.effective)


def test_a_socket_activated_sshd_is_reloaded_only_while_its_service_runs() -> None:
    """systemd's ssh.socket keeps the port; the service of the next caller reads the files anew."""
    sshd = sshd_of("ubuntu-24.04-unproven")
    assert (sshd.socket, sshd.service) == ("active", "active")
    reload = plan(ubuntus(), {"sshd": sshd}).changes[0].deeds[-1]
    assert isinstance(reload, RunCommand)
    script = reload.argv[2]
    assert "is-active --quiet ssh.service; then systemctl reload" in script
    assert "mkdir -m 0755 /run/sshd" in script  # made by the service, which may never have run
    assert "restart" not in script
    text = drop_in(ubuntus(), sshd)  # which port is systemd's matter there
    assert not any(line.startswith(("Port ", "ListenAddress ")) for line in text.splitlines())


@pytest.mark.parametrize("case", CASES)
def test_the_user_ubuntu_is_not_shut_out(case: str) -> None:
    sshd = sshd_of(case)
    assert sshd.operator[0] == "ubuntu"
    assert plan(ubuntus(), {"sshd": sshd}).refusals == ()
    shut = {"allowgroups": ("wheel",)} | sshd.effective
    refusals = plan(ubuntus(), {"sshd": _with(sshd, shut)}).refusals
    assert "AllowGroups wheel admits no group of ubuntu" in refusals[0]
    open_to = {"allowgroups": ("sudo",)} | sshd.effective
    assert plan(ubuntus(), {"sshd": _with(sshd, open_to)}).refusals == ()


def _with(sshd: Sshd, effective: dict[str, tuple[str, ...]]) -> Sshd:
    return replace(sshd, effective=effective)


@pytest.mark.parametrize("case", CASES)
def test_packages_are_asked_of_universe_when_they_are_missing(case: str) -> None:
    settings = ubuntus()
    version = "14" if "22.04" in case else "16"
    name = settings.postgres.cluster
    values = {
        "release": parsed("os_release", case),
        "clusters": [Cluster(version, name, 5432, "online", "postgres", "/var/lib/postgresql")],
        "installed": {},
        "candidates": dict.fromkeys(hardening_packages.NEEDED, "1.0") | {"certbot": None},
    }
    found = hardening_packages.plan(settings, values)
    assert any("universe" in text for text in found.refusals), found
