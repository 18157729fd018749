"""Locales that the source's databases want and a bare image lacks (failures 14)."""

import re

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.model.errors import CommandFailed, Refused, Rule

HAS_LOCALE = Rule(
    "drill.recovery.locale",
    "the locales of the restored databases are on this host",
    "each there, or made from its definition",
    "D4",
)
_MEND = "use an image that has it (drill.from_snapshot), or install the package it comes from"

_WANTED = """
SELECT DISTINCT unnest(ARRAY[datcollate, datctype]) AS locale FROM pg_database
WHERE datcollate IS NOT NULL
"""
_COMPLAINT = re.compile(r'was initialized with LC_(?:COLLATE|CTYPE) "([^"]+)"')
_NAME = re.compile(r"^([A-Za-z]{2,3}_[A-Z]{2}(?:@\w+)?)\.([A-Za-z0-9-]+)$")


def complained_about(text: str) -> str:
    """The locale that PostgreSQL refuses a connection for; empty: it is no such complaint."""
    match = _COMPLAINT.search(text)
    return match[1] if match else ""


def ensure(ssh: Ssh) -> list[str]:
    """Make the locales of all databases; gives those that were missing."""
    wanted = {str(row["locale"]) for row in ssh.sql_rows(_WANTED)}
    there = {normal(line) for line in ssh.run(["locale", "-a"]).stdout.splitlines()}
    missing = sorted(name for name in wanted if normal(name) not in there)
    for name in missing:
        make(ssh, name)
    return missing


def make(ssh: Ssh, name: str) -> None:
    """One locale, as files of its own: a server that runs sees it. Raises Refused for a name that
    localedef does not take."""
    match = _NAME.match(name)
    if match is None:
        raise Refused(
            "the restored databases want a locale that cannot be made here",
            repr(name),
            hint=_MEND,
            breaks=HAS_LOCALE,
        )
    definition = ["-i", match[1], "-f", match[2].upper(), f"/usr/lib/locale/{normal(name)}"]
    try:
        ssh.run(["localedef", "--no-archive", *definition], sudo=True)
    except CommandFailed as error:
        raise CommandFailed(
            f"making the locale {name!r}", error.exit_code, error.output, hint=_MEND,
            breaks=HAS_LOCALE,
        ) from None  # fmt: skip


def normal(name: str) -> str:
    """`en_US.UTF-8` and `en_US.utf8` are one."""
    language, _, charset = name.strip().partition(".")
    return f"{language}.{charset.replace('-', '').lower()}"
