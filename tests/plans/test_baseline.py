"""The baseline: texts that it edits, an exact undo, and what it leaves alone."""

from chronos_ops.facts.audit_system import FileMode, Sysctl
from chronos_ops.facts.files import FileState
from chronos_ops.facts.postgres import Cluster, Setting
from chronos_ops.model.plan import RemoveFile, RunCommand, WriteFile
from chronos_ops.plans import baseline_accounts, baseline_files, baseline_kernel
from chronos_ops.plans.managed_file import file_change, lines_set
from chronos_ops.plans.postgres_baseline import POSTGRES_CHECKSUMS

OLD = FileState("old\n", "0600", "root", "adm")


def test_a_file_that_was_there_comes_back_with_owner_and_mode() -> None:
    change = file_change("x", "t", "w", "/etc/x", "new\n", {"/etc/x": OLD})
    assert change is not None
    (write,) = change.deeds
    assert write == WriteFile(
        path="/etc/x", content="new\n", owner="root", group="adm", mode="0600"
    )
    assert change.undo == (
        WriteFile(path="/etc/x", content="old\n", owner="root", group="adm", mode="0600"),
    )


def test_a_file_that_was_not_there_goes_and_one_that_is_right_stays() -> None:
    change = file_change("x", "t", "w", "/etc/x", "new\n", {"/etc/x": None})
    assert change is not None
    assert change.undo == (RemoveFile(path="/etc/x"),)
    assert file_change("x", "t", "w", "/etc/x", "old\n", {"/etc/x": OLD}) is None
    wider = file_change("x", "t", "w", "/etc/x", "old\n", {"/etc/x": OLD}, mode="0644")
    assert wider is not None


def test_login_defs_keeps_its_comments_and_its_order() -> None:
    text = "# PASS_MAX_DAYS is this\nPASS_MAX_DAYS\t99999\nUMASK 022\nPASS_MAX_DAYS 5\nX y\n"
    wanted = {"PASS_MAX_DAYS": "365", "UMASK": "027", "NEW": "1"}
    assert lines_set(text, wanted) == (
        "# PASS_MAX_DAYS is this\nPASS_MAX_DAYS\t365\nUMASK\t027\nX y\nNEW\t1\n"
    )
    assert lines_set(lines_set(text, wanted), wanted) == lines_set(text, wanted)


def test_the_umask_is_set_where_debian_12_has_no_line_and_where_13_has_one() -> None:
    without = "session required pam_unix.so\n"
    there = "session optional\t\t\tpam_umask.so\nsession required pam_unix.so\n"
    for text in (without, there):
        done = baseline_accounts.with_umask(text)
        assert done.count("pam_umask.so umask=027 nousergroups") == 1
        assert baseline_accounts.with_umask(done) == done


def test_nullok_goes_from_lines_that_count() -> None:
    text = "# pam_unix.so nullok\nauth [success=1] pam_unix.so nullok try_first_pass\n"
    done = baseline_accounts.without_nullok(text)
    assert done == "# pam_unix.so nullok\nauth [success=1] pam_unix.so try_first_pass\n"


def test_su_asks_for_the_group_only_after_root_has_passed() -> None:
    text = "auth sufficient pam_rootok.so\n@include common-auth\n"
    done = baseline_accounts.with_wheel(text)
    assert done.splitlines()[1].split()[:3] == ["auth", "required", "pam_wheel.so"]
    assert baseline_accounts.with_wheel(done) == done
    assert baseline_accounts.with_wheel("@include common-auth\n") == "@include common-auth\n"


def test_what_could_close_sudo_or_logins_is_guarded_and_its_undo_needs_no_secret() -> None:
    states = dict.fromkeys(baseline_accounts.FILES, OLD)
    guarded = [c for c in baseline_accounts.plan_accounts(states) if c is not None and c.guard]
    assert {"baseline.sudo", "baseline.pam-umask"} <= {change.id for change in guarded}
    for change in guarded:
        for deed in change.undo:
            assert isinstance(deed, WriteFile | RemoveFile | RunCommand)
    sudo = next(change for change in guarded if change.id == "baseline.sudo")
    looked = [d.argv[0] for d in sudo.deeds if isinstance(d, RunCommand)]
    assert looked == ["visudo", "mv"]  # never in place before visudo has read it


