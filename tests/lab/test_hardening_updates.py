"""Security updates on a real host: a canary comes by apt's own units, held packages do not (H6).

The packages come from a small signed repository of the test's own, which calls itself Debian's
archive of security updates; the host has no other source meanwhile.
"""

import os
from collections.abc import Callable, Iterator

import pytest

from chronos_ops.execution.context import Context
from chronos_ops.execution.deeds import Doer
from chronos_ops.hardening.updates import updates
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.errors import UnfitTarget
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.plan import Plan
from chronos_ops.plans.updates import UPDATES
from chronos_ops.runbook_stage import carry_out, make_plan
from tests.lab.own_host import own_host

pytestmark = pytest.mark.lab
Run = Callable[..., str]
HOST = "updated"
_TRACES = (
    "find /etc/apt/apt.conf.d /etc/needrestart /etc/systemd/system /usr/local/lib "
    "/var/lib/chronos-updates -type f -printf '%p %m %u ' -exec sha256sum {} ';' "
    "2>/dev/null | sort; "
    "systemctl is-enabled apt-daily.timer apt-daily-upgrade.timer"
)
# Packages as `NAME VERSION [DEPENDS]` on stdin; the repository is whole and signed at its end.
_REPOSITORY = r"""
set -eu
mkdir -p /srv/canary/pool && cd /srv/canary
export GNUPGHOME=/srv/canary/.gnupg
if [ ! -d $GNUPGHOME ]; then
  mkdir -m 700 $GNUPGHOME
  gpg -q --batch --passphrase '' --quick-gen-key canary@lab.example ed25519 sign never 2>/dev/null
  gpg -q --export > /etc/apt/keyrings/canary.gpg
fi
while read -r name version depends; do
  rm -rf tree && mkdir -p tree/DEBIAN
  printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: lab <lab@lab.example>\n' \
    "$name" "$version" > tree/DEBIAN/control
  [ -z "$depends" ] || printf 'Depends: %s\n' "$depends" >> tree/DEBIAN/control
  printf 'Description: canary\n' >> tree/DEBIAN/control
  dpkg-deb --root-owner-group --build tree "pool/${name}_${version}_all.deb" >/dev/null
done
dist=dists/$1-security; mkdir -p $dist/main/binary-$2
for deb in pool/*.deb; do
  dpkg-deb -f $deb
  printf 'Filename: %s\nSize: %s\nSHA256: %s\n\n' \
    $deb "$(stat -c %s $deb)" "$(sha256sum $deb | cut -d' ' -f1)"
done > $dist/main/binary-$2/Packages
sum() { sha256sum "$dist/$1" | cut -d' ' -f1; }
file=main/binary-$2/Packages
{ printf 'Origin: Debian\nLabel: Debian-Security\nSuite: stable-security\n'
  printf 'Codename: %s-security\nArchitectures: %s\nComponents: main\nDate: %s\n' \
    $1 $2 "$(date -Ru | sed 's/+0000/UTC/')"
  printf 'SHA256:\n %s %s %s\n' "$(sum $file)" "$(stat -c %s $dist/$file)" $file
} > $dist/Release
gpg -q --batch --yes --clearsign -o $dist/InRelease $dist/Release
"""
_PLAIN = ("lab-canary", "lab-pinned", "postgresql-canary")
_SERVE = r"""
set -eu
mkdir -p /root/sources && mv /etc/apt/sources.list.d/* /root/sources/
rm -rf /var/lib/apt/lists/*
systemd-run -q --unit=canary --working-directory=/srv/canary \
  python3 -m http.server --bind 127.0.0.1 8099
cat > /etc/apt/sources.list.d/canary.sources <<END
Types: deb
URIs: http://127.0.0.1:8099
Suites: $1-security
Components: main
Signed-By: /etc/apt/keyrings/canary.gpg
END
n=0
until curl -fs -o /dev/null http://127.0.0.1:8099/dists/; do
  n=$((n + 1)); [ $n -lt 100 ]; sleep 0.1
done
apt-get -qq update
apt-get -qq -y install lab-canary lab-canary-dev lab-pinned postgresql-canary >/dev/null
printf 'Package: lab-pinned\nPin: version 1.0\nPin-Priority: 1001\n' > /etc/apt/preferences.d/lab
"""


