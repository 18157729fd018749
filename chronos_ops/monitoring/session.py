"""The steps of the monitoring runbook, as its cells name them: `run.monitoring.channels`, …"""

from chronos_ops.monitoring.back_test import back_test
from chronos_ops.monitoring.burst import burst_capacity
from chronos_ops.monitoring.channels import channels, confirm_email
from chronos_ops.monitoring.cost import cost
from chronos_ops.monitoring.drive import test_alarms
from chronos_ops.monitoring.flow import metrics_flow
from chronos_ops.monitoring.series import series
from chronos_ops.monitoring.thresholds import thresholds

__all__ = [
    "back_test",
    "burst_capacity",
    "channels",
    "confirm_email",
    "cost",
    "metrics_flow",
    "series",
    "test_alarms",
    "thresholds",
]
