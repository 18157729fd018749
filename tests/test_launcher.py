"""The launcher: found from anywhere, exact about what it was asked, clear about what it lacks."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def launch(
    launcher: Path, *words: str, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [launcher, *words],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the checkout in a path with spaces, with the environment that is made already."""
    folder = tmp_path / "a path with spaces"
    folder.mkdir()
    shutil.copy(ROOT / "chronos", folder)
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    shutil.copytree(ROOT / "chronos_ops", folder / "chronos_ops")
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def stub(folder: Path, name: str, script: str) -> Path:
    """An executable of the test's own making."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n" + script + "\n")
    path.chmod(0o755)
    return path


def tools(folder: Path, *names: str) -> str:
    """A PATH that holds these of the machine's tools and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    return str(folder)


BASICS = ("sh", "readlink", "dirname", "cmp", "uname", "id", "sed", "cat", "rm", "mv", "cp", "echo")


# --- found from anywhere ----------------------------------------------------------------------


def test_it_works_in_a_path_with_spaces_from_any_folder(checkout: Path, tmp_path: Path) -> None:
    done = launch(checkout / "chronos", "list", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Runbooks" in done.stdout


def test_it_works_through_symlinks(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "bin dir").mkdir()
    (tmp_path / "one").symlink_to(checkout / "chronos")
    (tmp_path / "bin dir" / "two").symlink_to("../one")
    done = launch(tmp_path / "bin dir" / "two", "--help", cwd=Path("/"))
    assert done.returncode == 0, done.stderr
    assert "drill" in done.stdout


def test_it_works_by_its_bare_name(checkout: Path) -> None:
    for command in (["sh", "chronos", "--help"], ["chronos", "--help"]):
        path = f"{checkout}:{os.environ['PATH']}"
        done = subprocess.run(
            command, cwd=checkout, env={**os.environ, "PATH": path}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_the_copy_runs_its_own_code(checkout: Path) -> None:
    with (checkout / "chronos_ops/cli/shelf.py").open("a") as file:
        file.write("\nraise SystemExit(42)\n")
    assert launch(checkout / "chronos", "--help").returncode == 42


def test_the_callers_files_and_paths_are_not_imported(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise SystemExit(42)\n")
    done = launch(checkout / "chronos", "--help", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr


def test_a_home_that_cannot_be_written_is_no_hindrance(checkout: Path) -> None:
    done = launch(checkout / "chronos", "list", HOME="/nonexistent/home")
    assert done.returncode == 0, done.stderr


# --- exit status ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--help"], 0, "Exit status: 0 passed"),
        (["nonsense"], 2, "nonsense"),
        (["run"], 2, "RUNBOOK"),
        (["run", "pgbackrest", "--target"], 2, "--target"),
        (["run", "no_such_runbook", "--target", "lab"], 2, "unknown runbook: 'no_such_runbook'"),
        (["show", "no-such-run"], 2, "unknown run: 'no-such-run'"),
        (["lab", "nonsense"], 2, "nonsense"),
    ],
)
def test_exit_status(checkout: Path, words: list[str], status: int, said: str) -> None:
    done = launch(checkout / "chronos", *words)
    assert done.returncode == status
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "sys.argv = ['chronos', '--help']\n"
        "from chronos_ops.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    heavy = "boto3 cryptography fabric matplotlib nbconvert pandas papermill psycopg pydantic yaml"
    assert [name for name in heavy.split() if f"'{name}'" in done.stderr] == []


# --- what it needs of the machine ---------------------------------------------------------------


def bare(checkout: Path) -> Path:
    """The checkout as it was cloned: nothing made yet."""
    (checkout / ".venv").unlink()
    return checkout / "chronos"


def test_without_python_it_says_so(checkout: Path, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin", *BASICS)
    done = launch(bare(checkout), "list", PATH=path, CHRONOS_PYTHON="/no/such/python")
    assert done.returncode == 2
    assert "Python 3.11 or newer" in done.stderr
    assert "CHRONOS_PYTHON=" in done.stderr


def test_an_old_python_is_named(checkout: Path, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin", *BASICS)
    stub(tmp_path / "bin", "python3", '[ "$1" != --version ] || echo Python 3.9.2; exit 1')
    done = launch(bare(checkout), "list", PATH=path)
    assert done.returncode == 2
    assert "found: Python 3.9.2" in done.stderr


@pytest.mark.parametrize("words", [["lab", "up"], ["drill"], ["drill", "--target=lab"], ["test"]])
def test_where_no_lab_can_run_it_says_so_at_once(
    checkout: Path, tmp_path: Path, words: list[str]
) -> None:
    path = tools(tmp_path / "bin", *(name for name in BASICS if name != "uname"))
    stub(tmp_path / "bin", "uname", "echo Darwin")
    done = launch(bare(checkout), *words, PATH=path)
    assert done.returncode == 2
    assert "the lab needs Linux; this is Darwin" in done.stderr
    assert "any Debian VM" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_user_without_sudo_has_no_lab(checkout: Path, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin", *(name for name in BASICS if name != "id"))
    stub(tmp_path / "bin", "id", "echo 1000")
    done = launch(bare(checkout), "lab", "up", PATH=path)
    assert done.returncode == 2
    assert "root or sudo" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["lab", "up", "--help"],
        ["drill", "--target", "staging"],
        ["drill", "-h"],
        ["lab", "status"],
        ["test", "--help"],
        ["list"],
    ],
)
def test_what_needs_no_lab_asks_for_none(checkout: Path, tmp_path: Path, words: list[str]) -> None:
    stub(tmp_path / "bin", "uname", "echo Darwin")
    done = launch(checkout / "chronos", *words, PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
    assert "the lab needs Linux" not in done.stderr


def test_missing_packages_are_named_then_installed_by_sudo(checkout: Path, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin", *(name for name in BASICS if name != "id"), "env")
    log = tmp_path / "log"
    stub(tmp_path / "bin", "id", "echo 1000")
    stub(tmp_path / "bin", "dpkg-query", "echo 'ii mmdebstrap hi iproute2 un lxcfs rc nftables '")
    stub(tmp_path / "bin", "sudo", f'echo "$@" >>{log}; case "$*" in *install*) exit 100; esac')
    stub(tmp_path / "bin", "apt-get", f'echo "without sudo: $@" >>{log}')
    done = launch(bare(checkout), "lab", "up", PATH=path)
    named = next(line for line in done.stderr.splitlines() if "missing Debian packages" in line)
    assert {"nftables", "lxcfs", "systemd-container"} <= set(named.split())
    assert not {"mmdebstrap", "iproute2", "chromium"} & set(named.split())
    update, installed = log.read_text().splitlines()
    assert update.startswith("apt-get")
    assert update.endswith("update")
    assert installed.startswith("env DEBIAN_FRONTEND=noninteractive apt-get")
    assert installed.split("--no-install-recommends ")[1] == named.split("packages: ")[1]
    assert done.returncode == 3  # it could not be installed: nothing goes on
    assert "apt-get could not install" in done.stderr


def test_nothing_is_installed_to_complete_a_word(checkout: Path, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin", *BASICS)
    done = launch(bare(checkout), PATH=path, _CHRONOS_COMPLETE="complete_bash")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# --- ./chronos test -----------------------------------------------------------------------------


@pytest.fixture
def suite(checkout: Path) -> Path:
    """A checkout whose tools only say how they were called, and fail where FAILING names them."""
    (checkout / ".venv").unlink()
    script = (
        'echo "$(basename "$0")|$(printf "%s|" "$@")" >>"$LOG"\n'
        'case "$*$0" in $FAILING) exit 1; esac'
    )
    for name in ("ruff", "python", "lint-imports"):
        stub(checkout / ".venv/bin", name, script)
    shutil.copy(checkout / "requirements/dev.lock", checkout / ".venv/made-from.lock")
    return checkout


def calls(suite: Path, *words: str, failing: str = "nothing") -> tuple[int, list[str], str]:
    log = suite / "log"
    done = launch(suite / "chronos", "test", *words, LOG=str(log), FAILING=failing)
    return done.returncode, log.read_text().splitlines(), done.stdout


def test_the_fast_suite(suite: Path) -> None:
    status, called, said = calls(suite, "-k", "a b", "--fast", "tests/model")
    assert status == 0
    assert called == [
        "ruff|check|--quiet|.|",
        "ruff|format|--check|--quiet|.|",
        "python|-m|mypy|",
        "lint-imports|--no-logo|",
        "python|-m|pytest|-n|auto|-m|not lab|-k|a b|tests/model|",
    ]
    assert said.count(" ok ") == 5


@pytest.mark.parametrize("failing", ["check*", "format*", "*mypy*", "*lint-imports", "*pytest*"])
def test_every_check_runs_and_any_failure_counts(suite: Path, failing: str) -> None:
    status, called, said = calls(suite, "--fast", failing=failing)
    assert status == 1
    assert len(called) == 5
    assert said.count("FAILED") == 1
