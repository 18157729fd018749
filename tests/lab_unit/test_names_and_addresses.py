import dataclasses
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from chronos_ops.lab import network
from chronos_ops.lab.errors import LabError, LabImpossible
from chronos_ops.lab.fleet import _slug
from chronos_ops.lab.network import Network, choose_subnet
from chronos_ops.lab.places import places


def test_names_of_one_lab_are_not_anothers(tmp_path: Path) -> None:
    one, two = places("lab", tmp_path), places("lab-2", tmp_path)
    for name in ("bridge", "table", "folder", "run", "lock", "socket"):
        assert getattr(one, name) != getattr(two, name)
    assert not two.cgroup("db").startswith(one.cgroup(""))
    assert len(one.bridge) <= 15
    assert len(str(places("a" * 24, tmp_path).socket)) < 108


@pytest.mark.parametrize("name", ["", "Lab", "-lab", "lab-", "a/b", "..", "a.b", "x" * 25])
def test_what_cannot_be_a_lab(name: str) -> None:
    with pytest.raises(LabImpossible, match="not a lab's name"):
        places(name)


def test_a_free_network_is_found_and_found_again() -> None:
    first = choose_subnet([], "lab")
    assert first == choose_subnet([], "lab")
    assert first.prefixlen == 24
    second = choose_subnet([first, IPv4Network("10.64.0.0/10")], "lab")
    assert not second.overlaps(first)
    assert not second.overlaps(IPv4Network("10.64.0.0/10"))
    with pytest.raises(LabError, match="no free private network"):
        choose_subnet([IPv4Network("10.0.0.0/8")], "lab")


def test_addresses_of_hosts_are_free_ones() -> None:
    here = Network(IPv4Network("10.9.8.0/24"), "br", "table")
    assert str(here.gateway) == "10.9.8.1"
    assert here.free([]) == "10.9.8.10"
    assert here.free(["10.9.8.10", "10.9.8.12"]) == "10.9.8.11"
    with pytest.raises(LabError, match="no address left"):
        here.free([f"10.9.8.{n}" for n in range(10, 200)])
    assert dataclasses.is_dataclass(here)


def test_the_table_maps_static_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    run: list[list[str]] = []

    def record(argv: list[str], *, text: str | None = None) -> str:
        run.append(argv)
        if text:
            written.append(text)
        return '[{"addr_info": [{"local": "10.9.8.1"}, {"local": "10.9.8.201"}]}]'

    monkeypatch.setattr(network, "run", record)
    monkeypatch.setattr(network, "works", lambda _: False)
    here = Network(IPv4Network("10.9.8.0/24"), "br", "table")
    network.write_table(here, {"10.9.8.200": "10.9.8.10"})
    assert written[0].count("dnat to ip daddr map { 10.9.8.200 : 10.9.8.10 }") == 2
    assert ["ip", "address", "add", "10.9.8.200/32", "dev", "br"] in run
    assert ["ip", "address", "del", "10.9.8.201/32", "dev", "br"] in run
    assert not any("10.9.8.1/32" in argv for argv in run)


def test_slugs_are_hostnames_and_unique() -> None:
    assert _slug("project-chronos", set()) == "project-chronos"
    assert _slug("Drill_2026.11:x", set()) == "drill-2026-11-x"
    assert _slug("DB", {"db"}) == "db-2"
    assert _slug("___", set()) == "host"
