"""The stages of the monitoring runbook, in the order in which they are applied."""

from chronos_ops.plans.alarms import ALARMS
from chronos_ops.plans.budget import BUDGET
from chronos_ops.plans.cloudwatch_agent import CLOUDWATCH_AGENT
from chronos_ops.plans.dashboard import DASHBOARD
from chronos_ops.plans.publisher import METRICS_IDENTITY, METRICS_PACKAGES, PUBLISHER
from chronos_ops.plans.topic import NOTIFICATION

# Metrics first: an alarm that is made before them stands in INSUFFICIENT_DATA, or fires at once.
STAGES = (
    METRICS_PACKAGES,
    METRICS_IDENTITY,
    PUBLISHER,
    CLOUDWATCH_AGENT,
    NOTIFICATION,
    ALARMS,
    DASHBOARD,
    BUDGET,
)

__all__ = [
    "ALARMS",
    "BUDGET",
    "CLOUDWATCH_AGENT",
    "DASHBOARD",
    "METRICS_IDENTITY",
    "METRICS_PACKAGES",
    "NOTIFICATION",
    "PUBLISHER",
    "STAGES",
]
