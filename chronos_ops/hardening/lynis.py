"""lynis: an index of the host's hardening, by somebody else's rules (https://cisofy.com/lynis/).

The Debian package is unpacked into a folder of the run and never installed (it would bring a timer
of its own); it runs as a transient unit, while nmap looks from outside, and is gone afterwards.
"""

import re
import time
from dataclasses import dataclass

from chronos_ops.execution.context import Context
from chronos_ops.model.errors import ChronosError, UnreadableAnswer

UNIT = "chronos-lynis"
FOLDER = "/run/chronos-lynis"
SECONDS = 300.0

# The profile's own "quick"; the version check would ask the internet, and is no finding of ours.
_START = r"""
set -eu
systemctl stop "$2" 2>/dev/null || true
rm -rf "$1" /run/lynis.pid; mkdir -m 0700 "$1"; cd "$1"
chown _apt "$1" 2>/dev/null || true
apt-get -q -o DPkg::Lock::Timeout=300 download lynis >/dev/null
chown root "$1"
dpkg-deb -x lynis_*.deb tree
cp -r tree/etc/lynis/plugins tree/usr/share/lynis/
systemd-run --quiet --collect --unit="$2" --working-directory="$1/tree/usr/share/lynis" \
    --property=StandardOutput="append:$1/said" --property=StandardError="append:$1/said" \
    "$1/tree/usr/sbin/lynis" audit system --quick --quiet --no-colors \
    --profile "$1/tree/etc/lynis/default.prf" \
    --logfile "$1/lynis.log" --report-file "$1/report.dat"
"""
_ENDED = """
if systemctl is-active --quiet "$1"; then exit 3; fi
grep -q '^finish=true' "$2/report.dat" || { tail -n 20 "$2/said" >&2; exit 4; }
cat "$2/report.dat"
"""


@dataclass(frozen=True)
class Report:
    """lynis' own index (0 to 100), and what it would have changed."""

    index: int
    warnings: tuple[str, ...]
    suggestions: tuple[str, ...]
    tests: int


def read_report(text: str) -> Report:
    """Parse lynis-report.dat. Raises UnreadableAnswer: it has no index, it broke off."""
    index = re.search(r"^hardening_index=(\d+)$", text, re.MULTILINE)
    tests = re.search(r"^lynis_tests_done=(\d+)$", text, re.MULTILINE)
    if index is None or tests is None or "finish=true" not in text:
        raise UnreadableAnswer("lynis' report has no index", text[-300:])
    return Report(int(index[1]), _named(text, "warning"), _named(text, "suggestion"), int(tests[1]))


def _named(text: str, kind: str) -> tuple[str, ...]:
    rows = re.findall(rf"^{kind}\[\]=(.*)$", text, re.MULTILINE)
    return tuple(
        f"{words[0]}: {words[1]}" + (f" ({words[2]})" if words[2].strip("-") else "")
        for words in ([*row.split("|"), "", ""] for row in rows)
    )


def start(context: Context) -> None:
    """Let it run on the host; `finish` waits for it. Raises CommandFailed (no such package).

    What an earlier run that was killed has left there goes first.
    """
    context.ssh.run(["sh", "-c", _START, "lynis", FOLDER, UNIT], sudo=True)


def run(context: Context, log: str) -> Report:
    """`start` and `finish`."""
    start(context)
    return finish(context, log)


def running(context: Context) -> bool:
    """Whether `start` was called, and not yet `finish`."""
    return context.ssh.run(["test", "-d", FOLDER], sudo=True, accept=(0, 1)).exit_code == 0


def finish(context: Context, log: str) -> Report:
    """Wait for its end, read its report and remove it. Raises ChronosError, UnreadableAnswer."""
    try:
        with context.journal.interval("wait", "lynis"):
            text = _wait(context)
        kept = context.folder / "logs" / log
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(text, encoding="utf-8")
        return read_report(text)
    finally:
        script = 'systemctl stop "$1" 2>/dev/null; rm -rf "$2"'
        context.ssh.run(["sh", "-c", script, "lynis", UNIT, FOLDER], sudo=True)


def _wait(context: Context) -> str:
    deadline = time.monotonic() + SECONDS
    ask = ["sh", "-c", _ENDED, "lynis", UNIT, FOLDER]
    while time.monotonic() < deadline:
        answer = context.ssh.run(ask, sudo=True, accept=(0, 3, 4))
        if answer.exit_code == 0:
            return answer.stdout
        if answer.exit_code == 4:
            raise ChronosError("lynis broke off", answer.stderr.strip())
        time.sleep(1.0)
    raise ChronosError(f"lynis did not end in {SECONDS:.0f} s")
