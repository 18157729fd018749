"""Controls of PostgreSQL: who may connect, from where, and how (H5)."""

from chronos_ops.facts.audit_postgres import DatabaseRole, HbaRule
from chronos_ops.model.control import Control, Verdict
from chronos_ops.model.settings import Settings
from chronos_ops.plans.controls.verdicts import (
    CIS_POSTGRES,
    Judge,
    Values,
    control,
    judged,
    none_of,
    not_applicable,
    number,
)

_TLS = "stage `postgres-tls`"


_HBA = "stage `postgres-hba`"


PgSettings = dict[str, tuple[str, bool]]


_EVERYWHERE = ("0.0.0.0/0", "::/0", "all")


_WEAK_CIPHERS = (
    "MEDIUM",
    "LOW",
    "EXP",
    "RC4",
    "3DES",
    "DES",
    "MD5",
    "NULL",
    "aNULL",
    "eNULL",
    "ALL",
)


def setting(values: Values, name: str) -> str:
    """A setting in effect; empty: this version has none of the name."""
    found: PgSettings = values["pg_settings"]
    return found[name][0] if name in found else ""


def is_set(name: str, *wanted: str) -> Judge:
    """The setting has one of the wanted values."""

    def judge(_: Settings, values: Values) -> Verdict:
        seen = setting(values, name)
        return judged(seen in wanted, f"{name} = {seen!r}", f"{name} = {' or '.join(wanted)}")

    return judge


def _tls_version(_: Settings, values: Values) -> Verdict:
    seen = setting(values, "ssl_min_protocol_version")
    return judged(seen in ("TLSv1.2", "TLSv1.3"), seen, "TLSv1.2 or later")


def _ciphers(_: Settings, values: Values) -> Verdict:
    """What OpenSSL's list lets in: a word without `!` or `-` before it."""
    listed = setting(values, "ssl_ciphers").replace(",", ":").split(":")
    words = {part for item in listed if item[:1] not in ("!", "-") for part in item.split("+")}
    wrong = [word for word in words if word in _WEAK_CIPHERS or "CBC" in word or "RC4" in word]
    return none_of(sorted(wrong), f"no weak cipher in {setting(values, 'ssl_ciphers')[:60]!r}")


def _timeout(_: Settings, values: Values) -> Verdict:
    seen = number(setting(values, "authentication_timeout"))
    return judged(seen is not None and 1 <= seen <= 60, f"{seen} s", "1 to 60 s")


def _remote(values: Values) -> list[HbaRule]:
    rules: list[HbaRule] = values["pg_hba"]
    return [rule for rule in rules if rule.remote and rule.method != "reject"]


def _shown(rule: HbaRule) -> str:
    users, databases = ",".join(rule.users), ",".join(rule.databases)
    return f"line {rule.line}: {rule.type} {databases} {users} {rule.address} {rule.method}"


def _tls_only(_: Settings, values: Values) -> Verdict:
    wrong = [_shown(rule) for rule in _remote(values) if rule.type != "hostssl"]
    return none_of(wrong, "from outside TLS only (hostssl)")


def _no_world(_: Settings, values: Values) -> Verdict:
    wrong = [_shown(rule) for rule in _remote(values) if rule.address in _EVERYWHERE]
    return none_of(wrong, "named networks only")


def _strong_remote(_: Settings, values: Values) -> Verdict:
    methods = ("scram-sha-256", "cert")
    wrong = [_shown(rule) for rule in _remote(values) if rule.method not in methods]
    return none_of(wrong, "from outside scram-sha-256 or cert")


def _strong_local(_: Settings, values: Values) -> Verdict:
    rules: list[HbaRule] = values["pg_hba"]
    methods = ("peer", "scram-sha-256", "cert", "reject")
    wrong = [_shown(rule) for rule in rules if not rule.remote and rule.method not in methods]
    return none_of(wrong, "on the host itself peer or scram-sha-256, never trust")


