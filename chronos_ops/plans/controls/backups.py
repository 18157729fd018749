"""Controls of backups, certificates and files with secrets (B, H4, R5)."""

from typing import Any

from chronos_ops.facts.audit_backups import BackupState
from chronos_ops.facts.audit_system import FileMode
from chronos_ops.model.control import Control, Verdict
from chronos_ops.model.settings import Settings
from chronos_ops.plans.controls.postgres import setting
from chronos_ops.plans.controls.verdicts import (
    CIS_POSTGRES,
    Values,
    control,
    judged,
    none_of,
    not_applicable,
)

_BACKUP = "runbook pgbackrest_backup_restore"
_CERTIFICATE = "stages `certificate` and `postgres-tls`"
_FULL_HOURS = 27
DAY = 86400


def _archiving(settings: Settings, values: Values) -> Verdict:
    mode, command = setting(values, "archive_mode"), setting(values, "archive_command")
    good = (
        mode in ("on", "always") and "archive-push" in command and settings.backup.stanza in command
    )
    return judged(
        good, f"archive_mode {mode}, {command or 'no command'}", "pgbackrest archive-push"
    )


def _usable(_: Settings, values: Values) -> Verdict:
    state: BackupState = values["pgbackrest_info"]
    return judged(state.code == 0, f"{state.code}: {state.message}", "0: ok")


def _age(_: Settings, values: Values) -> Verdict:
    state: BackupState = values["pgbackrest_info"]
    age = state.newest_full_age
    good = age is not None and age <= _FULL_HOURS * 3600
    said = "no full backup" if age is None else f"{age / 3600:.1f} h"
    return judged(good, said, f"a full backup within {_FULL_HOURS} h")


def _encrypted(_: Settings, values: Values) -> Verdict:
    options: dict[str, str] = values["pgbackrest_options"]
    kinds = {k: v for k, v in options.items() if k.endswith("-cipher-type")}
    good = bool(kinds) and all(v == "aes-256-cbc" for v in kinds.values())
    said = ", ".join(f"{k}={v}" for k, v in kinds.items())
    return judged(good, said or "no cipher", "aes-256-cbc for every repository")


def _verified_tls(_: Settings, values: Values) -> Verdict:
    options: dict[str, str] = values["pgbackrest_options"]
    wrong = [k for k, v in options.items() if k.endswith("storage-verify-tls") and v == "n"]
    return none_of(wrong, "the storage's certificate is verified")


def _timers(_: Settings, values: Values) -> Verdict:
    units: dict[str, dict[str, str]] = values["units"]
    names = ("chronos-backup-full.timer", "chronos-backup-diff.timer")
    wrong = [
        n
        for n in names
        if units.get(n, {}).get("ActiveState") != "active"
        or units[n].get("UnitFileState") != "enabled"
    ]
    return none_of([f"{name} is not active" for name in wrong], "both timers are active")


def _config_mode(_: Settings, values: Values) -> Verdict:
    files: dict[str, FileMode] = values["pgbackrest_files"]
    wrong = [
        f"{m.path} {m.mode:o} {m.owner}"
        for m in files.values()
        # A CA's certificate is public; nobody else may change it.
        if m.mode & (0o133 if m.path.endswith(".pem") else 0o137)
        or m.owner not in ("postgres", "root")
    ]
    if not files:
        return judged(False, "no configuration", "postgres', 0640 or stricter")
    return none_of(wrong, "postgres', 0640 or stricter")


# -- what holds the backups: asked of AWS


def _no_public(_: Settings, values: Values) -> Verdict:
    block: dict[str, Any] | None = values["bucket_public_access_block"]
    wrong = [k for k, v in (block or {}).items() if not v]
    return judged(
        bool(block) and not wrong,
        ", ".join(wrong) or ("all blocked" if block else "no block"),
        "all four blocks",
    )


def _stored_encrypted(_: Settings, values: Values) -> Verdict:
    seen = values["bucket_encryption"]
    return judged(bool(seen), str(seen) if seen else "none", "a default encryption")


def _versioned(_: Settings, values: Values) -> Verdict:
    seen = values["bucket_versioning"]
    return judged(seen == "Enabled", str(seen), "Enabled")


