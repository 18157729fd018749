"""`chronos verify` and `chronos archive`: the evidence of runs, kept and checked."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chronos_ops.cli import shelf
from chronos_ops.cli.arguments import TargetOption, complete_run, complete_target
from chronos_ops.cli.lab import tell
from chronos_ops.model.errors import Refused, TransportError, UsageError

if TYPE_CHECKING:
    from chronos_ops.evidence.archive import Archive
    from chronos_ops.model.archive import Archive as Declared
    from chronos_ops.model.finding import Finding
    from chronos_ops.model.settings import Settings

app = typer.Typer(
    help="The archive of a target's runs: signed, chained, kept under Object Lock.",
    no_args_is_help=True,
)


def complete_what(incomplete: str) -> list[str]:
    """Names of targets and ids of runs that begin so."""
    return complete_target(incomplete) + complete_run(incomplete)


def verify(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RUN|ARCHIVE",
            help="Id of a run, name of a target, or a folder that holds an archive.",
            autocompletion=complete_what,
        ),
    ],
    target: Annotated[
        str,
        typer.Option("--target", metavar="NAME", help="Whose bucket a folder is held against."),
    ] = "",
    offline: Annotated[
        bool, typer.Option("--offline", help="Leave the bucket out, and say so.")
    ] = False,
    fingerprint: Annotated[
        str,
        typer.Option(metavar="HEX", help="The key's fingerprint, as it is known from elsewhere."),
    ] = "",
) -> None:
    """Check an archive: hashes, signatures, chain, and what the bucket holds under which locks.

    Exit 0 only if every check passed; 1 if one failed, 3 if something could not be known.
    """
    folder, run = _place(what)
    settings = _settings(target or folder.name, needed=bool(target) or not offline)
    findings = _findings(folder, run, settings, fingerprint, offline=offline)
    _print(findings)
    if any(f.status.value == "fail" for f in findings):
        raise typer.Exit(1)
    if not all(f.good for f in findings):
        raise typer.Exit(3)
    typer.echo("verified" + (", the bucket left out" if offline else ""))


@app.command()
def push(target: TargetOption) -> None:
    """Seal runs that ended and were not sealed, and send what the bucket does not hold."""
    from chronos_ops.evidence.archive import unsealed
    from chronos_ops.evidence.archiving import archive_sealed, send
    from chronos_ops.evidence.folder import target_lock
    from chronos_ops.model.settings import load_settings

    settings = load_settings(target)
    archive = _archive(settings)
    outputs = shelf.ROOT / "outputs"
    with target_lock(outputs, target):  # a run that is under way is not sealed half written
        archive.chain.mend()
        broken = [run.name for run in unsealed(archive.runs) if archive_sealed(run, settings, tell)]
        if broken or not send(archive, settings, tell):
            raise typer.Exit(1)
    typer.echo("nothing is pending")


@app.command()
def status(target: TargetOption) -> None:
    """Say what is sealed and what is pending; exit 1 if something is."""
    from chronos_ops.evidence.archive import ARCHIVE, pending, unsealed
    from chronos_ops.evidence.chain import read_index
    from chronos_ops.model.settings import load_settings

    settings = load_settings(target)
    declared = _declared(settings)
    runs = shelf.ROOT / "outputs" / target
    reading = read_index(runs / ARCHIVE)
    seq, head = reading.head
    typer.echo(f"{seq} entries, head {head}")
    waiting = [f"not sealed: {run.name}" for run in unsealed(runs)]
    if declared.bucket is not None:
        waiting += [f"pending: {entry.name} is not in the bucket" for entry in pending(runs)]
    for line in waiting:
        typer.echo(line)
    if waiting:
        raise typer.Exit(1)


@app.command()
def init(
    target: TargetOption,
    approve: Annotated[
        str, typer.Option(metavar="NAME", help="Consent to a new bucket: the target's name.")
    ] = "",
) -> None:
    """Make the archive's bucket, with Object Lock; one that is there is only looked at."""
    from chronos_ops.connectors.aws import Aws, AwsRefused
    from chronos_ops.evidence.archive_bucket import Bucket
    from chronos_ops.model.settings import load_settings

    settings = load_settings(target)
    bucket = Bucket(Aws(settings.aws), _declared(settings))
    try:
        if not (bucket.locks_objects() and bucket.keeps_versions()):
            raise Refused(
                "the bucket cannot hold an archive",
                f"{bucket.name}: no Object Lock",
                hint="it is switched on when a bucket is made: name another `archive.bucket`",
            )
        typer.echo(f"{bucket.name} is there, with Object Lock and versions")
    except AwsRefused as error:
        if error.code != "NoSuchBucket":
            raise
        if approve != target:
            raise Refused(
                f"the bucket {bucket.name} is not there and is not made unasked",
                hint=f"./chronos archive init --target {target} --approve {target}",
            ) from None
        bucket.make()
        typer.echo(f"{bucket.name} is made, with Object Lock")


