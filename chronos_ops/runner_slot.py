"""Run a runbook for one moment of its schedule: once, and not by a person's login (R2, P1)."""

from dataclasses import replace
from datetime import datetime

from chronos_ops.connectors.aws_profile import login_kind
from chronos_ops.model.errors import Refused
from chronos_ops.model.result import Result
from chronos_ops.model.settings import Settings
from chronos_ops.runner import Spec, execute, prepare
from chronos_ops.schedule.claims import Claims


def run_slot(
    runbook: str, target: str, overrides: dict[str, str], approve: str, slot: datetime
) -> Result:
    """Raises what `runner.run` raises, and Taken or NeedsHuman of the slot's claim."""
    spec = prepare(runbook, target, overrides, approve, plan=False)
    refuse_login(spec.settings)
    return claim_and_execute(spec, slot)


def claim_and_execute(spec: Spec, slot: datetime) -> Result:
    """A checked run, fenced."""
    with Claims(spec.outputs / spec.settings.target).claimed(spec.runbook, slot) as held:
        result = execute(replace(spec, begun=held.begun))
        held.end(result.verdict)
        return result


def refuse_login(settings: Settings) -> None:
    """Raise Refused: of this user, the profile needs a person, or is none at all (P1)."""
    kind, profile = login_kind(settings.aws), settings.aws.profile
    if kind in ("sso", "temporary keys"):
        how = "SSO" if kind == "sso" else kind
        raise Refused(
            f"the profile {profile!r} logs in by {how}, which ends within hours: "
            "not for a schedule",
            hint=f"as the timer's own user: `aws configure --profile {profile}`, with the key of "
            "chronos-drill (`./chronos policy`), or name another profile in aws.profile",
        )
    if kind == "nothing":
        raise Refused(
            f"this user has no credentials in the profile {profile!r}",
            hint=f"as the user of the timer: `aws configure --profile {profile}`",
        )
