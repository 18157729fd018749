"""A reading whose program fails is missing, never an empty list."""

import os
import subprocess
from pathlib import Path

import pytest

from chronos_ops.facts import docker_ports
from chronos_ops.facts.audit_system import _upgradable
from chronos_ops.facts.kept_configuration import KEPT_CONFIGURATION
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import ShellAnswer


@pytest.mark.parametrize("broken", ["iptables-save", "nft"])
def test_rules_that_cannot_be_listed_are_an_error(broken: str, tmp_path: Path) -> None:
    for name in ("iptables-save", "nft"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\n" + ("exit 4\n" if name == broken else "echo '*nat'\n"))
        program.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(["sh", "-c", docker_ports.SCRIPT], env={"PATH": path}, check=False)
    assert done.returncode == 1


def test_no_list_of_apt_is_not_an_empty_one() -> None:
    assert _upgradable("Listing...\n") == []
    assert _upgradable("Listing...\napt/stable 3.0.4 amd64\n") == ["apt/stable 3.0.4 amd64"]
    with pytest.raises(ValueError, match="not apt's list"):
        _upgradable("")


def test_a_comparison_that_was_cut_off_does_not_say_that_files_are_alike() -> None:
    said = "= 17/main\n= 15/old\n| alike\n"
    with pytest.raises(UnreadableAnswer, match="17/main"):
        KEPT_CONFIGURATION.parse(ShellAnswer(0, said))
