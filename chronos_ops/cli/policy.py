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
    identity: asks Lightsail for the declared instance, which the policy then protects by its ARN.
    """
    from chronos_ops.connectors.aws import Aws
    from chronos_ops.facts import lightsail
    from chronos_ops.model.question import AwsQuestion
    from chronos_ops.model.settings import load_settings
    from chronos_ops.plans.drill_rights import boundary_document, identity_document

    settings = load_settings(target)
    if wanted is Wanted.BOUNDARY:
        typer.echo(json.dumps(boundary_document(settings), indent=2))
        return
    identity_document(settings, "")  # refused before anything is asked
    aws, fact = Aws(settings.aws), lightsail.instance(settings.host.instance)
    assert isinstance(fact.question, AwsQuestion)
    declared = fact.parse(aws.ask(fact.question))
    if declared is None or not declared.arn:
        raise UsageError(
            "Lightsail knows no such instance",
            settings.host.instance,
            hint="host.instance of the parameter file, and its aws.region",
        )
    typer.echo(json.dumps(identity_document(settings, declared.arn), indent=2))
