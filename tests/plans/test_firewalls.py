"""Both firewalls: what is wanted, what is planned, how they are judged; on recorded answers."""

from dataclasses import replace
from typing import Any

import pytest

from chronos_ops.facts.lightsail_ports import OpenPort
from chronos_ops.facts.ufw import DEFAULTS, FILES, RULES4, RULES6, Ufw, UfwRule, read_rules
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.finding import Status
from chronos_ops.model.hardening import Certificate, Firewall
from chronos_ops.model.plan import CallAws, RunCommand, WriteFile
from chronos_ops.model.settings import Settings
from chronos_ops.plans import judge_firewalls as judged
from chronos_ops.plans import lightsail_ports, ufw
from chronos_ops.plans.firewall_wanted import covered, doors, lightsail_doors, merged, world_open
from tests.recorded_cases import example_settings, parsed

ACME = Certificate(names=("db.example",))
LAB = "10.212.70.0/24"  # where the answers were recorded


def settings(challenge: str = "http-01", **firewall: Any) -> Settings:
    """The recorded lab's: its operators, its applications."""
    found = example_settings()
    certificate = ACME.model_copy(update={"challenge": challenge})
    hardening = found.hardening.model_copy(
        update={
            "firewall": Firewall(**{"database_networks": (LAB,)} | firewall),
            "certificate": certificate,
        }
    )
    postgres = found.postgres.model_copy(update={"operator_networks": ("10.212.70.1/32",)})
    return found.model_copy(update={"hardening": hardening, "postgres": postgres})


SETTINGS = settings()
PORTS: tuple[OpenPort, ...] = parsed("lightsail_ports", "debian-13")


def recorded(case: str) -> Ufw:
    found: Ufw = parsed("ufw", case)
    return found


# -- what is wanted


def test_the_doors_are_ssh_postgres_and_https() -> None:
    assert [(d.port, d.networks) for d in doors(SETTINGS)] == [
        (22, ("0.0.0.0/0", "::/0")),
        (5432, (LAB,)),
        (443, ("0.0.0.0/0", "::/0")),
    ]
    assert [d.port for d in lightsail_doors(SETTINGS)] == [22, 5432, 443, 80]
    assert [d.port for d in lightsail_doors(settings("dns-01"))] == [22, 5432, 443]


def test_the_operators_come_to_the_database_whatever_is_declared() -> None:
    door = doors(settings(database_networks=("192.0.2.0/24",)))[1]
    assert door.networks == ("10.212.70.1/32", "192.0.2.0/24")
    assert doors(settings(database_networks=None))[1].networks == ("10.212.70.1/32",)


def test_a_door_for_nobody_is_none() -> None:
    closed = settings(database_networks=(), https_networks=())
    tunnel = closed.postgres.model_copy(update={"connect": "ssh_tunnel"})
    closed = closed.model_copy(update={"postgres": tunnel})
    assert [d.port for d in doors(closed)] == [22]


def test_networks() -> None:
    assert merged(("10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16", "::1/128")) == (
        "10.0.0.0/8", "::1/128"
    )  # fmt: skip
    assert covered("10.1.2.3/32", ("192.0.2.0/24", "10.0.0.0/8"))
    assert not covered("fd00::/64", ("0.0.0.0/0",))
    assert world_open(("0.0.0.0/1", "10.0.0.0/8", "::/0")) == ("0.0.0.0/1", "::/0")


# -- UFW


def test_a_fresh_host_s_firewall_is_set_guarded_and_its_files_come_back() -> None:
    (change,) = ufw.plan(SETTINGS, {"ufw": recorded("unconfigured")}).changes
    assert change.guard
    assert "UFW is not active" in change.why
    assert "+IPv6" not in change.before
    assert "IPv6 allow 22/tcp from ::/0" in change.after
    files = [d for d in change.undo if isinstance(d, WriteFile)]
    assert {d.path for d in files} == set(FILES)
    former = recorded("unconfigured").files
    assert all(d.content == former[d.path].text for d in files)  # type: ignore[union-attr]
    assert change.undo[0] == RunCommand(argv=("ufw", "--force", "disable"), timeout_seconds=60)


def test_its_own_text_is_read_back_as_it_was_meant() -> None:
    wanted = ufw.wanted_rules(SETTINGS)
    read = read_rules(ufw.rules_text(wanted, 4), 4) + read_rules(ufw.rules_text(wanted, 6), 6)
    assert sorted(read, key=str) == sorted(wanted, key=str)


def test_after_it_nothing_is_to_do() -> None:
    plan = ufw.plan(SETTINGS, {"ufw": recorded("debian-13")})
    assert plan.empty
    assert "5432 from 10.212.70.0/24" in plan.noop_reason


