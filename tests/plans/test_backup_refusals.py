"""What another hand made is adopted or refused, never overwritten silently (B3)."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from chronos_ops.facts.pgbackrest import (
    CONFIG_PATH,
    DEBIAN_CONFIG_PATH,
    PASSPHRASE_HASH,
    ConfigFile,
)
from chronos_ops.facts.secret_store import secret_hash
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.plan import Effect, Plan
from chronos_ops.model.question import ShellAnswer
from chronos_ops.plans import (
    access,
    archiving,
    cipher,
    identity,
    jobs,
    packages,
    pgbackrest_config,
    stanza,
)
from chronos_ops.plans.bucket import plan as plan_bucket
from tests.recorded_cases import example_settings, parsed

SETTINGS = example_settings()


def archiving_values(**changed: Any) -> dict[str, Any]:
    found = {
        "clusters": parsed("postgres_clusters", "debian-13"),
        "identity": parsed("postgres_identity", "debian-13"),
        "settings": parsed("postgres_settings", "unconfigured"),
        "files": parsed("postgres_config_files", "unconfigured"),
        "info": parsed("backup_info", "unconfigured"),
    }
    return found | changed


def with_setting(name: str, case: str = "unconfigured", **changed: Any) -> dict[str, Any]:
    settings: dict[str, Any] = parsed("postgres_settings", case)
    return settings | {name: replace(settings[name], **changed)}


def refusal(plan: Plan, *words: str) -> str:
    assert plan.refusals
    text = " / ".join(plan.refusals)
    for word in words:
        assert word in text
    return text


def test_alter_system_beats_a_drop_in_and_is_refused() -> None:
    values = archiving_values(settings=parsed("postgres_settings", "auto-conf"))
    text = refusal(
        archiving.plan(SETTINGS, values),
        "'/bin/true'",
        "postgresql.auto.conf",
        "ALTER SYSTEM RESET archive_command",
    )
    assert "RESET archive_mode" not in text  # there it says what we want


def test_an_archive_command_of_another_hand_is_refused() -> None:
    values = archiving_values(
        settings=with_setting("archive_command", value="cp %p /mnt/wal/%f", written=None)
    )
    refusal(archiving.plan(SETTINGS, values), "another's", "cp %p /mnt/wal/%f")


def test_another_stanza_is_refused_with_the_way_to_adopt_it() -> None:
    command = "pgbackrest --stanza=main archive-push %p"
    values = archiving_values(settings=with_setting("archive_command", value=command))
    refusal(archiving.plan(SETTINGS, values), "stanza 'main'", "set backup.stanza")


def test_a_restart_waits_for_a_running_backup() -> None:
    running = replace(parsed("backup_info", "unconfigured"), backup_running=True)
    refusal(archiving.plan(SETTINGS, archiving_values(info=running)), "a backup is running")
    values = archiving_values(
        roles=parsed("postgres_roles", "unconfigured"),
        secrets={SETTINGS.postgres.operator_password_secret: None},
        ports=None,
        ipv6=True,
    )
    assert access.plan(SETTINGS, values).effect is Effect.RESTART
    assert not access.plan(SETTINGS, values).refusals
    refusal(access.plan(SETTINGS, values | {"info": running}), "a backup is running")
    listening = parsed("postgres_settings", "debian-13")  # a reload or nothing: no reason to wait
    assert not access.plan(SETTINGS, values | {"info": running, "settings": listening}).refusals


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"source": "command line", "value": "off"}, "command line"),
        (
            {"written": "off", "written_in": "/etc/postgresql/17/main/conf.d/99-their.conf"},
            "read after ours",
        ),
    ],
)
def test_what_would_beat_our_drop_in_is_named(changed: dict[str, str], word: str) -> None:
    values = archiving_values(settings=with_setting("archive_mode", **changed))
    refusal(archiving.plan(SETTINGS, values), "archive_mode", word)


def test_a_standby_and_a_missing_include_are_refused() -> None:
    standby = replace(parsed("postgres_identity", "debian-13"), in_recovery=True)
    files = replace(parsed("postgres_config_files", "unconfigured"), includes_drop_ins=False)
    plan = archiving.plan(SETTINGS, archiving_values(identity=standby, files=files))
    refusal(plan, "standby", "include_dir")


def test_a_cluster_that_is_not_there_is_named_with_those_that_are() -> None:
    postgres = SETTINGS.postgres.model_copy(update={"cluster": "prod"})
    other = SETTINGS.model_copy(update={"postgres": postgres})
    refusal(archiving.plan(other, archiving_values()), "'prod'", "17/main on 5432")


def test_a_cron_job_of_pgbackrest_is_refused() -> None:
    foreign = parsed("scheduled_jobs", "cron")
    names = jobs.job_facts(SETTINGS)["texts"].question.argv[4:]  # type: ignore[union-attr]
    values = {
        "clusters": parsed("postgres_clusters", "debian-13"),
        "texts": dict.fromkeys(names),
        "foreign": foreign,
    }
    refusal(jobs.plan_jobs(SETTINGS, values), "/etc/cron.d/pgbackrest", "take it out")


def config_values(**files: ConfigFile) -> dict[str, Any]:
    return {
        "version": (2, 55, 1),
        "options": parsed("pgbackrest_backup_options", "debian-13"),
        "config": {file.path: file for file in files.values()},
        "ca": {pgbackrest_config.CA_PATH: None},
        "cores": 2,
        "clusters": parsed("postgres_clusters", "debian-13"),
        "keys": [],
        "host_hash": None,
        "kept_hash": "a" * 64,
    }


def their_file(path: str, text: str, **glob: str) -> ConfigFile:
    options = {"global": glob, "chronos": {"pg1-path": "/var/lib/postgresql/17/main"}}
    return ConfigFile(path, "640", "postgres:postgres", text, options)


def test_a_configuration_of_another_repository_is_refused() -> None:
    theirs = their_file(DEBIAN_CONFIG_PATH, "[global]\n", **{"repo1-path": "/mnt/backups"})
    refusal(pgbackrest_config.plan(SETTINGS, config_values(a=theirs)), DEBIAN_CONFIG_PATH)


TEXT = "[global]\nrepo1-path=/live\n[chronos]\npg1-path=/x\n"


def of_this_repository(**more: str) -> dict[str, Any]:
    """What is known where another hand configured this very repository."""
    there = {"repo1-path": "/live", "repo1-s3-bucket": SETTINGS.backup.bucket, **more}
    return config_values(a=their_file(CONFIG_PATH, TEXT, **there))


ENCRYPTED = {"repo1-cipher-type": "aes-256-cbc"}


def test_a_configuration_of_this_repository_is_adopted_and_kept() -> None:
    text = TEXT
    values = of_this_repository(**ENCRYPTED) | {"host_hash": "a" * 64}
    plan = pgbackrest_config.plan(SETTINGS, values)
    assert not plan.refusals
    assert plan.changes[-1].before.endswith(text)
    assert plan.changes[-1].undo[0].argv[-1] == CONFIG_PATH  # type: ignore[union-attr]


def test_another_passphrase_is_refused_before_the_live_configuration_is_overwritten() -> None:
    values = of_this_repository(**ENCRYPTED) | {"host_hash": "b" * 64}
    secret = SETTINGS.backup.cipher_secret
    refusal(pgbackrest_config.plan(SETTINGS, values), "another passphrase than", secret)
    lost = pgbackrest_config.plan(SETTINGS, values | {"kept_hash": None})
    refusal(lost, f"{secret} (which is not there)", "put-parameter")


@pytest.mark.parametrize("cipher_type", [{}, {"repo1-cipher-type": "none"}])
def test_a_repository_without_encryption_is_refused_with_the_way_out(
    cipher_type: dict[str, str],
) -> None:
    plan = pgbackrest_config.plan(SETTINGS, of_this_repository(**cipher_type))
    refusal(plan, "without encryption", "another backup.prefix")


def test_hashes_are_read_and_what_is_none_is_not_guessed() -> None:
    read = PASSPHRASE_HASH.parse
    assert read(ShellAnswer(0, "a" * 64 + "  -\n")) == "a" * 64
    assert read(ShellAnswer(0, "")) is None
    with pytest.raises(UnreadableAnswer):
        read(ShellAnswer(0, "sha256sum: no\n"))
    kept = secret_hash("/x").parse
    assert kept({"Parameter": {"Value": "s"}}) == hashlib.sha256(b"s").hexdigest()
    assert kept(None) is None


def test_options_in_conf_d_would_mix_with_ours() -> None:
    theirs = their_file("/etc/pgbackrest/conf.d/x.conf", "[global]\n", **{"process-max": "4"})
    refusal(pgbackrest_config.plan(SETTINGS, config_values(a=theirs)), "conf.d/x.conf")


def test_a_missing_pgbackrest_is_said() -> None:
    plan = pgbackrest_config.plan(SETTINGS, config_values() | {"version": None})
    refusal(plan, "not installed")


def test_a_new_passphrase_is_never_made_for_an_existing_repository() -> None:
    secret = SETTINGS.backup.cipher_secret
    lost = {"secrets": {secret: None}, "repo1": True, "repo2": False}
    refusal(cipher.plan(SETTINGS, lost), "repo1", "offline copy")
    clear = {"secrets": {secret: "String"}, "repo1": False, "repo2": False}
    refusal(cipher.plan(SETTINGS, clear), "SecureString")


def test_a_third_access_key_cannot_be_made() -> None:
    key = parsed("iam_access_keys", "debian-13")[0]
    values = {
        "exists": True,
        "keys": [key, key],
        "policy": parsed("iam_inline_policy", "debian-13"),
        "secrets": {"a": None, "b": None},
    }
    refusal(identity.plan(SETTINGS, values), "two access keys")


def test_a_bucket_elsewhere_is_refused() -> None:
    refusal(plan_bucket(SETTINGS, {"location": "eu-west-1"}), "eu-west-1", "cannot move")


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("wrong-passphrase", ("repo1", "passphrase")),
        ("access-denied", ("repo1", "403", "key valid")),
        ("debian-12", ("another cluster", "7711118657852843428")),
    ],
)
def test_a_stanza_that_cannot_be_read_is_never_made_anew(case: str, words: tuple[str, ...]) -> None:
    values = {
        "info": parsed("backup_info", case),
        "identity": parsed("postgres_identity", "debian-13"),
    }
    plan = stanza.plan(SETTINGS, values)
    assert plan.empty
    refusal(plan, *words)


def package_values(**changed: Any) -> dict[str, Any]:
    found = {
        "release": parsed("os_release", "debian-13"),
        "in_container": False,
        "clusters": [],
        "installed": {},
        "candidates": {"postgresql": "17+278", "pgbackrest": "2.55", "postgresql-17": "17.11"},
    }
    return found | changed


def test_postgres_in_a_container_is_refused() -> None:
    refusal(packages.plan(SETTINGS, package_values(in_container=True)), "container")


def test_a_release_that_is_not_known_is_refused() -> None:
    release = replace(parsed("os_release", "debian-13"), id="fedora", pretty_name="Fedora 43")
    refusal(packages.plan(SETTINGS, package_values(release=release)), "Fedora 43")


def test_an_extension_without_a_package_is_named() -> None:
    refusal(
        packages.plan(SETTINGS, package_values()), "postgresql-17-timescaledb", "apt.postgresql"
    )


def test_a_bare_host_gets_the_major_that_it_has_the_packages_of() -> None:
    postgres = SETTINGS.postgres.model_copy(update={"extensions": ("vector",)})
    settings = SETTINGS.model_copy(update={"postgres": postgres})
    values = package_values(candidates={}, installed={"postgresql-16": "16.9"})
    plan = packages.plan(settings, values)
    assert not plan.refusals  # no lists of apt yet
    change = plan.changes[0]
    assert change.title == "install pgbackrest, postgresql-16-pgvector"
    assert "known after apply" in change.after


def test_a_fresh_image_gets_its_package_lists_first() -> None:
    fresh: dict[str, Any] = {"installed": {}, "clusters": [], "candidates": {}}
    assert [c.id for c in packages.plan_lists(SETTINGS, fresh).changes] == ["packages.lists"]
    known = fresh | {"candidates": {"postgresql": "17+278", "pgbackrest": None}}
    assert packages.plan_lists(SETTINGS, known).noop_reason
    needless = fresh | {
        "installed": {"pgbackrest": "2.55.1-1"},
        "clusters": parsed("postgres_clusters", "debian-13"),
    }
    assert packages.plan_lists(SETTINGS, needless).empty
