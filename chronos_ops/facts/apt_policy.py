"""apt's configuration as it is in effect, and the files that say something about updates (H6)."""

from collections.abc import Mapping
from dataclasses import dataclass

from chronos_ops.facts.reading import lines
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

# apt reads apt.conf.d in the order of bytes, and /etc/apt/apt.conf after it (apt.conf(5)).
_SCRIPT = r"""
set -eu
export LC_ALL=C
all=$(apt-config dump --format '%F %v%n')
printf '%s\n' "$all" | grep -vE '^Acquire::(Changelogs|IndexTargets|Snapshots)'
echo 'files:'
cd /etc/apt
for file in apt.conf.d/* apt.conf; do
  [ -f "$file" ] && grep -qE 'Periodic|Unattended-Upgrade' "$file" || continue
  grep -nE '[^[:space:]]' "$file" | sed "s|^|/etc/apt/$file:|"
done
"""
_END = "files:"


@dataclass(frozen=True)
class Line:
    """A line of a file of /etc/apt that has to do with updates; in the order in which apt reads."""

    file: str
    number: int
    text: str


@dataclass(frozen=True)
class AptConfig:
    """What is in effect: every option with its values (a list has several), and its sources."""

    options: Mapping[str, tuple[str, ...]]
    lines: tuple[Line, ...]

    def all(self, name: str) -> tuple[str, ...]:
        """The items of a list, in order; none: ()."""
        return self.options.get(name, ())

    def one(self, name: str) -> str:
        """An option's value; not set: ''."""
        return self.all(name)[-1] if self.all(name) else ""


def _read(answer: ShellAnswer) -> AptConfig:
    found = lines(answer)
    if _END not in found or not any(line.startswith("APT::Architecture ") for line in found):
        raise UnreadableAnswer("not a dump of apt's configuration", answer.stdout[:200])
    at = found.index(_END)
    options: dict[str, list[str]] = {}
    for line in found[:at]:
        name, _, value = line.partition(" ")
        if value or name.endswith("::"):
            options.setdefault(name.removesuffix("::"), []).append(value)
    return AptConfig(
        {name: tuple(values) for name, values in options.items()},
        tuple(_line(text) for text in found[at + 1 :]),
    )


def _line(text: str) -> Line:
    file, _, rest = text.partition(":")
    number, _, said = rest.partition(":")
    if not number.isdigit():
        raise UnreadableAnswer("not a line of a file of apt's", text[:200])
    return Line(file, int(number), said)


APT_CONFIG = Fact("apt_config", ShellQuestion(("sh", "-c", _SCRIPT)), _read)
