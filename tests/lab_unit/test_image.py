from pathlib import Path

import pytest

from chronos_ops.lab import image
from chronos_ops.lab.errors import LabError, LabImpossible
from chronos_ops.lab.places import Places


@pytest.fixture
def lab(tmp_path: Path) -> Places:
    (tmp_path / "images").mkdir()
    return Places("lab", tmp_path)


def test_an_image_is_named_after_what_is_in_it() -> None:
    assert image.key(("a", "b")) != image.key(("a",))
    assert image.key(("a", "b")) == image.key(("a", "b"))


def test_db_lies_above_bare(lab: Places) -> None:
    db, bare = image.image(lab, "db"), image.image(lab, "bare")
    assert db.layers[1:] == bare.layers
    with pytest.raises(LabError, match="one of: bare, db"):
        image.image(lab, "sid")


def test_the_older_debian_has_images_of_its_own_and_they_are_kept(lab: Places) -> None:
    old, new = image.image(lab, "db-bookworm"), image.image(lab, "db")
    assert (old.suite, new.suite) == ("bookworm", "trixie")
    assert old.layers[1:] == image.image(lab, "bare-bookworm").layers
    assert not set(old.layers) & set(new.layers)
    assert "postgresql-15" in image.db_packages("bookworm")
    assert not image.is_built(old)
    for layer in old.layers:
        layer.mkdir(parents=True)
    assert image.is_built(old)
    assert image.prune(lab) == []


def test_an_image_appears_whole_or_not_at_all(lab: Places) -> None:
    final = lab.images / "bare-1"

    def fail() -> None:
        with image._whole(final) as part:
            (part / "tree").mkdir()
            raise LabError("a package could not be had")

    with pytest.raises(LabError):
        fail()
    assert list(lab.images.iterdir()) == []
    with image._whole(final) as part:
        (part / "tree").mkdir()
        (part / "tree" / "etc").mkdir()
    assert [p.name for p in lab.images.iterdir()] == ["bare-1"]
    assert (final / "etc").is_dir()


def test_half_images_of_killed_builds_are_cleared(lab: Places) -> None:
    half = lab.images / f"{image.PARTIAL}bare-1"
    half.mkdir()
    (lab.images / "bare-0").mkdir()
    assert image.clear_partial(lab) == [half]
    assert [p.name for p in lab.images.iterdir()] == ["bare-0"]


def test_old_images_go_when_no_other_lab_may_stand_on_them(lab: Places) -> None:
    old = lab.images / "bare-000000000000"
    current = image.image(lab, "bare").layers[0]
    for path in (old, current, lab.folder, lab.state / "labs" / "other"):
        path.mkdir(parents=True)
    assert image.prune(lab) == []
    (lab.state / "labs" / "other").rmdir()
    assert image.prune(lab) == [old]
    assert current.is_dir()


def test_too_little_disk_space_is_said_before_anything_is_built(
    lab: Places, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keyring = tmp_path / "keys" / "debian-archive-keyring.gpg"
    keyring.parent.mkdir()
    keyring.touch()
    monkeypatch.setattr(image, "KEYRINGS", keyring.parent)
    monkeypatch.setattr(image, "KEYRING", keyring)
    with pytest.raises(LabImpossible, match="do not include trixie"):
        image._check_machine(lab)
    (keyring.parent / "debian-archive-trixie-stable.gpg").touch()
    image._check_machine(lab)
    monkeypatch.setattr(image, "NEEDED_BYTES", 2**62)
    with pytest.raises(LabImpossible, match="not enough disk space"):
        image._check_machine(lab)


def test_a_tool_that_fails_is_quoted(lab: Places) -> None:
    told: list[str] = []
    script = "echo 'I: running'; echo 'E: no such package'; exit 100"
    with (lab.images / ".lock").open("w") as lock:
        tools = image.Tools(lab.images / "procs", lock.fileno(), told.append)
        with pytest.raises(LabError, match="E: no such package"):
            tools.follow(["sh", "-c", script], {"PATH": "/usr/bin:/bin"})
    assert told == ["  running"]
    assert (lab.images / "procs").read_text().strip().isdigit()
