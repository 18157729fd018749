"""The jobs stopped days ago, and nothing failed since."""

import hashlib
import json
import re

from chronos_ops.faults.fault import Fault
from chronos_ops.faults.site import Site
from chronos_ops.model.errors import ChronosError

_SECONDS = 40 * 3600
_SET = re.compile(r"(\d{8}-\d{6}F\S*)=(\{.*\})")


class BackupsTooOld(Fault):
    """What pgBackRest knows of the sets is made older: nobody waits two days for a fault."""

    id = "backups_too_old"
    number = 7
    title = "The newest backups are two days old"
    what = "no backup has ended for days: the repository holds what it held, and grows old"
    finding = "backup.repo1.age-full"

    def inject(self, site: Site) -> None:
        for name in ("backup.info", "backup.info.copy"):
            text = self._run(site, "repo-get", name)
            if checksum(text) not in text:
                raise ChronosError("backup.info is not written as this fault knows it", name)
            site.kept[name] = text
            older = "\n".join(map(_older, text.splitlines())) + "\n"
            self._run(site, "repo-put", name, older.replace(checksum(text), checksum(older)))

    def undo(self, site: Site) -> None:
        for name in ("backup.info", "backup.info.copy"):
            self._run(site, "repo-put", name, site.kept[name])

    def _run(self, site: Site, deed: str, name: str, text: str = "") -> str:
        path = f"backup/{site.settings.backup.stanza}/{name}"
        argv = ["pgbackrest", "--repo=1", "--log-level-console=off", deed, path]
        return site.ssh.run(argv, user="postgres", stdin=text).stdout


def checksum(text: str) -> str:
    """As pgBackRest writes it at the end of an info file (its src/info/info.c): SHA-1."""
    sections: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if line.startswith("["):
            name = line[1:-1]
        elif value and key != "backrest-checksum":
            sections.setdefault(name, []).append(f"{json.dumps(key)}:{value}")
    body = ",".join(f"{json.dumps(key)}:{{{','.join(said)}}}" for key, said in sections.items())
    return hashlib.sha1(f"{{{body}}}".encode(), usedforsecurity=False).hexdigest()


def _older(line: str) -> str:
    found = _SET.fullmatch(line)
    if found is None:
        return line
    told = json.loads(found[2])
    for key in ("backup-timestamp-start", "backup-timestamp-stop"):
        told[key] -= _SECONDS
    return f"{found[1]}={json.dumps(told, separators=(',', ':'), ensure_ascii=False)}"


FAULT = BackupsTooOld()
