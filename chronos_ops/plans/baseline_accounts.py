"""The baseline's accounts: ageing, umask, idle shells, su, sudo, PAM.

Nothing here changes an account that exists: PAM refuses a key login too once a password that
nobody has is too old, so ageing is set for new passwords alone. What could close sudo or the
logins to the operator is guarded (H9).
"""

import re
from collections.abc import Callable

from chronos_ops.model.plan import Change, Deed, RemoveFile, RunCommand, WriteFile
from chronos_ops.plans.managed_file import States, file_change, lines_set, put_back

LOGIN_DEFS = "/etc/login.defs"
PAM_SESSION = "/etc/pam.d/common-session"
PAM_AUTH = "/etc/pam.d/common-auth"
PAM_SU = "/etc/pam.d/su"
QUALITY = "/etc/security/pwquality.conf.d/50-chronos.conf"
TIMEOUT = "/etc/profile.d/chronos-timeout.sh"
SUDOERS = "/etc/sudoers.d/zz-chronos-hardening"  # read last: later Defaults win; no dot in its name
SUDO_ROTATION = "/etc/logrotate.d/chronos-sudo"
FILES = (
    LOGIN_DEFS,
    PAM_SESSION,
    PAM_AUTH,
    PAM_SU,
    QUALITY,
    TIMEOUT,
    SUDOERS,
    SUDO_ROTATION,
)
_HEAD = "# Written by chronos-ops: what is changed here by hand is taken back by the next run.\n"
_AGEING = {
    "PASS_MAX_DAYS": "365",
    "PASS_MIN_DAYS": "1",
    "PASS_WARN_AGE": "7",
    "UMASK": "027",
    "SHA_CRYPT_MIN_ROUNDS": "65536",
    "SHA_CRYPT_MAX_ROUNDS": "65536",
    "YESCRYPT_COST_FACTOR": "7",
}
# sudo's own umask stays 0022: what packages and this runbook write as root keeps its modes.
_SUDO = """Defaults use_pty
Defaults logfile=/var/log/sudo.log
Defaults umask=0022, umask_override
"""
_ROTATION = """/var/log/sudo.log {
    monthly
    maxsize 50M
    rotate 12
    compress
    missingok
    notifempty
    create 0600 root root
}
"""
_IDLE = """# An idle shell ends after a quarter of an hour.
[ -n "${TMOUT:-}" ] || TMOUT=900
readonly TMOUT
export TMOUT
"""
_PASSWORDS = "minlen = 14\nminclass = 3\nmaxrepeat = 3\nenforce_for_root\n"


def plan_accounts(states: States) -> list[Change | None]:
    """Every change of the accounts' part."""
    return [
        _login_defs(states),
        _pam(
            states, PAM_SESSION, with_umask, "umask", "make new files not for everybody", "5.4.3.3"
        ),
        _pam(
            states,
            PAM_AUTH,
            without_nullok,
            "nullok",
            "let PAM take no empty password",
            "5.3.3.4.1",
        ),
        _pam(states, PAM_SU, with_wheel, "su", "leave su to the group sudo", "5.2.7"),
        file_change(
            "baseline.password-quality",
            "check passwords where one is set",
            "at a console or for a new account (CIS 5.3.3.2)",
            QUALITY,
            _HEAD + _PASSWORDS,
            states,
        ),
        file_change(
            "baseline.shell-timeout",
            "end an idle shell",
            "an operator's open terminal is a way in (CIS 5.4.3.2)",
            TIMEOUT,
            _HEAD + _IDLE,
            states,
        ),
        _sudo(states),
        file_change(
            "baseline.sudo-log-rotation",
            "rotate sudo's log",
            "a year of it is kept",
            SUDO_ROTATION,
            _HEAD + _ROTATION,
            states,
        ),
    ]


def _login_defs(states: States) -> Change | None:
    former = states[LOGIN_DEFS]
    if former is None:
        return None
    return file_change(
        "baseline.login-defs",
        "let new passwords age, and be hashed slowly",
        "accounts that exist are left as they are: ageing would lock key-only ones out (CIS 5.4.1)",
        LOGIN_DEFS,
        lines_set(former.text, _AGEING),
        states,
    )


def _pam(
    states: States, path: str, edit: Callable[[str], str], name: str, title: str, section: str
) -> Change | None:
    former = states[path]
    if former is None:
        return None
    return file_change(
        f"baseline.pam-{name}", title, f"CIS {section}", path, edit(former.text), states, guard=True
    )


def with_umask(text: str) -> str:
    """common-session with pam_umask's umask 027, also where groups are the users' own."""
    wanted = "session optional\t\t\tpam_umask.so umask=027 nousergroups"
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if re.match(r"\s*session\s.*\bpam_umask\.so\b", line):
            known = "umask=027" in line and "nousergroups" in line
            lines[number] = line if known else wanted
            return "\n".join(lines) + "\n"
    return "\n".join([*lines, wanted]) + "\n"


def without_nullok(text: str) -> str:
    """pam_unix lines without nullok; pam-auth-update keeps such changes of options."""
    found = []
    for line in text.splitlines():
        active = "pam_unix.so" in line and not line.lstrip().startswith("#")
        found.append(re.sub(r"\s+nullok(_secure)?\b", "", line) if active else line)
    return "\n".join(found) + "\n"


def with_wheel(text: str) -> str:
    """su for root, and for members of sudo."""
    if re.search(r"^auth\s+required\s+pam_wheel\.so", text, re.MULTILINE):
        return text
    lines = text.splitlines()
    at = next((n for n, line in enumerate(lines) if "pam_rootok.so" in line), None)
    if at is None:
        return text  # not Debian's file: the audit tells
    lines.insert(at + 1, "auth       required   pam_wheel.so use_uid group=sudo")
    return "\n".join(lines) + "\n"


def _sudo(states: States) -> Change | None:
    """Looked at by visudo under a name that sudo ignores, then put in place."""
    text = _HEAD + _SUDO
    former = states[SUDOERS]
    if former is not None and former.text == text and former.mode == "0440":
        return None
    candidate = f"{SUDOERS}.new"
    deeds: tuple[Deed, ...] = (
        WriteFile(path=candidate, content=text, mode="0440"),
        RunCommand(argv=("visudo", "-cqf", candidate)),
        RunCommand(argv=("mv", "-f", candidate, SUDOERS)),
    )
    return Change(
        id="baseline.sudo",
        title="let sudo keep a log of its own and run commands in a terminal of their own",
        why="who did what as root; no command reaches the operator's terminal (CIS 5.2.2, 5.2.3)",
        deeds=deeds,
        undo=(put_back(SUDOERS, states), RemoveFile(path=candidate)),
        before="" if former is None else former.text,
        after=text,
        guard=True,
    )
