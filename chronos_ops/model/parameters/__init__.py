"""Parameters of each runbook: strict models, equal to the notebook's `parameters` cell."""

from typing import Any

from pydantic import ValidationError

from chronos_ops.model.errors import UsageError
from chronos_ops.model.parameters.application_deploy import ApplicationDeploy
from chronos_ops.model.parameters.cloudwatch_monitoring import CloudwatchMonitoring
from chronos_ops.model.parameters.common import RunbookParameters
from chronos_ops.model.parameters.disaster_recovery import DisasterRecovery
from chronos_ops.model.parameters.fault_catalogue import FaultCatalogue
from chronos_ops.model.parameters.pgbackrest_backup_restore import PgbackrestBackupRestore
from chronos_ops.model.parameters.preflight import Preflight
from chronos_ops.model.parameters.production_readiness import ProductionReadiness
from chronos_ops.model.parameters.security_hardening import SecurityHardening
from chronos_ops.model.settings import explain

MODELS: dict[str, type[RunbookParameters]] = {
    "preflight": Preflight,
    "pgbackrest_backup_restore": PgbackrestBackupRestore,
    "security_hardening": SecurityHardening,
    "cloudwatch_monitoring": CloudwatchMonitoring,
    "disaster_recovery": DisasterRecovery,
    "application_deploy": ApplicationDeploy,
    "production_readiness": ProductionReadiness,
    "fault_catalogue": FaultCatalogue,
}


def parse_parameters(runbook: str, values: dict[str, Any]) -> RunbookParameters:
    """Parameters of a runbook, checked strictly. Raises UsageError naming each wrong one."""
    if runbook not in MODELS:
        raise UsageError("unknown runbook", repr(runbook), hint=f"known: {', '.join(MODELS)}")
    model = MODELS[runbook]
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise explain(error, model, f"the parameters of {runbook}") from None
