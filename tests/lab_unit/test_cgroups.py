from pathlib import Path

import pytest

from chronos_ops.lab import cgroups
from chronos_ops.lab.errors import LabError


def hybrid(root: Path) -> Path:
    for name in ("unified", "systemd", "memory"):
        (root / name).mkdir(parents=True)
    return root


def v2(root: Path) -> Path:
    (root / "cgroup.controllers").write_text("cpu memory")
    return root


def test_a_hybrid_machine_has_three_hierarchies(tmp_path: Path) -> None:
    root = hybrid(tmp_path)
    memory = root / "memory" / "chronos-lab.db"
    memory.mkdir()
    joins = cgroups.create("chronos-lab.db", 1024, root)
    assert [p.parent.parent.name for p in joins] == ["unified", "systemd", "memory"]
    assert (memory / "memory.limit_in_bytes").read_text() == "1024"


def test_a_machine_with_cgroup_v2_alone_has_one(tmp_path: Path) -> None:
    root = v2(tmp_path)
    joins = cgroups.create("chronos-lab.db", 1024, root)
    assert joins == [root / "chronos-lab.db" / "cgroup.procs"]
    assert (root / "chronos-lab.db" / "memory.max").read_text() == "1024"


def test_cgroups_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="not known"):
        cgroups.hierarchies(tmp_path)


def test_members_are_found_at_any_depth(tmp_path: Path) -> None:
    root = v2(tmp_path)
    inner = root / "chronos-lab.db" / "payload" / "system.slice"
    inner.mkdir(parents=True)
    (inner / "cgroup.procs").write_text("12\n13\n")
    (inner.parent / "cgroup.procs").write_text("0\n")
    assert cgroups.members("chronos-lab.db", root) == {12, 13}
    assert cgroups.members("chronos-lab.other", root) == set()


def test_leftovers_are_named_by_lab(tmp_path: Path) -> None:
    root = hybrid(tmp_path)
    for path in ("unified/chronos-lab.db", "memory/chronos-lab.old", "unified/chronos-lab-2.db"):
        (root / path).mkdir()
    assert cgroups.named("chronos-lab.", root) == {"chronos-lab.db", "chronos-lab.old"}
    cgroups.remove("chronos-lab.db", root)
    assert cgroups.named("chronos-lab.", root) == {"chronos-lab.old"}
