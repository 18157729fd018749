"""Controls of files and mounts."""

from chronos_ops.facts.audit_system import FileMode
from chronos_ops.model.control import Control, Verdict
from chronos_ops.model.settings import Settings
from chronos_ops.plans.controls.verdicts import (
    CIS,
    Judge,
    Values,
    control,
    judged,
    none_of,
    not_applicable,
)

_BASELINE = "stage `baseline`"
Modes = dict[str, FileMode]

# What Debian's and Ubuntu's packages install with the set-user or set-group bit.
_KNOWN_SUID = """
at bsd-write chage chfn chsh crontab dotlockfile expiry fusermount fusermount3 gpasswd
mount mount.cifs mount.nfs newgidmap newgrp newuidmap ntfs-3g passwd pkexec ping ping6
plocate mlocate screen ssh-agent su sudo umount wall write write.ul exim4 postdrop
postqueue dbus-daemon-launch-helper polkit-agent-helper-1 ssh-keysign unix_chkpwd pam-tmpdir-helper
pam_extrausers_chkpwd pam_timestamp_check snap-confine utempter camel-lock-helper-1.2
sudoedit lockspool sudo-rs su-rs eject
"""
_SYSTEM_PATHS = ("/usr/", "/bin/", "/sbin/", "/lib", "/snap/", "/opt/")
_ADMIN_GROUPS = ("root", "adm", "systemd-journal", "syslog")


def _at_most(paths: tuple[str, ...], mode: int, groups: tuple[str, ...] = ("root",)) -> Judge:
    """Each file that is there is root's, and has no bit beyond `mode`."""

    def judge(_: Settings, values: Values) -> Verdict:
        modes: Modes = values["modes"]
        wrong = [
            f"{m.path} {m.mode:o} {m.owner}:{m.group}"
            for m in (modes[p] for p in paths if p in modes)
            if m.mode & ~mode & 0o7777 or m.owner != "root" or m.group not in groups
        ]
        return none_of(wrong, f"root's, {mode:04o} or stricter")

    return judge


def _cron_users(_: Settings, values: Values) -> Verdict:
    modes: Modes = values["modes"]
    wrong = []
    for name in ("cron", "at"):
        allow = modes.get(f"/etc/{name}.allow")
        if allow is None:
            wrong.append(f"no /etc/{name}.allow")
        elif allow.mode & 0o137 or allow.owner != "root":
            wrong.append(f"{allow.path} {allow.mode:o} {allow.owner}")
        if f"/etc/{name}.deny" in modes:
            wrong.append(f"/etc/{name}.deny")
    return none_of(wrong, "cron.allow and at.allow, root's 0640; no cron.deny, no at.deny")


def _world_writable(_: Settings, values: Values) -> Verdict:
    return none_of(values["found"]["world"], "nothing is writable by everybody")


def _unowned(_: Settings, values: Values) -> Verdict:
    return none_of(values["found"]["unowned"], "every file has an owner and a group")


def _suid(_: Settings, values: Values) -> Verdict:
    wrong = [
        path
        for path in values["found"]["suid"]
        if path.rpartition("/")[2] not in _KNOWN_SUID.split() or not path.startswith(_SYSTEM_PATHS)
    ]
    return none_of(wrong, "no set-user or set-group program beside those of the system's packages")


def _mounted(path: str, *wanted: str) -> Judge:
    def judge(_: Settings, values: Values) -> Verdict:
        mounts: dict[str, tuple[str, tuple[str, ...]]] = values["mounts"]
        if path not in mounts:
            return judged(False, "not a mount of its own", ", ".join(wanted))
        options = mounts[path][1]
        missing = [option for option in wanted if option not in options]
        return judged(not missing, ",".join(options)[:120], ", ".join(wanted))

    return judge


def _grub(_: Settings, values: Values) -> Verdict:
    modes: Modes = values["modes"]
    found = modes.get("/boot/grub/grub.cfg")
    if found is None:
        return not_applicable("no /boot/grub/grub.cfg here", "root's, 0600")
    good = found.owner == "root" and not found.mode & 0o077
    return judged(good, f"{found.mode:o} {found.owner}", "root's, 0600")


def _root_home(_: Settings, values: Values) -> Verdict:
    found: FileMode = values["modes"]["/root"]
    return judged(
        found.owner == "root" and not found.mode & 0o077, f"{found.mode:o} {found.owner}", "0700"
    )


