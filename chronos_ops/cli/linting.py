"""`chronos lint`: is what the parameter file declares sound in itself?"""

from typing import Annotated

import typer

from chronos_ops.cli.arguments import complete_target


def lint(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="The target: parameters/TARGET.yaml.",
            autocompletion=complete_target,
        ),
    ],
    every: Annotated[bool, typer.Option("--all", help="Show what is good as well.")] = False,
) -> None:
    """Check a target's parameters, and this machine's schedules of it; no host is asked."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from chronos_ops.connectors.aws_profile import login_kind
    from chronos_ops.model.settings import load_settings, parameters_dir
    from chronos_ops.model.timing import utc_now
    from chronos_ops.plans.lint import Subject
    from chronos_ops.plans.lint import lint as judge_all
    from chronos_ops.schedule.manager import schedules_of

    settings = load_settings(target)
    text = (parameters_dir() / f"{target}.yaml").read_text(encoding="utf-8")
    login, here = login_kind(settings.aws), schedules_of(target)
    findings = judge_all(Subject(settings, text, utc_now().date(), here, login))
    wrong = [finding for finding in findings if not finding.good]
    console = Console(highlight=False)
    table = Table("status", "rule", "observed, and what to do", show_lines=bool(wrong), expand=True)
    for finding in findings if every else wrong:
        words = f"{finding.title}: {finding.observed}"
        told = Text("\n".join(filter(None, (words, finding.hint))))
        table.add_row(finding.status, finding.id, told)
    if table.row_count:
        console.print(table)
    console.print(f"{target}: {len(findings)} rules, {len(wrong)} not met")
    if wrong:
        raise typer.Exit(1)
