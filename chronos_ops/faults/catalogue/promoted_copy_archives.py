"""Somebody restored the repository beside the primary, to look at something, and promoted it with
archiving on: the archive now has a later timeline, which every recovery would follow."""

from chronos_ops.faults.fault import DRILL, Fault
from chronos_ops.faults.restoring import CLUSTER, proof
from chronos_ops.faults.site import Site

# As Debian's configuration is outside the data directory, the copy is given one of its own.
_COPY = r"""
copy=/var/lib/postgresql/copy
install -d -o postgres -g postgres -m 0700 $copy
cat > /run/promoted-copy.sh <<'END'
set -e
pgbackrest --stanza="$1" --pg1-path="$2" --type=immediate --target-action=promote restore
touch "$2/postgresql.conf"
echo 'local all all trust' > "$2/pg_hba.conf"
cat >> "$2/postgresql.auto.conf" <<CONF
port = 5999
listen_addresses = ''
unix_socket_directories = '/tmp'
archive_mode = 'on'
archive_command = 'pgbackrest --stanza=$1 --pg1-path=$2 archive-push %p'
CONF
"$3/pg_ctl" -D "$2" -w -t 60 -l /tmp/promoted-copy.log start
q() { psql -h /tmp -p 5999 -XAtqc "$1" postgres; }
n=0
until [ "$(q 'SELECT pg_is_in_recovery()')" = f ]; do
    n=$((n + 1)); [ $n -lt 300 ]; sleep 0.2
done
q "SELECT pg_create_restore_point('x')" > /dev/null; q 'SELECT pg_switch_wal()' > /dev/null
archived="SELECT last_archived_wal ~ '^0000000[2-9A-F][0-9A-F]{16}$' FROM pg_stat_archiver"
until [ "$(q "$archived")" = t ]; do
    n=$((n + 1)); [ $n -lt 300 ]; sleep 0.2
done
"$3/pg_ctl" -D "$2" -w -m immediate stop
END
su postgres -c "sh /run/promoted-copy.sh {stanza} $copy $bin"
rm -rf $copy /run/promoted-copy.sh
"""


class PromotedCopyArchives(Fault):
    id = "promoted_copy_archives"
    number = 12
    title = "A promoted copy archives into the live repository"
    what = "a restored copy was promoted with archiving on: the next recovery follows its timeline"
    runbook = DRILL
    parameters = proof()
    finding = "drill.repository.own-timeline"

    def inject(self, site: Site) -> None:
        site.shell(CLUSTER + _COPY.replace("{stanza}", site.settings.backup.stanza))

    def undo(self, site: Site) -> None:
        """The way out is a target with its timeline; a new stanza where none is to be named."""


FAULT = PromotedCopyArchives()
