"""Lightsail's port lists as rules of nftables."""

from chronos_ops.lab.doors import Doors, bridged_chains, first_ports, port, rules, tracked_chains


def test_ports_and_sources_by_family() -> None:
    ports = [
        port(22),
        port(5432) | {"cidrs": ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7/32"], "ipv6Cidrs": []},
        port(9000, 9010, "udp") | {"cidrs": [], "ipv6Cidrs": ["2001:db8::/32"]},
    ]
    assert rules(ports, "ip") == [
        "tcp dport 22-22 accept",
        "ip saddr { 10.0.0.0/8, 192.0.2.7/32 } tcp dport 5432-5432 accept",
    ]
    assert rules(ports, "ip6") == [
        "tcp dport 22-22 accept",
        "ip6 saddr { 2001:db8::/32 } udp dport 9000-9010 accept",
    ]


def test_ping_and_everything_are_rules_of_their_own() -> None:
    assert rules([port(-1, -1, "icmp")], "ip") == ["meta l4proto icmp accept"]
    assert rules([port(-1, -1, "icmp")], "ip6") == []
    assert rules([port(0, 65535, "all")], "ip") == ["accept"]


def test_what_is_not_let_through_is_dropped() -> None:
    host = Doors("10.9.8.10", "fdc5::a", first_ports())
    for family, address in (("ip", "10.9.8.10"), ("ip6", "fdc5::a")):
        text = tracked_chains([host], family, "br")  # type: ignore[arg-type]
        assert f"{family} daddr vmap {{ {address} : jump {family}_10_9_8_10 }}" in text
        chain = text.partition(f"chain {family}_10_9_8_10 {{")[2].partition("}")[0]
        assert chain.split("\n")[-2] == "drop"
        assert text.count('oifname "br" jump lightsail') == 2
    assert bridged_chains([host]).count("drop") == 2


def test_a_host_without_ipv6_has_no_rule_there() -> None:
    host = Doors("10.9.8.10", "", first_ports())
    assert "vmap" not in tracked_chains([host], "ip6", "br")
    assert "ip6 daddr" not in bridged_chains([host])
