"""Controls of services: what runs, and what must not."""

from chronos_ops.facts.audit_system import UNWANTED
from chronos_ops.model.control import Control, Verdict
from chronos_ops.model.settings import Settings
from chronos_ops.plans.controls.units import runs, unit_state
from chronos_ops.plans.controls.verdicts import (
    CIS,
    CIS_POSTGRES,
    Judge,
    Values,
    control,
    judged,
    none_of,
)

_CLIENTS = (
    "ftp",
    "inetutils-ftp",
    "inetutils-telnet",
    "nis",
    "rsh-client",
    "rsh-redone-client",
    "talk",
    "telnet",
    "tnftp",
)


def _no_packages(unwanted: tuple[str, ...]) -> Judge:
    def judge(_: Settings, values: Values) -> Verdict:
        return none_of([p for p in values["packages"] if p in unwanted], "none of them installed")

    return judge


def _none_failed(_: Settings, values: Values) -> Verdict:
    return none_of([line.split()[0] for line in values["failed_units"]], "no unit has failed")


def _crash_reports(_: Settings, values: Values) -> Verdict:
    active = unit_state(values, "apport.service")[1]
    return judged(active != "active", active or "not installed", "apport does not run")


def _postgres_unit(_: Settings, values: Values) -> Verdict:
    seen = values["pg_unit"]
    return judged(seen in ("enabled", "static"), seen or "not there", "enabled")


CONTROLS: tuple[Control, ...] = (
    control(
        "services.none-failed",
        "No service has failed",
        "systemctl(1) --failed",
        "failed_units",
        _none_failed,
        "systemctl status UNIT; mend it; systemctl reset-failed",
    ),
    control(
        "services.unneeded-servers",
        "No server that this host does not need",
        f"{CIS} 2.1.1 to 2.1.20, 1.5.4",
        "packages",
        _no_packages(tuple(p for p in UNWANTED if p not in _CLIENTS)),
        "apt-get purge PACKAGE",
    ),
    control(
        "services.insecure-clients",
        "No client of a protocol in clear",
        f"{CIS} 2.2.1 to 2.2.6",
        "packages",
        _no_packages(_CLIENTS),
        "apt-get purge PACKAGE",
    ),
    control(
        "services.cron",
        "cron runs",
        f"{CIS} 2.4.1.1",
        "units",
        runs("cron.service"),
        "systemctl enable --now cron",
    ),
    control(
        "services.ssh",
        "SSH runs and starts at boot",
        "sshd(8); systemd.socket(5) on Ubuntu",
        "units",
        runs("ssh.service", "ssh.socket"),
        "systemctl enable --now ssh",
    ),
    control(
        "services.crash-reports",
        "No crash report is sent",
        f"{CIS} 1.5.5",
        "units",
        _crash_reports,
        "systemctl disable --now apport",
    ),
    control(
        "services.postgres",
        "PostgreSQL starts at boot",
        f"{CIS_POSTGRES} 1.2",
        "pg_unit",
        _postgres_unit,
        "systemctl enable postgresql",
    ),
)