def _tls_policy(_: Settings, values: Values) -> Verdict:
    policy: dict[str, Any] | None = values["bucket_policy"]
    denies = [
        s
        for s in (policy or {}).get("Statement", [])
        if s.get("Effect") == "Deny"
        and str(s.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport")).lower()
        == "false"
    ]
    return judged(bool(denies), f"{len(denies)} such statement", "Deny without TLS")


def _one_key(_: Settings, values: Values) -> Verdict:
    active = [key for key in values["iam_access_keys"] if key.active]
    return judged(len(active) <= 1, f"{len(active)} active", "one key, no old one beside it")


def _least_policies(_: Settings, values: Values) -> Verdict:
    wrong = [*values["iam_attached_policies"], *(f"group {g}" for g in values["iam_groups"])]
    return none_of(wrong, "no managed policy and no group beside its own policy")


# -- certificates


def _certificate(values: Values) -> dict[str, str]:
    found: dict[str, str] = values["pg_certificate"]
    return found


def _days(settings: Settings, values: Values) -> Verdict:
    found = _certificate(values)
    days = (int(found["end"]) - int(found["now"])) / DAY
    declared = settings.hardening.certificate
    least = declared.warn_days if declared else 21
    return judged(days >= least, f"{days:.1f} days left", f"{least} days or more")


def _served(_: Settings, values: Values) -> Verdict:
    found = _certificate(values)
    served, file = found.get("served_serial", "nothing"), found.get("file_serial", "unreadable")
    return judged(
        served == file, f"served {served}, file {file}", "what is served is what lies there"
    )


def _issuer(_: Settings, values: Values) -> Verdict:
    found = _certificate(values)
    issuer, subject = found.get("file_issuer", ""), found.get("file_subject", "")
    return judged(bool(issuer) and issuer != subject, f"issued by {issuer or '?'}", "an authority")


def _key_size(_: Settings, values: Values) -> Verdict:
    seen = _certificate(values).get("key", "?")
    bits = int("".join(c for c in seen if c.isdigit()) or 0)
    return judged(bits >= 2048 or 256 <= bits <= 521, seen, "RSA of 2048 bits or EC of 256")


def _server_key(_: Settings, values: Values) -> Verdict:
    found: FileMode | None = values["pg_files"].get("ssl_key_file")
    if found is None:
        return not_applicable("no key file is set", "postgres' alone")
    strict = found.mode & (0o077 if found.owner == "postgres" else 0o027) == 0
    good = found.owner in ("postgres", "root") and strict
    return judged(
        good, f"{found.mode:o} {found.owner}:{found.group}", "0600 postgres, or 0640 root"
    )


def _renewal(settings: Settings, values: Values) -> Verdict:
    units: dict[str, dict[str, str]] = values["units"]
    if settings.hardening.certificate is None:
        return not_applicable("no certificate is declared", "a timer that renews")
    names = ("certbot.timer", "snap.certbot.renew.timer")
    running = [n for n in names if units.get(n, {}).get("ActiveState") == "active"]
    return judged(bool(running), ", ".join(running) or "no timer", "a timer that renews")


# -- secrets


def _secret_files(_: Settings, values: Values) -> Verdict:
    files: dict[str, FileMode] = values["secret_files"]
    wrong = [
        f"{m.path} {m.mode:o} {m.owner}:{m.group}"
        for m in files.values()
        if m.mode & 0o007 or (m.mode & 0o070 and m.group not in _GROUPS) or m.mode & 0o020
    ]
    return none_of(wrong, "files with keys or passwords are their owner's alone")


_GROUPS = ("root", "ssl-cert", "postgres")


def _secret_arguments(_: Settings, values: Values) -> Verdict:
    return none_of(values["secret_arguments"], "no process has a secret in its command line")


CONTROLS: tuple[Control, ...] = (
    control(
        "backups.archiving",
        "WAL is archived",
        f"{CIS_POSTGRES} 7.4; requirement B3",
        "pg_settings",
        _archiving,
        _BACKUP,
    ),
    control(
        "backups.usable",
        "The repository can be read",
        f"{CIS_POSTGRES} 8.2; requirement B9",
        "pgbackrest_info",
        _usable,
        _BACKUP,
    ),
    control(
        "backups.age",
        "There is a full backup of today",
        f"{CIS_POSTGRES} 7.3; requirement B6",
        "pgbackrest_info",
        _age,
        _BACKUP,
    ),
    control(
        "backups.encrypted",
        "Backups are encrypted on the host",
        "pgBackRest, repo-cipher-type; requirement B4",
        "pgbackrest_options",
        _encrypted,
        _BACKUP,
    ),
    control(
        "backups.storage-verified",
        "The storage's certificate is verified",
        "pgBackRest, repo-storage-verify-tls",
        "pgbackrest_options",
        _verified_tls,
        _BACKUP,
    ),
    control(
        "backups.timers",
        "Backups come by themselves",
        "systemd.timer(5); requirement B6",
        "units",
        _timers,
        _BACKUP,
    ),
    control(
        "backups.config-mode",
        "pgBackRest's configuration is not for everybody",
        f"{CIS_POSTGRES} 8.2; requirement B4",
        "pgbackrest_files",
        _config_mode,
        "chown postgres:postgres, chmod 0640",
    ),
    control(
        "backups.bucket-private",
        "The bucket is not public",
        "CIS AWS Foundations Benchmark 2.1.4; requirement B1",
        "bucket_public_access_block",
        _no_public,
        _BACKUP,
    ),
    control(
        "backups.bucket-encrypted",
        "The bucket encrypts",
        "Amazon S3 User Guide, default encryption; requirement B1",
        "bucket_encryption",
        _stored_encrypted,
        _BACKUP,
    ),
    control(
        "backups.bucket-versioned",
        "A deletion can be undone",
        "Amazon S3 User Guide, versioning; requirement B1",
        "bucket_versioning",
        _versioned,
        _BACKUP,
    ),
    control(
        "backups.bucket-tls",
        "The bucket speaks TLS only",
        "CIS AWS Foundations Benchmark 2.1.1; requirement B1",
        "bucket_policy",
        _tls_policy,
        _BACKUP,
    ),
    control(
        "backups.host-key",
        "The host has one access key",
        "CIS AWS Foundations Benchmark 1.13; requirement B1",
        "iam_access_keys",
        _one_key,
        "delete the old key",
    ),
    control(
        "backups.host-rights",
        "The host's user has its own policy only",
        "CIS AWS Foundations Benchmark 1.16; requirement B1",
        "iam_attached_policies iam_groups",
        _least_policies,
        "detach the policy, leave the group",
    ),
    control(
        "certificates.days-left",
        "The certificate is valid for long enough",
        "requirement H4; PostgreSQL manual, Creating Certificates",
        "pg_certificate",
        _days,
        "systemctl start certbot.service; journalctl -u certbot",
    ),
    control(
        "certificates.served",
        "What is served is what lies there",
        "requirement H4; PostgreSQL manual, Creating Certificates",
        "pg_certificate",
        _served,
        "SELECT pg_reload_conf(); the server's log says why not",
    ),
    control(
        "certificates.authority",
        "The certificate is an authority's",
        "requirement H4; RFC 8555",
        "pg_certificate",
        _issuer,
        _CERTIFICATE,
    ),
    control(
        "certificates.key-size",
        "The key is long enough",
        "NIST SP 800-57 part 1, table 2",
        "pg_certificate",
        _key_size,
        "renew with a new key",
    ),
    control(
        "certificates.key-mode",
        "The server's key is its own",
        "PostgreSQL manual, Secure TCP/IP Connections with SSL; requirement H5",
        "pg_files",
        _server_key,
        _CERTIFICATE,
    ),
    control(
        "certificates.renewal",
        "It is renewed by itself",
        "certbot, Automated Renewals; requirement H4",
        "units",
        _renewal,
        _CERTIFICATE,
    ),
    control(
        "secrets.files",
        "Files with keys or passwords are their owner's alone",
        "requirement R5; lynis FILE-7524",
        "secret_files",
        _secret_files,
        "chmod 0600 FILE",
    ),
    control(
        "secrets.arguments",
        "No secret in a command line",
        f"{CIS_POSTGRES} 5.1; requirement R5",
        "secret_arguments",
        _secret_arguments,
        "give it by a file of mode 0600, or on stdin",
    ),
)
