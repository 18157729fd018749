"""The steps of the deployment's look, as its cells name them: `run.application.image`, …"""

from chronos_ops.application.database_schema import database_schema
from chronos_ops.application.endpoints import endpoints
from chronos_ops.application.environment import environment
from chronos_ops.application.image import image

__all__ = ["database_schema", "endpoints", "environment", "image"]
