"""Readings of the audit: SSH, accounts, sudo, PAM (H7). No password hash is ever read out."""

import re
from dataclasses import dataclass

from chronos_ops.facts.audit import Reading, rows
from chronos_ops.facts.ssh_access import SSH_ACCESS
from chronos_ops.model.settings import Settings

Options = dict[str, list[str]]


@dataclass(frozen=True)
class Account:
    """A line of passwd(5)."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str

    @property
    def may_log_in(self) -> bool:
        return not self.shell.endswith(("/nologin", "/false", "/sync")) and bool(self.shell)


@dataclass(frozen=True)
class Password:
    """A line of shadow(5): the kind of its hash, never the hash. Days; None: not set."""

    kind: str  # empty, locked, yescrypt, sha512, bcrypt, weak
    last_change: int | None
    min_days: int | None
    max_days: int | None
    expires: int | None


@dataclass(frozen=True)
class SudoRights:
    """What sudo says about one account: defaults that hold for it, and its rules."""

    defaults: tuple[str, ...]
    rules: tuple[str, ...]


def options(text: str) -> Options:
    """`sshd -T`: every value of each keyword (some may come more than once)."""
    found: Options = {}
    for name, value in (row for row in rows(_spaced(text), 2, " ")):
        found.setdefault(name.lower(), []).append(value.strip())
    if "permitrootlogin" not in found:
        raise ValueError("sshd -T without permitrootlogin")
    return found


def _spaced(text: str) -> str:
    """A keyword without a value (an empty list) keeps its place."""
    return "\n".join(line if " " in line else f"{line} " for line in text.splitlines() if line)


def _passwd(text: str) -> dict[str, Account]:
    found = {}
    for name, _, uid, gid, _, home, shell in rows(text, 7, ":"):
        found[name] = Account(name, int(uid), int(gid), home, shell)
    if "root" not in found:
        raise ValueError("no root in passwd")
    return found


def _duplicates(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _day(text: str) -> int | None:
    return int(text) if text.lstrip("-").isdigit() else None


def _shadow(text: str) -> dict[str, Password]:
    found = {}
    for name, kind, changed, low, high, expires in rows(text, 6, ":"):
        found[name] = Password(kind, _day(changed), _day(low), _day(high), _day(expires))
    if "root" not in found:
        raise ValueError("no root in shadow")
    return found


def _groups(text: str) -> dict[str, tuple[int, tuple[str, ...]]]:
    return {
        name: (int(gid), tuple(member for member in members.split(",") if member))
        for name, _, gid, members in rows(text, 4, ":")
    }


def _pairs(text: str) -> dict[str, str]:
    return {
        words[0]: words[1].strip()
        for line in text.splitlines()
        if (words := line.split(None, 1)) and len(words) == 2
    }


def _sudo(text: str) -> dict[str, SudoRights]:
    found: dict[str, SudoRights] = {}
    for block in re.split(r"^account ", text, flags=re.MULTILINE)[1:]:
        name, _, said = block.partition("\n")
        head, _, rest = said.partition("may run the following commands")
        defaults = head.partition(":\n")[2].rpartition("\n\n")[0]
        joined = " ".join(defaults.split())
        rules = tuple(line.strip() for line in rest.splitlines()[1:] if line.strip())
        words = tuple(w.strip() for w in joined.replace("\\,", "\0").split(",") if w.strip())
        found[name.strip()] = SudoRights(tuple(w.replace("\0", ",") for w in words), rules)
    if "root" not in found:
        raise ValueError("sudo says nothing about root")
    return found


def _numbered(text: str) -> list[tuple[str, str]]:
    return [
        (file, line.strip())
        for file, _, line in (row.partition(":") for row in text.splitlines())
        if line.strip()
    ]


def _octal(text: str) -> int:
    return int(text.strip(), 8)


# The hash stays on the host: awk names its kind only.
_SHADOW = r"""getent shadow | awk -F: '{ k = "weak"
if ($2 == "") k = "empty"; else if ($2 ~ /^[!*]/) k = "locked"
else if ($2 ~ /^\$(y|gy)\$/) k = "yescrypt"; else if ($2 ~ /^\$6\$/) k = "sha512"
else if ($2 ~ /^\$2[abxy]\$/) k = "bcrypt"
print $1 ":" k ":" $3 ":" $4 ":" $5 ":" $8 }'"""

_SUDO = r"""for u in root $(getent passwd | awk -F: '$3 >= 1000 && $3 < 65000 { print $1 }'); do
echo "account $u"; sudo -n -l -U "$u"; done"""

_NAMES_TWICE = """for f in passwd group; do
cut -d: -f1 /etc/$f | sort | uniq -d | sed "s/^/$f name /"
cut -d: -f3 /etc/$f | sort | uniq -d | sed "s/^/$f id /"; done"""

_SSHD = (
    "[ -d /run/sshd ] || mkdir -m 0755 /run/sshd; "  # socket-activated: not there before a login
    "sshd -T -C user={},host=outside.invalid,addr=192.0.2.1,laddr=192.0.2.2,lport=22"
)


def readings(settings: Settings) -> tuple[Reading, ...]:
    """As root on the host; `sshd -T` for the operator and for root, from an outside address."""
    return (
        Reading("sshd", _SSHD.format(settings.host.user), options),
        Reading("sshd_root", _SSHD.format("root"), options),
        Reading("passwd", "cat /etc/passwd", _passwd),
        Reading("shadow", _SHADOW, _shadow),
        Reading("groups", "cat /etc/group", _groups),
        Reading("names_twice", _NAMES_TWICE, _duplicates),
        SSH_ACCESS,
        Reading("sudo", _SUDO, _sudo, accept=(0, 1)),
        Reading(
            "sudoers",
            r"grep -rHvE '^\s*(#($|[^i0-9])|$)' /etc/sudoers /etc/sudoers.d",
            _numbered,
        ),
        Reading("umask", f"su - {settings.host.user} -s /bin/sh -c umask | tail -n 1", _octal),
        Reading("login_defs", "grep -vE '^[[:space:]]*(#|$)' /etc/login.defs", _pairs),
        Reading(
            "pam",
            "cd /etc/pam.d && grep -HvE '^[[:space:]]*(#|$)' common-* su sshd login sudo",
            _numbered,
            accept=(0, 2),
        ),
        Reading(
            "password_quality",
            "cat /etc/security/pwquality.conf.d/*.conf /etc/security/pwquality.conf",
            lambda text: {
                k.strip(): v.strip()
                for k, sep, v in (
                    line.partition("=") for line in text.splitlines() if line[:1] not in ("#", "")
                )
                if sep
            },
            accept=(0, 1),
        ),
    )