def test_rules_of_another_hand_are_shown_and_go_and_may_come_back() -> None:
    (change,) = ufw.plan(SETTINGS, {"ufw": recorded("foreign")}).changes
    for rule in ("limit 2222/tcp", "6000:6007/udp", "deny 25/tcp", "route:allow", "# old app"):
        assert rule in change.before
        assert rule not in change.after
    assert "not declared: IPv4 limit 2222/tcp" in change.why
    assert "disable" not in str(change.undo[-1])  # it was active: it is active again


@pytest.mark.parametrize(
    ("drift", "word"),
    [
        ({"active": False}, "not active"),
        ({"unit_enabled": False}, "does not start at boot"),
        ({"policies": {4: "DROP", 6: "ACCEPT"}}, "IPv6 INPUT policy is ACCEPT"),
        ({"loaded": {4: (), 6: ()}}, "the kernel's IPv4 rules are not those of the files"),
    ],
)
def test_what_has_drifted_is_named(drift: dict[str, Any], word: str) -> None:
    found = replace(recorded("debian-13"), **drift)
    (change,) = ufw.plan(SETTINGS, {"ufw": found}).changes
    assert word in change.why


@pytest.mark.parametrize(
    ("name", "value"),
    [("IPV6", "no"), ("DEFAULT_INPUT_POLICY", '"ACCEPT"'), ("DEFAULT_OUTPUT_POLICY", '"DROP"')],
)
def test_the_defaults_are_mended_in_their_file(name: str, value: str) -> None:
    found = recorded("debian-13")
    defaults = found.files[DEFAULTS]
    assert defaults is not None
    good = f"{name}={'yes' if name == 'IPV6' else chr(34) + ufw.POLICIES[name] + chr(34)}"
    assert good in defaults.text
    broken = replace(defaults, text=defaults.text.replace(good, f"{name}={value}"))
    (change,) = ufw.plan(
        SETTINGS, {"ufw": replace(found, files={**found.files, DEFAULTS: broken})}
    ).changes
    written = {d.path: d.content for d in change.deeds if isinstance(d, WriteFile)}
    assert written[DEFAULTS] == defaults.text


def test_v6_alone_is_not_enough() -> None:
    found = recorded("debian-13")
    v6_only = replace(found, rules=tuple(r for r in found.rules if r.family == 6))
    (change,) = ufw.plan(SETTINGS, {"ufw": v6_only}).changes
    assert "missing: IPv4 allow 22/tcp" in change.why


def challenged(found: Ufw, *, at_work: bool = True) -> Ufw:
    """With what certbot's hook puts in, in files and kernel."""
    loaded = {
        f: (*found.loaded.get(f, ()), *(ufw._kernel_rule(r) for r in ufw.CHALLENGE_RULES
            if r.family == f)) for f in (4, 6)
    }  # fmt: skip
    rules = (*found.rules, *ufw.CHALLENGE_RULES)
    return replace(found, rules=rules, loaded=loaded, challenge=at_work)


def test_a_challenge_under_way_is_let_be_and_never_written() -> None:
    """Its rule is certbot's to put in and to take out: a plan that wrote it would leave it open."""
    busy = challenged(recorded("debian-13"))
    assert ufw.plan(SETTINGS, {"ufw": busy}).noop_reason
    other = ufw.plan(SETTINGS, {"ufw": challenged(recorded("foreign"))})
    assert not other.changes
    assert "challenge is under way" in other.refusals[0]
    left = challenged(recorded("debian-13"), at_work=False)
    (change,) = ufw.plan(SETTINGS, {"ufw": left}).changes
    assert "80/tcp" in change.before
    assert "80/tcp" not in change.after


def test_without_ufw_it_is_said() -> None:
    absent = Ufw("", False, False, False, False, {}, (), (), {}, {})
    assert "apt-get install ufw" in ufw.plan(SETTINGS, {"ufw": absent}).refusals[0]


@pytest.mark.parametrize("line", ["allow tcp 22", "allow tcp 22 nowhere any 0.0.0.0/0 in"])
def test_a_rule_that_cannot_be_read_is_not_passed_over(line: str) -> None:
    with pytest.raises(UnreadableAnswer):
        read_rules(f"### tuple ### {line}\n", 4)


