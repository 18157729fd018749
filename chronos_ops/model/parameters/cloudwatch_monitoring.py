"""Parameters of the monitoring runbook (M)."""

from chronos_ops.model.parameters.common import ChangingParameters


class CloudwatchMonitoring(ChangingParameters):
    """See notebooks/cloudwatch_monitoring.ipynb."""

    test_alarms: bool = True  # drive every alarm to ALARM and back (M4)
    real_conditions: bool = True  # by its real condition where that is safe, else by a nonce
    email_token: str = ""  # from the confirmation's mail, where no inbox is declared (M3)
