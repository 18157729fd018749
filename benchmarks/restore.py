"""Restore: the tuned configuration, pgBackRest's defaults, and `cp` with a sync, alternating.

One drill host of the target, one cluster, two encrypted repositories of it: one written and read
by the configuration that this project writes, one by pgBackRest's defaults (gz, one process). Each
round restores by each way into an empty directory, and ends with a sync. Only ratios within one
run mean anything: the machine, its disk and the S3 endpoint are those of the target.
"""

import argparse
import json
import secrets
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.drill.install import main_cluster
from chronos_ops.drill.primary import Primary, provision_primary
from chronos_ops.evidence.journal import FileJournal
from chronos_ops.execution.apply import apply
from chronos_ops.execution.context import Context
from chronos_ops.execution.declared_host import declared_host
from chronos_ops.execution.rollback import rollback
from chronos_ops.facts.pgbackrest import BACKUP_OPTIONS, VERSION
from chronos_ops.facts.system import CORES
from chronos_ops.model.parameters import parse_parameters
from chronos_ops.model.plan import Change, Deed, Plan, WriteFile
from chronos_ops.model.settings import load_settings
from chronos_ops.plans import bucket
from chronos_ops.plans.pgbackrest_config import CA_PATH, config_text

DESTINATION = "/var/lib/postgresql/restored"
POSIX = "/var/lib/pgbackrest"
# What a newcomer's configuration would not have: everything else is left as pgBackRest has it.
_TUNED = ("bundle=", "block=", "compress-", "process-max=", "archive-async=", "spool-path=")


def open_context(target: str, folder: Path) -> Context:
    """What a runbook would hold."""
    settings = load_settings(target)
    run_id = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-bench-{secrets.token_hex(3)}"
    run = folder / run_id
    run.mkdir(parents=True)
    parameters = parse_parameters("disaster_recovery", {"target": target})
    written = {"settings": settings.model_dump(mode="json"), "parameters": {}}
    (run / "parameters.json").write_text(json.dumps(written))
    journal = FileJournal(run)
    aws = Aws(settings.aws, journal)
    ssh = Ssh(declared_host(settings, aws), journal)

    def say(line: str) -> None:
        print(f"  {line}", file=sys.stderr)

    return Context(run_id, run, settings, parameters, journal, aws, ssh, say)


def configure(context: Context, primary: Primary, kind: str) -> None:
    """/etc/pgbackrest/tuned.conf and defaults.conf, each with a repository of its own."""
    own, ssh = primary.settings, primary.ssh
    cluster = main_cluster(context, ssh)
    version = context.ask(VERSION, ssh)
    assert version is not None
    tuned = config_text(
        own,
        data_directory=cluster.data_directory,
        cores=context.ask(CORES, ssh),
        version=version,
        options=context.ask(BACKUP_OPTIONS, ssh),
    )
    if kind == "posix":  # on the host's own disk: the S3 endpoint's speed left out
        lines = [n for n in tuned.splitlines() if not n.startswith(("repo1-s3", "repo1-storage"))]
        tuned = "\n".join(lines).replace("repo1-type=s3", "repo1-type=posix") + "\n"
        tuned = tuned.replace(f"path={own.backup.prefix}\n", f"path={POSIX}{own.backup.prefix}\n")
    plain = "\n".join(line for line in tuned.splitlines() if not any(w in line for w in _TUNED))
    files = {"tuned": tuned, "defaults": plain}
    deeds: list[Deed] = []
    for name, text in files.items():
        prefix = (POSIX if kind == "posix" else "") + own.backup.prefix
        content = text.replace(f"path={prefix}\n", f"path={prefix}/{name}\n") + "\n"
        path = f"/etc/pgbackrest/{name}.conf"
        deeds.append(WriteFile(path=path, content=content, group="postgres", mode="0640"))
    ca = own.backup.host_s3_ca_text()
    if ca is not None:
        deeds.append(WriteFile(path=CA_PATH, content=ca))
    change = Change(id="bench.conf", title="two configurations", why="compared", deeds=tuple(deeds))
    apply(Plan(name="benchmark", changes=(change,)), context, ssh=ssh)


