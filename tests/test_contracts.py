"""The import contracts hold, and really bite; notebooks, which they cannot see, keep them too."""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ALLOWED = re.compile(
    r"chronos_ops\.(runbook|facts(\.\w+)*|plans(\.\w+)*|evidence\.report\w*)(\.\w+)?$"
)


def lint(folder: Path) -> tuple[int, str]:
    """import-linter on a tree: its exit status, and the names of the broken contracts."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the package, to plant violations in."""
    shutil.copytree(ROOT / "chronos_ops", tmp_path / "chronos_ops")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


PLANTED = {
    "the model looks up": ("model/planted.py", "import chronos_ops.connectors", "No import runs"),
    "facts know connectors": ("facts/planted.py", "import chronos_ops.connectors", "No import"),
    "connectors know plans": ("connectors/planted.py", "import chronos_ops.plans", "No import"),
    "execution knows plans": ("execution/planted.py", "import chronos_ops.plans", "No import"),
    "the runner knows the runbook": ("runner_engine.py", "import chronos_ops.runbook", "No import"),
    "a runner opens the drill": ("runner_engine.py", "import chronos_ops.drill", "Only the runb"),
    "a module without a floor": ("attic.py", "X = 1", "No import runs"),
    "a runbook knows the lab": ("drill/planted.py", "import chronos_ops.lab", "Only the CLI"),
    "the lab knows facts": ("lab/planted.py", "import chronos_ops.facts", "The lab knows"),
    "a second fabric": ("drill/planted.py", "import fabric", "fabric is imported"),
    "a second paramiko": ("lab/planted.py", "import paramiko", "fabric is imported"),
    "a second psycopg": ("drill/planted.py", "from psycopg import sql", "psycopg is imported"),
    "a second boto3": ("evidence/planted.py", "import boto3", "boto3 is imported"),
    "a second atlassian": ("cli/planted.py", "import atlassian", "atlassian-python-api is"),
    "a second papermill": ("cli/planted.py", "import papermill", "papermill is imported"),
    "a second pandas": ("drill/planted.py", "import pandas", "pandas and matplotlib"),
    "the emulator's library": ("cli/planted.py", "import ministack", "ministack is imported"),
}


@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_violation_is_caught(tree: Path, case: str) -> None:
    file, line, contract = PLANTED[case]
    if not (tree / "chronos_ops/runbook").is_dir():
        (tree / "chronos_ops/runbook.py").touch()  # contracts hold whether it is there or not
    (tree / "chronos_ops" / file).write_text(line + "\n")
    status, said = lint(tree)
    assert status == 1
    assert re.search(rf"^{re.escape(contract)}.* BROKEN", said, re.MULTILINE), said


def test_a_circle_is_caught(tree: Path) -> None:
    (tree / "chronos_ops/facts/ring_a.py").write_text("import chronos_ops.facts.ring_b\n")
    (tree / "chronos_ops/facts/ring_b.py").write_text("import chronos_ops.facts.ring_a\n")
    status, said = lint(tree)
    assert status == 1
    assert "No circle of imports, at any depth BROKEN" in said


def own_imports(code: str) -> list[str]:
    """Modules of ours that a cell imports."""
    found: list[str] = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name for name in found if name.split(".")[0] == "chronos_ops"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_import_what_they_may(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    imports = own_imports(code)
    assert imports, "a runbook that uses nothing of ours does nothing"
    assert [name for name in imports if not ALLOWED.match(name)] == []


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("from chronos_ops import runbook", True),
        ("from chronos_ops.runbook import Runbook", True),
        ("from chronos_ops.facts import postgres", True),
        ("from chronos_ops.plans.backup import plan_backup", True),
        ("from chronos_ops.evidence import report", True),
        ("from chronos_ops.evidence import journal", False),
        ("import chronos_ops.drill.workload", False),
        ("from chronos_ops.lab import control", False),
        ("from chronos_ops.model.settings import Settings", False),
        ("from chronos_ops.connectors.aws import Aws", False),
    ],
)
def test_the_rule_for_notebooks_itself(code: str, allowed: bool) -> None:
    (name,) = own_imports(code)
    assert bool(ALLOWED.match(name)) is allowed
