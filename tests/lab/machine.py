"""What labs leave on a machine, to be compared before and after."""

import json
import subprocess
from pathlib import Path

from chronos_ops.lab.places import places

State = dict[str, list[str]]


def machine_state() -> State:
    """Mounts, cgroups, links, tables, loops, processes and folders of all labs."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    links = json.loads(_out("ip", "-j", "link", "show"))
    return {
        "mounts": sorted(line.split()[4] for line in mounts),
        "cgroups": sorted(str(p) for p in Path("/sys/fs/cgroup").rglob("chronos-*")),
        "links": sorted(link["ifname"] for link in links),
        "tables": sorted(_out("nft", "list", "tables").split("\n")),
        "loops": sorted(_out("losetup", "--list", "--noheadings", "--output", "BACK-FILE").split()),
        "processes": sorted(_processes()),
        "folders": sorted(
            str(path)
            for folder in ("/run/systemd/nspawn/propagate", "/run/chronos-lab")
            for path in Path(folder).glob("*")
        ),
    }


def state_of(name: str) -> State:
    """That of one lab. Others come and go as they like: names and bridges tell them apart."""
    where = places(name)
    marks = (f"{name}.", f"/{name}/", where.bridge, where.table, f"--lab {name} ", f"/{name}")
    return {
        kind: [x for x in seen if any(m in x for m in marks)]
        for kind, seen in machine_state().items()
    }


def _processes() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(b"chronos" in word for word in words) or words[0].endswith(b"systemd-nspawn"):
            found.append(b" ".join(words).decode(errors="replace"))
    return found


def _out(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
