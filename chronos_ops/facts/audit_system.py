"""Readings of the audit: kernel, mounts, files, services, logs, time, updates (H7)."""

from dataclasses import dataclass

from chronos_ops.facts.audit import Reading, rows
from chronos_ops.model.settings import Settings

# What the controls judge and the baseline sets. A value may be read-only (in a container).
SYSCTLS = (
    "fs.protected_fifos",
    "fs.protected_hardlinks",
    "fs.protected_regular",
    "fs.protected_symlinks",
    "fs.suid_dumpable",
    "dev.tty.ldisc_autoload",
    "kernel.core_uses_pid",
    "kernel.dmesg_restrict",
    "kernel.kptr_restrict",
    "kernel.perf_event_paranoid",
    "kernel.randomize_va_space",
    "kernel.sysrq",
    "kernel.unprivileged_bpf_disabled",
    "kernel.yama.ptrace_scope",
    "net.core.bpf_jit_harden",
    "net.ipv4.conf.all.accept_redirects",
    "net.ipv4.conf.all.accept_source_route",
    "net.ipv4.conf.all.log_martians",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.all.secure_redirects",
    "net.ipv4.conf.all.send_redirects",
    "net.ipv4.conf.default.accept_redirects",
    "net.ipv4.conf.default.accept_source_route",
    "net.ipv4.conf.default.log_martians",
    "net.ipv4.conf.default.rp_filter",
    "net.ipv4.conf.default.secure_redirects",
    "net.ipv4.conf.default.send_redirects",
    "net.ipv4.icmp_echo_ignore_broadcasts",
    "net.ipv4.icmp_ignore_bogus_error_responses",
    "net.ipv4.ip_forward",
    "net.ipv4.tcp_syncookies",
    "net.ipv6.conf.all.accept_ra",
    "net.ipv6.conf.all.accept_redirects",
    "net.ipv6.conf.all.accept_source_route",
    "net.ipv6.conf.all.forwarding",
    "net.ipv6.conf.default.accept_ra",
    "net.ipv6.conf.default.accept_redirects",
    "net.ipv6.conf.default.accept_source_route",
)

