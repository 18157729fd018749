"""Controls of accounts, their homes and shells."""

from chronos_ops.facts.audit_access import Account, Password
from chronos_ops.model.control import Control, Verdict
from chronos_ops.model.settings import Settings
from chronos_ops.plans.controls.ssh_keys import keys_known, keys_of
from chronos_ops.plans.controls.verdicts import (
    CIS,
    CIS_POSTGRES,
    Values,
    control,
    judged,
    none_of,
    number,
)

_BASELINE = "stage `baseline`"


_SHELLS_OF_THEIR_OWN = ("root", "sync", "shutdown", "halt", "postgres")


Accounts = dict[str, Account]


Groups = dict[str, tuple[int, tuple[str, ...]]]


def _uid_zero(_: Settings, values: Values) -> Verdict:
    accounts: Accounts = values["passwd"]
    return none_of(
        [a.name for a in accounts.values() if a.uid == 0 and a.name != "root"],
        "root alone has UID 0",
    )


def _gid_zero(_: Settings, values: Values) -> Verdict:
    accounts: Accounts = values["passwd"]
    system = ("root", "sync", "shutdown", "halt", "operator")
    return none_of(
        [a.name for a in accounts.values() if a.gid == 0 and a.name not in system],
        "no other account's group is root",
    )


def _group_zero(_: Settings, values: Values) -> Verdict:
    groups: Groups = values["groups"]
    return none_of(
        [n for n, (gid, _) in groups.items() if gid == 0 and n != "root"], "root alone has GID 0"
    )


_NO_PASSWORD = Password("locked", None, None, None, None)


_CLOSED = ("locked", "empty")  # an empty one has a control of its own


def _system_shells(_: Settings, values: Values) -> Verdict:
    accounts: Accounts = values["passwd"]
    low = number(values["login_defs"].get("UID_MIN")) or 1000
    wrong = [
        f"{a.name} {a.shell}"
        for a in accounts.values()
        if (a.uid < low and a.uid != 0) and a.may_log_in and a.name not in _SHELLS_OF_THEIR_OWN
    ]
    return none_of(wrong, "system accounts have no login shell")


def _shellless(_: Settings, values: Values) -> Verdict:
    accounts: Accounts = values["passwd"]
    shadow: dict[str, Password] = values["shadow"]
    wrong = [
        a.name
        for a in accounts.values()
        if not a.may_log_in and shadow.get(a.name, _NO_PASSWORD).kind not in _CLOSED
    ]
    return none_of(wrong, "accounts without a shell are locked")


def _postgres(_: Settings, values: Values) -> Verdict:
    shadow: dict[str, Password] = values["shadow"]
    wrong = [f"key {key.fingerprint}" for key in keys_of(values, "postgres")]
    if "postgres" in shadow and shadow["postgres"].kind not in _CLOSED:
        wrong.append("a password")
    return none_of(wrong, "nobody logs in as postgres: sudo is the way")


def _twice(_: Settings, values: Values) -> Verdict:
    return none_of(values["names_twice"], "no name and no id is given twice")


def _groups_exist(_: Settings, values: Values) -> Verdict:
    accounts: Accounts = values["passwd"]
    known = {gid for gid, _ in values["groups"].values()}
    return none_of(
        [f"{a.name}: {a.gid}" for a in accounts.values() if a.gid not in known],
        "every account's group exists",
    )


def _shadow_group(_: Settings, values: Values) -> Verdict:
    groups: Groups = values["groups"]
    accounts: Accounts = values["passwd"]
    gid, members = groups.get("shadow", (-1, ()))
    wrong = [*members, *(a.name for a in accounts.values() if a.gid == gid)]
    return none_of(wrong, "nobody is in the group shadow")


def _umask(_: Settings, values: Values) -> Verdict:
    seen: int = values["umask"]
    return judged(seen & 0o027 == 0o027, f"{seen:04o}", "0027 or stricter")


def _timeout(_: Settings, values: Values) -> Verdict:
    found = [
        line.strip()
        for line in values["profile"].splitlines()
        if "TMOUT=" in line and not line.lstrip().startswith("#")
    ]
    seconds = [number(line.partition("TMOUT=")[2].split(";")[0].split()[0]) for line in found]
    good = (
        any(s is not None and 0 < s <= 900 for s in seconds)
        and "readonly TMOUT" in values["profile"]
    )
    return judged(good, "; ".join(found) or "none", "TMOUT of at most 900 s, read-only")


