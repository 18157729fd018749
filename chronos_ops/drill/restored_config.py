"""The configuration of a restored cluster: supplied, since Debian keeps it outside the backup.

What must hold on a drill host is appended to postgresql.auto.conf, which comes with the backup
and beats every other file: there the last line wins (D4).
"""

import re

from chronos_ops.drill.install import PRELOADED
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.settings import Settings

# pg_controldata's name of a setting that a standby must not have smaller, and its own.
_SIZES = {
    "max_connections": "max_connections",
    "max_worker_processes": "max_worker_processes",
    "max_wal_senders": "max_wal_senders",
    "max_prepared_xacts": "max_prepared_transactions",
    "max_locks_per_xact": "max_locks_per_transaction",
}
_SINCE = {"ssl_crl_dir": 14, "archive_library": 15}  # settings that older releases do not know
_HEAD = "\n# chronos-ops: a drill host archives, replicates and schedules nothing\n"


def sizes(controldata: str) -> dict[str, str]:
    """Settings that recovery needs as large as at the source (failures 14). UnreadableAnswer."""
    found = {}
    for label, setting in _SIZES.items():
        match = re.search(rf"^{label} setting: +(\d+)$", controldata, re.MULTILINE)
        if match is None:
            raise UnreadableAnswer(f"pg_controldata does not tell {label}", controldata[:200])
        found[setting] = match[1]
    return found


def base(data_directory: str, config_directory: str, pid_file: str) -> str:
    """postgresql.conf: where things are; Debian's tools read it."""
    return "".join(
        f"{name} = '{value}'\n"
        for name, value in {
            "data_directory": data_directory,
            "hba_file": f"{config_directory}/pg_hba.conf",
            "ident_file": f"{config_directory}/pg_ident.conf",
            "external_pid_file": pid_file,
        }.items()
    )


def safe(settings: Settings, major: int, sized: dict[str, str], paths: dict[str, str]) -> str:
    """Lines for the end of postgresql.auto.conf: this copy serves and harms nobody."""
    declared = settings.postgres.extensions
    values = {
        **paths,
        **sized,
        "port": str(settings.postgres.port),
        "listen_addresses": "*",
        "unix_socket_directories": "/var/run/postgresql",
        "ssl": "on",
        "ssl_cert_file": "/etc/ssl/certs/ssl-cert-snakeoil.pem",
        "ssl_key_file": "/etc/ssl/private/ssl-cert-snakeoil.key",
        "ssl_ca_file": "",
        "ssl_crl_file": "",
        "archive_mode": "off",
        "archive_command": "",
        "archive_cleanup_command": "",  # of a standby: what they do is meant for production
        "recovery_end_command": "",
        "primary_conninfo": "",
        "primary_slot_name": "",
        "synchronous_standby_names": "",
        "max_logical_replication_workers": "0",
        "max_sync_workers_per_subscription": "0",
        "shared_preload_libraries": ",".join(e for e in PRELOADED if e in declared),
        "local_preload_libraries": "",
        "session_preload_libraries": "",
        "hot_standby": "on",
        "recovery_min_apply_delay": "0",  # of a delayed standby: recovery would wait for it
        "default_transaction_read_only": "off",
        "wal_keep_size": "1GB",
        "logging_collector": "off",
        "log_destination": "stderr",
        "log_line_prefix": "%m [%p] ",
        "log_min_messages": "warning",
        "log_timezone": "UTC",
        "lc_messages": "C.UTF-8",
        "lc_monetary": "C.UTF-8",
        "lc_numeric": "C.UTF-8",
        "lc_time": "C.UTF-8",
    }
    values |= {name: "" for name, since in _SINCE.items() if major >= since}
    lines = [f"{name} = '{value}'\n" for name, value in values.items()]
    if major >= 17:
        lines.append("event_triggers = 'off'\n")  # one on login may shut everybody out
    if "timescaledb" in declared:  # its scheduler rests while this is on
        lines.append("timescaledb.restoring = 'on'\n")
    return _HEAD + "".join(lines)


def host_based(networks: tuple[str, ...]) -> str:
    """pg_hba.conf: operators over TLS, and the machine itself."""
    lines = ["local all postgres peer", "local all all peer"]
    lines += [f"hostssl all all {network} scram-sha-256" for network in networks]
    return "\n".join(lines) + "\n"
