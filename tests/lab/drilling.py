"""What tests of drills share: the context of a running drill, and what a run has left."""

import json
from pathlib import Path
from typing import Any

from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.evidence.journal import FileJournal
from chronos_ops.evidence.redact import Redactor
from chronos_ops.execution.apply import apply
from chronos_ops.execution.context import Context
from chronos_ops.execution.declared_host import declared_host
from chronos_ops.execution.provision import list_drill_instances
from chronos_ops.model.parameters import parse_parameters
from chronos_ops.model.settings import Settings
from chronos_ops.plans import bucket

RUNBOOK = "disaster_recovery"


def drill_context(
    settings: Settings, parent: Path, run_id: str = "20261122T214503Z-drill-1f00ba"
) -> Context:
    """What a running drill holds; the target's bucket is there. Close it."""
    folder = parent / run_id
    folder.mkdir()
    journal = FileJournal(folder, Redactor())
    aws = Aws(settings.aws, journal)
    parameters = parse_parameters(RUNBOOK, {"target": settings.target})
    written = {
        "settings": settings.model_dump(mode="json"),
        "parameters": parameters.model_dump(mode="json"),
    }
    (folder / "parameters.json").write_text(json.dumps(written))
    found = Context(
        folder.name, folder, settings, parameters, journal, aws, Ssh(declared_host(settings, aws))
    )
    values = {name: found.ask(fact) for name, fact in bucket.facts(settings).items()}
    apply(bucket.plan(settings, values), found)
    return found


def left_of(context: Context, run_id: str) -> dict[str, Any]:
    """What a run has left in the account."""
    aws = context.aws
    versions = aws.call(
        "s3",
        "list_object_versions",
        Bucket=context.settings.backup.bucket,
        Prefix=f"drills/{run_id}/",
    )
    users = aws.call("iam", "list_users")["Users"]
    parameters = aws.call("ssm", "describe_parameters")["Parameters"]
    keys = aws.call("lightsail", "get_key_pairs")["keyPairs"]
    left = {
        "instances": [i.name for i in list_drill_instances(aws) if i.run_id == run_id],
        "objects": [*versions.get("Versions", []), *versions.get("DeleteMarkers", [])],
        "users": [u["UserName"] for u in users if run_id in u["UserName"]],
        "secrets": [p["Name"] for p in parameters if run_id in p["Name"]],
        "key pairs": [k["name"] for k in keys if run_id in k["name"]],
    }
    return {name: found for name, found in left.items() if found}
