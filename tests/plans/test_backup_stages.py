"""The stages, on answers recorded from a fresh host and from the same host after the runbook."""

from pathlib import Path
from typing import Any

import pytest

from chronos_ops.facts.lightsail_ports import OpenPort
from chronos_ops.model.hardening import ANYWHERE
from chronos_ops.model.plan import Effect, Plan, RunCommand, RunSql, WriteFile
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans import backup
from chronos_ops.plans.pgbackrest_config import CA_PATH, masked
from tests.recorded_cases import example_settings, parsed

CA = "-----BEGIN CERTIFICATE-----\nlab\n-----END CERTIFICATE-----\n"
CONFIGURED = "debian-13"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """As the lab's, whose answers were recorded."""
    ca = tmp_path / "ca.pem"
    ca.write_text(CA)
    declared = example_settings(
        host_s3_endpoint="s3.chronos-lab.internal",
        host_s3_port=4566,
        host_s3_uri_style="path",
        host_s3_ca=str(ca),
    )
    extensions = ("pg_stat_statements", "pg_trgm", "vector")
    postgres = declared.postgres.model_copy(update={"extensions": extensions})
    return declared.model_copy(update={"postgres": postgres})


def values(stage: Stage, settings: Settings, case: str) -> dict[str, Any]:
    """What the stage's facts were when `case` was recorded."""
    found: dict[str, Any] = {}
    for name, fact in stage.ask(settings).items():
        match fact.name:
            case "secrets":
                names = fact.question.arguments["ParameterFilters"][0]["Values"]  # type: ignore[union-attr]
                kind = "SecureString" if case == CONFIGURED else None
                found[name] = dict.fromkeys(names, kind)
            case "file_texts" | "timer_texts":
                found[name] = dict.fromkeys(fact.question.argv[4:])  # type: ignore[union-attr]
            case "pgbackrest_passphrase_hash" | "secret_hash":
                found[name] = "0" * 64 if case == CONFIGURED else None
            case "anything_below":
                found[name] = case == CONFIGURED
            case "lightsail_ports":
                operators = settings.postgres.operator_networks if case == CONFIGURED else ()
                ports = {22: ANYWHERE[:1], 80: ANYWHERE[:1], 5432: tuple(operators)}
                found[name] = tuple(
                    OpenPort("tcp", port, port, cidrs, ()) for port, cidrs in ports.items() if cidrs
                )
            case "lightsail_ipv6":
                found[name] = parsed(fact.name, "debian-13")
            case "systemd_units":
                found[name] = parsed(fact.name, case)
            case (
                "os_release"
                | "cores"
                | "postgres_clusters"
                | "postgres_identity"
                | "installed_packages"
                | "apt_candidates"
                | "postgres_in_container"
                | "pgbackrest_version"
                | "pgbackrest_backup_options"
                | "scheduled_jobs"
            ):
                found[name] = parsed(fact.name, CONFIGURED)
            case _:
                found[name] = parsed(fact.name, case)
    return found


def plan_of(stage: Stage, target: Settings, case: str, **changed: Any) -> Plan:
    return stage.plan(target, values(stage, target, case) | changed)


def ids(plan: Plan) -> list[str]:
    return [change.id for change in plan.changes]


FRESH = [
    (
        backup.DATABASE_ACCESS,
        ["postgres.access", "postgres.hba", "postgres.operator-role", "lightsail.database-port"],
        Effect.RESTART,
    ),
    (
        backup.BUCKET,
        [
            "s3.bucket",
            "s3.public-access-block",
            "s3.encryption",
            "s3.versioning",
            "s3.lifecycle",
            "s3.policy",
        ],
        Effect.NONE,
    ),
    (backup.IAM_USER, ["iam.user", "iam.policy", "iam.access-key"], Effect.NONE),
    (backup.CIPHER, ["secret.cipher"], Effect.NONE),
    (backup.PGBACKREST_CONFIG, ["pgbackrest.ca", "pgbackrest.config"], Effect.NONE),
    (backup.STANZA, ["pgbackrest.stanza"], Effect.NONE),
    (backup.ARCHIVING, ["postgres.archiving"], Effect.RESTART),
    (
        backup.FIRST_BACKUPS,
        ["backup.first-full", "backup.first-diff", "backup.first-long-term"],
        Effect.NONE,
    ),
    (backup.TIMERS, ["timer.full", "timer.diff", "timer.long-term"], Effect.NONE),
]