def _place(what: str) -> tuple[Path, str]:
    """The folder of a target's runs, and the run if one is meant."""
    outputs = shelf.ROOT / "outputs"
    if (outputs / what / "archive").is_dir() and "/" not in what:
        return outputs / what, ""
    path = Path(what)
    if path.is_dir():
        here = path.resolve()
        if (here / "archive").is_dir():
            return here, ""
        if (here.parent / "archive").is_dir():
            return here.parent, here.name
        raise UsageError("no archive there", here, hint="a folder with `archive/` beside its runs")
    run = shelf.find_run(what, shelf.ROOT)
    return run.path.parent, run.run_id


def _settings(target: str, *, needed: bool) -> "Settings | None":
    from chronos_ops.model.settings import load_settings

    try:
        return load_settings(target)
    except UsageError as error:
        if needed:
            error.add("name the target whose bucket it is held against, or leave it out: --offline")
            raise
        return None


def _declared(settings: "Settings") -> "Declared":
    if settings.archive is None:
        raise UsageError(
            f"the target {settings.target!r} declares no archive",
            hint=f"add `archive:` to parameters/{settings.target}.yaml",
        )
    return settings.archive


def _archive(settings: "Settings") -> "Archive":
    from chronos_ops.evidence.archive import Archive
    from chronos_ops.evidence.signing import operator_key

    runs = shelf.ROOT / "outputs" / settings.target
    return Archive(runs, _declared(settings), operator_key(), tell)


def _findings(
    folder: Path, run: str, settings: "Settings | None", fingerprint: str, *, offline: bool
) -> "list[Finding]":
    from chronos_ops.connectors.aws import Aws
    from chronos_ops.evidence.archive_bucket import Bucket
    from chronos_ops.evidence.archive_locks import verify_bucket
    from chronos_ops.evidence.archive_verify import verify_files
    from chronos_ops.evidence.trust import known_fingerprint
    from chronos_ops.model.finding import Finding, Status

    declared = settings.archive if settings else None
    bucket = None
    if settings and declared and declared.bucket and not offline:
        bucket = Bucket(Aws(settings.aws), declared)
    pinned = fingerprint or (declared.key_fingerprint if declared else None)
    looked = verify_files(
        folder,
        fingerprint=known_fingerprint(pinned, bucket),
        run=run,
        ca_file=declared.timestamp_ca_file if declared else None,
    )
    if bucket is None or declared is None:
        why = "left out (--offline)" if offline else "no bucket is declared"
        status = Status.NOT_APPLICABLE if offline or declared else Status.UNKNOWN
        title = "What the bucket holds, and whether lines are missing at the end"
        return [
            *looked.findings,
            Finding(
                id="archive.bucket", status=status, title=title, observed=why, expected="checked"
            ),
        ]
    try:
        return [*looked.findings, *verify_bucket(looked, bucket, declared, run)]
    except TransportError as error:
        unknown = Finding(
            id="archive.bucket",
            status=Status.UNKNOWN,
            title="What the bucket holds",
            observed=error.text(),
            expected="an answer",
        )
        return [*looked.findings, unknown]


def _print(findings: "list[Finding]") -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    marks = {"pass": ("✓", "green"), "not_applicable": ("·", "dim"), "unknown": ("?", "yellow")}
    for finding in findings:
        mark, colour = marks.get(finding.status.value, ("✗", "red"))
        line = Text.assemble((f"{mark} {finding.title}: ", colour), finding.observed)
        console.print(line, soft_wrap=True)
        if finding.hint:
            console.print(Text(f"    {finding.hint}", style="dim"), soft_wrap=True)
