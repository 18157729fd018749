"""`chronos docs` and `chronos publish`: the runbooks as documents, where people look for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chronos_ops.cli import shelf
from chronos_ops.cli.arguments import TargetOption
from chronos_ops.model.errors import UsageError

if TYPE_CHECKING:
    from chronos_ops.connectors.atlassian import Atlassian
    from chronos_ops.model.result import Result
    from chronos_ops.publish.mapping import ConfluenceSite, JiraSite, Mapping

docs = typer.Typer(help="The runbooks as Markdown files.", no_args_is_help=True)
app = typer.Typer(
    help="Runbooks to Confluence, results to Jira, as .confluence-mapping.json says.",
    no_args_is_help=True,
)
PlanOption = Annotated[
    bool, typer.Option("--plan", help="Show what would be written, write nothing.")
]
MappingOption = Annotated[
    Path | None, typer.Option("--mapping", metavar="FILE", help="Instead of the checkout's own.")
]


@docs.command()
def export() -> None:
    """Write docs/3_runbooks/*.md from the notebooks, without outputs."""
    from chronos_ops.publish.export import export as write

    for path, changed in write(shelf.ROOT).items():
        typer.echo(f"{'written' if changed else 'unchanged'}: {path.relative_to(shelf.ROOT)}")


@app.command()
def confluence(
    target: TargetOption,
    plan: PlanOption = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Also pages that somebody edited by hand.")
    ] = False,
    mapping: MappingOption = None,
) -> None:
    """Bring the runbooks' pages to what the notebooks say; unchanged pages are left alone.

    `--target`: whose secret store holds the token.
    """
    from chronos_ops.publish import pages
    from chronos_ops.publish.wikis import wiki

    declared = _mapping(mapping).confluence
    paths = [shelf.find_runbook(name).path for name in declared.pages]
    wanted = [pages.wanted(path, declared.pages) for path in paths]
    with _site(target, declared) as site:
        space = wiki(site, declared)
        deeds = pages.look(space, wanted)
        if plan:
            for deed in deeds:
                typer.echo(f"{deed.state}: {deed.wanted.title}")
                if deed.state is not pages.State.UNCHANGED:
                    typer.echo(deed.diff())
        if not overwrite:
            pages.refuse_foreign(deeds)
        if not plan:
            pages.write(space, deeds, typer.echo)


@app.command()
def jira(target: TargetOption, plan: PlanOption = False, mapping: MappingOption = None) -> None:
    """Tell each runbook's ticket the result of its newest run on the target, once."""
    from chronos_ops.publish import tickets

    declared = _mapping(mapping).jira
    with _site(target, declared) as site:
        newest = list(_newest(target, set(declared.issues)))
        for name in sorted(set(declared.issues) - {result.runbook for result, _ in newest}):
            typer.echo(f"no run on {target}: {name}")
        issues = [declared.issues[result.runbook] for result, _ in newest]
        known = [
            tickets.told(site, issue, result.run_id)
            for issue, (result, _) in zip(issues, newest, strict=True)
        ]
        for issue, (result, text), there in zip(issues, newest, known, strict=True):
            if there:
                typer.echo(f"unchanged: {issue} knows {result.run_id}")
            elif plan:
                typer.echo(f"new: {issue}\n{text}")
            else:
                tickets.tell(site, issue, text)
                typer.echo(f"written: {issue}, {result.run_id}: {result.verdict}")


def _newest(target: str, runbooks: set[str]) -> "Iterator[tuple[Result, str]]":
    """The newest run of each runbook that was no dry run, and what its ticket is told."""
    from chronos_ops.evidence.manifest import MANIFEST, sha256
    from chronos_ops.evidence.record import read_result
    from chronos_ops.model.result import Verdict
    from chronos_ops.publish.tickets import comment

    wanted = set(runbooks)
    for run in shelf.runs():
        if not wanted:
            return
        if run.target != target or (result := read_result(run.path)) is None:
            continue
        if result.runbook in wanted and result.verdict is not Verdict.PLANNED:
            wanted.remove(result.runbook)
            manifest = run.path / MANIFEST
            yield result, comment(result, sha256(manifest) if manifest.is_file() else "")


def _mapping(path: Path | None) -> "Mapping":
    from chronos_ops.publish.mapping import FILE, load_mapping

    return load_mapping(path or shelf.ROOT / FILE)


@contextmanager
def _site(target: str, declared: "ConfluenceSite | JiraSite") -> "Iterator[Atlassian]":
    """The site, with the token of the target's secret store. Raises UsageError: none of them."""
    from chronos_ops.connectors.atlassian import Atlassian
    from chronos_ops.connectors.aws import Aws
    from chronos_ops.model.settings import load_settings

    if not declared.url:
        raise UsageError(
            "no site is declared", hint="fill in its `url` in .confluence-mapping.json"
        )
    aws = Aws(load_settings(target).aws)
    name = declared.token_secret
    if not aws.ask_secret_exists(name):
        raise UsageError(
            "no Atlassian token in the secret store",
            name,
            hint=f"aws ssm put-parameter --type SecureString --name {name} --value file://TOKEN_FILE",
        )
    site = Atlassian(declared.url, aws.get_secret(name), declared.user, declared.ca_file)
    try:
        yield site
    finally:
        site.close()
        aws.close()
