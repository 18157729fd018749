"""Security updates: what is amiss, by whose word, what waits for how long; also on Ubuntu (H6)."""

import datetime
import fnmatch
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from chronos_ops.facts.apt_policy import AptConfig, Line
from chronos_ops.facts.files import FileState
from chronos_ops.facts.needrestart import Needrestart
from chronos_ops.facts.systemd import Unit
from chronos_ops.facts.updates import Pending
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.hardening import Hardening, Updates
from chronos_ops.model.plan import Change, Plan, RunCommand
from chronos_ops.model.settings import Settings
from chronos_ops.plans.judge_updates import judge_updates
from chronos_ops.plans.updates import (
    NEEDRESTART_PATH,
    SCRIPT,
    UNIT_PATH,
    needrestart_text,
    plan,
    script_text,
)
from chronos_ops.plans.updates_wanted import (
    ALLOWED,
    CONFIG_PATH,
    HELD,
    PATTERNS,
    config_text,
    held_regex,
    is_allowed,
    is_security,
)
from tests.recorded_cases import RECORDED, example_settings, fact_of, parse, parsed

DEBIAN = ("debian-12", "debian-13")
UBUNTU = ("ubuntu-22.04-unproven", "ubuntu-24.04-unproven")
NEXT = "Tue 2026-11-24 06:30:00 UTC"


def timer(name: str, **given: str) -> Unit:
    values: dict[str, Any] = {
        "load": "loaded",
        "active": "active",
        "sub": "waiting",
        "enabled": "enabled",
    }
    return Unit(name, **(values | {"result": "success", "next_elapse": NEXT} | given))


def units(**given: Unit) -> dict[str, Unit]:
    found = {n: timer(n) for n in ("apt-daily.timer", "apt-daily-upgrade.timer")}
    for name in ("apt-daily.service", "apt-daily-upgrade.service"):
        found[name] = Unit(name, "loaded", "inactive", "dead", "static", "success")
    return found | {unit.name: unit for unit in given.values()}


def host(case: str, **given: Any) -> dict[str, Any]:
    """What a host of a release says, as it was recorded."""
    release = "os_release"
    values: dict[str, Any] = {
        "release": parsed(release, case),
        "config": parsed("apt_config", case),
        "updates": parsed("updates", case),
        "needrestart": parsed("needrestart", case),
        "units": units(),
        "files": dict.fromkeys((CONFIG_PATH, NEEDRESTART_PATH, SCRIPT, UNIT_PATH)),
    }
    return values | given


def with_ours(settings: Settings, values: dict[str, Any], *more: str) -> AptConfig:
    """The configuration as apt would read it with our drop-in; `more` is read after it."""
    text = config_text(settings, values["release"])
    before: AptConfig = values["config"]
    options = {name: list(found) for name, found in before.options.items()}
    for option, body in re.findall(r"(Unattended-Upgrade::[\w-]+) \{(.*?)\};", text, re.DOTALL):
        options.setdefault(option, []).extend(re.findall(r'"(.*?)";', body))
    for scalar, value in re.findall(r'^([\w-]+::[\w:-]+) "(.*?)";', text, re.MULTILINE):
        options[scalar] = [value]
    lines = [Line(CONFIG_PATH, n, line) for n, line in enumerate(text.splitlines(), 1)]
    for number, line in enumerate(more, 1):
        lines.append(Line("/etc/apt/apt.conf.d/zzz", number, line))
        name, _, value = line.partition(" ")
        options[name] = [value.strip('";')]
    return AptConfig({k: tuple(v) for k, v in options.items()}, (*before.lines, *lines))


def settled(settings: Settings, case: str) -> dict[str, Any]:
    """The host with everything in place, and nothing left to take."""
    values = host(case)
    first = plan(settings, values)
    files = {path: FileState("", "0644", "root", "root") for path in values["files"]}
    for deed in (deed for change in first.changes for deed in change.deeds):
        if deed.kind == "file":
            files[deed.path] = FileState(deed.content, deed.mode, deed.owner, deed.group)
    found = values["updates"]
    now = {"configured": found.now, "lists_fetched": found.now, "upgraded": found.now, "open": ()}
    calm = dict.fromkeys(values["needrestart"].restarts, False)
    return values | {
        "config": with_ours(settings, values),
        "files": files,
        "updates": replace(found, **now),
        "needrestart": replace(values["needrestart"], restarts=calm),
    }


def ids(found: Plan) -> list[str]:
    return [change.id.removeprefix("updates.") for change in found.changes]


def one(found: Plan, name: str) -> Change:
    return next(change for change in found.changes if change.id == f"updates.{name}")