def test_homes_of_debian_12_lose_what_others_could_read_and_stricter_ones_stay() -> None:
    modes = {
        path: FileMode(path, mode, "admin", "admin")
        for path, mode in (("/home/admin", 0o755), ("/home/x", 0o700), ("/home/admin/.ssh", 0o755))
    }
    change = baseline_files._modes(modes)
    assert change is not None
    assert change.deeds == (RunCommand(argv=("chmod", "0750", "/home/admin")),)
    assert change.undo == (RunCommand(argv=("chmod", "0755", "/home/admin")),)


def test_fstab_gets_shared_memorys_options_once() -> None:
    none = "# static\nUUID=1 / ext4 defaults 0 1\n"
    done = baseline_files.with_shared_memory(none)
    assert "tmpfs /dev/shm tmpfs defaults,nodev,nosuid,noexec 0 0" in done
    assert baseline_files.with_shared_memory(done) == done
    there = "tmpfs /dev/shm tmpfs size=1G,exec 0 0\n"
    assert baseline_files.with_shared_memory(there).split()[3] == "size=1G,nodev,nosuid,noexec"


def seen(**values: str) -> dict[str, Sysctl]:
    return {name.replace("__", "."): Sysctl(value, True) for name, value in values.items()}


def test_a_stricter_value_stays_a_read_only_one_is_left_and_containers_keep_their_routes() -> None:
    parameters = seen(kernel__yama__ptrace_scope="3", net__ipv4__ip_forward="1")
    parameters["kernel.kptr_restrict"] = Sysctl("0", False)
    assert baseline_kernel.wanted_sysctls(parameters) == {
        "kernel.yama.ptrace_scope": "3",
        "net.ipv4.ip_forward": "0",
    }
    assert "net.ipv4.ip_forward" not in baseline_kernel.wanted_sysctls(parameters, routes=True)


def test_ufws_own_sysctl_file_agrees_and_the_running_values_come_back() -> None:
    text = "# comment\nnet/ipv4/conf/all/log_martians=0\nnet/ipv4/tcp_sack=1\n"
    wanted = {"net.ipv4.conf.all.log_martians": "1"}
    assert "log_martians=1\nnet/ipv4/tcp_sack=1" in baseline_kernel.agreeing(text, wanted)
    parameters = seen(net__ipv4__conf__all__log_martians="0")
    states: dict[str, FileState | None] = dict.fromkeys(baseline_kernel.FILES)
    states[baseline_kernel.UFW_SYSCTL] = FileState(text, "0644", "root", "root")
    change = baseline_kernel.plan_kernel(parameters, states, routes=False)[0]
    assert change is not None
    assert change.undo[-1] == RunCommand(
        argv=("sysctl", "-q", "-w", "net.ipv4.conf.all.log_martians=0")
    )


def test_checksums_need_a_stop_and_never_break_a_backup() -> None:
    class Identity:
        data_checksums = False

    class Busy:
        backup_running = True

    from tests.recorded_cases import example_settings

    cluster = Cluster("17", "main", 5432, "online", "postgres", "/var/lib/postgresql/17/main")
    values = {"clusters": [cluster], "identity": Identity(), "info": Busy()}
    plan = POSTGRES_CHECKSUMS.plan(example_settings(), values)
    assert plan.effect == "stop"
    assert "a backup is running" in plan.refusals[0]
    assert [d.argv[0] for d in plan.changes[0].undo if isinstance(d, RunCommand)] == [
        "systemctl",
        "/usr/lib/postgresql/17/bin/pg_checksums",
        "systemctl",
    ]


def setting(name: str, value: str) -> Setting:
    context = "postmaster" if "preload" in name else "sighup"
    return Setting(name, value, "", context, "default", "", False, None, "")


def test_pgaudit_joins_what_is_preloaded_already() -> None:
    from chronos_ops.plans.postgres_baseline import wanted_audit

    libraries, classes = wanted_audit(
        {"shared_preload_libraries": setting("shared_preload_libraries", "timescaledb,age")}
    )
    assert libraries.value == "timescaledb, age, pgaudit"
    assert classes.value == "ddl,role"
