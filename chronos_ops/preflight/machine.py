"""The operators' machine: its key, its tools, room for evidence, its clock (P1, P4)."""

import os
import platform
import re
import shutil
import stat
import subprocess
import time
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from pathlib import Path

from chronos_ops.connectors.aws_profile import login_kind
from chronos_ops.connectors.web import fetch
from chronos_ops.evidence.folder import outputs_dir
from chronos_ops.execution.context import Context
from chronos_ops.model.errors import TransportError
from chronos_ops.model.finding import Finding, Status, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.preflight.looking import Look, looked

_FREE_BYTES = 1024**3  # a few hundred runs
CLOCK_SECONDS = 5.0  # AWS refuses a signature at 300; a recovery point is measured in seconds
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def machine(context: Context) -> Outcome:
    """The key file, the AWS CLI, free space for evidence, the clock against AWS's."""
    return looked(
        context,
        "This machine",
        (
            Look("preflight.machine.key", "The SSH key is there, and private", "P2", _key),
            Look("preflight.machine.aws-cli", "AWS CLI v2 can log in", "P4", _aws_cli),
            Look("preflight.machine.tools", "The tools are there", "P4", _tools),
            Look("preflight.machine.disk", "There is room for evidence", "P4", _disk),
            Look("preflight.machine.clock", "The clock is AWS's", "P4", _clock),
        ),
    )


machine.probe = True  # type: ignore[attr-defined] # reads only


def _key(context: Context) -> list[Finding]:
    path = Path(context.settings.host.key_file).expanduser()
    there = path.is_file()
    mode = stat.S_IMODE(path.stat().st_mode) if there else 0
    return [
        judge(
            "preflight.machine.key",
            "The SSH key is there, and private",
            passed=there and not mode & _OTHERS and os.access(path, os.R_OK),
            observed=f"{path}: {mode:04o}" if there else f"{path}: no such file",
            expected="a file that only its owner may read",
            hint=f"chmod 600 {path}" if there else "host.key_file names the private key",
            requirement="P2",
        )
    ]


def _aws_cli(context: Context) -> list[Finding]:
    profile = context.settings.aws.profile
    kind = login_kind(context.settings.aws)
    cli = program_version("aws", r"aws-cli/(\S+)")
    needed = kind == "sso"
    title = "AWS CLI v2 can log in"
    good = cli is not None and cli.startswith("2.")
    if not good and not needed:
        return [
            Finding(
                id="preflight.machine.aws-cli",
                status=Status.NOT_APPLICABLE,
                title=title,
                observed=f"{cli or 'none'}; profile {profile} has {kind}: no login needed",
                expected="version 2, for a profile with SSO",
                requirement="P4",
            )
        ]
    return [
        judge(
            "preflight.machine.aws-cli",
            title,
            passed=good,
            observed=cli or "not installed",
            expected="version 2",
            hint="https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html "
            f"(on Debian 13: apt install awscli); then `aws sso login --profile {profile}`",
            requirement="P4",
        )
    ]


def _tools(_: Context) -> list[Finding]:
    nmap = program_version("nmap", r"Nmap version (\S+)")
    ours = ", ".join(f"{name} {version(name)}" for name in ("boto3", "fabric", "papermill"))
    return [
        judge(
            "preflight.machine.tools",
            "The tools are there",
            passed=nmap is not None,
            observed=f"Python {platform.python_version()}, {ours}, nmap {nmap or 'missing'}",
            expected="nmap, beside what the environment's lock brings",
            hint="apt install nmap: security_hardening looks at the host from outside with it",
            requirement="P4",
        )
    ]


def program_version(name: str, shown: str) -> str | None:
    """As the program in the PATH says it; None: there is none, or it does not say it."""
    program = shutil.which(name)
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(shown, done.stdout + done.stderr)
    return found[1] if found else None


def _disk(_: Context) -> list[Finding]:
    folder = outputs_dir()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    return [
        judge(
            "preflight.machine.disk",
            "There is room for evidence",
            passed=free >= _FREE_BYTES,
            observed=f"{free / 1e9:.1f} GB free below {folder}",
            expected=f"at least {_FREE_BYTES / 1e9:.1f} GB",
            hint="remove old runs that are in the archive's bucket, or give it a larger disk",
            requirement="P4",
        )
    ]


def _clock(context: Context) -> list[Finding]:
    """By the Date of an answer that needs no signature: that is refused once the clock is off."""
    aws = context.settings.aws
    began = time.time()
    answer = fetch(
        aws.endpoint_url or f"https://sts.{aws.region}.amazonaws.com/", ca_file=aws.ca_file
    )
    ended = time.time()
    try:
        theirs = parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError) as error:
        raise TransportError("AWS does not tell the time", error) from None
    return [judge_clock("preflight.machine.clock", "The clock is AWS's", began, ended, theirs, 1.0)]


def judge_clock(
    identifier: str, title: str, began: float, ended: float, theirs: float, step: float
) -> Finding:
    """What another clock said between `began` and `ended` (epoch seconds); it counts in `step`s."""
    off = max(began - (theirs + step), theirs - ended, 0.0)
    return judge(
        identifier,
        title,
        passed=off <= CLOCK_SECONDS,
        observed=f"{off:.1f} s apart, or less" if off else "they agree",
        expected=f"at most {CLOCK_SECONDS:g} s apart",
        hint="timedatectl set-ntp true (systemd-timesyncd or chrony), on whichever is wrong",
        requirement="P4",
    )