def by_id(settings: Settings, values: dict[str, Any]) -> dict[str, Finding]:
    return {f.id.removeprefix("updates."): f for f in judge_updates(settings, values)}


def bad(settings: Settings, values: dict[str, Any]) -> dict[str, Status]:
    return {name: f.status for name, f in by_id(settings, values).items() if not f.good}


@pytest.mark.parametrize("case", UBUNTU)
def test_ubuntu_gets_its_own_origins_and_its_unasked_restarts_are_stopped(case: str) -> None:
    settings, values = example_settings(), host(case)
    found = plan(settings, values)
    assert found.refusals == ()
    assert ids(found) == ["configuration", "needrestart", "held-script", "held-unit", "upgrade"]
    text = one(found, "configuration").after
    assert '"${distro_id}:${distro_codename}-security";' in text
    assert '"${distro_id}ESM:${distro_codename}-infra-security";' in text
    assert "Origins-Pattern" not in text
    assert "Debian" not in text
    assert "postgresql@" in one(found, "needrestart").why
    before = bad(settings, values)
    assert {"held", "needrestart", "configuration"} <= set(before)
    after = settled(settings, case)
    assert plan(settings, after).empty
    assert bad(settings, after) == {}
    assert by_id(settings, after)["source"].observed.startswith("Ubuntu ")


@pytest.mark.parametrize("case", UBUNTU)
def test_ubuntus_pockets_are_taken_by_its_own_words(case: str) -> None:
    values = host(case)
    config, release = values["config"], values["release"]
    taken = {s.suite for s in values["updates"].sources if is_allowed(s, config, release)}
    code = release.codename
    esm = {f"{code}-infra-security"} if case == UBUNTU[0] else set()
    assert taken == {code, f"{code}-security"} | esm
    assert {s.suite for s in values["updates"].sources if is_security(s)} == (
        {f"{code}-security"} | esm
    )


@pytest.mark.parametrize("case", DEBIAN)
def test_debian_is_settled_by_the_plan_and_taken_from_its_security_archive(case: str) -> None:
    settings = example_settings()
    after = settled(settings, case)
    assert plan(settings, after).noop_reason
    assert plan(settings, after).empty
    assert bad(settings, after) == {}
    release = after["release"]
    for source in after["updates"].sources:
        updates_suite = source.codename == f"{release.codename}-updates"
        assert is_allowed(source, after["config"], release) is not updates_suite
    empty = AptConfig({}, ())
    assert not any(is_allowed(s, empty, release) for s in after["updates"].sources)


def test_a_release_without_a_security_source_or_with_stale_lists_is_told() -> None:
    settings = example_settings()
    values = settled(settings, "debian-13")
    found = values["updates"]
    others = tuple(s for s in found.sources if not is_security(s))
    for wrong in (replace(found, sources=others), replace(found, expired=("x_InRelease",))):
        assert bad(settings, values | {"updates": wrong}) == {"source": Status.FAIL}
    unknown = bad(settings, values | {"updates": replace(found, sources=())})
    assert unknown == dict.fromkeys(("source", "held-pending", "kept-back"), Status.UNKNOWN)


def test_a_pattern_of_names_becomes_what_unattended_upgrades_matches() -> None:
    names = ("postgresql-17", "postgresql", "libpq5", "libpq5-dev", "libstdc++6", "xpgbackrest")
    for pattern in ("postgresql*", "libpq5", "pgbackrest", "libstdc++6", "*sql*", "libpq?"):
        for name in names:
            matched = re.match(held_regex(pattern), name) is not None
            assert matched == fnmatch.fnmatchcase(name, pattern), (pattern, name)


def test_a_later_file_that_beats_ours_is_named_and_refused() -> None:
    settings = example_settings()
    values = settled(settings, "debian-13")
    quiet = 'APT::Periodic::Unattended-Upgrade "0";'
    values["config"] = with_ours(settings, host("debian-13"), "// Unattended-Upgrade", quiet)
    found = plan(settings, values)
    assert found.refusals == (
        f"/etc/apt/apt.conf.d/zzz:2 {quiet}: read after ours, take it out there",
    )
    finding = by_id(settings, values)["configuration"]
    assert finding.status is Status.FAIL
    assert "/etc/apt/apt.conf.d/zzz:2" in finding.hint


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("Unattended-Upgrade::Package-Whitelist", "curl"),
        ("Unattended-Upgrade::Update-Days", "Sun"),
        ("Unattended-Upgrade::InstallOnShutdown", "true"),
        ("Unattended-Upgrade::Automatic-Reboot", "true"),
        ("APT::Periodic::Enable", "0"),
        ("APT::Periodic::Update-Package-Lists", "7"),
        (PATTERNS, "origin=Nobody"),
        (HELD, "linux-"),
    ],
)
def test_every_way_to_switch_updates_off_is_seen(option: str, value: str) -> None:
    settings = example_settings()
    values = settled(settings, "debian-13")
    values["config"] = with_ours(settings, host("debian-13"), f'{option} "{value}";')
    seen = by_id(settings, values)["configuration"]
    assert seen.status is Status.FAIL
    assert option in seen.observed