IMAGES = ("db", "db-bookworm") if os.environ.get("CHRONOS_LONG_TESTS") else ("db",)


@pytest.fixture(scope="module", params=IMAGES)
def context(
    lab: LabStatus, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Context]:
    """A host of these tests alone, with a cluster and needrestart, as a target like any other."""
    folder = tmp_path_factory.mktemp("updated")
    with own_host(lab, HOST, folder, image=request.param) as found:
        yield found


@pytest.fixture(scope="module")
def run(context: Context) -> Run:
    """run(command, *arguments): as root on the host."""

    def say(command: str, *arguments: str, check: bool = True, stdin: str = "") -> str:
        accept = (0,) if check else range(256)
        argv = ["sh", "-c", command, "run", *arguments]
        return context.ssh.run(argv, sudo=True, accept=accept, stdin=stdin).stdout

    return say


def by_id(findings: list[Finding]) -> dict[str, Status]:
    return {finding.id.removeprefix("updates."): finding.status for finding in findings}


def version(run: Run, package: str) -> str:
    """What dpkg says, whoever installed it."""
    return run(f"dpkg-query -W -f '${{Version}}' {package}")


def _canaries(version: str) -> str:
    """As libpq-dev does, one needs just its own version of a package that is held."""
    behind = f"lab-canary-dev {version} postgresql-canary (= {version})"
    return "\n".join([*(f"{name} {version}" for name in _PLAIN), behind, ""])


@pytest.fixture(scope="module")
def traces(run: Run) -> str:
    """The host as it came, but for needrestart and the canaries."""
    run("apt-get -qq update && apt-get -qq -y install --no-install-recommends needrestart >&2")
    architecture, suite = run(
        "dpkg --print-architecture; . /etc/os-release; echo $VERSION_CODENAME"
    ).split()
    run(_REPOSITORY, suite, architecture, stdin=_canaries("1.0"))
    run(_SERVE, suite)
    run(_REPOSITORY, suite, architecture, stdin=_canaries("1.1"))
    return run(_TRACES)


@pytest.fixture(scope="module")
def plan(traces: str, context: Context) -> Plan:
    """The stage, applied; a second plan was empty."""
    plans: list[Plan] = []
    before = by_id(updates(context).findings)
    assert (before["configuration"], before["held"]) == (Status.FAIL, Status.FAIL)
    assert before["needrestart"] is Status.FAIL
    done = carry_out(UPDATES, context, lambda plan, text: plans.append(plan))
    assert {finding.status for finding in done.findings} == {Status.PASS}, done.findings
    return plans[0]


def test_a_canary_comes_by_apt_s_own_units_and_held_packages_do_not(
    plan: Plan, context: Context, run: Run
) -> None:
    assert [change.id for change in plan.changes] == [
        "updates.configuration",
        "updates.needrestart",
        "updates.held-script",
        "updates.held-unit",
    ]
    assert by_id(updates(context).findings)["last-run"] is Status.NOT_APPLICABLE
    assert (version(run, "lab-canary"), version(run, "postgresql-canary")) == ("1.0", "1.0")
    run(
        "rm -f /var/lib/apt/periodic/*; systemctl start apt-daily.service apt-daily-upgrade.service"
    )
    assert version(run, "lab-canary") == "1.1"
    assert version(run, "postgresql-canary") == "1.0"
    outcome = updates(context)
    seen = by_id(outcome.findings)
    assert {name for name, status in seen.items() if status is not Status.PASS} == {"left"}
    behind, waiting = outcome.table
    assert (waiting["package"], waiting["waiting"]) == ("postgresql-canary", "1.1")
    assert waiting["first seen"] != "now"  # the unit's own drop-in remembered it
    assert (behind["package"], behind["kept back by"]) == ("lab-canary-dev", "postgresql-canary")
    assert behind["first seen"] != "now"


def test_what_cannot_come_is_a_finding_and_the_stage_is_at_rest(
    plan: Plan, context: Context, run: Run
) -> None:
    """Held, behind a held one, and pinned: none of them makes the stage try for ever."""
    assert make_plan(UPDATES, context).empty
    found = {f.id.removeprefix("updates."): f for f in updates(context).findings}
    assert found["left"].observed == "lab-pinned"
    assert "lab-canary-dev 1.0 -> 1.1 (behind postgresql-canary)" in found["kept-back"].observed
    run("rm /etc/apt/preferences.d/lab; apt-get -qq update")
    run("apt-get -qq -y install --only-upgrade lab-pinned >/dev/null")
    assert by_id(updates(context).findings)["left"] is Status.PASS


