"""pyproject.toml is the truth; what mirrors it is held equal."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
LOCKS = ("boot", "run", "dev", "lab")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / f"requirements/{lock}.lock").read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, re.MULTILINE))


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=]", text)[0].lower().replace("_", "-") for text in requirements}


def test_conda_mirrors_pyproject(project: dict[str, Any]) -> None:
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, rest = conda["dependencies"]
    assert conda["name"] == project["project"]["name"]
    assert python == "python" + project["project"]["requires-python"]
    assert pip == "pip"
    assert rest == {"pip": project["project"]["dependencies"]}


def test_locks_hold_every_dependency(project: dict[str, Any]) -> None:
    groups = project["dependency-groups"]
    run = names(project["project"]["dependencies"])
    assert run <= pins("run").keys()
    assert run | names(groups["dev"]) <= pins("dev").keys()
    assert names(groups["lab"]) <= pins("lab").keys()
    assert names(groups["boot"]) <= pins("boot").keys()


def test_the_development_environment_runs_what_operators_run() -> None:
    run, dev = pins("run"), pins("dev")
    assert run.items() <= dev.items()


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_are_hashed_and_name_no_address(lock: str) -> None:
    text = (ROOT / f"requirements/{lock}.lock").read_text()
    requirements = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert requirements
    assert [r.split()[0] for r in requirements if "--hash=sha256:" not in r] == []
    assert not re.search(r"https?://|file:|--(extra-)?index-url|--find-links", text)


def test_the_emulator_lives_apart() -> None:
    assert "ministack" in pins("lab")
    assert not {"ministack", "aiosmtpd", "hypercorn"} & pins("dev").keys()


def test_the_emulator_is_pinned_exactly(project: dict[str, Any]) -> None:
    # The lab replaces two functions of it: another version is another emulator.
    assert any(
        re.fullmatch(r"ministack==[\d.]+", text) for text in project["dependency-groups"]["lab"]
    )
