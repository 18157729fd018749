from pathlib import Path

import pytest

from chronos_ops.lab.apt_sources import find_mirror
from chronos_ops.lab.errors import LabImpossible

DEB822 = """# a comment
Types: deb
# URIs: http://old.example/debian
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs:
 https://mirror.example/debian-security/
Suites: bookworm-security
Components: main
"""
ONE_LINE = """deb cdrom:[Debian 12]/ bookworm main
# deb http://commented.example/debian bookworm main
deb-src http://source.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] https://one.example/pub/debian/ bookworm main
"""


@pytest.fixture(autouse=True)
def _no_override(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHRONOS_LAB_MIRROR", raising=False)


def test_deb822_sources(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
    mirror = find_mirror(tmp_path)
    assert mirror.debian == "http://mirror.example/debian"
    assert mirror.security == "https://mirror.example/debian-security"


def test_one_line_sources(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(ONE_LINE)
    mirror = find_mirror(tmp_path)
    assert mirror.debian == "https://one.example/pub/debian"
    assert mirror.security == "https://one.example/pub/debian-security"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "deb http://archive.ubuntu.example/ubuntu noble main\n",
        "deb file:/srv/debian bookworm main\n",
    ],
)
def test_no_mirror_is_said_with_the_mend(tmp_path: Path, text: str) -> None:
    (tmp_path / "sources.list").write_text(text)
    with pytest.raises(LabImpossible, match="CHRONOS_LAB_MIRROR"):
        find_mirror(tmp_path)


def test_a_disabled_stanza_is_none(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    off = "Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: x\nComponents: main\n"
    (tmp_path / "sources.list.d/a.sources").write_text(off + "\n" + DEB822)
    assert find_mirror(tmp_path).debian == "http://mirror.example/debian"


def test_a_mirror_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHRONOS_LAB_MIRROR", "http://mine.example/debian/")
    assert find_mirror(tmp_path).debian == "http://mine.example/debian"
