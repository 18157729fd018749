"""How the launcher makes Python environments, with a uv that only writes down what it was told.

The real uv makes the real environment at the start of every CI run.
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

UV = r"""
echo "$@" >>"$LOG"
case "$1 $2" in
"venv -q")
    for folder; do :; done
    mkdir -p "$folder/bin" "$folder/lib/python3.11/site-packages"
    printf '#!/bin/sh\necho "env of $0: $*"\n' >"$folder/bin/python"
    chmod +x "$folder/bin/python"
    ;;
"pip sync")
    for lock; do :; done
    case $lock in *dev.lock) cp "$6" "${6%/*}/pytest" ;; esac
    [ ! -e "$LOG.fail" ] || exit 1
    if [ -e "$LOG.hang" ]; then touch "$LOG.hanging"; exec sleep 60; fi
    sleep 0.2
    ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone with uv there and no environment made."""
    shutil.copy(ROOT / "chronos", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    boot = tmp_path / ".venv-boot/bin"
    boot.mkdir(parents=True)
    for name, script in (("uv", UV), ("python", "exit 1")):
        (boot / name).write_text("#!/bin/sh\n" + script)
        (boot / name).chmod(0o755)
    shutil.copy(tmp_path / "requirements/boot.lock", tmp_path / ".venv-boot/made-from.lock")
    return tmp_path


def start(checkout: Path, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "LOG": str(checkout / "log")}
    for name in ("UV_DEFAULT_INDEX", "PIP_INDEX_URL"):
        environment.pop(name, None)
    return subprocess.Popen(
        [checkout / "chronos", *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def made(checkout: Path) -> list[str]:
    """What uv was told: `venv`, or the lock that was synced."""
    log = checkout / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    return ["venv" if line.startswith("venv") else line.rsplit("/", 1)[1] for line in lines]


def test_it_is_made_once(checkout: Path) -> None:
    status, out, err = finish(start(checkout, "list", "a b"))
    assert status == 0, err
    assert out == f"env of {checkout}/.venv/bin/python: -P -m chronos_ops list a b\n"
    assert "making .venv" in err
    assert finish(start(checkout, "list"))[2] == ""
    assert made(checkout) == ["venv", "run.lock"]
    pth = checkout / ".venv/lib/python3.11/site-packages/chronos-ops.pth"
    assert (pth.parent / pth.read_text().strip()).resolve() == checkout


def test_hashes_are_required(checkout: Path) -> None:
    finish(start(checkout, "list"))
    assert "--require-hashes" in (checkout / "log").read_text().splitlines()[1].split()


def test_two_at_once_make_one(checkout: Path) -> None:
    both = [start(checkout, "list") for _ in range(4)]
    assert [finish(process)[0] for process in both] == [0, 0, 0, 0]
    assert made(checkout) == ["venv", "run.lock"]


def test_a_killed_build_leaves_nothing_half_made(checkout: Path) -> None:
    (checkout / "log.hang").touch()
    process = start(checkout, "list")
    deadline = time.monotonic() + 20
    while not (checkout / "log.hanging").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    finish(process)
    assert not (checkout / ".venv").exists()
    (checkout / "log.hang").unlink()
    assert finish(start(checkout, "list"))[0] == 0
    assert made(checkout) == ["venv", "run.lock"] * 2
    assert not (checkout / ".venv.new").exists()


def test_a_failed_build_is_no_environment(checkout: Path) -> None:
    (checkout / "log.fail").touch()
    status, out, err = finish(start(checkout, "list"))
    assert (status, out) == (3, "")
    assert "could not install requirements/run.lock" in err
    (checkout / "log.fail").unlink()
    assert finish(start(checkout, "list"))[0] == 0


def test_a_new_lock_brings_it_up_to_date(checkout: Path) -> None:
    finish(start(checkout, "list"))
    with (checkout / "requirements/run.lock").open("a") as lock:
        lock.write("# newer\n")
    assert finish(start(checkout, "list"))[0] == 0
    assert finish(start(checkout, "list"))[0] == 0
    assert made(checkout) == ["venv", "run.lock", "run.lock"]


def test_a_failed_update_is_made_good(checkout: Path) -> None:
    finish(start(checkout, "list"))
    with (checkout / "requirements/run.lock").open("a") as lock:
        lock.write("# newer\n")
    (checkout / "log.fail").touch()
    assert finish(start(checkout, "list"))[0] == 3
    (checkout / "log.fail").unlink()
    assert finish(start(checkout, "list"))[0] == 0
    assert made(checkout) == ["venv", "run.lock", "run.lock", "venv", "run.lock"]


def test_what_tests_need_is_added_and_stays(checkout: Path) -> None:
    finish(start(checkout, "list"))
    finish(start(checkout, "test", "--fast"))
    assert made(checkout) == ["venv", "run.lock", "dev.lock"]
    finish(start(checkout, "list"))
    with (checkout / "requirements/run.lock").open("a") as lock:
        lock.write("# newer\n")
    with (checkout / "requirements/dev.lock").open("a") as lock:
        lock.write("# newer\n")
    finish(start(checkout, "list"))
    assert made(checkout) == ["venv", "run.lock", "dev.lock", "dev.lock"]


def test_a_python_that_went_away_is_replaced(checkout: Path) -> None:
    finish(start(checkout, "list"))
    python = checkout / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/no/longer/there/python3.11")
    assert finish(start(checkout, "list"))[0] == 0
    assert made(checkout) == ["venv", "run.lock"] * 2


def test_a_checkout_that_was_moved_goes_on(checkout: Path) -> None:
    finish(start(checkout, "list"))
    moved = checkout.parent / "moved here"
    checkout.rename(moved)
    status, out, err = finish(start(moved, "list"))
    assert (status, err) == (0, "")
    assert out.startswith(f"env of {moved}/.venv/bin/python")


@pytest.mark.parametrize("command", ["run", "notebook"])
def test_the_judges_are_made_for_the_runbook_that_asks_them(checkout: Path, command: str) -> None:
    """nmap has a stand-in: else the launcher would name it and install it first."""
    nmap = checkout / "tools/nmap"
    nmap.parent.mkdir()
    nmap.symlink_to("/bin/true")
    for runbook, wanted in (("disaster_recovery", []), ("security_hardening", ["judges.lock"])):
        process = subprocess.run(
            [checkout / "chronos", command, "--target", "lab", runbook],
            env={
                **os.environ,
                "LOG": str(checkout / "log"),
                "PATH": f"{nmap.parent}:{os.environ['PATH']}",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert process.returncode == 0, process.stderr
        assert [name for name in made(checkout) if name == "judges.lock"] == wanted
    assert (checkout / ".venv-judges/made-from.lock").is_file()
