"""Readings of the audit: backups, and files that hold secrets; never a secret itself (H7, R5)."""

import json
from dataclasses import dataclass

from chronos_ops.facts.audit import Reading, rows
from chronos_ops.facts.audit_system import FileMode
from chronos_ops.model.settings import Settings


@dataclass(frozen=True)
class BackupState:
    """What `pgbackrest info` says. Ages in seconds; None: there is none."""

    code: int
    message: str
    newest_age: float | None
    newest_full_age: float | None


def _info(text: str) -> BackupState:
    listing, _, now = text.strip().rpartition("\n")
    stanzas = json.loads(listing, strict=False)
    if not stanzas:
        return BackupState(-1, "no stanza", None, None)
    stanza = stanzas[0]
    backups = [b for b in stanza.get("backup", []) if not b.get("error")]
    ends = [(b["timestamp"]["stop"], b["type"]) for b in backups]
    newest = max((end for end, _ in ends), default=None)
    full = max((end for end, kind in ends if kind == "full"), default=None)
    return BackupState(
        code=stanza["status"]["code"],
        message=stanza["status"]["message"],
        newest_age=None if newest is None else int(now) - newest,
        newest_full_age=None if full is None else int(now) - full,
    )


def _paths(text: str) -> dict[str, FileMode]:
    return {
        path: FileMode(path, int(mode, 8), owner, group)
        for mode, owner, group, path in rows(text, 4, " ")
    }


def _options(text: str) -> dict[str, str]:
    """`repo1-cipher-type=aes-256-cbc`: the last of a name wins."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {key.strip(): value.strip() for key, separator, value in pairs if separator}


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


_FILES = """for f in /etc/pgbackrest.conf /etc/pgbackrest; do
[ ! -e $f ] || find $f -type f -printf '%m %u %g %p\\n' || exit 1; done"""
# Names of the options with values that are no secrets.
_OPTIONS = r"""for f in /etc/pgbackrest.conf /etc/pgbackrest/pgbackrest.conf \
/etc/pgbackrest/conf.d/*.conf; do [ -e "$f" ] || continue
sed -nE 's/^(repo[0-9]+-(cipher-type|type|storage-verify-tls|retention-full)) *=/\1=/p' "$f" || exit
done"""
_INFO = """cd /; runuser -u postgres -- pgbackrest --stanza={stanza} --log-level-console=off \
--io-timeout=8 info --output=json; echo; date +%s"""
_SECRET_FILES = r"""for d in /etc /root /home /var/lib/postgresql /var/lib/chronos*; do
[ -d "$d" ] || continue
find "$d" -xdev -type f \( -name '*.key' -o -name '*.pem' -o -name 'id_*' -o -name '.pgpass' \
-o -name credentials -o -name .netrc -o -name '*.ini' \) \
! -path '/etc/ssl/certs/*' -perm /0077 -print0 || exit 1; done |
xargs -0r grep -lIsE -e 'PRIVATE K[E]Y-|cipher-pass *=|key-secret *=|aws_secret' \
-e 'password *[= ] *[^ ]|^[^:# ]+:[^: ]+:[^: ]+:[^: ]+:[^: ]' |
while read -r f; do stat -c '%a %U %G %n' "$f"; done"""
_SECRET_ARGUMENTS = r"""grep -lzsE \
'^(--?(repo[0-9]+-)?(cipher-pass|password|s3-key-secret)=.|PGPASSWORD=.)' \
/proc/[0-9]*/cmdline; :"""


def readings(settings: Settings) -> tuple[Reading, ...]:
    """As root on the host."""
    return (
        Reading("pgbackrest_files", _FILES, _paths),
        Reading("pgbackrest_options", _OPTIONS, _options),
        Reading("pgbackrest_info", _INFO.format(stanza=settings.backup.stanza), _info),
        Reading("secret_files", _SECRET_FILES, _paths),
        Reading("secret_arguments", _SECRET_ARGUMENTS, _lines),
    )
