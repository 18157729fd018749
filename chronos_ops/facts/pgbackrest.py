"""pgBackRest as a program: version, options that it knows, its configuration (secrets masked)."""

import re
from dataclasses import dataclass, field

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

Version = tuple[int, ...]
CONFIG_PATH = "/etc/pgbackrest/pgbackrest.conf"
DEBIAN_CONFIG_PATH = "/etc/pgbackrest.conf"  # read only where CONFIG_PATH does not exist
MASK = "***"


def _read_version(answer: ShellAnswer) -> Version | None:
    text = answer.stdout.strip()
    if not text:
        return None
    match = re.match(r"pgBackRest (\d+(?:\.\d+)*)", text)
    if match is None:
        raise UnreadableAnswer("not a version of pgBackRest", text[:80])
    return tuple(int(part) for part in match[1].split("."))


_IF_INSTALLED = "! command -v pgbackrest >/dev/null || pgbackrest --log-level-console=off "

# (2, 55, 1); None: not installed.
VERSION: Fact[Version | None] = Fact(
    "pgbackrest_version",
    ShellQuestion(("sh", "-c", "! command -v pgbackrest >/dev/null || pgbackrest version")),
    _read_version,
)


def _read_options(answer: ShellAnswer) -> frozenset[str]:
    found = re.findall(r"^  --([a-z0-9-]+)", answer.stdout, re.MULTILINE)
    if answer.stdout.strip() and "type" not in found:
        raise UnreadableAnswer("not the help of `backup`", answer.stdout[:120])
    return frozenset(found)


# What this release can do (an older one has no `repo-block`); empty: not installed.
BACKUP_OPTIONS: Fact[frozenset[str]] = Fact(
    "pgbackrest_backup_options",
    ShellQuestion(("sh", "-c", _IF_INSTALLED + "help backup"), user="postgres"),
    _read_options,
)


@dataclass(frozen=True)
class ConfigFile:
    """One configuration file. Secrets were masked on the host: they never travelled."""

    path: str
    mode: str  # "640"
    owner: str  # "postgres:postgres"
    text: str
    options: dict[str, dict[str, str]] = field(default_factory=dict)  # section: key: value

    def option(self, section: str, key: str) -> str | None:
        return self.options.get(section, {}).get(key)

    @property
    def stanzas(self) -> list[str]:
        """Sections that declare a cluster."""
        return [
            name
            for name, values in self.options.items()
            if not name.startswith("global") and any(k.startswith("pg1-") for k in values)
        ]


# The passphrase itself never travels: its SHA-256 does, to be held against the secret store's.
_HASH_SCRIPT = (
    f"f={CONFIG_PATH}; [ -f $f ] || f={DEBIAN_CONFIG_PATH}; [ -f $f ] || exit 0; "
    "pass=$(sed -n 's/^[[:space:]]*repo1-cipher-pass[[:space:]]*=[[:space:]]*//p' $f | tail -n 1); "
    '[ -z "$pass" ] || printf %s "$pass" | sha256sum'
)


def _read_hash(answer: ShellAnswer) -> str | None:
    text = answer.stdout.strip()
    if text and not re.fullmatch(r"[0-9a-f]{64}( .*)?", text):
        raise UnreadableAnswer("not a hash", text[:80])
    return text[:64] or None


# SHA-256 of repo1's passphrase in the configuration in effect; None: it has none.
PASSPHRASE_HASH: Fact[str | None] = Fact(
    "pgbackrest_passphrase_hash", ShellQuestion(("sh", "-c", _HASH_SCRIPT), sudo=True), _read_hash
)

# Access key ids are shown by IAM too and say which key is in use; the rest is masked.
_CONFIG_SCRIPT = (
    "for f in {paths} /etc/pgbackrest/conf.d/*.conf; do "
    '[ -f "$f" ] || continue; printf "file %s %s\\n" "$(stat -c "%a %U:%G" "$f")" "$f"; '
    "sed -E 's/^([[:space:]]*[a-z0-9-]*(cipher-pass|key-secret|-pass|passphrase|token|azure-key)"
    '[[:space:]]*=).*/\\1{mask}/; s/^/|/\' "$f"; done'
)


def _options(text: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    section = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            found.setdefault(section, {})
        elif line and not line.startswith("#") and "=" in line:
            key, _, value = line.partition("=")
            found.setdefault(section, {})[key.strip()] = value.strip()
    return found


def _read_config(answer: ShellAnswer) -> dict[str, ConfigFile]:
    found: dict[str, ConfigFile] = {}
    head: list[str] = []
    body: list[str] = []

    def close() -> None:
        if head:
            text = "".join(f"{line}\n" for line in body)
            found[head[2]] = ConfigFile(head[2], head[0], head[1], text, _options(text))

    for line in answer.stdout.splitlines():
        if line.startswith("|"):
            body.append(line[1:])
        elif line.startswith("file ") and len(line.split(" ", 3)) == 4:
            close()
            head, body = line.split(" ", 3)[1:], []
        else:
            raise UnreadableAnswer("not a line of a configuration file", line[:60])
    close()
    return found


CONFIG: Fact[dict[str, ConfigFile]] = Fact(
    "pgbackrest_config",
    ShellQuestion(
        (
            "sh",
            "-c",
            _CONFIG_SCRIPT.format(paths=f"{CONFIG_PATH} {DEBIAN_CONFIG_PATH}", mask=MASK),
        ),
        sudo=True,
    ),
    _read_config,
)