@pytest.mark.parametrize(("stage", "wanted", "effect"), FRESH, ids=lambda x: getattr(x, "name", ""))
def test_a_fresh_host_gets_every_change(
    settings: Settings, stage: Stage, wanted: list[str], effect: Effect
) -> None:
    plan = plan_of(stage, settings, "unconfigured")
    assert not plan.refusals
    assert ids(plan) == wanted
    assert plan.effect is effect
    for change in plan.changes:
        assert change.why
        assert change.after
        assert change.deeds


SETTLED = [
    backup.PACKAGES,
    backup.BUCKET,
    backup.IAM_USER,
    backup.CIPHER,
    backup.STANZA,
    backup.ARCHIVING,
    backup.FIRST_BACKUPS,
]


@pytest.mark.parametrize("stage", SETTLED, ids=lambda s: s.name)
def test_a_configured_host_gets_none_and_the_reason_is_said(
    settings: Settings, stage: Stage
) -> None:
    plan = plan_of(stage, settings, CONFIGURED)
    assert plan.empty, plan.changes
    assert plan.noop_reason
    assert not plan.refusals


def test_the_database_access_is_settled_for_the_recorded_network(settings: Settings) -> None:
    files = parsed("postgres_config_files", CONFIGURED)
    network = next(
        line.split()[3] for line in files.hba_text.splitlines() if line.startswith("hostssl all")
    )
    postgres = settings.postgres.model_copy(update={"operator_networks": (network,)})
    same = settings.model_copy(update={"postgres": postgres})
    assert plan_of(backup.DATABASE_ACCESS, same, CONFIGURED).empty
    other = plan_of(backup.DATABASE_ACCESS, settings, CONFIGURED)
    assert ids(other) == ["postgres.hba"]
    after = other.changes[0].after
    assert network not in after
    assert after.count("BEGIN chronos-ops") == 1


def test_the_configuration_is_settled_and_its_secrets_never_show(settings: Settings) -> None:
    config = backup.PGBACKREST_CONFIG
    assert plan_of(config, settings, CONFIGURED, ca={CA_PATH: CA}).empty
    fresh = plan_of(config, settings, "unconfigured", ca={CA_PATH: CA}).changes[0]
    written = fresh.deeds[-1]
    assert isinstance(written, WriteFile)
    assert "repo1-cipher-pass=@{secret:/chronos/backup/cipher-pass}" in written.content
    assert "repo1-s3-key=@{secret:/chronos/backup/host-access-key/id}" in written.content
    assert written.mode == "0640"
    assert "@{secret" not in fresh.after
    assert fresh.after == masked(written.content)
    assert "\narchive-push-queue-max" not in written.content


def test_an_inactive_key_or_a_loose_mode_is_drift(settings: Settings) -> None:
    config = values(backup.PGBACKREST_CONFIG, settings, CONFIGURED) | {"ca": {CA_PATH: CA}}
    assert ids(backup.PGBACKREST_CONFIG.plan(settings, config | {"keys": []})) == [
        "pgbackrest.config"
    ]
    path, file = next(iter(config["config"].items()))
    loose = type(file)(path, "644", file.owner, file.text, file.options)
    plan = backup.PGBACKREST_CONFIG.plan(settings, config | {"config": {path: loose}})
    assert ids(plan) == ["pgbackrest.config"]
    assert "mode 644" in plan.changes[0].before
    assert isinstance(plan.changes[0].deeds[0], RunCommand)  # the former file is kept


def test_an_older_release_gets_what_it_can_do(settings: Settings) -> None:
    plan = plan_of(
        backup.PGBACKREST_CONFIG,
        settings,
        "unconfigured",
        version=parsed("pgbackrest_version", "debian-12"),
        options=parsed("pgbackrest_backup_options", "debian-12"),
        cores=1,
    )
    text = plan.changes[-1].after
    assert "repo1-bundle=y" in text
    assert "repo-block" in parsed("pgbackrest_backup_options", "debian-12")
    assert "repo1-block" not in text  # 2.45 offers it "for beta testing only"
    assert "process-max=1" in text
    older = (
        plan_of(
            backup.PGBACKREST_CONFIG,
            settings,
            "unconfigured",
            version=(2, 20),
            options=frozenset({"type", "compress-type"}),
        )
        .changes[-1]
        .after
    )
    assert "repo1-bundle" not in older
    assert "compress-type=gz" in older
    assert "repo1-s3-port=4566" in older  # the older name of repo-storage-port