# Files of the system whose owner and mode are judged; `*` is expanded on the host.
FILES = (
    "/etc/passwd",
    "/etc/passwd-",
    "/etc/group",
    "/etc/group-",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/shells",
    "/etc/security/opasswd",
    "/etc/ssh/sshd_config",
    "/etc/ssh/sshd_config.d/*.conf",
    "/etc/ssh/ssh_host_*_key",
    "/etc/ssh/ssh_host_*_key.pub",
    "/etc/crontab",
    "/etc/cron.d",
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/etc/cron.monthly",
    "/etc/cron.allow",
    "/etc/cron.deny",
    "/etc/at.allow",
    "/etc/at.deny",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/sudoers.d/*",
    "/etc/motd",
    "/etc/issue",
    "/etc/issue.net",
    "/boot/grub/grub.cfg",
    "/root",
    "/var/lib/postgresql",
    "/etc/default/debsums",
    "/var/log/journal",
    "/var/log/sudo.log",
)

UNITS = (
    "apparmor.service",
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "apport.service",
    "auditd.service",
    "certbot.timer",
    "snap.certbot.renew.timer",
    "chrony.service",
    "cron.service",
    "fail2ban.service",
    "logrotate.timer",
    "ntpsec.service",
    "ntp.service",
    "rsyslog.service",
    "ssh.service",
    "ssh.socket",
    "systemd-journald.service",
    "systemd-timesyncd.service",
    "ufw.service",
    "unattended-upgrades.service",
    "chronos-backup-full.timer",
    "chronos-backup-diff.timer",
)

# Packages that a database host has no use for (CIS 2.1, 2.2), and those that it should have.
UNWANTED = (
    "autofs",
    "avahi-daemon",
    "bind9",
    "cups",
    "cups-daemon",
    "dnsmasq",
    "dovecot-imapd",
    "ftp",
    "inetutils-ftp",
    "inetutils-telnet",
    "isc-dhcp-server",
    "nfs-kernel-server",
    "nis",
    "prelink",
    "rpcbind",
    "rsh-client",
    "rsh-redone-client",
    "samba",
    "slapd",
    "snmpd",
    "squid",
    "talk",
    "telnet",
    "telnetd",
    "tftpd-hpa",
    "tnftp",
    "vsftpd",
    "xinetd",
    "xserver-common",
    "ypserv",
)
WANTED = ("rsyslog", "logrotate", "ufw", "fail2ban", "unattended-upgrades", "apparmor", "auditd")
MODULES = (
    "cramfs",
    "dccp",
    "firewire-core",
    "freevxfs",
    "hfs",
    "hfsplus",
    "jffs2",
    "rds",
    "sctp",
    "tipc",
    "udf",
    "usb-storage",
)


@dataclass(frozen=True)
class FileMode:
    """Owner, group and permission bits of a file."""

    path: str
    mode: int
    owner: str
    group: str


@dataclass(frozen=True)
class Sysctl:
    """A kernel parameter in effect, and whether this machine lets it be set."""

    value: str
    writable: bool


def _modes(text: str) -> dict[str, FileMode]:
    return {
        path: FileMode(path, int(mode, 8), owner, group)
        for mode, owner, group, path in rows(text, 4, " ")
    }


def _sysctls(text: str) -> dict[str, Sysctl]:
    found = {}
    for name, writable, value in rows(text, 3, " "):
        found[name] = Sysctl(value.strip(), writable == "w")
    if "net.ipv4.tcp_syncookies" not in found:
        raise ValueError("net.ipv4.tcp_syncookies is not there")
    return found


def _mounts(text: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {path: (kind, tuple(opts.split(","))) for path, kind, opts in rows(text, 3)}


def _units(text: str) -> dict[str, dict[str, str]]:
    found = {}
    for block in text.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        found[values["Id"]] = values
    return found


def _found(text: str) -> dict[str, list[str]]:
    """What `find` met, by kind: suid, world (writable), unowned."""
    found: dict[str, list[str]] = {"suid": [], "world": [], "unowned": []}
    for kind, path in rows(text, 2, " "):
        found[kind].append(path)
    return found


def _words(text: str) -> list[str]:
    return text.split()


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _upgradable(text: str) -> list[str]:
    head, *packages = _lines(text) or [""]
    if not head.startswith("Listing..."):
        raise ValueError(f"not apt's list: {head[:80]}")
    return packages


def _apt(text: str) -> dict[str, list[str]]:
    """Every value of each option; a list has several."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name and value:
            found.setdefault(name.rstrip(":"), []).append(value)
    if "APT::Architecture" not in found:
        raise ValueError("apt-config dump without APT::Architecture")
    return found


def _config(text: str) -> dict[str, str]:
    """Key=value lines; the last one wins, as in systemd's drop-ins."""
    found = {}
    for line in text.splitlines():
        key, separator, value = line.partition("=")
        if separator and not line.startswith(("#", ";")):
            found[key.strip()] = value.strip()
    return found


def _properties(text: str) -> dict[str, str]:
    found = _config(text)
    if not found:
        raise ValueError("no properties")
    return found


_SYSCTL = (
    "for n in {names}; do p=/proc/sys/$(echo $n | tr . /); [ -e $p ] || continue; "
    "w=r; [ -w $p ] && w=w; echo $n $w $(cat $p); done"
)
_STAT = 'for f in {files}; do [ -e "$f" ] && stat -L -c "%a %U %G %n" "$f"; done; :'
# One pass over the local file systems; what packages leave world-writable has the sticky bit.
_FIND = r"""places=$(findmnt -rno TARGET -t ext2,ext3,ext4,xfs,btrfs,overlay,tmpfs,zfs |
grep -vE '^/(run/host|run/credentials|run/user|run/lxcfs|proc|sys|dev)(/|$)') || exit 3
find $places -xdev \
\( -type f \( -perm -4000 -o -perm -2000 \) -printf 'suid %p\n' \) , \
\( \( -type f -o -type d \) -perm -0002 ! \( -type d -perm -1000 \) -printf 'world %p\n' \) , \
\( \( -nouser -o -nogroup \) -printf 'unowned %p\n' \) 2>/dev/null"""


def readings(_: Settings) -> tuple[Reading, ...]:
    """As root on the host."""
    show = "systemctl show --no-pager -p Id,LoadState,ActiveState,UnitFileState,Result "
    return (
        Reading("container", "systemd-detect-virt --container", str.strip, accept=(0, 1)),
        Reading(
            "container_engine",
            "command -v dockerd podman; ls -d /sys/class/net/docker0 2>/dev/null; :",
            _words,
        ),
        Reading("sysctl", _SYSCTL.format(names=" ".join(SYSCTLS)), _sysctls),
        Reading(
            "modules_off", "modprobe --showconfig | grep -E '^(install|blacklist) ' || :", _lines
        ),
        Reading("modules_loaded", "cut -d' ' -f1 /proc/modules 2>/dev/null || :", _words),
        Reading("mounts", "findmnt -rno TARGET,FSTYPE,OPTIONS", _mounts),
        Reading("modes", _STAT.format(files=" ".join(FILES)), _modes),
        Reading("found", _FIND, _found, accept=(0, 1)),
        Reading(
            "homes",
            "getent passwd | awk -F: '$3 >= 1000 && $3 < 65000 { print $6 }' | "
            "while read -r h; do [ -d $h ] && stat -c '%a %U %G %n' $h; "
            "for f in $h/.ssh $h/.ssh/authorized_keys $h/.netrc $h/.rhosts $h/.pgpass; do "
            "[ -e $f ] && stat -c '%a %U %G %n' $f; done; done; :",
            _modes,
        ),
        Reading(
            "core_limits",
            "cd /etc/security; cat limits.conf limits.d/*.conf 2>/dev/null | "
            "grep -E '^[^#]*[[:space:]]core[[:space:]]'",
            _lines,
            accept=(0, 1),
        ),
        Reading(
            "core_dumps", "systemd-analyze cat-config systemd/coredump.conf", _config, accept=(0, 1)
        ),
        Reading(
            "apparmor", "cat /sys/module/apparmor/parameters/enabled", str.strip, accept=(0, 1)
        ),
        Reading("banners", "head -n 20 /etc/issue /etc/issue.net", str),
        Reading(
            "profile",
            "cat /etc/profile /etc/profile.d/*.sh /etc/bash.bashrc 2>/dev/null",
            str,
            accept=(0, 1),
        ),
        Reading("units", show + " ".join(UNITS), _units),
        Reading("failed_units", "systemctl list-units --failed --plain --no-legend", _lines),
        Reading(
            "packages",
            "dpkg-query -W -f '${Package} ${db:Status-Status}\\n' "
            + " ".join((*UNWANTED, *WANTED))
            + " 2>/dev/null | sed -n 's/ installed$//p'",
            _words,
        ),
        Reading("journald", "systemd-analyze cat-config systemd/journald.conf", _config),
        Reading(
            "journal_place",
            "i=$(cat /etc/machine-id) && for d in /var/log /run/log; do "
            "[ ! -d $d/journal/$i ] || echo $d/journal/$i; done",
            _lines,
        ),
        Reading(
            "rsyslog",
            "grep -hvE '^[[:space:]]*(#|$)' /etc/rsyslog.conf /etc/rsyslog.d/*.conf",
            _lines,
            accept=(0, 2),
        ),
        Reading("logrotate", "ls /etc/logrotate.d", _words),
        Reading(  # a folder that is its owner's alone keeps what lies in it (certbot's)
            "log_modes",
            "find /var/log -mindepth 1 -type d ! -perm /0077 -prune "
            "-o -type f -perm /0137 -printf '%m %u %g %p\\n'",
            _modes,
        ),
        Reading("time", "timedatectl show", _properties),
        Reading(
            "apt",
            "all=$(apt-config dump --format '%F %v%n') && printf '%s\\n' \"$all\" "
            "| grep -E '^[A-Za-z]' | grep -vE '^Acquire::(Changelogs|IndexTargets|Snapshots)'",
            _apt,
        ),
        Reading(
            "apt_trusted",
            "cd /etc/apt; grep -srHiE '^[^#]*(trusted=yes|allow-insecure[=:] *yes|trusted: *yes)' "
            "sources.list sources.list.d",
            _lines,
            accept=(0, 1, 2),
        ),
        Reading(
            "apt_lists",
            "find /var/lib/apt/lists -maxdepth 1 -name '*Release' -mmin -10080 | head -n 1",
            _lines,
        ),
        Reading(
            "upgrades",  # `apt-get -s upgrade` takes a second of a processor, this a quarter
            "apt list --upgradable",
            _upgradable,
        ),
        Reading(
            "reboot_required",
            "ls /run/reboot-required /var/run/reboot-required 2>/dev/null || :",
            _lines,
        ),
    )