def test_the_text_of_both_families_is_apart() -> None:
    texts = {
        d.path: d.content
        for d in ufw.plan(SETTINGS, {"ufw": recorded("unconfigured")}).changes[0].deeds
        if isinstance(d, WriteFile)
    }
    assert "-A ufw-user-input -s 10.212.70.0/24 -p tcp --dport 5432 -j ACCEPT" in texts[RULES4]
    assert "::" not in texts[RULES4]
    assert "-A ufw6-user-input -p tcp --dport 22 -j ACCEPT" in texts[RULES6]
    assert "5432" not in texts[RULES6]


# -- Lightsail


def test_lightsail_s_list_is_put_whole_and_undone_by_the_former() -> None:
    ports = parsed("lightsail_ports", "unconfigured")
    (change,) = lightsail_ports.plan(SETTINGS, {"ports": ports, "ipv6": True}).changes
    assert change.guard
    put, back = change.deeds[0], change.undo[0]
    assert isinstance(put, CallAws)
    assert isinstance(back, CallAws)
    assert put.arguments["portInfos"] == [
        {"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrs": ["0.0.0.0/0"],
         "ipv6Cidrs": ["::/0"]},
        {"protocol": "tcp", "fromPort": 80, "toPort": 80, "cidrs": ["0.0.0.0/0"],
         "ipv6Cidrs": ["::/0"]},
        {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrs": ["0.0.0.0/0"],
         "ipv6Cidrs": ["::/0"]},
        {"protocol": "tcp", "fromPort": 5432, "toPort": 5432, "cidrs": [LAB]},
    ]  # fmt: skip
    assert [p["fromPort"] for p in back.arguments["portInfos"]] == [22, 80]
    done = {"ports": parsed("lightsail_ports", "debian-13"), "ipv6": True}
    assert lightsail_ports.plan(SETTINGS, done).empty


def test_an_instance_without_ipv6_is_told_of_ipv4_alone() -> None:
    """Lightsail keeps no IPv6 networks for it: what is put must be what is read again."""
    v4 = tuple(replace(port, ipv6_cidrs=()) for port in PORTS)
    assert lightsail_ports.plan(SETTINGS, {"ports": v4, "ipv6": False}).empty
    assert not lightsail_ports.plan(SETTINGS, {"ports": v4, "ipv6": True}).empty
    assert judged.judge_agreement(SETTINGS, recorded("debian-13"), v4, ipv6=False).good
    assert not judged.judge_agreement(SETTINGS, recorded("debian-13"), v4).good


def test_a_host_that_is_no_instance_is_said() -> None:
    assert (
        "knows no instance"
        in lightsail_ports.plan(SETTINGS, {"ports": None, "ipv6": False}).refusals[0]
    )


def test_a_port_for_nobody_would_be_open_to_all() -> None:
    with pytest.raises(UnreadableAnswer, match="open to nobody"):
        OpenPort("tcp", 5432, 5432, (), ()).as_argument()


BROWSER = ("lightsail-connect",)  # the console's browser SSH


def with_browser(ports: tuple[OpenPort, ...], **given: Any) -> tuple[OpenPort, ...]:
    return tuple(replace(p, aliases=BROWSER, **given) if p.first == 22 else p for p in ports)


def test_the_console_s_browser_stays_where_all_may_come_and_else_goes_with_a_reason() -> None:
    ipv6 = {"ipv6": True}
    everybody = with_browser(PORTS)
    assert lightsail_ports.plan(SETTINGS, {"ports": everybody} | ipv6).empty
    (change,) = lightsail_ports.plan(SETTINGS, {"ports": everybody[:1]} | ipv6).changes
    assert "22/tcp from 0.0.0.0/0, ::/0, lightsail-connect" in change.after
    assert judged.judge_agreement(SETTINGS, recorded("debian-13"), everybody).good

    named = settings(ssh_networks=("192.0.2.0/24",))
    some = with_browser(PORTS, cidrs=("192.0.2.0/24",), ipv6_cidrs=())
    (change,) = lightsail_ports.plan(named, {"ports": some} | ipv6).changes
    assert "lightsail-connect" in change.before
    assert "lightsail-connect" not in change.after
    assert "lightsail-connect on 22 goes" in change.why
    said = judged.judge_agreement(named, recorded("debian-13"), some)
    assert "Lightsail alone: 22/tcp from lightsail-connect" in said.observed


def test_connections_are_tried_for_long_only_where_somebody_loses_the_way_to_ssh() -> None:
    fresh = parsed("lightsail_ports", "unconfigured")
    (change,) = lightsail_ports.plan(SETTINGS, {"ports": fresh, "ipv6": True}).changes
    assert change.late_seconds == 0
    named = settings(ssh_networks=("192.0.2.0/24", "2001:db8::/64"))
    for ports in (fresh, PORTS):
        (change,) = lightsail_ports.plan(named, {"ports": ports, "ipv6": True}).changes
        assert change.late_seconds == lightsail_ports.IN_FORCE_SECONDS >= 60


