"""Controls of sudo, judged by what it says of each account (`sudo -l -U`) and by its files."""

from chronos_ops.facts.audit_access import SudoRights
from chronos_ops.model.control import Control, Verdict
from chronos_ops.model.settings import Settings
from chronos_ops.plans.controls.verdicts import CIS, Values, control, none_of

_BASELINE = "stage `baseline`"


def _defaults(values: Values) -> dict[str, tuple[str, ...]]:
    rights: dict[str, SudoRights] = values["sudo"]
    return {name: right.defaults for name, right in rights.items() if right.rules}


def _use_pty(_: Settings, values: Values) -> Verdict:
    wrong = [n for n, d in _defaults(values).items() if "use_pty" not in d or "!use_pty" in d]
    return none_of(wrong, "use_pty holds for everyone who may use sudo")


def _sudo_log(_: Settings, values: Values) -> Verdict:
    wrong = [
        n
        for n, defaults in _defaults(values).items()
        if not any(d.startswith("logfile=") for d in defaults) or "!logfile" in defaults
    ]
    return none_of(wrong, "sudo writes a log file of its own, for everyone")


def _nopasswd(settings: Settings, values: Values) -> Verdict:
    rights: dict[str, SudoRights] = values["sudo"]
    wrong = [
        name
        for name, right in rights.items()
        if name not in ("root", settings.host.user) and any("NOPASSWD" in r for r in right.rules)
    ]
    return none_of(wrong, f"without a password only {settings.host.user}, who has none")


def _authenticate(_: Settings, values: Values) -> Verdict:
    sudoers: list[tuple[str, str]] = values["sudoers"]
    wrong = [f"{file}: {line}" for file, line in sudoers if "!authenticate" in line]
    return none_of(wrong, "no !authenticate")


def _timestamp(_: Settings, values: Values) -> Verdict:
    wrong = []
    for name, defaults in _defaults(values).items():
        for default in defaults:
            word, _sep, given = default.partition("=")
            if word == "timestamp_timeout" and not 0 <= float(given) <= 15:
                wrong.append(f"{name}: {given} minutes")
    return none_of(wrong, "a ticket lasts at most 15 minutes")


def _sudo_files(_: Settings, values: Values) -> Verdict:
    wrong = [
        f"{m.path} {m.mode:o} {m.owner}"
        for m in values["modes"].values()
        if m.path.startswith("/etc/sudoers")
        and (m.owner != "root" or m.mode & (0o022 if m.path.endswith(".d") else 0o037))
    ]
    return none_of(wrong, "root's, 0440")


def _everybody(_: Settings, values: Values) -> Verdict:
    sudoers: list[tuple[str, str]] = values["sudoers"]
    wrong = [f"{file}: {line}" for file, line in sudoers if line.split()[:1] == ["ALL"]]
    return none_of(wrong, "no rule for ALL users")


def _environment(_: Settings, values: Values) -> Verdict:
    wrong = [
        n
        for n, defaults in _defaults(values).items()
        if {"env_reset", "!env_reset"} & set(defaults) != {"env_reset"}
        or not any(d.startswith("secure_path=") for d in defaults)
    ]
    return none_of(wrong, "env_reset and secure_path for everyone")


CONTROLS: tuple[Control, ...] = (
    control(
        "sudo.use-pty",
        "sudo runs commands in a terminal of their own",
        f"{CIS} 5.2.2",
        "sudo",
        _use_pty,
        _BASELINE,
    ),
    control(
        "sudo.log-file", "sudo keeps a log of its own", f"{CIS} 5.2.3", "sudo", _sudo_log, _BASELINE
    ),
    control(
        "sudo.no-password",
        "sudo without a password is for the operator alone",
        f"{CIS} 5.2.4",
        "sudo",
        _nopasswd,
        "take NOPASSWD out of the rule",
    ),
    control(
        "sudo.authenticate",
        "sudo asks for authentication",
        f"{CIS} 5.2.5",
        "sudoers",
        _authenticate,
        "take !authenticate out",
    ),
    control(
        "sudo.timestamp",
        "sudo's ticket is short",
        f"{CIS} 5.2.6",
        "sudo",
        _timestamp,
        "take timestamp_timeout out",
    ),
    control(
        "sudo.files",
        "sudo's rules are root's alone",
        "sudoers(5), sudoers file permissions",
        "modes",
        _sudo_files,
        "chown root:root, chmod 0440",
    ),
    control(
        "sudo.everybody",
        "No rule for everybody",
        "sudoers(5), User specification",
        "sudoers",
        _everybody,
        "name a group instead of ALL",
    ),
    control(
        "sudo.environment",
        "sudo cleans the environment",
        "sudoers(5) env_reset, secure_path",
        "sudo",
        _environment,
        "put env_reset and secure_path back",
    ),
)
