"""Controls of logs: the journal, rsyslog, rotation, the kernel's audit log."""

from chronos_ops.facts.audit_system import FileMode
from chronos_ops.model.control import Control, Verdict
from chronos_ops.model.settings import Settings
from chronos_ops.plans.controls.kernel import CONTAINED
from chronos_ops.plans.controls.units import runs, unit_state
from chronos_ops.plans.controls.verdicts import (
    CIS,
    Judge,
    Values,
    control,
    judged,
    none_of,
    not_applicable,
)

_BASELINE = "stage `baseline`"


_OPEN_LOGS = (
    "wtmp",
    "wtmp.db",
    "lastlog",
    "btmp",
    "faillog",
    "dpkg.log",
    "alternatives.log",
    "bootstrap.log",
    "fontconfig.log",
    "cloud-init.log",
    "cloud-init-output.log",
    "README",
    "eipp.log.xz",
    "history.log",
    "term.log",
)


_OPEN_FOLDERS = (
    "/var/log/postgresql/",  # a control of its own
    "/var/log/apt/",
    "/var/log/unattended-upgrades/",
    "/var/log/runit/",
    "/var/log/sysstat/",
)


def _persistent(_: Settings, values: Values) -> Verdict:
    config: dict[str, str] = values["journald"]
    storage = config.get("Storage", "auto")
    kept = any(path.startswith("/var/log/journal") for path in values["journal_place"])
    said = f"Storage={storage}, {'on disk' if kept else 'in memory'}"
    return judged(storage == "persistent" and kept, said, "Storage=persistent, on disk")


def _journal_option(name: str, *wanted: str, default: str = "") -> Judge:
    def judge(_: Settings, values: Values) -> Verdict:
        seen = values["journald"].get(name, default)
        good = seen in wanted if wanted else bool(seen)
        return judged(good, f"{name}={seen}", f"{name}={' or '.join(wanted) or 'set'}")

    return judge


def _create_mode(_: Settings, values: Values) -> Verdict:
    found = [
        line.split()[1] for line in values["rsyslog"] if line.lower().startswith("$filecreatemode")
    ]
    good = bool(found) and all(not int(mode, 8) & 0o137 for mode in found)
    return judged(good, ", ".join(found) or "not set", "$FileCreateMode 0640 or stricter")


def _receives(_: Settings, values: Values) -> Verdict:
    wrong = [
        line
        for line in values["rsyslog"]
        if any(
            word in line
            for word in ("imtcp", "imudp", "imrelp", "UDPServerRun", "InputTCPServerRun")
        )
    ]
    return none_of(wrong, "no logs are taken from the network")


def _rotation(_: Settings, values: Values) -> Verdict:
    missing = [name for name in ("rsyslog", "postgresql-common") if name not in values["logrotate"]]
    if unit_state(values, "logrotate.timer")[1] != "active":
        missing.append("logrotate.timer is not active")
    return none_of(missing, "logrotate.timer, with rules for rsyslog and PostgreSQL")


def _log_modes(_: Settings, values: Values) -> Verdict:
    modes: dict[str, FileMode] = values["log_modes"]
    wrong = []
    for found in modes.values():
        name = found.path.rpartition("/")[2]
        known = name.split(".log.")[0] in _OPEN_LOGS or name in _OPEN_LOGS
        known = (
            known
            or found.path.startswith(_OPEN_FOLDERS)
            or name.rstrip("0123456789.gz-").rstrip(".") in _OPEN_LOGS
        )
        if found.mode & 0o002 or (found.mode & 0o004 and not known):
            wrong.append(f"{found.path} {found.mode:o}")
    return none_of(wrong, "logs are not for everybody (0640)")


def _auditd(_: Settings, values: Values) -> Verdict:
    if values["container"] != "none":
        return not_applicable(CONTAINED, "auditd enabled and active")
    enabled, active = unit_state(values, "auditd.service")
    return judged(
        (enabled, active) == ("enabled", "active"),
        f"{enabled or 'not there'} {active}",
        "enabled, active",
    )


CONTROLS: tuple[Control, ...] = (
    control(
        "logging.journald",
        "The journal runs",
        f"{CIS} 6.1.1.1",
        "units",
        runs("systemd-journald.service"),
        "systemctl start systemd-journald",
    ),
    control(
        "logging.journal-persistent",
        "The journal outlives a reboot",
        f"{CIS} 6.1.2.4",
        "journald journal_place",
        _persistent,
        _BASELINE,
    ),
    control(
        "logging.journal-size",
        "The journal has a bound",
        f"{CIS} 6.1.1.3",
        "journald",
        _journal_option("SystemMaxUse"),
        _BASELINE,
    ),
    control(
        "logging.journal-compressed",
        "The journal is compressed",
        f"{CIS} 6.1.2.3",
        "journald",
        _journal_option("Compress", "yes", default="(default)"),
        _BASELINE,
    ),
    control(
        "logging.journal-forward",
        "The journal is handed to rsyslog",
        f"{CIS} 6.1.3.3",
        "journald",
        _journal_option("ForwardToSyslog", "yes"),
        _BASELINE,
    ),
    control(
        "logging.rsyslog",
        "rsyslog runs",
        f"{CIS} 6.1.3.1, 6.1.3.2",
        "units",
        runs("rsyslog.service"),
        "apt-get install rsyslog; systemctl enable --now rsyslog",
    ),
    control(
        "logging.file-mode",
        "New log files are not for everybody",
        f"{CIS} 6.1.3.4",
        "rsyslog",
        _create_mode,
        "$FileCreateMode 0640 in /etc/rsyslog.conf",
    ),
    control(
        "logging.no-reception",
        "No logs are taken from the network",
        f"{CIS} 6.1.3.7",
        "rsyslog",
        _receives,
        "take imtcp and imudp out of rsyslog's configuration",
    ),
    control(
        "logging.rotation",
        "Logs are rotated",
        f"{CIS} 6.1.3.8",
        "logrotate units",
        _rotation,
        "apt-get install logrotate; systemctl enable --now logrotate.timer",
    ),
    control(
        "logging.files",
        "Log files are not for everybody",
        f"{CIS} 6.1.4.1",
        "log_modes",
        _log_modes,
        "chmod 0640 FILE",
    ),
    control(
        "logging.auditd",
        "The kernel's audit log is kept",
        f"{CIS} 6.2.1.1, 6.2.1.2",
        "units container",
        _auditd,
        "apt-get install auditd",
    ),
)
