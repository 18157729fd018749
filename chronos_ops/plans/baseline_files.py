"""The baseline's files: who may read and write what, cron, banners, shared memory, the journal."""

import re
from collections.abc import Mapping, Sequence

from chronos_ops.facts.audit_system import FileMode
from chronos_ops.model.plan import Change, Deed, RunCommand
from chronos_ops.plans.managed_file import States, file_change

CRON_ALLOW, AT_ALLOW = "/etc/cron.allow", "/etc/at.allow"
ISSUE, ISSUE_NET = "/etc/issue", "/etc/issue.net"
FSTAB = "/etc/fstab"
JOURNALD = "/etc/systemd/journald.conf.d/zz-chronos.conf"
DEBSUMS = "/etc/default/debsums"
FILES = (CRON_ALLOW, AT_ALLOW, ISSUE, ISSUE_NET, FSTAB, JOURNALD, DEBSUMS)
_HEAD = "# Written by chronos-ops: what is changed here by hand is taken back by the next run.\n"
_SHM = "/dev/shm"  # noqa: S108 - a mount, not a file
_SHM_OPTIONS = ("nodev", "nosuid", "noexec")
_BANNER = """\
*************************************************************************************
Access to this private system is for authorised users only. What is done here is
logged and monitored; records may be used as evidence. By continuing you consent to
this policy. Unauthorised access is prohibited by law.
*************************************************************************************
"""
_JOURNAL = """[Journal]
Storage=persistent
Compress=yes
SystemMaxUse=500M
ForwardToSyslog=yes
"""
# The most that each may have; what is stricter stays.
_MODES = {
    "/etc/crontab": 0o600,
    "/etc/cron.d": 0o700,
    "/etc/cron.hourly": 0o700,
    "/etc/cron.daily": 0o700,
    "/etc/cron.weekly": 0o700,
    "/etc/cron.monthly": 0o700,
    "/etc/ssh/sshd_config": 0o600,
    "/etc/sudoers.d": 0o750,
    "/boot/grub/grub.cfg": 0o600,
    "/root": 0o700,
    "/var/lib/postgresql": 0o750,
}


def plan_files(
    states: States,
    modes: Mapping[str, FileMode],
    mounts: Mapping[str, tuple[str, tuple[str, ...]]],
    groups: Mapping[str, object],
    crontabs: Sequence[str],
    operator: str,
) -> list[Change | None]:
    """Every change of the files' part. `crontabs`: users who have one already."""
    return [
        _modes(modes),
        _cron(states, CRON_ALLOW, "crontab" if "crontab" in groups else "root", crontabs, operator),
        _cron(states, AT_ALLOW, "daemon", (), operator),
        _banner(states, ISSUE),
        _banner(states, ISSUE_NET),
        _shared_memory(states, mounts),
        _checksums(states),
        file_change(
            "baseline.journal",
            "keep the journal on disk, within a bound, and hand it to rsyslog",
            "what happened before a reboot is known after it (CIS 6.1.2.4)",
            JOURNALD,
            _HEAD + _JOURNAL,
            states,
            then=(
                RunCommand(argv=("systemctl", "restart", "systemd-journald.service")),
                RunCommand(argv=("journalctl", "--flush")),
            ),
        ),
    ]


def _modes(modes: Mapping[str, FileMode]) -> Change | None:
    wide = [m for m in modes.values() if (most := _most(m.path)) is not None and m.mode & ~most]
    if not wide:
        return None

    def chmod(found: FileMode, mode: int) -> RunCommand:
        return RunCommand(argv=("chmod", f"{mode:04o}", found.path))

    return Change(
        id="baseline.modes",
        title="take bits from files that are root's alone, and from homes",
        why="jobs, keys and rules are not everybody's to read (CIS 2.4.1, 5.1.1, 1.4.2, 7.2.9)",
        deeds=tuple(chmod(m, m.mode & (_most(m.path) or 0)) for m in wide),
        undo=tuple(chmod(m, m.mode) for m in wide),
        before="".join(f"{m.mode:04o} {m.path}\n" for m in wide),
        after="".join(f"{m.mode & (_most(m.path) or 0):04o} {m.path}\n" for m in wide),
    )