def test_without_repo2_nothing_speaks_of_it(settings: Settings) -> None:
    alone = settings.model_copy(
        update={"backup": settings.backup.model_copy(update={"long_term": None})}
    )
    config = plan_of(backup.PGBACKREST_CONFIG, alone, "unconfigured").changes[-1].after
    assert "repo2" not in config
    assert len(plan_of(backup.FIRST_BACKUPS, alone, "unconfigured").changes) == 2
    lifecycle = plan_of(backup.BUCKET, alone, "unconfigured").changes[4].after
    assert "DEEP_ARCHIVE" not in lifecycle


def test_a_configuration_that_no_backup_holds_gets_a_differential(settings: Settings) -> None:
    assert plan_of(backup.FIRST_BACKUPS, settings, CONFIGURED).empty
    changed = parsed("kept_configuration", "changed")
    (change,) = plan_of(backup.FIRST_BACKUPS, settings, CONFIGURED, kept=changed).changes
    assert change.id == "backup.configuration"
    assert "70-own.conf" in change.before
    assert [deed.argv[-1] for deed in change.deeds if isinstance(deed, RunCommand)] == [
        "chronos-backup-diff.service"
    ]
    of_another = {"15/old": changed["17/main"]}
    assert plan_of(backup.FIRST_BACKUPS, settings, CONFIGURED, kept=of_another).empty


def test_archiving_writes_one_drop_in_and_looks_before_it_restarts(settings: Settings) -> None:
    change = plan_of(backup.ARCHIVING, settings, "unconfigured").changes[0]
    write, look, restart = change.deeds
    assert isinstance(write, WriteFile)
    assert write.path == "/etc/postgresql/17/main/conf.d/90-chronos-archiving.conf"
    assert "archive_timeout = '60'" in write.content
    assert isinstance(look, RunSql)
    assert "pg_file_settings" in look.sql
    assert isinstance(restart, RunCommand)
    assert restart.argv == ("systemctl", "restart", "postgresql@17-main.service")


def test_a_shorter_timeout_and_an_own_command_are_adopted(settings: Settings) -> None:
    current = parsed("postgres_settings", CONFIGURED)
    command = current["archive_command"]
    longer = "/usr/bin/pgbackrest --config=/etc/x.conf --stanza=chronos archive-push %p"
    adopted = current | {
        "archive_command": type(command)(**{**vars(command), "value": longer, "written": longer}),
        "archive_timeout": type(command)(
            **{**vars(current["archive_timeout"]), "value": "30", "written": "30"}
        ),
    }
    assert plan_of(backup.ARCHIVING, settings, CONFIGURED, settings=adopted).empty


def test_the_lifecycle_never_touches_repo1_nor_an_info_file(settings: Settings) -> None:
    from chronos_ops.plans.bucket import wanted_lifecycle

    for rule in wanted_lifecycle(settings):
        moves = "Transitions" in rule or "Days" in rule.get("Expiration", {})
        if moves:
            limits = rule["Filter"]["And"]
            assert limits["Prefix"] == "long-term/backup/"
            assert limits["ObjectSizeGreaterThan"] >= 8 * 1024 * 1024


def test_rules_of_another_hand_are_kept(settings: Settings) -> None:
    theirs = {"ID": "audit-logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}}
    plan = plan_of(backup.BUCKET, settings, CONFIGURED, lifecycle=[theirs])
    assert ids(plan) == ["s3.lifecycle"]
    rules = plan.changes[0].deeds[0].arguments["LifecycleConfiguration"]["Rules"]  # type: ignore[union-attr]
    assert theirs in rules
    assert len(rules) == 4


def test_a_reader_gets_no_right_to_write(settings: Settings) -> None:
    from chronos_ops.plans.identity import policy_document

    document = policy_document(settings.backup, read_only=True)
    actions = {action for s in document["Statement"] for action in s["Action"]}
    assert not {a for a in actions if "Put" in a or "Delete" in a}


def test_a_run_of_its_own_undoes_user_and_secrets(settings: Settings) -> None:
    from chronos_ops.plans import cipher, identity

    run_id = "20261122T214503Z-drill-abcdef"
    own = settings.backup.model_copy(
        update={"host_iam_user": f"chronos-{run_id}", "cipher_secret": f"/chronos/{run_id}/c"}
    )
    derived = settings.model_copy(update={"backup": own})
    facts = values(backup.IAM_USER, derived, "unconfigured")
    undone = identity.plan(derived, facts, run_id=run_id).changes[0].undo
    assert {deed.kind for deed in undone} == {"remove_iam_user", "remove_secret"}
    secret = cipher.plan(derived, values(backup.CIPHER, derived, "unconfigured"), run_id=run_id)
    assert secret.changes[0].undo[0].kind == "remove_secret"
    assert secret.changes[0].creates == f"secret:/chronos/{run_id}/c"