@pytest.mark.parametrize("ipv6", [False, True])
@pytest.mark.parametrize(
    "operators",
    [("203.0.113.0/24", "2001:db8:7::/48"), ("2001:db8:7::/48",), ("10.0.0.0/9", "10.128.0.0/9")],
)
def test_both_plans_of_lightsail_s_list_come_to_rest(
    operators: tuple[str, ...], ipv6: bool
) -> None:
    """The way to the database is part of the whole list, on an instance without IPv6 too."""
    base = settings()
    postgres = base.postgres.model_copy(update={"operator_networks": operators})
    given = base.model_copy(update={"postgres": postgres})

    def put(change: Any) -> tuple[OpenPort, ...]:
        """As Lightsail keeps it: without an IPv6 address none of its networks."""
        infos = change.deeds[0].arguments["portInfos"]
        return tuple(
            OpenPort(
                i["protocol"], i["fromPort"], i["toPort"], tuple(i.get("cidrs", ())),
                tuple(i.get("ipv6Cidrs", ())) if ipv6 else (),
            ) for i in infos
        )  # fmt: skip

    for start in (parsed("lightsail_ports", "unconfigured"), PORTS):
        door = lightsail_ports.database_door(given, start, ipv6=ipv6)
        ports = start if door is None else put(door)
        assert lightsail_ports.database_door(given, ports, ipv6=ipv6) is None
        for change in lightsail_ports.plan(given, {"ports": ports, "ipv6": ipv6}).changes:
            ports = put(change)
        assert lightsail_ports.plan(given, {"ports": ports, "ipv6": ipv6}).empty
        assert lightsail_ports.database_door(given, ports, ipv6=ipv6) is None


def test_a_network_of_ipv6_before_an_instance_without_it_is_a_finding() -> None:
    base = settings(database_networks=(LAB, "2001:db8:7::/48"))
    said = judged.judge_families(base, PORTS, ipv6=False)
    assert said.status is Status.FAIL
    assert said.observed == "no IPv6 address, but declared: 2001:db8:7::/48"
    assert judged.judge_families(base, PORTS, ipv6=True).good
    assert judged.judge_families(SETTINGS, PORTS, ipv6=False).good  # ::/0 names nobody


def test_the_operators_way_to_the_database_is_added_to_what_is_open() -> None:
    ports = parsed("lightsail_ports", "unconfigured")
    change = lightsail_ports.database_door(SETTINGS, ports, ipv6=True)
    assert change is not None
    assert not change.guard
    assert change.after.splitlines() == [
        *change.before.splitlines(),
        "5432/tcp from 10.212.70.1/32",
    ]
    assert lightsail_ports.database_door(SETTINGS, PORTS, ipv6=True) is None
    assert lightsail_ports.database_door(SETTINGS, None, ipv6=True) is None


def test_other_networks_of_the_database_stay() -> None:
    ports = (OpenPort("tcp", 5432, 5432, ("192.0.2.0/24",), ("fd00::/64",)),)
    change = lightsail_ports.database_door(SETTINGS, ports, ipv6=True)
    assert change is not None
    assert change.after == "5432/tcp from 10.212.70.1/32, 192.0.2.0/24, fd00::/64\n"


# -- judged


def findings(host: Ufw, ports: tuple[OpenPort, ...] | None, given: Settings) -> dict[str, Status]:
    front = judged.host_openings(host) if ports is None else judged.lightsail_openings(ports)
    found = [
        judged.judge_agreement(given, host, ports),
        judged.judge_database(given, judged.really_open(judged.host_openings(host), front)),
        judged.judge_challenge_port(given, host),
    ]
    return {f.id.removeprefix("firewall."): f.status for f in found}


GOOD = dict.fromkeys(("agree", "database-sources", "challenge-port"), Status.PASS)


def test_hardened_they_agree_but_for_port_80() -> None:
    assert findings(recorded("debian-13"), PORTS, SETTINGS) == GOOD
    dns = findings(recorded("debian-13"), PORTS, settings("dns-01"))
    assert dns == GOOD | {"agree": Status.FAIL}


