"""Ways to break a hardened host: for each control what spoils it alone, and what mends it.

Shell, run as root. `sql` lines go to PostgreSQL; settings are reloaded at the end of a round.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Break:
    """One control, the command that makes it alone fail, and the command that mends it."""

    control: str
    spoil: str
    mend: str


def _sshd(control: str, line: str, prefix: str = "00-a") -> Break:
    """A drop-in that is read before ours."""
    path = f"/etc/ssh/sshd_config.d/{prefix}-{control}.conf"
    return Break(f"ssh.{control}", f"umask 077; echo '{line}' > {path}", f"rm -f {path}")


def _door(control: str, line: str) -> Break:
    """What our drop-in repeats for all is beaten by a Match block before it alone."""
    return _sshd(control, f"Match all\n{line}")


def _password(control: str, name: str, right: str) -> Break:
    return Break(control, f"usermod -p '$y$j9T$x$y' {name}", f"usermod -p '{right}' {name}")


def _file(control: str, path: str, text: str, mode: str = "0644") -> Break:
    return Break(control, f"echo '{text}' > {path}; chmod {mode} {path}", f"rm -f {path}")


def _mode(control: str, path: str, wrong: str, right: str) -> Break:
    return Break(control, f"chmod {wrong} {path}", f"chmod {right} {path}")


def _line(control: str, path: str, right: str, wrong: str) -> Break:
    """One text in a file for another (no slashes, no dots of meaning)."""
    return Break(
        control, f"sed -i 's/{right}/{wrong}/' {path}", f"sed -i 's/{wrong}/{right}/' {path}"
    )


def _account(control: str, file: str, line: str) -> Break:
    name = line.partition(":")[0]
    return Break(control, f"echo '{line}' >> /etc/{file}", f"sed -i '/^{name}:/d' /etc/{file}")


def _sysctl(control: str, name: str, wrong: int, right: int) -> Break:
    return Break(
        f"network.{control}", f"sysctl -q -w {name}={wrong}", f"sysctl -q -w {name}={right}"
    )


def _setting(control: str, name: str, wrong: str) -> Break:
    return Break(
        f"postgres.{control}",
        f'sql "ALTER SYSTEM SET {name} = {wrong}"',
        f'sql "ALTER SYSTEM RESET {name}"',
    )


def _sql(control: str, wrong: str, right: str) -> Break:
    return Break(f"postgres.{control}", f'sql "{wrong}"', f'sql "{right}"')


def _hba(control: str, line: str, mark: str) -> Break:
    """A line at the head of pg_hba.conf, told by a role of its own."""
    return Break(
        f"postgres.{control}",
        f'sed -i "1i {line}" $HBA',
        f'sed -i "/ {mark} /d" $HBA',
    )


_JOURNAL = "/etc/systemd/journald.conf.d/zzz-{}.conf"
_APT = "/etc/apt/apt.conf.d/zz-break-{}"
_SUDO = "/etc/sudoers.d/zzz-{}"

SSH = (
    _door("password-authentication", "PasswordAuthentication yes"),
    _door("keyboard-interactive", "KbdInteractiveAuthentication yes"),
    _door("root-login", "PermitRootLogin prohibit-password"),
    _door("empty-passwords", "PermitEmptyPasswords yes"),
    _door("host-based", "HostbasedAuthentication yes"),
    _sshd("rhosts", "IgnoreRhosts no"),
    _door("gssapi", "GSSAPIAuthentication yes"),
    _sshd("user-environment", "PermitUserEnvironment yes"),
    _sshd("use-pam", "UsePAM no"),
    _sshd("ciphers", "Ciphers aes256-ctr,aes128-cbc"),
    _sshd("macs", "MACs hmac-sha2-256,hmac-sha1"),
    _sshd("kex", "KexAlgorithms curve25519-sha256,ecdh-sha2-nistp256"),
    _sshd("host-key-algorithms", "HostKeyAlgorithms ssh-ed25519,ecdsa-sha2-nistp256"),
    _sshd("max-auth-tries", "MaxAuthTries 10"),
    _sshd("login-grace-time", "LoginGraceTime 300"),
    _sshd("client-alive", "ClientAliveInterval 0"),
    _sshd("max-startups", "MaxStartups 100:30:200", "zz"),  # of this one sshd takes the last
    _sshd("max-sessions", "MaxSessions 100"),
    _sshd("log-level", "LogLevel QUIET"),
    _sshd("banner", "Banner none"),
    _sshd("forwarding", "AllowTcpForwarding yes"),
    _sshd("key-files", "AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/more/%u"),
    _sshd("key-commands", "AuthorizedKeysCommand /bin/false\nAuthorizedKeysCommandUser nobody"),
    _sshd("authorities", "TrustedUserCAKeys /etc/ssh/ssh_host_ed25519_key.pub"),
    _mode("ssh.config-files", "/etc/ssh/sshd_config", "0644", "0600"),
    _mode("ssh.host-key-files", "/etc/ssh/ssh_host_rsa_key.pub", "0664", "0644"),
    Break(
        "ssh.allowed-users",
        "mkdir -p /var/backups/.ssh; cp ~admin/.ssh/authorized_keys /var/backups/.ssh",
        "rm -rf /var/backups/.ssh",
    ),
    Break(
        "ssh.authorized-key-strength",
        "ssh-keygen -q -t rsa -b 1024 -N '' -C weak -f /root/weak; "
        "cat /root/weak.pub >> ~admin/.ssh/authorized_keys; rm -f /root/weak /root/weak.pub",
        "sed -i '/ weak$/d' ~admin/.ssh/authorized_keys",
    ),
    _mode("ssh.authorized-key-files", "~admin/.ssh/authorized_keys", "0644", "0600"),
)
FIREWALL = (
    _line(
        "firewall.default-deny", "/etc/default/ufw", 'INPUT_POLICY="DROP', 'INPUT_POLICY="ACCEPT'
    ),
    Break(
        "firewall.kernel-v4",
        "nft 'add chain ip filter INPUT { policy accept ; }'",
        "nft 'add chain ip filter INPUT { policy drop ; }'",
    ),
    Break(
        "firewall.kernel-v6",
        "nft 'add chain ip6 filter INPUT { policy accept ; }'",
        "nft 'add chain ip6 filter INPUT { policy drop ; }'",
    ),
    _line("firewall.logging", "/etc/ufw/ufw.conf", "LOGLEVEL=low", "LOGLEVEL=off"),
    Break(
        "firewall.listeners",
        "systemd-run -q --unit=break-listen python3 -m http.server 8081; "
        "while ! ss -Hltn sport = :8081 | grep -q .; do :; done",
        "systemctl stop break-listen 2>/dev/null || :",
    ),
    Break(
        "bans.operators-ignored",
        "fail2ban-client set sshd delignoreip ${NETWORK%/32}",
        "fail2ban-client set sshd addignoreip ${NETWORK%/32}",
    ),
    Break(
        "bans.ban-time",
        "fail2ban-client set sshd bantime 60",
        "fail2ban-client set sshd bantime 3600",
    ),
)
ACCOUNTS = (
    _account("accounts.gid-zero", "passwd", "breakg:x:2001:0::/nonexistent:/usr/sbin/nologin"),
    _account("accounts.groups-exist", "passwd", "breakx:x:2002:4242::/none:/usr/sbin/nologin"),
    _account("accounts.empty-passwords", "shadow", "breake::20000:0:99999:7:::"),
    _account("accounts.hashes", "shadow", "breakh:$1$salt$hash:20000:0:99999:7:::"),
    _password("accounts.root-locked", "root", "*"),
    _password("accounts.key-only", "auditee", "!"),
    Break(
        "accounts.system-shells", "usermod -s /bin/bash games", "usermod -s /usr/sbin/nologin games"
    ),
    _password("accounts.shellless-locked", "man", "*"),
    Break(
        "accounts.postgres-login",
        "mkdir -p ~postgres/.ssh; cp ~admin/.ssh/authorized_keys ~postgres/.ssh",
        "rm -rf ~postgres/.ssh",
    ),
    Break(
        "accounts.unique",
        "echo 'audio:x:29:' >> /etc/group",
        "sed -i '${/^audio:/d}' /etc/group",
    ),
    Break("accounts.shadow-group", "gpasswd -a backup shadow", "gpasswd -d backup shadow"),
    _line(
        "accounts.password-max-days",
        "/etc/login.defs",
        "PASS_MAX_DAYS\\t365",
        "PASS_MAX_DAYS\\t99999",
    ),
    _line(
        "accounts.password-min-days", "/etc/login.defs", "PASS_MIN_DAYS\\t1", "PASS_MIN_DAYS\\t0"
    ),
    _line("accounts.password-warning", "/etc/login.defs", "PASS_WARN_AGE\\t7", "PASS_WARN_AGE\\t0"),
    _line("accounts.hash-method", "/etc/login.defs", "METHOD YESCRYPT", "METHOD MD5"),
    Break("accounts.ageing-locks-nobody", "chage -E 30000 admin", "chage -E -1 admin"),
    _line("accounts.umask", "/etc/pam.d/common-session", "umask=027", "umask=002"),
    Break(
        "accounts.shell-timeout",
        "mv /etc/profile.d/chronos-timeout.sh /root/",
        "mv /root/chronos-timeout.sh /etc/profile.d/",
    ),
    Break(
        "accounts.pam-nullok",
        "sed -i 's/pam_unix.so/pam_unix.so nullok/' /etc/pam.d/common-auth",
        "sed -i 's/ nullok//' /etc/pam.d/common-auth",
    ),
    _line(
        "accounts.su", "/etc/pam.d/su", "auth       required   pam_wheel", "auth optional pam_wheel"
    ),
    _mode("accounts.home-modes", "/home/admin", "0755", "0700"),
    Break("accounts.dot-files", "umask 077; touch ~auditee/.netrc", "rm -f ~auditee/.netrc"),
    _file("sudo.use-pty", _SUDO.format("pty"), "Defaults !use_pty", "0440"),
    _file("sudo.log-file", _SUDO.format("log"), "Defaults !logfile", "0440"),
    _file("sudo.no-password", _SUDO.format("np"), "auditee ALL=(ALL) NOPASSWD: ALL", "0440"),
    _file("sudo.authenticate", _SUDO.format("auth"), "Defaults:auditee !authenticate", "0440"),
    _file("sudo.timestamp", _SUDO.format("time"), "Defaults timestamp_timeout=60", "0440"),
    _mode("sudo.files", "/etc/sudoers.d/README", "0644", "0440"),
    _file("sudo.everybody", _SUDO.format("all"), "ALL ALL=(ALL) /usr/bin/true", "0440"),
    _file("sudo.environment", _SUDO.format("env"), "Defaults !env_reset", "0440"),
)
FILES = (
    _mode("filesystem.accounts", "/etc/shells", "0664", "0644"),
    _mode("filesystem.shadow", "/etc/security/opasswd", "0644", "0600"),
    _mode("filesystem.crontab", "/etc/crontab", "0644", "0600"),
    _mode("filesystem.cron-folders", "/etc/cron.d", "0755", "0700"),
    Break("filesystem.cron-users", "touch /etc/cron.deny", "rm -f /etc/cron.deny"),
    _mode("filesystem.banner-modes", "/etc/issue", "0664", "0644"),
    Break(
        "filesystem.banners", "echo Debian >> /etc/issue.net", "sed -i '/Debian/d' /etc/issue.net"
    ),
    _file("filesystem.world-writable", "/var/tmp/break-w", "x", "0666"),
    Break(
        "filesystem.unowned",
        "touch /var/tmp/break-u; chown 4242:4242 /var/tmp/break-u",
        "rm -f /var/tmp/break-u",
    ),
    Break(
        "filesystem.suid",
        "cp /bin/true /usr/local/bin/break-s; chmod 4755 /usr/local/bin/break-s",
        "rm -f /usr/local/bin/break-s",
    ),
    Break(
        "filesystem.shm",
        "mount -o remount,nosuid,nodev,exec /dev/shm",
        "mount -o remount,nosuid,nodev,noexec /dev/shm",
    ),
    Break(
        "filesystem.tmp",
        "mount -o remount,suid,nodev /tmp",
        "mount -o remount,nosuid,nodev /tmp",
    ),
    _mode("filesystem.root-home", "/root", "0755", "0700"),
)
KERNEL = (
    _sysctl("send-redirects", "net.ipv4.conf.all.send_redirects", 1, 0),
    _sysctl("bogus-errors", "net.ipv4.icmp_ignore_bogus_error_responses", 0, 1),
    _sysctl("broadcasts", "net.ipv4.icmp_echo_ignore_broadcasts", 0, 1),
    _sysctl("accept-redirects", "net.ipv6.conf.all.accept_redirects", 1, 0),
    _sysctl("secure-redirects", "net.ipv4.conf.all.secure_redirects", 1, 0),
    _sysctl("reverse-path", "net.ipv4.conf.default.rp_filter", 0, 1),
    _sysctl("source-routes", "net.ipv4.conf.all.accept_source_route", 1, 0),
    _sysctl("martians", "net.ipv4.conf.all.log_martians", 0, 1),
    _sysctl("syn-cookies", "net.ipv4.tcp_syncookies", 0, 1),
    _sysctl("router-advertisements", "net.ipv6.conf.default.accept_ra", 1, 0),
    _line(
        "kernel.file-systems", "/etc/modprobe.d/chronos-unused.conf", "install udf", "#nstall udf"
    ),
    _line(
        "kernel.removable-storage",
        "/etc/modprobe.d/chronos-unused.conf",
        "install usb-storage",
        "#nstall usb-storage",
    ),
    _line("network.protocols", "/etc/modprobe.d/chronos-unused.conf", "install rds", "#nstall rds"),
    _file("kernel.core-limit", "/etc/security/limits.d/zz-break.conf", "* hard core unlimited"),
    _file(
        "kernel.core-store",
        "/etc/systemd/coredump.conf.d/zzz-break.conf",
        "[Coredump]\nStorage=external",
    ),
)
SERVICES = (
    Break(
        "services.none-failed",
        "systemd-run -q --unit=break-failed -p Type=oneshot false || :",
        "systemctl reset-failed break-failed 2>/dev/null || :",
    ),
    Break("services.cron", "systemctl stop cron", "systemctl start cron"),
    _file("logging.journal-persistent", _JOURNAL.format("p"), "[Journal]\nStorage=auto"),
    _file("logging.journal-size", _JOURNAL.format("s"), "[Journal]\nSystemMaxUse="),
    _file("logging.journal-compressed", _JOURNAL.format("c"), "[Journal]\nCompress=no"),
    _file("logging.journal-forward", _JOURNAL.format("f"), "[Journal]\nForwardToSyslog=no"),
    _file("logging.file-mode", "/etc/rsyslog.d/zz-break-1.conf", "$FileCreateMode 0644"),
    _file("logging.no-reception", "/etc/rsyslog.d/zz-break-2.conf", 'module(load="imudp")'),
    Break(
        "logging.rotation",
        "mv /etc/logrotate.d/rsyslog /root/",
        "mv /root/rsyslog /etc/logrotate.d/",
    ),
    _file("logging.files", "/var/log/break.log", "x", "0644"),
    _file("updates.automatic", _APT.format(1), 'APT::Periodic::Unattended-Upgrade "0";'),
    _file("updates.signed", _APT.format(2), 'Acquire::AllowInsecureRepositories "true";'),
    _file("updates.no-reboot", _APT.format(3), 'Unattended-Upgrade::Automatic-Reboot "true";'),
    _file("updates.security-origin", _APT.format(4), "#clear Unattended-Upgrade::Origins-Pattern;"),
    Break(
        "updates.timers",
        "systemctl stop apt-daily-upgrade.timer",
        "systemctl start apt-daily-upgrade.timer",
    ),
    _file("updates.reboot-done", "/run/reboot-required", "*** System restart required ***"),
    _file("secrets.files", "/root/break.pem", "-----BEGIN PRIVATE KEY-----"),
    Break(
        "secrets.arguments",
        "systemd-run -q --unit=break-argument sh -c 'sleep 600; :' sh --password=x",
        "systemctl stop break-argument 2>/dev/null || :",
    ),
)
POSTGRES = (
    _setting("log-connections", "log_connections", "off"),
    _setting("log-disconnections", "log_disconnections", "off"),
    _setting("log-prefix", "log_line_prefix", "'%m [%p] '"),
    _setting("log-statement", "log_statement", "'ddl'"),
    _setting("log-level", "log_min_messages", "'fatal'"),
    _setting("log-error-statement", "log_min_error_statement", "'fatal'"),
    _setting("log-verbosity", "log_error_verbosity", "'verbose'"),
    _setting("log-hostname", "log_hostname", "on"),
    _setting("log-zone", "log_timezone", "'Europe/Berlin'"),
    _setting("log-checkpoints", "log_checkpoints", "off"),
    _setting("log-lock-waits", "log_lock_waits", "off"),
    _setting("log-replication", "log_replication_commands", "off"),
    _setting("no-debug-output", "debug_print_plan", "on"),
    _setting("pgaudit-classes", "pgaudit.log", "'read'"),
    _setting("password-encryption", "password_encryption", "'md5'"),
    _setting("authentication-timeout", "authentication_timeout", "'300s'"),
    _setting("durability", "full_page_writes", "off"),
    _setting("tls-version", "ssl_min_protocol_version", "'TLSv1.1'"),
    _setting("no-pending-restart", "max_connections", "99"),
    _sql("superusers", "CREATE ROLE break_su SUPERUSER", "DROP ROLE IF EXISTS break_su"),
    _sql(
        "no-md5",
        "CREATE ROLE break_md PASSWORD 'md599e8713364988502fa6189781bcf648f'",
        "DROP ROLE IF EXISTS break_md",
    ),
    _sql("role-attributes", "CREATE ROLE break_at LOGIN CREATEDB", "DROP ROLE IF EXISTS break_at"),
    _sql(
        "role-memberships",
        "CREATE ROLE break_me IN ROLE pg_write_all_data",
        "DROP ROLE IF EXISTS break_me",
    ),
    _sql(
        "public-schema",
        "GRANT CREATE ON SCHEMA public TO PUBLIC",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    ),
    _sql(
        "public-create",
        "GRANT CREATE ON DATABASE postgres TO PUBLIC",
        "REVOKE CREATE ON DATABASE postgres FROM PUBLIC",
    ),
    _sql(
        "public-tables",
        "CREATE TABLE break_t (); GRANT INSERT ON break_t TO PUBLIC",
        "DROP TABLE IF EXISTS break_t",
    ),
    _sql(
        "definer-functions",
        "CREATE FUNCTION break_f() RETURNS int LANGUAGE sql SECURITY DEFINER RETURN 1",
        "DROP FUNCTION IF EXISTS break_f",
    ),
    _hba("tls-only", "host x break_1 192.0.2.0/24 scram-sha-256", "break_1"),
    _hba("networks", "hostssl x break_2 0.0.0.0/0 scram-sha-256", "break_2"),
    _hba("remote-method", "hostssl x break_3 192.0.2.0/24 md5", "break_3"),
    _hba("local-method", "local x break_4 trust", "break_4"),
    _hba("superuser-remote", "hostssl break_5 postgres 192.0.2.0/24 scram-sha-256", "break_5"),
    _mode("postgres.data-directory", "$DATA", "0755", "0700"),
    _mode("postgres.config-files", "$HBA", "0644", "0640"),
    _mode("postgres.log-files", "$LOG", "0644", "0640"),
    _file("postgres.history", "/root/.psql_history", "SELECT 1", "0600"),
    _mode("backups.config-mode", "/etc/pgbackrest.conf", "0644", "0640"),
    Break(
        "backups.storage-verified",
        "echo 'repo1-storage-verify-tls=n' >> /etc/pgbackrest.conf",
        "sed -i '/verify-tls/d' /etc/pgbackrest.conf",
    ),
)

BREAKS = (*SSH, *FIREWALL, *ACCOUNTS, *FILES, *KERNEL, *SERVICES, *POSTGRES)

HEAD = """set -u
HBA=$(runuser -u postgres -- psql -XAtqc 'SHOW hba_file')
DATA=$(runuser -u postgres -- psql -XAtqc 'SHOW data_directory')
LOG=$(ls /var/log/postgresql/*-main.log)
NETWORK={network}
SQL=$(mktemp -p /run)
sql() {{ echo "$1;" >> "$SQL"; }}
"""
TAIL = """
cd /; chmod 0644 "$SQL"
runuser -u postgres -- psql -XAtq -f "$SQL" && runuser -u postgres -- psql -XAtqc \
'SELECT pg_reload_conf()' >/dev/null; rm -f "$SQL"
"""