def as_postgres(ssh: Ssh, script: str, timeout: float = 3600) -> float:
    """Run a script as postgres; its seconds."""
    began = time.monotonic()
    ssh.run(["sh", "-euc", script], user="postgres", timeout=timeout)
    return time.monotonic() - began


def make_cluster(context: Context, primary: Primary, megabytes: int) -> tuple[str, float]:
    """pgbench data and incompressible bytes; stopped, so that every copy is the same."""
    ssh = primary.ssh
    scale = max(1, megabytes * 85 // 100 // 15)
    noise = max(1, megabytes * 15 // 100)
    context.say(f"pgbench at scale {scale}, {noise} MB of noise")
    as_postgres(ssh, f"{primary_bin(primary)}/pgbench -i -q -s {scale} postgres")
    ssh.sql(
        "CREATE TABLE noise AS SELECT g, sha512((random()::text || g)::bytea) AS a,"
        " sha512((g || random()::text)::bytea) AS b"
        f" FROM generate_series(1, {noise * 6000}) g; CHECKPOINT;",
        timeout=3600,
    )
    cluster = main_cluster(context, ssh)
    ssh.run(["systemctl", "stop", cluster.unit], sudo=True)
    size = ssh.run(["du", "-sm", cluster.data_directory], sudo=True).stdout.split()[0]
    return cluster.data_directory, float(size)


def primary_bin(primary: Primary) -> str:
    """Where PostgreSQL's programs are."""
    return f"/usr/lib/postgresql/{primary.major}/bin"


def compare(target: str, megabytes: int, rounds: int, repository: str, folder: Path) -> None:
    """One host, two repositories, three ways."""
    context = open_context(target, folder)
    try:
        values = {name: context.ask(fact) for name, fact in bucket.facts(context.settings).items()}
        apply(bucket.plan(context.settings, values), context)
        primary = provision_primary(context)
        ssh = primary.ssh
        configure(context, primary, repository)
        source, size = make_cluster(context, primary, megabytes)
        stanza = primary.settings.backup.stanza
        command = f"pgbackrest --config=/etc/pgbackrest/{{}}.conf --stanza={stanza}"
        for name in ("tuned", "defaults"):
            tool = command.format(name)
            as_postgres(ssh, f"{tool} --no-online stanza-create")
            seconds = as_postgres(ssh, f"{tool} --no-online --type=full backup")
            print(f"backup {name:10} {seconds:7.1f} s")
        ways = {
            "tuned": f"{command.format('tuned')} --pg1-path={DESTINATION} restore",
            "defaults": f"{command.format('defaults')} --pg1-path={DESTINATION} restore",
            "cp": f"cp -a {source}/. {DESTINATION}/",
        }
        empty = f"rm -rf {DESTINATION}; mkdir -m 700 {DESTINATION}; sync -f {DESTINATION}"
        found: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds):
            for name, way in ways.items():
                as_postgres(ssh, empty)
                found[name].append(as_postgres(ssh, f"{way}; sync -f {DESTINATION}"))
                context.say(f"round {number + 1}: {name} {found[name][-1]:.1f} s")
        best = statistics.median(found["tuned"])
        print(
            f"\nrestore of {size:.0f} MB from {repository}, medians of {rounds} alternating rounds"
        )
        for name, seconds_of in found.items():
            middle = statistics.median(seconds_of)
            print(f"  {name:10} {middle:7.1f} s   {middle / best:5.2f} x tuned")
    finally:
        rollback(context.folder, context.journal)
        context.close()


def main() -> None:
    """Make, restore, print medians, remove."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", default="lab")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--repository",
        choices=("s3", "posix"),
        default="s3",
        help="posix: on the host's own disk, so that the S3 endpoint is left out",
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chronos-bench-") as folder:
        compare(given.target, given.megabytes, given.rounds, given.repository, Path(folder))


if __name__ == "__main__":
    main()
