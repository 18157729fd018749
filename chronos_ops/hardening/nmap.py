"""nmap: which ports of the host answer, seen from this machine."""

import os
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from chronos_ops.execution.context import Context
from chronos_ops.hardening.programs import look
from chronos_ops.model.errors import UnreadableAnswer

Protocol = Literal["tcp", "udp"]
# Two probes at most and 5000 a second: 27 s for all ports of a host that drops, instead of 88.
_FAST = ("-n", "-Pn", "--min-rate", "5000", "--max-retries", "1")


@dataclass(frozen=True)
class Scan:
    """What nmap saw. `states` has each port that it names one by one; the others are `rest`."""

    scanned: int
    states: dict[int, str]  # open, closed, filtered, open|filtered
    rest: dict[str, int]  # how many more are in which state
    seconds: float

    def having(self, *states: str) -> list[int]:
        return sorted(port for port, state in self.states.items() if state in states)

    def state_of(self, port: int) -> str:
        """A port that is not named is in one of the states of the rest."""
        return self.states.get(port) or " or ".join(sorted(self.rest)) or "not scanned"

    def count(self, state: str) -> int:
        return self.rest.get(state, 0) + sum(s == state for s in self.states.values())


def read_scan(text: str) -> Scan:
    """Parse nmap's XML. Raises UnreadableAnswer: the scan broke off, or no host was scanned."""
    try:
        root = ET.fromstring(text)  # noqa: S314 - written by nmap itself, on this machine
    except ET.ParseError as error:
        raise UnreadableAnswer("nmap's XML cannot be read", error) from None
    finished = root.find("runstats/finished")
    hosts = root.findall("host")
    if finished is None or finished.get("exit") != "success" or len(hosts) != 1:
        raise UnreadableAnswer("nmap did not finish its scan", text[-300:])
    info, ports = root.find("scaninfo"), hosts[0].find("ports")
    if info is None or ports is None:
        raise UnreadableAnswer("nmap's XML has no ports", text[-300:])
    states: dict[int, str] = {}
    for port in ports.findall("port"):
        state = port.find("state")
        states[int(port.get("portid", "0"))] = "" if state is None else state.get("state", "")
    rest: Counter[str] = Counter()
    for extra in ports.findall("extraports"):
        rest[extra.get("state", "")] += int(extra.get("count", "0"))
    return Scan(
        scanned=int(info.get("numservices", "0")),
        states=states,
        rest=dict(rest),
        seconds=float(finished.get("elapsed", "0")),
    )


def scan(
    context: Context, address: str, ports: str, *, protocol: Protocol = "tcp", log: str
) -> Scan:
    """Scan `ports` (as `-p` takes them: "-", "1-1000"). Raises NotInstalled, UnreadableAnswer."""
    argv = ["nmap", *_FAST, "-oX", "-", f"-p{ports}"]
    if protocol == "udp":
        argv.append("-sU")
    if ":" in address:
        argv.append("-6")
    said = look(context, [*argv, address], log=log, timeout=600)
    found = read_scan(said.stdout)
    seen = len(found.states) + sum(found.rest.values())
    if seen != found.scanned:
        raise UnreadableAnswer(f"nmap spoke of {seen} ports", f"{found.scanned} were asked")
    return found


def may_scan_udp() -> bool:
    """UDP scans send raw packets: only root may."""
    return os.geteuid() == 0
