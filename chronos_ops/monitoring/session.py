"""The steps of the monitoring runbook, as its cells name them: `run.monitoring.channels`, …"""

from chronos_ops.monitoring.burst import burst_capacity
from chronos_ops.monitoring.channels import channels, confirm_email
from chronos_ops.monitoring.drive import test_alarms
from chronos_ops.monitoring.flow import metrics_flow

__all__ = ["burst_capacity", "channels", "confirm_email", "metrics_flow", "test_alarms"]
