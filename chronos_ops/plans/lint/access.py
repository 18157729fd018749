"""Who may come, what is accepted, and what must not be written into the file (H1, H7, R5)."""

import ipaddress
import re

from chronos_ops.plans.lint.rule import Rule, Said, Subject, not_applicable, said

_WIDE = {4: 8, 6: 32}  # prefix lengths up to which a network is half the world
_LONG_DAYS = 366
_SECRETS = (
    ("an AWS key id", re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY")),
    ("a password in an address", re.compile(r"://[^/\s:@]+:[^/\s@]+@")),
    (
        "a value of a secret",
        re.compile(
            r"(?im)^\s*[\w-]*(password|passphrase|secret_access_key|token)\s*:\s*"
            r"(?!\s*(?:#|null\b|~|$))\S"
        ),
    ),
)


def _wide(networks: tuple[str, ...]) -> list[str]:
    parsed = [ipaddress.ip_network(text) for text in networks]
    return [str(network) for network in parsed if network.prefixlen <= _WIDE[network.version]]


def _database(subject: Subject) -> Said:
    settings = subject.settings
    if settings.postgres.connect == "ssh_tunnel":
        return not_applicable("PostgreSQL is reached through SSH")
    declared = settings.hardening.firewall.database_networks
    networks = settings.postgres.operator_networks + (declared or ())
    if not networks:
        return said(good=False, observed="no source network declared")
    wide = _wide(networks)
    return said(good=not wide, observed=", ".join(wide or networks))


def _bans(subject: Subject) -> Said:
    settings = subject.settings
    spared = settings.postgres.operator_networks + settings.hardening.bans.ignore_networks
    if not spared:
        return said(good=False, observed="no network is spared: the operators would be banned too")
    wide = _wide(spared)
    return said(good=not wide, observed=f"spared: {', '.join(wide or spared)}")


def _exceptions(subject: Subject) -> Said:
    given = (*subject.settings.hardening.exceptions, *subject.settings.lint_exceptions)
    wrong = [f"{e.control} expired {e.expires}" for e in given if e.expires <= subject.today]
    wrong += [
        f"{e.control} accepted only on {e.accepted}" for e in given if e.accepted > subject.today
    ]
    wrong += [
        f"{e.control} runs for {(e.expires - e.accepted).days} days"
        for e in given
        if (e.expires - e.accepted).days > _LONG_DAYS
    ]
    return said(good=not wrong, observed="; ".join(wrong) or f"{len(given)} accepted exceptions")


def _secrets(subject: Subject) -> Said:
    found = [
        f"line {subject.text.count(chr(10), 0, match.start()) + 1}: {what}"
        for what, pattern in _SECRETS
        for match in pattern.finditer(subject.text)
    ]
    return said(good=not found, observed="; ".join(found) or "none")


def _certificate(subject: Subject) -> Said:
    certificate = subject.settings.hardening.certificate
    if certificate is None:
        return said(good=False, observed="none declared")
    secure = certificate.directory_url.startswith("https://")
    return said(
        good=secure, observed=f"{', '.join(certificate.names)} from {certificate.directory_url}"
    )


RULES = (
    Rule(
        "lint.access.database",
        "PostgreSQL's port is not open to half the world",
        "named source networks, each narrower than /8 (IPv6: /32)",
        "a password is the only thing between the world and the data.",
        "CIS PostgreSQL Benchmark, connection and login",
        "Name the networks in postgres.operator_networks and hardening.firewall.database_networks.",
        _database,
    ),
    Rule(
        "lint.access.bans",
        "fail2ban spares the operators, and few others",
        "the operators' networks, each narrower than /8 (IPv6: /32)",
        "a ban of an operator is a lock-out; sparing the world bans nobody.",
        "fail2ban, jail.conf(5), ignoreip",
        "Mend postgres.operator_networks or hardening.bans.ignore_networks.",
        _bans,
    ),
    Rule(
        "lint.access.exceptions",
        "Accepted exceptions are in force, and for a year at most",
        "accepted <= today < expires, no longer than 366 days",
        "an exception without an end is a hole that nobody looks at again.",
        "H7",
        "Mend the cause, or accept hardening.exceptions anew with a new date and reason.",
        _exceptions,
    ),
    Rule(
        "lint.access.secrets",
        "The parameter file holds names of secrets, never secrets",
        "no key, password or token",
        "the file is in git and in every run's evidence.",
        "R5",
        "Put the value into the secret store, its name here; then change the value: it is known.",
        _secrets,
    ),
    Rule(
        "lint.access.certificate",
        "A certificate is declared, from a directory with TLS",
        "hardening.certificate with an https directory",
        "without one no client can use sslmode=verify-full.",
        "PostgreSQL manual, SSL Support; RFC 8555 section 6.1",
        "Declare hardening.certificate: see parameters/production.example.yaml.",
        _certificate,
    ),
)
