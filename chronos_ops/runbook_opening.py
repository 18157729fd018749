"""Before a run: parameters, environment, account, way to the host. Nothing is touched here (P1)."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import Ssh, SshAddress
from chronos_ops.evidence.folder import PARAMETERS, PREFIX_VARIABLE, checkout, read_json
from chronos_ops.execution.context import Context
from chronos_ops.execution.declared_host import declared_host
from chronos_ops.model.errors import ChronosError, Refused, TransportError, UsageError
from chronos_ops.model.journal import Journal
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.parameters import MODELS, parse_parameters
from chronos_ops.model.parameters.common import Need, RunbookParameters
from chronos_ops.model.settings import Settings, load_settings, parse_settings
from chronos_ops.preflight.host import FIRST


@dataclass(frozen=True)
class Reached:
    """The ways out, tried once."""

    aws: Aws
    ssh: Ssh
    identity: str


def notebook_parameters(runbook: str, namespace: Mapping[str, Any]) -> RunbookParameters:
    """The parameters cell's values, checked strictly. Raises UsageError."""
    if runbook not in MODELS:
        raise UsageError("unknown runbook", repr(runbook), hint=f"known: {', '.join(MODELS)}")
    names = list(MODELS[runbook].model_fields)
    missing = [name for name in names if name not in namespace]
    if missing:
        raise UsageError(
            "not set by the parameters cell", ", ".join(missing), hint="run that cell first"
        )
    return parse_parameters(runbook, {name: namespace[name] for name in names})


def run_settings(folder: Path | None, parameters: RunbookParameters) -> Settings:
    """The target's settings: those that the runner checked, or the file's.

    Raises UsageError if the notebook has other parameters than those the runner wrote down.
    """
    if folder is None:
        return load_settings(parameters.target)
    given = read_json(folder / PARAMETERS) or {}
    if given.get("parameters") != parameters.model_dump(mode="json"):
        raise UsageError(
            "the notebook's parameters are not those the run was started with",
            parameters.model_dump(mode="json"),
            hint="nothing may be assigned between the parameters cell and the setup cell",
        )
    return parse_settings(given.get("settings"), f"{folder.name}/{PARAMETERS}")


def check_environment() -> None:
    """The kernel is this checkout's own environment, not one that shadows it."""
    wanted = os.environ.get(PREFIX_VARIABLE) or str(checkout() / ".venv")
    if Path(wanted).is_dir() and Path(wanted).resolve() != Path(sys.prefix).resolve():
        raise UsageError(
            "this kernel runs in another Python environment",
            sys.prefix,
            hint=f"choose the kernel of {wanted}, or open it with `./chronos notebook`",
        )


def reach(
    settings: Settings, journal: Journal | None = None, needs: Sequence[Need] = ()
) -> Reached:
    """Reach account and host, and look at what is needed there, by the preflight's looks (P4).

    Raises UsageError or Refused: nothing was touched yet (exit 2).
    """
    aws = Aws(settings.aws, journal)
    try:
        identity = aws.identity()
        ssh = Ssh(declared_host(settings, aws), journal)
        ssh.open()
        found = [FIRST[name](ssh) for name in needs]
    except TransportError as error:
        raise Refused("the target cannot be reached", error.text()) from None
    except ChronosError as error:
        if error.exit_status == 2:
            raise
        raise Refused("the target cannot be used", error.text()) from None
    for finding in found:
        if not finding.good:
            said = f"{finding.title}: {finding.observed}"
            raise Refused("the target is not ready", said, hint=finding.hint)
    return Reached(aws, ssh, identity.arn)


def try_to_reach(settings: Settings, journal: Journal | None = None) -> Reached:
    """As `reach`, but what fails is said in the identity and shows in the looks. Raises nothing."""
    aws, host = Aws(settings.aws, journal), settings.host
    try:
        who = aws.identity().arn
    except ChronosError as error:
        who = f"not known: {error.noun}"
    try:
        address = declared_host(settings, aws)
    except ChronosError:
        address = SshAddress(host.address, host.port, host.user, host.key_file, ())
    return Reached(aws, Ssh(address, journal), who)


def chosen(parameters: RunbookParameters) -> str:
    """Parameters that are not the runbook's own defaults."""
    given = parameters.model_dump(exclude_defaults=True, exclude={"target"})
    return ", ".join(f"{name}={value!r}" for name, value in given.items()) or "all as written"


def opening(context: Context, identity: str) -> Outcome:
    """What the setup cell shows: on what, as whom, recorded where."""
    host, target = context.ssh.address, context.settings.target
    return Outcome(
        summary=f"Run `{context.run_id}` on target **{target}**"
        + (" (dry run: nothing is touched)." if context.parameters.plan else "."),
        table=[
            {"": "parameters", "seen": chosen(context.parameters)},
            {"": "AWS identity", "seen": identity},
            {
                "": "database host",
                "seen": f"{host.user}@{host.host}:{host.port}, "
                f"{'key pinned' if host.known_hosts else 'key not known'}",
            },
            {"": "record", "seen": f"outputs/{target}/{context.run_id}"},
        ],
    )
