"""Every fact by name, as `chronos record` and the recorded tests find it."""

from collections.abc import Callable
from typing import Any

from chronos_ops.facts import (
    access_rights,
    addresses,
    apt_policy,
    audit_host,
    backups,
    certbot,
    certificates,
    cron,
    docker_ports,
    fail2ban,
    iam,
    lightsail_ports,
    needrestart,
    packages,
    pgbackrest,
    postgres,
    postgres_access,
    postgres_files,
    postgres_log,
    s3,
    secret_store,
    sshd,
    system,
    systemd,
    ufw,
    updates,
    verification,
    wal_archive,
)
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings

_SETTINGS = (
    "archive_command",
    "archive_mode",
    "archive_timeout",
    "listen_addresses",
    "password_encryption",
    "ssl",
    "wal_level",
)
_UNITS = (
    "chronos-backup-full.service",
    "chronos-backup-full.timer",
    "chronos-backup-diff.timer",
    "chronos-no-such.timer",
)

FACTS: dict[str, Callable[[Settings], Fact[Any]]] = {
    "os_release": lambda _: system.OS_RELEASE,
    "cores": lambda _: system.CORES,
    "ipv6_addresses": lambda _: addresses.IPV6,
    "postgres_in_container": lambda _: system.POSTGRES_IN_CONTAINER,
    "installed_packages": lambda _: packages.INSTALLED,
    "apt_candidates": lambda _: packages.candidates(
        "postgresql", "pgbackrest", "postgresql-17", "postgresql-15", "no-such-package"
    ),
    "postgres_clusters": lambda _: postgres.CLUSTERS,
    "postgres_settings": lambda _: postgres.settings(*_SETTINGS),
    "postgres_identity": lambda _: postgres.IDENTITY,
    "postgres_roles": lambda _: postgres.ROLES,
    "postgres_config_files": lambda _: postgres_files.CONFIG_FILES,
    "postgres_log_files": lambda _: postgres_log.COLLECTOR_FILES,
    "postgres_stderr": lambda s: postgres_log.stderr(s.postgres.cluster, s.postgres.port),
    "sshd": lambda _: sshd.SSHD,
    "fail2ban": lambda _: fail2ban.FAIL2BAN,
    "postgres_archiver": lambda _: wal_archive.ARCHIVER,
    "wal_archive": lambda s: wal_archive.archive_listing(s.backup.stanza, 1),
    "pgbackrest_version": lambda _: pgbackrest.VERSION,
    "pgbackrest_backup_options": lambda _: pgbackrest.BACKUP_OPTIONS,
    "pgbackrest_config": lambda _: pgbackrest.CONFIG,
    "backup_info": lambda s: backups.info(s.backup.stanza),
    "verification": lambda s: verification.verification(s.backup.stanza, 1),
    "scheduled_jobs": lambda _: cron.jobs(),
    "systemd_units": lambda _: systemd.units(*_UNITS),
    "bucket_location": lambda s: s3.location(s.backup.bucket),
    "bucket_public_access_block": lambda s: s3.public_access_block(s.backup.bucket),
    "bucket_encryption": lambda s: s3.encryption(s.backup.bucket),
    "bucket_versioning": lambda s: s3.versioning(s.backup.bucket),
    "bucket_lifecycle": lambda s: s3.lifecycle(s.backup.bucket),
    "bucket_policy": lambda s: s3.policy(s.backup.bucket),
    "stored_objects": lambda s: s3.objects(s.backup.bucket, s.backup.prefix),
    "iam_user": lambda s: iam.user_exists(s.backup.host_iam_user),
    "iam_access_keys": lambda s: iam.access_keys(s.backup.host_iam_user),
    "iam_inline_policies": lambda s: iam.inline_policy_names(s.backup.host_iam_user),
    "iam_inline_policy": lambda s: iam.inline_policy(s.backup.host_iam_user, "chronos-backup"),
    "iam_attached_policies": lambda s: iam.attached_policies(s.backup.host_iam_user),
    "iam_groups": lambda s: iam.groups(s.backup.host_iam_user),
    "certbot": lambda _: certbot.CERTBOT,
    "certbot_renewal": lambda _: certbot.renewal("automatonicai.com"),
    "challenge_port": lambda _: certbot.CHALLENGE_PORT,
    "certificate_failure": lambda _: certbot.hand_over_failure("/var/lib/chronos-certificate"),
    "certificate_file": lambda _: certificates.certificate_file(
        "/etc/ssl/chronos/postgres/server.crt", "/etc/ssl/chronos/postgres/server.key"
    ),
    "apt_config": lambda _: apt_policy.APT_CONFIG,
    "needrestart": lambda _: needrestart.needrestart("'postgresql*'", "'chronos-backup-*'"),
    "updates": lambda s: updates.updates(
        s.hardening.updates.held, "/etc/apt/apt.conf.d/zz-chronos-updates.conf"
    ),
    "ufw": lambda _: ufw.UFW,
    "docker_ports": lambda _: docker_ports.DOCKER_PORTS,
    "lightsail_ports": lambda s: lightsail_ports.open_ports(s.host.instance),
    "lightsail_ipv6": lambda s: lightsail_ports.has_ipv6(s.host.instance),
    "listening_addresses": lambda s: postgres_access.listens(s.postgres.port),
    "postgres_logins": lambda _: postgres_access.LOGINS,
    "postgres_rules": lambda _: postgres_access.RULES,
    "postgres_visitors": lambda _: postgres_access.VISITORS,
    "secrets": lambda s: secret_store.secrets(s.backup.cipher_secret, "/chronos/no-such"),
    "audit_host": audit_host.audit_host,
    "iam_users": lambda _: access_rights.iam_users(),
    "lightsail_rules": lambda s: access_rights.lightsail_rules(s.host.instance),
}
