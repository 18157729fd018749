"""The lab's ACME service: how it is started, and what a target says of it."""

import json
import stat
from pathlib import Path

from chronos_ops.lab import acme
from chronos_ops.lab.places import Places
from chronos_ops.model.hardening import Certificate


def test_it_listens_on_the_labs_bridge_alone(tmp_path: Path) -> None:
    lab = acme.describe(tmp_path, "10.9.8.1")
    argv, env = acme.directory_command(lab, tmp_path / "state", validity_seconds=20)
    config = json.loads((lab.folder / "pebble.json").read_text())["pebble"]
    assert config["certificateValidityPeriod"] == 20
    assert config["httpPort"] == 80
    assert config["listenAddress"] == "10.9.8.1:14000"
    assert config["managementListenAddress"] == "10.9.8.1:15000"
    assert argv[0] == str(tmp_path / "state/acme/usr/bin/pebble")
    assert env["PEBBLE_VA_NOSLEEP"] == "1"
    assert stat.S_IMODE(Path(config["privateKey"]).stat().st_mode) == 0o600
    names, _ = acme.names_command(lab, tmp_path / "state", "10.9.8.10")
    text = " ".join(names)
    assert "-defaultIPv4 10.9.8.10" in text
    assert "-dns01 10.9.8.1:8053" in text
    assert "-management 10.9.8.1:8055" in text
    assert names[names.index("-http01") + 1] == ""
    assert names[names.index("-doh") + 1] == ""


def test_the_target_declares_what_the_service_is(tmp_path: Path) -> None:
    lab = acme.describe(tmp_path, "10.9.8.1")
    declared = Certificate.model_validate(lab.settings())
    assert declared.directory_url == "https://acme.chronos-lab.internal:14000/dir"
    assert declared.dns_server == "10.9.8.1:8053"
    assert declared.renewal_proof == "renew"


def test_where_the_package_cannot_be_had_the_lab_says_so_and_goes_on(tmp_path: Path) -> None:
    told: list[str] = []
    state = tmp_path / "state"
    state.mkdir()
    acme.ensure(Places("try", state), "http://127.0.0.1:9", told.append)
    assert not acme.installed(state)
    assert "no ACME service in this lab" in told[-1]
    assert list(state.iterdir()) == []