@pytest.mark.parametrize(
    ("protocol", "first", "last", "cidrs"),
    [("tcp", 8080, 8080, ("0.0.0.0/0",)), ("udp", 53, 53, ("10.0.0.0/8",)),
     ("tcp", 5432, 5432, ("10.212.0.0/16",))],
)  # fmt: skip
def test_any_other_difference_is_a_finding(
    protocol: str, first: int, last: int, cidrs: tuple[str, ...]
) -> None:
    ports = tuple(p for p in PORTS if p.first != first)
    ports += (OpenPort(protocol, first, last, cidrs, ()),)
    assert findings(recorded("debian-13"), ports, SETTINGS) == GOOD | {"agree": Status.FAIL}


def test_a_family_that_one_of_them_closes_is_a_difference() -> None:
    v4_only = tuple(replace(p, ipv6_cidrs=()) if p.first == 22 else p for p in PORTS)
    said = judged.judge_agreement(SETTINGS, recorded("debian-13"), v4_only)
    assert said.status is Status.FAIL
    assert said.observed == "22/tcp: UFW 0.0.0.0/0, ::/0, Lightsail 0.0.0.0/0"


def test_the_database_open_to_the_world_is_a_finding_only_if_both_let_it_in() -> None:
    world = tuple(replace(p, cidrs=("0.0.0.0/0",)) if p.admits(5432) else p for p in PORTS)
    assert findings(recorded("debian-13"), world, SETTINGS)["database-sources"] is Status.PASS
    rule = UfwRule(4, "allow", "tcp", "5432", "0.0.0.0/0", "0.0.0.0/0", "any", "in")
    host = recorded("debian-13")
    wide = replace(host, rules=(*host.rules, rule))
    assert findings(wide, world, SETTINGS) == GOOD | {"database-sources": Status.FAIL}


def test_an_inactive_firewall_lets_in_what_lightsail_does() -> None:
    off = replace(recorded("debian-13"), active=False)
    opened = judged.really_open(judged.host_openings(off), judged.lightsail_openings(PORTS))
    assert [o.ports for o in opened] == ["22/tcp", "80/tcp", "443/tcp", "5432/tcp"]


def test_port_80_left_open_on_the_host_is_a_finding() -> None:
    rule = UfwRule(4, "allow", "tcp", "80", "0.0.0.0/0", "0.0.0.0/0", "any", "in")
    host = recorded("debian-13")
    left = replace(host, rules=(*host.rules, rule))
    found = findings(left, PORTS, SETTINGS)
    assert found == GOOD | {"challenge-port": Status.FAIL, "agree": Status.FAIL}
    busy = challenged(host)
    assert findings(busy, PORTS, SETTINGS) == GOOD
    over = replace(busy, challenge=False)
    assert findings(over, PORTS, SETTINGS) == GOOD | {"challenge-port": Status.FAIL}
    # certbot at work excuses its own rule, where certificates come by http-01, and no other
    other = replace(left, challenge=True)
    assert findings(other, PORTS, SETTINGS)["challenge-port"] is Status.FAIL
    assert findings(busy, PORTS, settings("dns-01"))["challenge-port"] is Status.FAIL
    off = replace(busy, active=False)
    assert findings(off, PORTS, SETTINGS)["challenge-port"] is Status.FAIL


def test_what_really_is_open_is_the_intersection() -> None:
    host = [
        judged.Opening("tcp", 20, 30, ("10.0.0.0/8", "::/0")),
        judged.Opening("udp", 53, 53, ("0.0.0.0/0",)),
    ]
    front = [
        judged.Opening("any", 0, 65535, ("10.1.0.0/16",)),
        judged.Opening("tcp", 25, 99, ("fd00::/8",)),
    ]
    assert [o.shown for o in judged.really_open(host, front)] == [
        "20-30/tcp from 10.1.0.0/16",
        "25-30/tcp from fd00::/8",
        "53/udp from 10.1.0.0/16",
    ]


def test_published_ports_and_changed_framework_files_are_findings() -> None:
    assert judged.judge_published(parsed("docker_ports", "none")).good
    said = judged.judge_published(parsed("docker_ports", "published"))
    assert said.status is Status.FAIL
    assert said.observed == "8080/tcp, 8443/tcp, 53/udp on 10.212.70.10"  # 9000: on the loopback
    assert judged.judge_framework(recorded("unconfigured")).good
    assert judged.judge_framework(recorded("foreign")).observed == "before.rules"


def test_no_lightsail_in_front_is_not_a_disagreement() -> None:
    said = judged.judge_agreement(SETTINGS, recorded("debian-13"), None)
    assert said.status is Status.NOT_APPLICABLE
    (row, *_) = judged.rows(recorded("debian-13"), None)
    assert row == {"port": "22/tcp", "UFW": "0.0.0.0/0, ::/0", "Lightsail": "not in front",
                   "really open": "0.0.0.0/0, ::/0"}  # fmt: skip
