"""Debian packages: what is installed, what apt would install."""

import re

from chronos_ops.facts.reading import lines
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

Versions = dict[str, str]
_FORMAT = r"${Package} ${Version} ${db:Status-Status}\n"


def _read_installed(answer: ShellAnswer) -> Versions:
    found: Versions = {}
    for line in lines(answer):
        words = line.split()
        if len(words) == 3 and words[2] == "installed":
            found[words[0]] = words[1]
        elif len(words) < 2:
            raise UnreadableAnswer("not a line of dpkg-query", line)
    return found


INSTALLED: Fact[Versions] = Fact(
    "installed_packages", ShellQuestion(("dpkg-query", "-W", "-f", _FORMAT)), _read_installed
)


def _read_candidates(answer: ShellAnswer) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    name = ""
    for line in lines(answer):
        if not line.startswith(" ") and line.endswith(":"):
            name = line[:-1]
        elif match := re.match(r"\s+Candidate: (\S+)$", line):
            found[name] = None if match[1] == "(none)" else match[1]
    return found


def candidates(*names: str) -> Fact[dict[str, str | None]]:
    """The version that apt would install, by package; None or absent: there is none."""
    return Fact("apt_candidates", ShellQuestion(("apt-cache", "policy", *names)), _read_candidates)
