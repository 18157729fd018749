"""The new host becomes the database host: its configuration comes back as it was (B3, D9).

The files of /etc/postgresql lie in the backup itself (`chronos_etc`, kept there by every backup
job). What the drill host wrote where nothing beats it goes; PostgreSQL starts by its unit.
"""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.drill import locales
from chronos_ops.drill.firewall import PATH as DRILL_FIREWALL
from chronos_ops.execution.context import Context
from chronos_ops.facts.kept_configuration import KEPT
from chronos_ops.model.errors import CommandFailed, UnreadableAnswer
from chronos_ops.model.finding import Finding, judge
from chronos_ops.plans.postgres_tls import FILE_NAME as TLS_FILE

CLUSTER = "main"
SAVED = "/var/lib/chronos-recover"
SUBSTITUTE = "84-chronos-recovered.conf"  # before hardening's drop-in, which beats it
_SNAKEOIL = {
    "ssl_cert_file": "/etc/ssl/certs/ssl-cert-snakeoil.pem",
    "ssl_key_file": "/etc/ssl/private/ssl-cert-snakeoil.key",
}
_MARK = "# chronos-ops: a drill host"
_NOT_STARTED = 5

# In one go, each part looking first: a run that was cut short goes on here.
_SCRIPT = r"""
set -eu
major=$1 data=$2 etc=$3 kept=$2/$4 tls=$5 substitute=$6 mark=$7
auto=$data/postgresql.auto.conf unit=postgresql@$major-main saved=/var/lib/chronos-recover
mkdir -p -m 0700 "$saved"
write() { install -o postgres -g postgres -m 0640 /dev/stdin "$1"; }
said() { runuser -u postgres -- "/usr/lib/postgresql/$major/bin/postgres" -C "$1" -D "$etc"; }
if grep -q "^$mark" "$auto"; then
    # a copy of what works, to go back to: the whole of it before the first change
    if [ ! -e "$saved/drill" ]; then
        rm -rf "$saved/part"; mkdir "$saved/part"
        cp -a "$etc" "$saved/part/etc"; cp -p "$auto" "$saved/part/auto"
        mv "$saved/part" "$saved/drill"
    fi
    if [ -e "$kept/postgresql.conf" ]; then
        (cd "$kept" && find . -type f ! -name packages.txt ! -path "./conf.d/$tls" \
            -exec cp --parents -p -t "$etc" {} +)
        echo "configuration: from the backup"
    else
        printf "include_dir = 'conf.d'\n" >> "$etc/postgresql.conf"
        mkdir -p "$etc/conf.d"
        echo "configuration: supplied"
    fi
    echo auto > "$etc/start.conf"
    chown -R postgres:postgres "$etc"
    sed -i "s|^[# ]*data_directory *=.*|data_directory = '$data'|" "$etc/postgresql.conf"
    pg_ctlcluster --skip-systemctl-redirect "$major" main stop -m fast 2>/dev/null || :
    # ours, and what pgbackrest restore wrote for this one recovery
    grep -v -E '^(restore_command|recovery_target[a-z_]*|archive_mode)\b' "$saved/drill/auto" \
        | sed "/^$mark/,\$d" | write "$auto.new"
    mv "$auto.new" "$auto"
else
    echo "configuration: done before"
fi
: > "$saved/missing"
for name in ssl_cert_file ssl_key_file; do
    path=$(said "$name") || { echo "unreadable: $name"; continue; }
    case $path in /*) ;; *) path=$data/$path ;; esac
    [ -e "$path" ] || echo "$name $path" >> "$saved/missing"
done
if [ -s "$saved/missing" ]; then
    sed 's/^/missing: /' "$saved/missing"
    write "$etc/conf.d/$substitute"
fi
systemctl daemon-reload
if ! systemctl start "$unit"; then
    echo "log: $(tail -n 5 "/var/log/postgresql/postgresql-$major-main.log" | tr '\n' ' ')"
    systemctl stop "$unit" || :
    rm -rf "$saved/bad"; mv "$etc" "$saved/bad"; cp -a "$saved/drill/etc" "$etc"
    cp -p "$saved/drill/auto" "$auto"
    pg_ctlcluster --skip-systemctl-redirect "$major" main start
    exit 5
fi
systemctl is-active "$unit"
"""
# Of the kept configuration: a server does not start with a locale that its host lacks.
_LOCALES = r"""
cat "$1/postgresql.conf" "$1"/conf.d/*.conf 2>/dev/null \
    | sed -n "s/^ *lc_[a-z]* *=\{0,1\} *'\{0,1\}\([A-Za-z@_.0-9-]*\).*/\1/p" | sort -u \
    | while read -r name; do
        LC_ALL=$name locale charmap 2>&1 | grep -q 'Cannot set' && echo "$name" || :
    done
"""
# Closed to all but the operators until now; from here on the declared firewalls stand alone.
_OPEN = f"""
set -eu
nft delete table inet chronos_drill 2>/dev/null || :
if grep -q chronos_drill {DRILL_FIREWALL} 2>/dev/null; then
    systemctl disable -q nftables
    printf '#!/usr/sbin/nft -f\\n' > {DRILL_FIREWALL}
fi
"""


def give_back(context: Context, major: str) -> list[Finding]:
    """The declared host's configuration on its successor, and PostgreSQL started with it.

    Raises CommandFailed if it does not start: the configuration of the drill host is back then.
    """
    data = f"/var/lib/postgresql/{major}/{CLUSTER}"
    etc = f"/etc/postgresql/{major}/{CLUSTER}"
    argv = ["sh", "-c", _SCRIPT, "give-back", major, data, etc, KEPT, TLS_FILE, SUBSTITUTE, _MARK]
    wanted = context.ssh.run(["sh", "-c", _LOCALES, "locales", f"{data}/{KEPT}"], sudo=True)
    for name in wanted.stdout.split():
        locales.make(context.ssh, name)
    lines = "".join(f"{name} = '{value}'\n" for name, value in _SNAKEOIL.items())
    text = f"# The lost host's files are not here; hardening brings its own (chronos-ops)\n{lines}"
    answer = context.ssh.run(argv, sudo=True, stdin=text, accept=(0, _NOT_STARTED), timeout=300)
    if answer.exit_code == _NOT_STARTED:
        raise CommandFailed(
            "PostgreSQL does not start with the lost host's configuration",
            answer.exit_code,
            answer.stdout,
            hint=f"it runs again with the drill host's; look into {SAVED}/bad on "
            f"{context.ssh.address.host}, mend what the log names in "
            f"{data}/{KEPT}, and run this once more",
        )
    return [_judge_source(answer.stdout)]


def _judge_source(said: str) -> Finding:
    source = next((w for w in said.splitlines() if w.startswith("configuration: ")), "")
    missing = [w.removeprefix("missing: ") for w in said.splitlines() if w.startswith("missing: ")]
    if not source:
        raise UnreadableAnswer("what became of the configuration is not known", said[-300:])
    where = source.removeprefix("configuration: ")
    return judge(
        "recover.configuration",
        "PostgreSQL runs with the lost host's own configuration",
        passed=where in ("from the backup", "done before"),
        observed=where
        + (f"; not here, so replaced for now: {', '.join(missing)}" if missing else ""),
        expected=f"from the backup ({KEPT})",
        hint="it was not in the backup: settings, pg_hba.conf and drop-ins are those that the "
        "stages write; look at max_connections, memory, and who may come in",
        requirement="B3",
    )


def open_to_applications(ssh: Ssh) -> None:
    """Take the drill host's own firewall away."""
    ssh.run(["sh", "-c", _OPEN], sudo=True)
