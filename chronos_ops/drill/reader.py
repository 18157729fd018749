"""A key that can read one repository and nothing else (D4): all that a drill host gets."""

from chronos_ops.execution.apply import apply
from chronos_ops.execution.context import Context
from chronos_ops.model.settings import Settings
from chronos_ops.plans import identity


def as_reader(settings: Settings, run_id: str) -> Settings:
    """The same repository, seen with this run's own reading key."""
    backup = settings.backup.model_copy(
        update={
            "host_iam_user": f"chronos-reader-{run_id}",
            "host_key_secret": f"/chronos/drills/{run_id}/reader-key",
        }
    )
    return settings.model_copy(update={"backup": backup})


def make_reader(context: Context) -> None:
    """Make the reader of the repository that `context.settings` names; removed with the run."""
    settings = as_reader(context.settings, context.run_id)
    values = {name: context.ask(fact) for name, fact in identity.facts(settings).items()}
    plan = identity.plan(settings, values, read_only=True, run_id=context.run_id)
    apply(plan, context, temporary=True)
