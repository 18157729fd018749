"""The way back as text: undo deeds compiled into a script, and the units that run it (H9)."""

import base64
import re
import shlex
import textwrap
from collections.abc import Sequence

from chronos_ops.model.errors import ChronosError
from chronos_ops.model.plan import Change, Deed, RemoveFile, RunCommand, WriteFile

ROOT = "/var/lib/chronos-ops/guard"
UNITS = "/etc/systemd/system"


def guard_id(run_id: str, plan: str) -> str:
    """A name for folder and units, of the run and the plan."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{run_id}-{plan}")


def folder(identifier: str) -> str:
    """Where the script and its state lie on the host."""
    return f"{ROOT}/{identifier}"


def unit(identifier: str) -> str:
    """The unit's name without its suffix."""
    return f"chronos-guard-{identifier}"


def unit_files(identifier: str) -> tuple[str, str, str]:
    """Service, timer, and the link that makes the service run at boot."""
    name = unit(identifier)
    return (
        f"{UNITS}/{name}.service",
        f"{UNITS}/{name}.timer",
        f"{UNITS}/multi-user.target.wants/{name}.service",
    )


def revert_script(identifier: str, changes: Sequence[Change]) -> str:
    """Shell: every undo, last change first, each step tried even if one fails; runs twice as well.

    Raises ChronosError for an undo that a host cannot do by itself.
    """
    bare = [c.id for c in changes if not c.undo]
    if bare:
        raise ChronosError("a guarded change has no undo", ", ".join(bare))
    where = folder(identifier)
    parts = [
        "#!/bin/sh",
        "# Takes back what no second connection confirmed (written by chronos-ops).",
        "set -u",
        "umask 077",
        "export LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        f"exec 9>>{where}/lock && flock 9 || exit 1",
        f"[ ! -e {where}/confirmed ] || exit 0",
        f"rm -f {where}/reverted; : > {where}/fired; sync",
        f"exec >>{where}/log 2>&1",
        "failed=0",
        "cd /",
    ]
    steps = [(c, deed) for c in reversed(changes) for deed in c.undo]
    for number, (change, deed) in enumerate(steps, 1):
        said = shlex.quote(f"undo of {change.id}, step {number} ({deed.kind}): failed")
        parts += [f"step_{number}() {{", _step(change, deed), "}"]
        parts.append(f"step_{number} || {{ echo {said}; failed=1; }}")
    parts += [
        '[ "$failed" = 0 ] || exit 1',
        f"rm -f {unit_files(identifier)[2]}",
        f"date -u +%FT%TZ > {where}/reverted; sync",
    ]
    return "\n".join(parts) + "\n"


def service_text(identifier: str, titles: Sequence[str]) -> str:
    """Runs at boot too, after what it may have to reload; tried again if a step failed."""
    shown = "; ".join(titles).replace("%", "%%").replace("\n", " ")[:200]
    return f"""[Unit]
Description=Take back (chronos-ops): {shown}
After=local-fs.target network.target ufw.service nftables.service
After=ssh.service sshd.service ssh.socket
ConditionPathExists={folder(identifier)}/revert
StartLimitIntervalSec=3600
StartLimitBurst=5

[Service]
Type=oneshot
ExecStart={folder(identifier)}/revert
TimeoutStartSec=300
Restart=on-failure
RestartSec=5

[Install]
WantedBy=multi-user.target
"""


def timer_text(identifier: str, seconds: int) -> str:
    """Counts from its (re)start. At boot the service comes by itself."""
    return f"""[Unit]
Description=When {unit(identifier)}.service takes back what was not confirmed
# It is started anew for each change of a plan, which may be six in a second.
StartLimitIntervalSec=0

[Timer]
OnActiveSec={seconds}
AccuracySec=1
Unit={unit(identifier)}.service
"""


def _step(change: Change, deed: Deed) -> str:
    match deed:
        case WriteFile():
            _no_secret(change, deed.content)
            path, new = shlex.quote(deed.path), shlex.quote(f"{deed.path}.chronos-revert")
            owner, mode = shlex.quote(f"{deed.owner}:{deed.group}"), shlex.quote(deed.mode)
            return (
                f'mkdir -p "$(dirname {path})" && {_said(deed.content)} > {new} &&\n'
                f"chown {owner} {new} && chmod {mode} {new} && sync {new} && mv -f {new} {path}"
            )
        case RemoveFile():
            return f"rm -f -- {shlex.quote(deed.path)}"
        case RunCommand():
            _no_secret(change, deed.stdin, *deed.argv)
            if deed.stdin_secret:
                raise ChronosError(f"the undo of {change.id} needs a secret", deed.stdin_secret)
            user = f"runuser -u {shlex.quote(deed.user)} -- " if deed.user else ""
            line = f"timeout {deed.timeout_seconds:.0f} {user}{shlex.join(deed.argv)}"
            codes = "|".join(str(code) for code in deed.accept)
            # A daemon left behind must not hold the lock.
            return (
                f"{_said(deed.stdin)} | {line} 9>&-\n"
                f"case $? in {codes}) return 0 ;; *) return 1 ;; esac"
            )
        case _:
            raise ChronosError(
                f"the undo of {change.id} cannot be done by the host itself",
                deed.kind,
                hint="a guarded change is undone by files and commands only",
            )


def _said(content: str) -> str:
    """A command whose output is `content`, whatever is in it."""
    encoded = base64.b64encode(content.encode()).decode()
    lines = "\n".join(textwrap.wrap(encoded, 76))
    return f"printf %s '{lines}' | base64 -d" if lines else "printf ''"


def _no_secret(change: Change, *texts: str) -> None:
    if any("@{secret:" in text for text in texts):
        raise ChronosError(f"the undo of {change.id} would put a secret on the host's disk")
