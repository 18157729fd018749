"""An operators' machine with a systemd of its own: its timers fire, and one run has each slot (R2).

Units, claims and slots are the real ones. The command that the units start claims and waits in
place of a whole run: the machine has no Python environment (the real runner claims in
tests/schedule/test_run_slot.py).
"""

import base64
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.lab.conftest import Host, Shell
from tests.lab.waiting import until

ROOT = Path(__file__).parents[2]
HOME = "/opt/chronos"
CLAIMS = f"{HOME}/outputs/probe/.claims"
UNIT = "chronos-probe-drill"
OFTEN, YEARLY = "*-*-* *:*:00/5 UTC", "*-01-01 00:00:00 UTC"
STAMP = f"/var/lib/systemd/timers/stamp-{UNIT}.timer"
COMMAND = f"""#!/usr/bin/python3
import sys, time
from datetime import UTC, datetime
from pathlib import Path
sys.path.insert(0, "{HOME}")
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.schedule import last_slot
from chronos_ops.schedule.claims import Claims, Taken
given = sys.argv[1:]
assert given[:4] == ["run", "drill", "--target", "probe"], given
folder = Path("{HOME}/outputs/probe")
try:
    slot = last_slot(given[given.index("--slot-of") + 1], datetime.now(UTC))
    with Claims(folder).claimed("drill", slot) as held:
        with (folder / "ran").open("a") as file:
            file.write("ran\\n")
        while (folder / "hold").exists():
            time.sleep(0.1)
        held.end("passed")
except Taken as other:
    print(other, flush=True)
except ChronosError as error:
    print(error.text(), file=sys.stderr)
    sys.exit(error.exit_status)
"""
ACT = f"""
import sys
from pathlib import Path
from chronos_ops.model.schedule import Schedule
from chronos_ops.schedule.claims import Claims
from chronos_ops.schedule.manager import Manager
from chronos_ops.schedule.units import unit_texts
manager = Manager.of(system=True)
assert manager.missing() == "", manager.missing()
match sys.argv[1:]:
    case ["add", calendar]:
        root = Path("{HOME}")
        made = Schedule("drill", "probe", calendar, delay_seconds=0)
        texts = unit_texts(made, root, root / "outputs", system=True)
        changed = len(manager.changes(texts))
        manager.verify(texts, calendar)
        manager.install(texts)
        print(changed, manager.active(made.name))
    case ["remove"]:
        manager.remove("{UNIT}")
        print(manager.installed())
    case ["free"]:
        print(*Claims(Path("{HOME}/outputs/probe")).free())
"""


def packed() -> str:
    """The schedule's code, which needs nothing but Python, and the two programs above."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        names = ["__init__.py", *(f"model/{n}.py" for n in ("__init__", "errors", "calendar"))]
        names += ["model/schedule.py"]
        names += [f"schedule/{path.name}" for path in (ROOT / "chronos_ops/schedule").glob("*.py")]
        for name in names:
            tar.add(ROOT / "chronos_ops" / name, f"chronos_ops/{name}")
        for name, text in (("chronos", COMMAND), ("act.py", ACT)):
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = 0o755, len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return base64.b64encode(buffer.getvalue()).decode()


def test_timers_fire_once_for_each_slot_and_a_killed_run_waits_for_a_human(
    fresh_host: Callable[..., Host], shell: Shell
) -> None:
    fresh_host("operators")

    def there(command: str) -> str:
        return shell("operators", f"sudo sh -c '{command}'").stdout.strip()

    def act(words: str) -> str:
        return there(f"cd {HOME} && python3 -B act.py {words}")

    def claims() -> list[dict[str, Any]]:
        text = there(f"grep -hs . {CLAIMS}/*.json; true")  # a line each
        return [json.loads(line) for line in text.splitlines()]

    there(f"mkdir -p {HOME} && echo {packed()} | base64 -d | tar -xz -C {HOME} --no-same-owner")

    # systemd takes the units and fires them: each of its moments is claimed by that moment's name.
    assert act(f'add "{OFTEN}"') == "3 active"
    until(lambda: sum(claim["end"] == "passed" for claim in claims()) >= 2, "two slots ran")
    assert {int(claim["slot"][13:15]) % 5 for claim in claims()} == {0}
    assert act(f'add "{OFTEN}"') == "0 active"

    # A changed calendar counts from now on: an old stamp starts nothing.
    there(f"systemctl stop {UNIT}.timer; touch -d 2020-01-01 {STAMP}")
    until(lambda: all(claim["end"] for claim in claims()), "the last of the frequent runs ended")
    there(f"rm -r {CLAIMS}; rm {HOME}/outputs/probe/ran; touch {HOME}/outputs/probe/hold")
    assert act(f'add "{YEARLY}"') == "2 active"
    assert claims() == []

    # A slot is caught up after downtime, by systemd and another scheduler at once: one run.
    again = f'{HOME}/chronos run drill --target probe --slot-of "{YEARLY}"'
    there(f"systemctl stop {UNIT}.timer; touch -d 2020-01-01 {STAMP}")
    there(f"systemctl start --no-block {UNIT}.timer; systemd-run -q --unit=other {again}")
    until(lambda: len(claims()) == 1, "one has claimed")
    taken = f'journalctl -b -o cat -u {UNIT} -u other | grep -c "drill is taken" || true'
    until(lambda: there(taken) == "1", "the other was told so")
    assert there(f"cat {HOME}/outputs/probe/ran") == "ran"

    # Killed in its midst: told, not run again, freed by `reap` alone.
    there(f"systemctl kill -s KILL {UNIT} other 2>/dev/null || true")
    until(lambda: there("systemctl is-active chronos-probe-drill || true") != "activating", "dead")
    again_status = shell("operators", f"sudo {again}", check=False)
    assert again_status.returncode == 3, again_status
    assert "gone without a verdict" in again_status.stderr
    there(f"systemctl reset-failed; systemctl start {UNIT} || true")
    mark = f"cat {HOME}/outputs/probe/.schedule-failed || true"
    until(lambda: f"{UNIT} exit-code 3" in there(mark), "the failure left its mark")
    assert there(f"journalctl -b -p err -o cat -u {UNIT}-failed | tail -n 1").startswith(UNIT)
    assert there(f"cat {HOME}/outputs/probe/ran") == "ran"
    assert act("free").endswith("-drill")
    assert [claim["end"] for claim in claims()] == ["aborted: killed before its run began"]
    assert act("remove") == "[]"
    assert there(f"systemctl list-unit-files --no-legend {UNIT}* || true") == ""