def _banners(_: Settings, values: Values) -> Verdict:
    text: str = values["banners"]
    tells = [
        word for word in ("\\n", "\\r", "\\m", "\\v", "\\s", "Debian", "Ubuntu") if word in text
    ]
    warns = all("authori" in part.lower() for part in text.split("==> ")[1:])
    said = (f"tells {', '.join(tells)}" if tells else "tells nothing of the system") + (
        "" if warns else "; no warning"
    )
    return judged(not tells and warns, said, "a warning, and nothing about the system")


_CRON = tuple(f"/etc/cron.{part}" for part in ("d", "hourly", "daily", "weekly", "monthly"))

CONTROLS: tuple[Control, ...] = (
    control(
        "filesystem.accounts",
        "The lists of accounts are root's to write",
        f"{CIS} 7.1.1, 7.1.2, 7.1.3, 7.1.4, 7.1.9",
        "modes",
        _at_most(
            ("/etc/passwd", "/etc/passwd-", "/etc/group", "/etc/group-", "/etc/shells"), 0o644
        ),
        "chown root:root, chmod 0644",
    ),
    control(
        "filesystem.shadow",
        "The password hashes are root's",
        f"{CIS} 7.1.5, 7.1.6, 7.1.7, 7.1.8, 7.1.10",
        "modes",
        _at_most(
            (
                "/etc/shadow",
                "/etc/shadow-",
                "/etc/gshadow",
                "/etc/gshadow-",
                "/etc/security/opasswd",
            ),
            0o640,
            ("root", "shadow"),
        ),
        "chown root:shadow, chmod 0640",
    ),
    control(
        "filesystem.crontab",
        "The system's crontab is root's alone",
        f"{CIS} 2.4.1.2",
        "modes",
        _at_most(("/etc/crontab",), 0o600),
        _BASELINE,
    ),
    control(
        "filesystem.cron-folders",
        "cron's folders are root's alone",
        f"{CIS} 2.4.1.3 to 2.4.1.7",
        "modes",
        _at_most(_CRON, 0o700),
        _BASELINE,
    ),
    control(
        "filesystem.cron-users",
        "cron and at are for named users",
        f"{CIS} 2.4.1.8, 2.4.2.1",
        "modes",
        _cron_users,
        _BASELINE,
    ),
    control(
        "filesystem.banner-modes",
        "The banners are root's to write",
        f"{CIS} 1.6.4, 1.6.5, 1.6.6",
        "modes",
        _at_most(("/etc/motd", "/etc/issue", "/etc/issue.net"), 0o644),
        "chown root:root, chmod 0644",
    ),
    control(
        "filesystem.banners",
        "The banners warn, and tell nothing",
        f"{CIS} 1.6.2, 1.6.3",
        "banners",
        _banners,
        _BASELINE,
    ),
    control(
        "filesystem.world-writable",
        "Nothing is writable by everybody",
        f"{CIS} 7.1.11",
        "found",
        _world_writable,
        "chmod o-w PATH; for a shared folder chmod +t",
    ),
    control(
        "filesystem.unowned",
        "Every file has an owner",
        f"{CIS} 7.1.12",
        "found",
        _unowned,
        "chown it, or remove it",
    ),
    control(
        "filesystem.suid",
        "Set-user and set-group programs are known ones",
        f"{CIS} 7.1.13",
        "found",
        _suid,
        "chmod u-s,g-s PATH, or remove it",
    ),
    control(
        "filesystem.tmp",
        "The temporary folder has no devices and no set-user programs",
        f"{CIS} 1.1.2.1.1, 1.1.2.1.2, 1.1.2.1.3",
        "mounts",
        _mounted(
            "/tmp",  # noqa: S108 - a mount, not a file
            "nodev",
            "nosuid",
        ),
        "systemctl enable tmp.mount (Debian 13's default), and reboot",
    ),
    control(
        "filesystem.shm",
        "Shared memory runs nothing",
        f"{CIS} 1.1.2.2.2, 1.1.2.2.3, 1.1.2.2.4",
        "mounts",
        _mounted(
            "/dev/shm",  # noqa: S108 - a mount, not a file
            "nodev",
            "nosuid",
            "noexec",
        ),
        _BASELINE,
    ),
    control(
        "filesystem.boot-loader",
        "The boot loader's configuration is root's alone",
        f"{CIS} 1.4.2",
        "modes",
        _grub,
        "chmod 0600 /boot/grub/grub.cfg",
    ),
    control(
        "filesystem.root-home",
        "Root's home is root's alone",
        f"{CIS} 7.2.9",
        "modes",
        _root_home,
        "chmod 0700 /root",
    ),
)
