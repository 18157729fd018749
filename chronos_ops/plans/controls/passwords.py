"""Controls of passwords: what opens an account, ageing, PAM."""

from chronos_ops.facts.audit_access import Account, Password
from chronos_ops.facts.ssh_access import SshAccess
from chronos_ops.model.control import Control, Verdict
from chronos_ops.model.settings import Settings
from chronos_ops.plans.controls.ssh_keys import keys_known
from chronos_ops.plans.controls.verdicts import (
    CIS,
    Judge,
    Values,
    control,
    judged,
    none_of,
    number,
)

_BASELINE = "stage `baseline`"


_NEVER_EXPIRES = 99999


Accounts = dict[str, Account]


def _empty(_: Settings, values: Values) -> Verdict:
    shadow: dict[str, Password] = values["shadow"]
    return none_of([n for n, p in shadow.items() if p.kind == "empty"], "no empty password")


def _root_locked(_: Settings, values: Values) -> Verdict:
    kind = values["shadow"]["root"].kind
    return judged(kind == "locked", f"root's password: {kind}", "locked: sudo is the way")


def _hashes(_: Settings, values: Values) -> Verdict:
    shadow: dict[str, Password] = values["shadow"]
    return none_of(
        [n for n, p in shadow.items() if p.kind == "weak"], "yescrypt, bcrypt or SHA-512 only"
    )


def _key_only(_: Settings, values: Values) -> Verdict:
    accounts: Accounts = values["passwd"]
    shadow: dict[str, Password] = values["shadow"]
    wrong = [
        a.name
        for a in accounts.values()
        if a.may_log_in and a.uid != 0 and shadow.get(a.name, _NO_PASSWORD).kind not in _CLOSED
    ]
    return none_of(wrong, "accounts are opened by keys, none by a password")


_NO_PASSWORD = Password("locked", None, None, None, None)


_CLOSED = ("locked", "empty")  # an empty one has a control of its own


def _login_defs(name: str, low: int, high: int) -> Judge:
    def judge(_: Settings, values: Values) -> Verdict:
        seen = number(values["login_defs"].get(name))
        good = seen is not None and low <= seen <= high
        return judged(good, f"{name} {seen}", f"{low} to {high}")

    return judge


def _method(_: Settings, values: Values) -> Verdict:
    seen = values["login_defs"].get("ENCRYPT_METHOD", "not set")
    return judged(seen in ("YESCRYPT", "SHA512"), seen, "YESCRYPT or SHA512")


def _age_locks_nobody(_: Settings, values: Values) -> Verdict:
    """PAM's account phase refuses a key login too, once the password has expired."""
    shadow: dict[str, Password] = values["shadow"]
    access: SshAccess = values["ssh_access"]
    wrong = []
    for name in dict.fromkeys(key.account for key in access.keys):
        password = shadow.get(name, _NO_PASSWORD)
        ages = password.max_days is not None and 0 <= password.max_days < _NEVER_EXPIRES
        if password.kind == "locked" and ages:
            wrong.append(f"{name}: after {password.max_days} days")
        if password.kind == "locked" and password.last_change == 0:
            wrong.append(f"{name}: must change a password that it does not have")
        if password.expires is not None:
            wrong.append(f"{name}: the account ends on day {password.expires}")
    return none_of(wrong, "password ageing locks no account out that keys alone open")


def _nullok(_: Settings, values: Values) -> Verdict:
    lines: list[tuple[str, str]] = values["pam"]
    wrong = [
        f"{file}: {line}"
        for file, line in lines
        if file.startswith("common-") and "pam_unix.so" in line and "nullok" in line.split()
    ]
    return none_of(wrong, "pam_unix without nullok")


def _quality(_: Settings, values: Values) -> Verdict:
    lines: list[tuple[str, str]] = values["pam"]
    module = [
        line
        for file, line in lines
        if file == "common-password" and ("pam_pwquality.so" in line or "pam_passwdqc" in line)
    ]
    least = number(values["password_quality"].get("minlen"))
    good = bool(module) and least is not None and least >= 14
    return judged(
        good, f"{'asked' if module else 'not asked'}, minlen {least}", "minlen 14 or more"
    )


CONTROLS: tuple[Control, ...] = (
    control(
        "accounts.empty-passwords",
        "No password is empty",
        f"{CIS} 7.2.2",
        "shadow",
        _empty,
        "passwd -l NAME",
    ),
    control(
        "accounts.root-locked",
        "Root has no password",
        f"{CIS} 5.4.2.4",
        "shadow",
        _root_locked,
        "passwd -l root",
    ),
    control(
        "accounts.hashes",
        "Passwords are hashed well",
        f"{CIS} 5.3.3.4.3",
        "shadow",
        _hashes,
        "set the password anew, or lock it",
    ),
    control(
        "accounts.key-only",
        "Accounts are opened by keys alone",
        "requirement H3; passwd(1) -l",
        "passwd shadow",
        _key_only,
        "passwd -l NAME",
    ),
    control(
        "accounts.password-max-days",
        "New passwords expire",
        f"{CIS} 5.4.1.1",
        "login_defs",
        _login_defs("PASS_MAX_DAYS", 1, 365),
        _BASELINE,
    ),
    control(
        "accounts.password-min-days",
        "New passwords last a day",
        f"{CIS} 5.4.1.2",
        "login_defs",
        _login_defs("PASS_MIN_DAYS", 1, 30),
        _BASELINE,
    ),
    control(
        "accounts.password-warning",
        "An expiry is told in time",
        f"{CIS} 5.4.1.3",
        "login_defs",
        _login_defs("PASS_WARN_AGE", 7, 60),
        _BASELINE,
    ),
    control(
        "accounts.hash-method",
        "New passwords are hashed well",
        f"{CIS} 5.4.1.4",
        "login_defs",
        _method,
        _BASELINE,
    ),
    control(
        "accounts.ageing-locks-nobody",
        "Ageing locks no key-only account out",
        "chage(1); pam_unix(8), account; requirement H9",
        "shadow ssh_access",
        keys_known(_age_locks_nobody),
        "chage -M -1 -E -1 NAME",
    ),
    control(
        "accounts.pam-nullok",
        "PAM takes no empty password",
        f"{CIS} 5.3.3.4.1",
        "pam",
        _nullok,
        _BASELINE,
    ),
    control(
        "accounts.password-quality",
        "Passwords are checked where one is set",
        f"{CIS} 5.3.2.3, 5.3.3.2.2",
        "pam password_quality",
        _quality,
        "stages `hardening-packages` and `baseline`",
    ),
)
