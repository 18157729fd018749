"""A new drill host, as a plan: what `--plan` shows, and what provisioning asks of Lightsail."""

from chronos_ops.model.instance import InstanceRequest
from chronos_ops.model.plan import CallAws, Change, DestroyInstance, Plan


def plan_instance(request: InstanceRequest, taken: bool) -> Plan:
    """Key pair, instance, firewall. Refused if an instance of that name is there already (D3)."""
    name = f"provision {request.name}"
    if taken:
        return Plan(name=name, refusals=(f"an instance named {request.name} exists already",))
    operation, arguments = request.create()
    undo = (DestroyInstance(name=request.name, run_id=request.run_id),)
    source = f"snapshot {request.snapshot}" if request.snapshot else request.blueprint_id
    return Plan(
        name=name,
        changes=(
            Change(
                id="lightsail.key-pair",
                title="import the run's public key",
                why="the instance admits the run, and only the run, by it",
                deeds=(_call("import_key_pair", request.import_key_pair()),),
                undo=undo,
                after=request.key_pair,
                creates=f"lightsail:key-pair/{request.key_pair}",
            ),
            Change(
                id="lightsail.instance",
                title=f"create the instance {request.name}",
                why="a restore never goes over a live cluster: it gets a host of its own (D4)",
                deeds=(_call(operation, arguments),),
                undo=undo,
                after=f"{request.bundle_id} from {source} in {request.availability_zone}, "
                f"tagged with run {request.run_id}",
                creates=f"lightsail:instance/{request.name}",
            ),
            Change(
                id="lightsail.firewall",
                title="close its firewall to all but the operators",
                why="before any data is on it (D4)",
                deeds=(_call("put_instance_public_ports", request.close_firewall()),),
                undo=undo,
                before="22 and 80 open to the world",
                after=f"{', '.join(map(str, request.ports))} open to "
                f"{', '.join(request.operator_networks)}",
            ),
        ),
    )


def _call(operation: str, arguments: dict[str, object]) -> CallAws:
    return CallAws(service="lightsail", operation=operation, arguments=arguments)
