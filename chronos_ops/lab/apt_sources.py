"""The Debian mirror of this machine: read from its own apt sources, so that it works behind any."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chronos_ops.lab.errors import LabImpossible

_OPTIONS = re.compile(r"^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+\S+")


@dataclass(frozen=True)
class Mirror:
    """Base addresses; `proxy` is what apt itself is configured to use, or None."""

    debian: str
    security: str
    proxy: str | None = None


def find_mirror(etc_apt: Path = Path("/etc/apt")) -> Mirror:
    """From sources.list and sources.list.d; CHRONOS_LAB_MIRROR names another.

    Raises LabImpossible where no source of Debian packages by http or https is configured.
    """
    given = os.environ.get("CHRONOS_LAB_MIRROR")
    uris = [given] if given else list(_uris(etc_apt))
    web = [uri.rstrip("/") for uri in uris if uri.startswith(("http://", "https://"))]
    debian = next((uri for uri in web if uri.endswith("/debian")), None)
    if debian is None:
        raise LabImpossible(
            "no Debian mirror in this machine's apt sources",
            ", ".join(web) or None,
            hint="set CHRONOS_LAB_MIRROR to the address of one that ends in /debian",
        )
    security = next((uri for uri in web if uri.endswith("/debian-security")), f"{debian}-security")
    return Mirror(debian, security, _apt_proxy(debian))


def _uris(etc_apt: Path) -> Iterator[str]:
    for path in [etc_apt / "sources.list", *sorted(etc_apt.glob("sources.list.d/*"))]:
        if path.suffix not in {".list", ".sources"} or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        yield from _deb822(text) if path.suffix == ".sources" else _one_line(text)


def _one_line(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if found := _OPTIONS.match(line):
            yield found[1]


def _deb822(text: str) -> Iterator[str]:
    for stanza in re.split(r"\n\s*\n", text):
        fields = _fields(stanza)
        if fields.get("enabled", "yes").lower() in {"no", "false", "0"}:
            continue
        if "deb" in fields.get("types", "").split():
            yield from fields.get("uris", "").split()


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1].isspace():
            fields[name] = f"{fields.get(name, '')} {line.strip()}"
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def _apt_proxy(uri: str) -> str | None:
    scheme = uri.partition(":")[0]
    try:
        done = subprocess.run(
            ["apt-config", "shell", "P", f"Acquire::{scheme}::Proxy"],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        return None
    found = re.search(r"P='([^']+)'", done.stdout)
    return found[1] if found and found[1] != "DIRECT" else None
