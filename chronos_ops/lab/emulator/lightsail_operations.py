"""GetOperation and GetOperations: how a Lightsail call is going."""

from chronos_ops.lab.emulator.lightsail_core import Answer, Arguments, Lightsail


def get(lab: Lightsail, arguments: Arguments) -> Answer:
    return {"operation": lab.named("Operation", arguments["operationId"])}


def get_all(lab: Lightsail, arguments: Arguments) -> Answer:
    newest = sorted(lab.state.all("Operation").values(), key=lambda r: -float(r["createdAt"]))
    return {"operations": newest[:100]}