def test_a_reboot_is_made_only_when_declared_and_at_that_hour() -> None:
    settings = example_settings()
    declared = settings.model_copy(
        update={"hardening": Hardening(updates=Updates(reboot_at="04:10"))}
    )
    values = settled(declared, "debian-13")
    assert plan(declared, values).empty
    assert 'Automatic-Reboot-Time "04:10"' in values["files"][CONFIG_PATH].text
    assert bad(settings, values) == {"configuration": Status.FAIL}  # it is not declared there
    with pytest.raises(ValidationError):
        Updates(reboot_at="4 o'clock")


def test_held_updates_have_an_age_and_a_limit() -> None:
    settings = example_settings()
    values = settled(settings, "debian-12")
    found = values["updates"]
    for days, status in ((0, Status.PASS), (7, Status.PASS), (7.1, Status.FAIL)):
        since = found.now - datetime.timedelta(days=days)
        waits = (Pending("postgresql-15", "15.18", ("15.20",), since, remembered=True),)
        seen = by_id(settings, values | {"updates": replace(found, pending=waits)})["held-pending"]
        assert seen.status is status
        assert "postgresql-15 15.18 -> 15.20" in seen.observed
    assert "--only-upgrade postgresql-15" in seen.hint


def test_what_a_hold_keeps_back_is_named_and_leaves_the_stage_at_rest() -> None:
    """libpq-dev needs its own libpq5; what comes from PostgreSQL's archive alone nobody takes."""
    settings = example_settings()
    values = settled(settings, "debian-13")
    found = values["updates"]

    def waiting(days: float) -> dict[str, Any]:
        since = found.now - datetime.timedelta(days=days)
        waits = (
            Pending("libpq-dev", "17.6-0", ("17.7-0",), since, True, ("libpq5",)),
            Pending("postgis", "3.5", ("3.6",), since, True, ("apt.postgresql.org",)),
        )
        return values | {"updates": replace(found, pending=waits)}

    assert plan(settings, waiting(1)).empty
    fresh = by_id(settings, waiting(1))
    assert fresh["kept-back"].status is Status.PASS
    assert "libpq-dev 17.6-0 -> 17.7-0 (behind libpq5)" in fresh["kept-back"].observed
    assert fresh["held-pending"].observed == "none waits"
    assert bad(settings, waiting(8)) == {"kept-back": Status.FAIL}
    hint = by_id(settings, waiting(8))["kept-back"].hint
    assert hint.endswith("--only-upgrade libpq-dev libpq5 postgis")


def test_what_unattended_upgrades_leaves_is_a_finding_and_no_endless_change() -> None:
    """A changed configuration file, a pin: it was there with success, and will leave it again."""
    settings = example_settings()
    case = json.loads((RECORDED / "updates" / "debian-13.json").read_text())
    told = json.loads(case["answer"]["stdout"])

    def seen(**moments: int) -> Any:
        stamps = {"upgrade-stamp": moments["upgraded"]} if "upgraded" in moments else {}
        given = {"open": ["sudo"], "stamps": stamps, "configured": 100} | moments
        text = json.dumps(told | given)
        return parse(fact_of("updates"), {"exit_code": 0, "stdout": text, "stderr": ""})

    for there in (seen(changed=200), seen(changed=200, upgraded=199), seen(changed=9, upgraded=99)):
        assert (there.open, there.left) == (("sudo",), ())
    gone = seen(changed=200, upgraded=200)
    assert (gone.open, gone.left) == ((), ("sudo",))
    values = settled(settings, "debian-13")
    left = values | {"updates": replace(values["updates"], left=gone.left)}
    assert plan(settings, left).empty
    assert bad(settings, left) == {"left": Status.FAIL}
    assert "--only-upgrade sudo" in by_id(settings, left)["left"].hint


