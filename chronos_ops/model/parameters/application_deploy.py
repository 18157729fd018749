"""Parameters of the look at an application's prerequisites (A1)."""

from chronos_ops.model.parameters.common import RunbookParameters


class ApplicationDeploy(RunbookParameters):
    """See notebooks/application_deploy.ipynb."""

    image: str = ""  # the image that is to be deployed; empty: the target's own
