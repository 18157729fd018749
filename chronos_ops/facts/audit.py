"""The audit's batch: many readings of a host's effective state in one question (H7).

Each reading succeeds or is missing by itself: a control whose reading is missing is an error,
never a pass. All of them run at once on the host, each with a time limit; an answer line starts
with `| `, an error line with `! `, so nothing that is read can pass for a heading.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

LIMIT_SECONDS = 20


@dataclass(frozen=True)
class Reading:
    """One thing to read: a shell command run as root that changes nothing, and its reader.

    `parse` gets the command's output and raises UnreadableAnswer, ValueError, KeyError or
    IndexError on what it does not know. `accept`: exit codes that are answers.
    """

    name: str
    command: str
    parse: Callable[[str], Any]
    accept: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Readings:
    """What could be read, by name; and why each of the others could not."""

    values: Mapping[str, Any] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


_HEAD = f"""umask 077
d=$(mktemp -d /run/chronos-audit.XXXXXX) || exit 1
trap 'rm -rf "$d"' EXIT
export LC_ALL=C.UTF-8 TZ=UTC PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
r() {{ ( timeout -k 1 {LIMIT_SECONDS} sh -c "$2" >"$d/$1.out" 2>"$d/$1.err" </dev/null
  echo $? >"$d/$1.rc" ) & }}
"""
_TAIL = """wait
for f in "$d"/*.rc; do n=${f%.rc}
  echo "= ${n##*/} $(cat "$f")"; sed 's/^/| /' "$n.out"; head -n 5 "$n.err" | sed 's/^/! /'
done
echo "= end 0"
"""


def script(readings: Sequence[Reading]) -> str:
    """The one shell script that asks all of them."""
    return _HEAD + "".join(f"r {r.name} {shlex.quote(r.command)}\n" for r in readings) + _TAIL


def split(text: str) -> dict[str, tuple[int, str, str]]:
    """Exit code, output and errors of each reading by name. Raises UnreadableAnswer."""
    found: dict[str, tuple[int, list[str], list[str]]] = {}
    current: tuple[int, list[str], list[str]] | None = None
    for line in text.split("\n"):
        mark, body = line[:2], line[2:]
        if mark == "= ":
            name, _, code = body.partition(" ")
            if not code.isdigit():
                raise UnreadableAnswer("the audit's answer has a broken heading", line[:120])
            current = found.setdefault(name, (int(code), [], []))
        elif mark in ("| ", "|") and current is not None:
            current[1].append(body)
        elif mark in ("! ", "!") and current is not None:
            current[2].append(body)
        elif line and current is not None and not current[2]:
            current[1].append(line)  # output without a last newline
        elif line:
            raise UnreadableAnswer("not the audit's answer", line[:120])
    if found.pop("end", None) is None:
        raise UnreadableAnswer("the audit's answer has no end", text[-120:])
    return {n: (code, "\n".join(out), "\n".join(err)) for n, (code, out, err) in found.items()}


def read(readings: Sequence[Reading], answer: ShellAnswer) -> Readings:
    """Every reading through its own reader."""
    answers = split(answer.stdout)
    values: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for reading in readings:
        if reading.name not in answers:
            missing[reading.name] = "the host gave no answer"
            continue
        code, out, err = answers[reading.name]
        if code not in reading.accept:
            why = "timed out" if code == 124 else f"exit code {code}"
            missing[reading.name] = f"{why}: {(err or out).strip()[:300]}"
            continue
        try:
            values[reading.name] = reading.parse(out)
        except (UnreadableAnswer, ValueError, KeyError, IndexError) as error:
            missing[reading.name] = f"not readable: {error}"
    return Readings(values, missing)


def batch(name: str, readings: Sequence[Reading]) -> Fact[Readings]:
    """All the readings as one fact: one round trip."""
    question = ShellQuestion(("sh", "-c", script(readings)), sudo=True)
    return Fact(name, question, lambda answer: read(readings, answer))


def rows(text: str, width: int, separator: str | None = None) -> list[list[str]]:
    """Non-empty lines cut into `width` fields (the last keeps the rest). Raises ValueError."""
    found = []
    for line in text.splitlines():
        if not line.strip():
            continue
        fields = line.split(separator, width - 1)
        if len(fields) != width:
            raise ValueError(f"{width} fields expected: {line[:100]!r}")
        found.append(fields)
    return found