def _su(_: Settings, values: Values) -> Verdict:
    lines: list[tuple[str, str]] = values["pam"]
    found = [
        line
        for file, line in lines
        if file == "su" and "pam_wheel.so" in line and line.split()[:2] == ["auth", "required"]
    ]
    return judged(bool(found), "; ".join(found) or "everybody may try su", "pam_wheel.so required")


def _home_modes(_: Settings, values: Values) -> Verdict:
    accounts: Accounts = values["passwd"]
    homes = {a.home: a.name for a in accounts.values()}
    wrong = [
        f"{m.path} {m.mode:o} {m.owner}"
        for m in values["homes"].values()
        if m.path in homes and (m.mode & 0o027 or m.owner != homes[m.path])
    ]
    return none_of(wrong, "its owner's, 0750 or stricter")


def _dot_files(_: Settings, values: Values) -> Verdict:
    wrong = [
        f"{m.path} {m.mode:o}"
        for m in values["homes"].values()
        if m.path.endswith((".netrc", ".rhosts")) or (m.path.endswith(".pgpass") and m.mode & 0o077)
    ]
    return none_of(wrong, "no .rhosts, no .netrc; .pgpass 0600")


CONTROLS: tuple[Control, ...] = (
    control(
        "accounts.uid-zero",
        "Root alone has UID 0",
        f"{CIS} 5.4.2.1",
        "passwd",
        _uid_zero,
        "give the account a UID of its own, or remove it",
    ),
    control(
        "accounts.gid-zero",
        "No other account's group is root",
        f"{CIS} 5.4.2.2",
        "passwd",
        _gid_zero,
        "usermod -g GROUP NAME",
    ),
    control(
        "accounts.group-zero",
        "The group root alone has GID 0",
        f"{CIS} 5.4.2.3",
        "groups",
        _group_zero,
        "groupmod -g GID NAME",
    ),
    control(
        "accounts.system-shells",
        "System accounts have no shell",
        f"{CIS} 5.4.2.7",
        "passwd login_defs",
        _system_shells,
        "usermod -s /usr/sbin/nologin NAME",
    ),
    control(
        "accounts.shellless-locked",
        "Accounts without a shell are locked",
        f"{CIS} 5.4.2.8",
        "passwd shadow",
        _shellless,
        "passwd -l NAME",
    ),
    control(
        "accounts.postgres-login",
        "Nobody logs in as postgres",
        f"{CIS_POSTGRES} 4.1",
        "shadow ssh_access",
        keys_known(_postgres),
        "passwd -l postgres; remove ~postgres/.ssh/authorized_keys",
    ),
    control(
        "accounts.unique",
        "Names and ids are given once",
        f"{CIS} 7.2.5, 7.2.6, 7.2.7, 7.2.8",
        "names_twice",
        _twice,
        "rename, or give an id of its own",
    ),
    control(
        "accounts.groups-exist",
        "Every account's group exists",
        f"{CIS} 7.2.3",
        "passwd groups",
        _groups_exist,
        "groupadd -g GID NAME",
    ),
    control(
        "accounts.shadow-group",
        "Nobody is in the group shadow",
        f"{CIS} 7.2.4",
        "passwd groups",
        _shadow_group,
        "gpasswd -d NAME shadow",
    ),
    control(
        "accounts.umask",
        "New files are not for everybody",
        f"{CIS} 5.4.3.3",
        "umask",
        _umask,
        _BASELINE,
    ),
    control(
        "accounts.shell-timeout",
        "An idle shell ends",
        f"{CIS} 5.4.3.2",
        "profile",
        _timeout,
        _BASELINE,
    ),
    control("accounts.su", "su is for the group sudo", f"{CIS} 5.2.7", "pam", _su, _BASELINE),
    control(
        "accounts.home-modes",
        "Homes are their owners'",
        f"{CIS} 7.2.9",
        "passwd homes",
        _home_modes,
        "chmod 0750 HOME",
    ),
    control(
        "accounts.dot-files",
        "No home holds a password in clear",
        f"{CIS} 7.2.10",
        "homes",
        _dot_files,
        "remove .rhosts and .netrc; chmod 0600 .pgpass",
    ),
)
