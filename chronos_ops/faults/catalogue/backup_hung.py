"""A backup that never ends, and holds the lock that every other one waits for."""

import time

from chronos_ops.faults.fault import Fault
from chronos_ops.faults.site import Site
from chronos_ops.model.errors import ChronosError

# Stopped as soon as it holds its lock: what a full disk of the spool or a dead mount looks like.
_HANG = """
setsid pgbackrest --stanza="$1" --repo=1 --type=full backup >/dev/null 2>&1 </dev/null &
pid=$!
for _ in $(seq 1 2000); do
    if [ -s "/tmp/pgbackrest/$1-backup-1.lock" ] || [ -s "/tmp/pgbackrest/$1-backup.lock" ]; then
        kill -STOP "$pid"; echo "$pid"; exit 0
    fi
    kill -0 "$pid" || exit 1
    sleep 0.01
done
exit 1
"""


class BackupHung(Fault):
    id = "backup_hung"
    number = 7
    title = "A backup hangs and holds the lock"
    what = "a backup stands still for ever; every later one fails or is skipped behind it"
    finding = "backup.running"

    def inject(self, site: Site) -> None:
        argv = ["sh", "-c", _HANG, "hang", site.settings.backup.stanza]
        answer = site.ssh.run(argv, user="postgres", timeout=60)
        site.kept["pid"] = answer.stdout.split()[-1]

    def undo(self, site: Site) -> None:
        pid = site.kept["pid"]
        site.ssh.run(["sh", "-c", f"kill -TERM {pid}; kill -CONT {pid}"], sudo=True)
        deadline = time.monotonic() + 60
        while site.ssh.run(["kill", "-0", pid], sudo=True, accept=range(256)).exit_code == 0:
            if time.monotonic() > deadline:
                raise ChronosError("the hung backup does not end", pid)
            time.sleep(0.1)


FAULT = BackupHung()