def test_what_waits_for_too_long_is_a_finding_also_when_a_newer_version_replaced_it(
    plan: Plan, context: Context, run: Run
) -> None:
    memory = "/var/lib/chronos-updates/held.json"
    run(f"sed -i 's/: [0-9]*$/: '$(($(date +%s) - 8 * 86400))/ {memory}")
    found = {f.id.removeprefix("updates."): f for f in updates(context).findings}
    assert {name for name, f in found.items() if not f.good} == {"held-pending", "kept-back"}
    late = found["held-pending"]
    assert "postgresql-canary 1.0 -> 1.1, first seen 8 days ago" in late.observed
    mend = found["kept-back"].hint.partition(": ")[2]
    run(f"{mend} -qq -y >/dev/null")  # the window, by its own hint
    assert version(run, "lab-canary-dev") == version(run, "postgresql-canary") == "1.1"
    assert not [f for f in updates(context).findings if not f.good]
    run("/usr/local/lib/chronos/held-updates")
    assert "canary" not in run(f"cat {memory}")


def test_what_switches_updates_off_again_is_seen(plan: Plan, context: Context, run: Run) -> None:
    later = "/etc/apt/apt.conf.d/zzz-quiet"
    run(f"printf 'APT::Periodic {{\\n  Unattended-Upgrade \"0\";\\n}};\\n' > {later}")
    findings = {f.id: f for f in updates(context).findings}
    assert findings["updates.configuration"].status is Status.FAIL
    assert f"{later}:2" in findings["updates.configuration"].observed
    with pytest.raises(UnfitTarget, match=f"{later}:2 Unattended-Upgrade"):
        carry_out(UPDATES, context, lambda plan, text: None)
    run(f"rm {later}")

    run("systemctl mask --now apt-daily.timer; apt-mark hold lab-canary >/dev/null")
    run("touch -d '3 days ago' /var/lib/apt/periodic/upgrade-stamp")
    run("echo '$nrconf{override_rc}->{qr(^postgresql@)} = 1;' > /etc/needrestart/conf.d/a.conf")
    seen = by_id(updates(context).findings)
    wrong = {name for name, status in seen.items() if status is Status.FAIL}
    assert wrong == {"timers", "last-run", "other-holds", "needrestart"}
    run("rm /etc/needrestart/conf.d/a.conf; apt-mark unhold lab-canary >/dev/null")
    plans: list[Plan] = []
    carry_out(UPDATES, context, lambda plan, text: plans.append(plan))
    assert [change.id for change in plans[0].changes] == ["updates.timers"]
    assert run("systemctl is-active apt-daily.timer").strip() == "active"


def test_needrestart_restarts_others_and_leaves_the_database_alone(
    plan: Plan, context: Context, run: Run
) -> None:
    """OpenSSL's and zlib's files are replaced, as by an update: both servers run on old ones."""
    unit = f"postgresql@{run('ls /etc/postgresql').strip()}-main.service"

    def pid(name: str) -> str:
        return run(f"systemctl show -p MainPID --value {name}").strip()

    database, ssh = pid(unit), pid("ssh.service")
    run(
        "for f in /usr/lib/*-linux-gnu/libcrypto.so.3 /usr/lib/*-linux-gnu/libz.so.1.*; do "
        "cp -p $f $f.new && mv $f.new $f; done"
    )
    said = run("NEEDRESTART_MODE=a DEBIAN_FRONTEND=noninteractive needrestart -r a 2>&1")
    assert unit in said  # it is named,
    assert pid(unit) == database != "0"  # and left alone
    assert pid("ssh.service") not in (ssh, "0")


def test_the_plan_is_undone_exactly(plan: Plan, traces: str, context: Context, run: Run) -> None:
    assert make_plan(UPDATES, context).empty
    doer = Doer(context.aws, context.ssh, context.journal.keep_secret)
    for change in reversed(plan.changes):
        for deed in change.undo:
            doer.do(deed)
    assert run(_TRACES) == traces
