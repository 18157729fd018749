"""Small runbooks for the runner's tests: real kernels, a real `Runbook`, no target behind it."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import Ssh, SshAddress
from chronos_ops.evidence.folder import RUN_DIR_VARIABLE, make_folder, new_run_id
from chronos_ops.evidence.redact import Redactor
from chronos_ops.execution.context import Context
from chronos_ops.model.archive import Archive
from chronos_ops.model.finding import judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.parameters import parse_parameters
from chronos_ops.model.plan import CallAws
from chronos_ops.model.secret import Secret
from chronos_ops.model.settings import Settings, parse_settings
from chronos_ops.model.timing import Achieved, Phase, stamp, utc_now
from chronos_ops.runbook import Runbook
from chronos_ops.runbook_opening import Reached, check_environment, notebook_parameters
from chronos_ops.runbook_output import redact_outputs
from chronos_ops.runner import Spec

RUNBOOK = "pgbackrest_backup_restore"
DRILL = "disaster_recovery"
PARAMETERS = {
    RUNBOOK: (
        'target = "lab"\napprove = ""\nplan = False\nallow_restart = False\npitr_test = True'
    ),
    DRILL: (
        'target = "lab"\napprove = ""\nplan = False\nscenario = "instance_lost"\n'
        "sample_megabytes = 16\ncommits_per_second = 20.0\nfault_offset_seconds = -1.0\n"
        'recovery_target = ""\nprobe_failures = 3\nobjective_recovery_time_seconds = 0.0\n'
        "objective_recovery_point_seconds = 0.0"
    ),
}
SETUP = (
    "from tests.runner import probing\n"
    "from tests.runner.probing import *\n"
    "run = opened({runbook!r}, globals())"
)
Cell = tuple[str, str, str]  # id, tag, source


def settings(target: str = "probe", **objectives: float) -> Settings:
    """A target that answers nothing: its endpoint is a closed port on loopback."""
    return parse_settings(
        {
            "target": target,
            "aws": {
                "account_id": "123456789012",
                "profile": "nobody",
                "endpoint_url": "http://127.0.0.1:1",
            },
            "host": {"instance": "db", "address": "127.0.0.1", "port": 1, "key_file": "none"},
            "postgres": {"operator_networks": ["127.0.0.0/8"]},
            "backup": {"bucket": "nothing"},
            "objectives": {
                "recovery_time_seconds": 3600,
                "recovery_point_seconds": 900,
                **objectives,
            },
        }
    )


def spec(
    folder: Path,
    cells: Sequence[Cell],
    *,
    runbook: str = RUNBOOK,
    values: Mapping[str, Any] | None = None,
    target: str = "probe",
    objectives: Mapping[str, float] | None = None,
    setup: str = SETUP,
    **more: Any,
) -> Spec:
    """A run of a notebook made of these cells between setup, teardown and verdict."""
    notebook = folder / f"{runbook}.ipynb"
    whole: list[Cell] = [
        ("parameters", "parameters", PARAMETERS[runbook]),
        ("setup", "setup", setup.replace("{runbook!r}", repr(runbook))),
        *cells,
        ("teardown", "always", "run.teardown()"),
        ("verdict", "verdict", "run.verdict()"),
    ]
    write_notebook(notebook, whole)
    return Spec(
        runbook=runbook,
        notebook=notebook,
        settings=settings(target, **(objectives or {})),
        parameters=parse_parameters(runbook, {"target": target, **(values or {})}),
        outputs=folder / "outputs",
        quiet=True,
        **{"grace_seconds": 10, "run_seconds": 60, **more},
    )


def write_notebook(path: Path, cells: Sequence[Cell]) -> None:
    """A notebook file of code cells."""
    import nbformat  # not in the kernel, which imports this file too: it costs 1.7 s of grammar

    make: Any = nbformat.v4
    notebook = make.new_notebook(
        cells=[make.new_markdown_cell("# A small runbook")]
        + [
            make.new_code_cell(source, id=name, metadata={"tags": [tag] if tag else []})
            for name, tag, source in cells
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "x", "language": "python"}},
    )
    path.write_text(nbformat.writes(notebook), encoding="utf-8")  # type: ignore[no-untyped-call]


# -- in the kernel


def opened(name: str, namespace: Mapping[str, Any]) -> Runbook:
    """`Runbook.open` without a target: connectors are made and never used."""
    started = time.monotonic(), stamp(utc_now())
    folder = Path(os.environ[RUN_DIR_VARIABLE])
    redactor = Redactor()
    redact_outputs(redactor)
    check_environment()
    parameters = notebook_parameters(name, namespace)
    chosen = settings(parameters.target)
    reached = Reached(Aws(chosen.aws), Ssh(SshAddress("127.0.0.1", 1, "x", "none")), "nobody")
    run = Runbook.begin(name, folder, chosen, parameters, reached, redactor)
    run.opened(started, "nobody")
    return run


def good(context: Context) -> Outcome:
    """Pass."""
    context.say("working")
    with context.journal.interval("remote", "psql"):
        pass
    return Outcome(
        summary="**3** rows in `t`",
        table=[{"table": "t", "rows": 3}],
        findings=[judge("probe.good", "All is well", passed=True, observed=3, expected=3)],
        measures={"rows": 3},
    )


def bad(context: Context) -> Outcome:
    """Find something wrong."""
    found = judge("probe.bad", "Rows", passed=False, observed=2, expected=3, hint="look")
    return Outcome(summary="looked", findings=[found])


def unsure(context: Context) -> Outcome:
    """Find out nothing."""
    found = judge("probe.unsure", "Rows", passed=None, observed="no answer", expected=3)
    return Outcome(summary="looked", findings=[found])


def broken(context: Context) -> Outcome:
    """Break."""
    raise ValueError("it broke")


def makes(context: Context) -> Outcome:
    """Create a resource whose removal needs nothing."""
    context.journal.resource("thing/one", ())
    return Outcome(summary="made")


def makes_what_stays(context: Context) -> Outcome:
    """Create a resource whose removal cannot succeed here."""
    undo = CallAws(service="s3", operation="delete_bucket", arguments={"Bucket": "x"})
    context.journal.resource("thing/stays", (undo,))
    return Outcome(summary="made")


def recovered(context: Context) -> Outcome:
    """Measure a recovery."""
    return Outcome(
        summary="recovered",
        phases=[
            Phase(name="detect", started_at="2026-11-22T21:00:00.000000Z", seconds=3.0),
            Phase(name="restore", started_at="2026-11-22T21:00:03.000000Z", seconds=20.0),
        ],
        achieved=Achieved(
            first_write_seconds=23.0,
            verified_seconds=31.5,
            recovery_point_seconds=12.25,
            lost_commits=7,
        ),
    )


def not_recovered(context: Context) -> Outcome:
    """Measure nothing."""
    return Outcome(summary="nothing measured")


def tells_secrets(context: Context) -> Outcome:
    """Show a secret in every way."""
    context.journal.keep_secret(Secret("hunter2secret"))
    return Outcome(
        summary="the password is hunter2secret",
        table=[{"hunter2secret": "aHVudGVyMnNlY3JldA=="}],
        measures={"password": "hunter2secret"},
        text="hunter2secret",
    )


def stepping(folder: Path) -> Runbook:
    """A run that a person steps through, in a folder below `folder`."""
    started = time.monotonic(), stamp(utc_now())
    redactor = Redactor()
    redact_outputs(redactor)
    chosen = settings().model_copy(update={"archive": Archive()})
    parameters = parse_parameters(RUNBOOK, {"target": "probe"})
    reached = Reached(Aws(chosen.aws), Ssh(SshAddress("127.0.0.1", 1, "x", "none")), "nobody")
    made = make_folder(folder / "outputs", new_run_id(RUNBOOK), RUNBOOK, chosen, parameters)
    run = Runbook.begin(RUNBOOK, made, chosen, parameters, reached, redactor)
    run.hold(ExitStack())
    run.opened(started, "nobody")
    return run