def _most(path: str) -> int | None:
    if path.startswith("/etc/ssh/sshd_config.d/"):
        return 0o600
    if re.fullmatch(r"/home/[^/]+", path):  # Debian 12 makes them 0755
        return 0o750
    return _MODES.get(path)


def _cron(
    states: States, path: str, group: str, present: Sequence[str], operator: str
) -> Change | None:
    """Who has a crontab keeps the right to change it."""
    name = path.rpartition("/")[2].partition(".")[0]
    users = sorted({"root", operator, *present})
    return file_change(
        f"baseline.{name}-allow",
        f"leave {name} to {', '.join(users)}",
        "a job that stays is a way to stay (CIS 2.4.1.8, 2.4.2.1)",
        path,
        "".join(f"{user}\n" for user in users),
        states,
        mode="0640",
        group=group,
    )


def _banner(states: States, path: str) -> Change | None:
    return file_change(
        f"baseline.banner{'-net' if path == ISSUE_NET else ''}",
        f"warn in {path}, and tell nothing of the system",
        "who comes in has been told (CIS 1.6.2, 1.6.3)",
        path,
        _BANNER,
        states,
        mode="0644",
    )


def _checksums(states: States) -> Change | None:
    """Files of packages are compared with what was installed, once a week."""
    former = states[DEBSUMS]
    if former is None:
        return None
    text = re.sub(r"(?m)^#?\s*CRON_CHECK=.*$", "CRON_CHECK=weekly", former.text)
    return file_change(
        "baseline.debsums",
        "compare the files of packages with what was installed, weekly",
        "a changed program is told (lynis PKGS-7370)",
        DEBSUMS,
        text,
        states,
    )


def _shared_memory(
    states: States, mounts: Mapping[str, tuple[str, tuple[str, ...]]]
) -> Change | None:
    """In fstab for the next boot, and now. PostgreSQL maps no code from there."""
    if _SHM not in mounts or (former := states[FSTAB]) is None:
        return None
    text = with_shared_memory(former.text)
    running = mounts[_SHM][1]
    missing = [option for option in _SHM_OPTIONS if option not in running]
    if text == former.text and not missing:
        return None
    now: tuple[Deed, ...] = (_remount(_SHM_OPTIONS),) if missing else ()
    back: tuple[Deed, ...] = (
        (_remount([_opposite(o) if o in missing else o for o in _SHM_OPTIONS]),) if missing else ()
    )
    change = file_change(
        "baseline.shared-memory",
        f"let {_SHM} hold no programs",
        "every process may write there (CIS 1.1.2.2)",
        FSTAB,
        text,
        states,
        then=now,
    )
    if change is None:  # the file says it, the mount does not
        return Change(
            id="baseline.shared-memory",
            title=f"remount {_SHM} without programs",
            why="every process may write there (CIS 1.1.2.2)",
            deeds=now,
            undo=back,
            before=",".join(running) + "\n",
            after=",".join(_SHM_OPTIONS) + "\n",
        )
    return change.model_copy(update={"undo": (change.undo[0], *back)})


def _remount(options: Sequence[str]) -> RunCommand:
    return RunCommand(argv=("mount", "-o", f"remount,{','.join(options)}", _SHM))


def _opposite(option: str) -> str:
    return {"nodev": "dev", "nosuid": "suid", "noexec": "exec"}[option]


def with_shared_memory(text: str) -> str:
    """fstab with our options for shared memory; other lines stay."""
    wanted = f"tmpfs {_SHM} tmpfs defaults,{','.join(_SHM_OPTIONS)} 0 0"
    lines = text.splitlines()
    for number, line in enumerate(lines):
        words = line.split()
        if len(words) >= 4 and not line.lstrip().startswith("#") and words[1] == _SHM:
            options = [w for w in words[3].split(",") if w not in ("dev", "suid", "exec")]
            options += [option for option in _SHM_OPTIONS if option not in options]
            if options != words[3].split(","):
                words[3] = ",".join(options)
                lines[number] = " ".join(words)
            return "\n".join(lines) + "\n"
    return "\n".join([*lines, wanted]) + "\n"