def _superuser_outside(_: Settings, values: Values) -> Verdict:
    """The first line that matches decides: a reject must stand before a rule for all."""
    roles: dict[str, DatabaseRole] = values["pg_roles"]
    rules: list[HbaRule] = values["pg_hba"]
    wrong = []
    for name in (r.name for r in roles.values() if r.superuser and r.login):
        refused: set[str] = set()
        for rule in (rule for rule in rules if rule.remote):
            if name not in rule.users and "all" not in rule.users:
                continue
            whole = "all" in rule.databases and rule.type == "host"
            if rule.method == "reject" and whole:
                refused.add(rule.address)
            elif rule.method != "reject" and not refused & {rule.address, *_EVERYWHERE}:
                wrong.append(f"{name}: {_shown(rule)}")
    return none_of(wrong, "superusers connect from the host itself only")


def _hba_errors(_: Settings, values: Values) -> Verdict:
    rules: list[HbaRule] = values["pg_hba"]
    return none_of([f"line {r.line}: {r.error}" for r in rules if r.error], "every line is read")


def _socket(_: Settings, values: Values) -> Verdict:
    rules: list[HbaRule] = values["pg_hba"]
    local = [rule for rule in rules if rule.type == "local"]
    if not local:
        return not_applicable("no local line", "peer for the superuser")
    first = next((r for r in local if "postgres" in r.users or "all" in r.users), None)
    good = first is not None and first.method == "peer"
    return judged(good, _shown(first) if first else "none for postgres", "peer for the superuser")


CONTROLS: tuple[Control, ...] = (
    control(
        "postgres.tls", "TLS is on", f"{CIS_POSTGRES} 6.8", "pg_settings", is_set("ssl", "on"), _TLS
    ),
    control(
        "postgres.tls-version",
        "No old TLS",
        f"{CIS_POSTGRES} 6.8; PostgreSQL manual, ssl_min_protocol_version",
        "pg_settings",
        _tls_version,
        _TLS,
    ),
    control(
        "postgres.tls-ciphers",
        "No weak cipher",
        f"{CIS_POSTGRES} 6.10",
        "pg_settings",
        _ciphers,
        _TLS,
    ),
    control(
        "postgres.tls-only",
        "From outside over TLS only",
        f"{CIS_POSTGRES} 5.8",
        "pg_hba",
        _tls_only,
        _HBA,
    ),
    control(
        "postgres.networks",
        "From named networks only",
        f"{CIS_POSTGRES} 5.9",
        "pg_hba",
        _no_world,
        _HBA,
    ),
    control(
        "postgres.remote-method",
        "From outside with scram or a certificate",
        f"{CIS_POSTGRES} 5.4",
        "pg_hba",
        _strong_remote,
        _HBA,
    ),
    control(
        "postgres.local-method",
        "On the host nobody is trusted unasked",
        f"{CIS_POSTGRES} 5.3",
        "pg_hba",
        _strong_local,
        _HBA,
    ),
    control(
        "postgres.socket",
        "The superuser comes by the socket, as itself",
        f"{CIS_POSTGRES} 5.3",
        "pg_hba",
        _socket,
        _HBA,
    ),
    control(
        "postgres.superuser-remote",
        "No superuser from outside",
        f"{CIS_POSTGRES} 5.11",
        "pg_hba pg_roles",
        _superuser_outside,
        _HBA,
    ),
    control(
        "postgres.hba-read",
        "Every line of pg_hba.conf is read",
        "PostgreSQL manual, pg_hba_file_rules",
        "pg_hba",
        _hba_errors,
        "mend the line; SELECT pg_reload_conf()",
    ),
    control(
        "postgres.authentication-timeout",
        "A login must not take long",
        f"{CIS_POSTGRES} 5.7",
        "pg_settings",
        _timeout,
        "authentication_timeout = 60",
    ),
    control(
        "postgres.password-encryption",
        "New passwords are kept as SCRAM",
        f"{CIS_POSTGRES} 5.12",
        "pg_settings",
        is_set("password_encryption", "scram-sha-256"),
        _TLS,
    ),
)
