"""`chronos policy`: the least rights of scheduled drills, as IAM takes them (P1)."""

import json
from enum import StrEnum
from typing import Annotated

import typer

from chronos_ops.cli.arguments import TargetOption
from chronos_ops.model.errors import UsageError


class Wanted(StrEnum):
    """Which of the two."""

    IDENTITY = "identity"
    BOUNDARY = "boundary"


def policy(
    wanted: Annotated[
        Wanted,
        typer.Argument(
            help="identity: of the scheduler's own user; boundary: of each user that a drill makes."
        ),
    ],
    target: TargetOption,
) -> None:
    """Print an IAM policy for scheduled drills: instances by tag, S3 read, named secrets.

    boundary: make it first, and write its ARN to `drill.permissions_boundary`.
    identity: asks Lightsail for all instances; those that no run made are denied by their ARNs.
    Print it anew after a recovery for real, and when an instance was made.
    """
    from chronos_ops.connectors.aws import Aws
    from chronos_ops.facts import lightsail
    from chronos_ops.model.question import AwsQuestion
    from chronos_ops.model.settings import load_settings
    from chronos_ops.plans.drill_rights import SIZE_LIMIT, boundary_document, identity_document

    settings = load_settings(target)
    if wanted is Wanted.BOUNDARY:
        typer.echo(json.dumps(boundary_document(settings), indent=2))
        return
    identity_document(settings, [])  # refused before anything is asked
    aws, fact = Aws(settings.aws), lightsail.instances()
    assert isinstance(fact.question, AwsQuestion)
    others = [found for found in fact.parse(aws.ask(fact.question)) if not found.run_id]
    if settings.host.instance not in {found.name for found in others}:
        raise UsageError(
            "Lightsail knows no such instance",
            settings.host.instance,
            hint="host.instance of the parameter file, and its aws.region",
        )
    document = identity_document(settings, sorted(found.arn for found in others))
    size = len(json.dumps(document, separators=(",", ":")))
    if size > SIZE_LIMIT:
        raise UsageError(
            "the policy is larger than IAM takes",
            f"{size} characters, at most {SIZE_LIMIT}",
            hint="this account has many instances: drill in an account of its own",
        )
    typer.echo(json.dumps(document, indent=2))