def test_the_last_run_counts_by_its_stamps_once_it_could_have_been() -> None:
    settings = example_settings()
    values = settled(settings, "debian-13")
    found = values["updates"]

    def last(configured: float, run: float | None, **given: Any) -> Status:
        moment = None if run is None else found.now - datetime.timedelta(hours=run)
        seen = replace(
            found,
            configured=found.now - datetime.timedelta(hours=configured),
            lists_fetched=moment,
            upgraded=moment,
        )
        return by_id(settings, values | {"updates": seen} | given)["last-run"].status

    assert last(1, None) is Status.NOT_APPLICABLE
    assert last(49, None) is Status.FAIL
    assert last(1000, 47) is Status.PASS
    assert last(1000, 49) is Status.FAIL
    stopped = timer("apt-daily.timer", active="inactive", sub="dead")
    assert last(1, None, units=units(stopped=stopped)) is Status.FAIL
    failed = Unit("apt-daily.service", "loaded", "failed", "failed", "static", "exit-code")
    assert last(1000, 1, units=units(failed=failed)) is Status.FAIL


@pytest.mark.parametrize(
    ("given", "undone"),
    [
        ({"active": "inactive", "sub": "dead"}, [("stop", "apt-daily.timer")]),
        (
            {"enabled": "disabled", "active": "inactive", "sub": "dead"},
            [("stop", "apt-daily.timer"), ("disable", "apt-daily.timer")],
        ),
        (
            {"load": "masked", "enabled": "masked", "active": "inactive", "sub": "dead"},
            [("stop", "apt-daily.timer"), ("mask", "apt-daily.timer")],
        ),
        ({"sub": "elapsed", "next_elapse": ""}, []),
    ],
)
def test_dead_timers_are_started_and_the_undo_is_exact(
    given: dict[str, str], undone: list[tuple[str, ...]]
) -> None:
    settings = example_settings()
    values = settled(settings, "debian-13")
    values["units"] = units(broken=timer("apt-daily.timer", **given))
    assert bad(settings, values) == {"timers": Status.FAIL}
    change = one(plan(settings, values), "timers")
    assert "apt-daily.timer" in change.before
    assert [d.argv[1:] for d in change.undo if isinstance(d, RunCommand)] == undone
    verbs = [d.argv[1] for d in change.deeds if isinstance(d, RunCommand)]
    masked = given.get("load") == "masked"
    assert verbs == (["unmask"] if masked else []) + ["enable", "restart"]
    elapsing = timer("apt-daily.timer", sub="running", next_elapse="")
    assert plan(settings, values | {"units": units(now=elapsing)}).empty


def test_a_package_on_hold_that_nobody_declared_is_told() -> None:
    settings = example_settings()
    values = settled(settings, "debian-13")
    held = values["updates"].held[0]
    for holds, status in (((held,), Status.PASS), ((held, "openssl"), Status.FAIL)):
        found = values | {"updates": replace(values["updates"], holds=holds)}
        assert by_id(settings, found)["other-holds"].status is status


def test_needrestart_that_cannot_be_read_is_not_known_and_one_that_is_not_there_harms_nobody() -> (
    None
):
    settings = example_settings()
    values = settled(settings, "debian-13")
    broken = Needrestart(True, "syntax error at line 3", "i", {})
    assert bad(settings, values | {"needrestart": broken}) == {"needrestart": Status.UNKNOWN}
    absent = Needrestart(False, "", "", {})
    assert bad(settings, values | {"needrestart": absent}) == {}
    assert plan(settings, values | {"needrestart": absent}).empty
    assert "qr(^postgresql)} = 0;" in needrestart_text()


def test_what_is_there_is_taken_last_and_without_the_package_nothing_is_planned() -> None:
    settings = example_settings()
    values = host("ubuntu-24.04-unproven")
    assert ids(plan(settings, values))[-1] == "upgrade"  # what is held is in force by then
    assert one(plan(settings, values), "upgrade").after == "libssl3t64, openssl\n"
    bare = values | {"updates": replace(values["updates"], installed=False)}
    found = plan(settings, bare)
    assert found.empty
    assert "unattended-upgrades is not installed" in found.refusals[0]


def test_the_script_on_the_host_is_python_and_holds_the_declared_patterns() -> None:
    text = script_text(example_settings())
    compile(text, SCRIPT, "exec")
    assert '["postgresql*", "libpq5", "pgbackrest"]' in text


def test_origins_of_both_kinds_are_read() -> None:
    values = host("debian-13")
    security = next(s for s in values["updates"].sources if is_security(s))
    release = values["release"]
    for option, pattern in (
        (PATTERNS, "o=Debian,n=trixie-security"),
        (PATTERNS, "origin=*,label=Debian-Security"),
        (ALLOWED, "Debian:stable-security"),
    ):
        assert is_allowed(security, AptConfig({option: (pattern,)}, ()), release), pattern
    for wrong in ("o=Debian,n=trixie", "site=deb.example", "o=debian", ""):
        assert not is_allowed(security, AptConfig({PATTERNS: (wrong,)}, ()), release), wrong
