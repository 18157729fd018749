"""TagResource and UntagResource, for whatever has a name."""

from chronos_ops.lab.emulator.lightsail_core import Answer, Arguments, Lightsail, LightsailError
from chronos_ops.lab.emulator.lightsail_state import KINDS, Record, State


def find_any(state: State, name: str) -> Record | None:
    """The first resource of that name, of any kind that can be tagged."""
    return next((r for r in (state.find(kind, name) for kind in KINDS) if r), None)


def tag(lab: Lightsail, arguments: Arguments) -> Answer:
    return _change(lab, arguments, "TagResource")


def untag(lab: Lightsail, arguments: Arguments) -> Answer:
    return _change(lab, arguments, "UntagResource")


def _change(lab: Lightsail, arguments: Arguments, operation: str) -> Answer:
    name = arguments["resourceName"]
    record = find_any(lab.state, name)
    if record is None:
        raise LightsailError("NotFoundException", f"The resource does not exist: {name}")
    added = list(arguments.get("tags", []))
    dropped = {*arguments.get("tagKeys", []), *(item["key"] for item in added)}
    with lab.state.changing():
        record["tags"] = [item for item in record["tags"] if item["key"] not in dropped] + added
        done = lab.state.operation(record["resourceType"], name, operation)
    return {"operations": [done]}
