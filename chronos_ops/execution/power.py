"""Instances and static addresses as they are wanted, whatever they are now (D9). Each deed looks
first: it is the undo of a run that may have been killed at any moment.
"""

import time
from collections.abc import Callable

from chronos_ops.connectors.aws import Aws, AwsRefused
from chronos_ops.facts import lightsail
from chronos_ops.facts.lightsail import Instance, StaticIp
from chronos_ops.model.errors import ChronosError, Refused, TransportError
from chronos_ops.model.instance import RUN_TAG
from chronos_ops.model.question import AwsQuestion

STOP_SECONDS = 120.0  # then by force; and as long again
MOVE_SECONDS = 60.0
_OFF = ("stopped", "gone")


def instance(aws: Aws, name: str) -> Instance | None:
    """The instance as it is now."""
    fact = lightsail.instance(name)
    assert isinstance(fact.question, AwsQuestion)
    return fact.parse(aws.ask(fact.question))


def static_ip(aws: Aws, name: str) -> StaticIp:
    """The static address as it is now. Raises ChronosError: it was released."""
    fact = lightsail.static_ips()
    assert isinstance(fact.question, AwsQuestion)
    for found in fact.parse(aws.ask(fact.question)):
        if found.name == name:
            return found
    raise ChronosError("Lightsail has no such static address any more", name)


def lead(aws: Aws, name: str, to: str, run_id: str) -> None:
    """Let the static address lead to instance `to`. Raises Refused where a stranger serves."""
    holder = static_ip(aws, name).attached_to
    wanted = to if to and instance(aws, to) is not None else ""
    if holder == wanted:
        return
    if holder and holder != to:
        seen = instance(aws, holder)
        if seen is not None and (not run_id or seen.run_id != run_id):
            raise Refused(f"the static address {name} leads to {holder}, not of run {run_id!r}")
    move(aws, name, wanted)


def move(aws: Aws, name: str, to: str) -> None:
    """Detach the static address from whom it leads to, and attach it; waits until it is so."""
    holder = static_ip(aws, name).attached_to
    if holder == to:
        return
    if holder:
        aws.call("lightsail", "detach_static_ip", staticIpName=name)
        _until(f"{name} is detached", MOVE_SECONDS, lambda: not static_ip(aws, name).attached_to)
    if to:
        aws.call("lightsail", "attach_static_ip", staticIpName=name, instanceName=to)
        _until(
            f"{name} leads to {to}",
            MOVE_SECONDS,
            lambda: static_ip(aws, name).attached_to == to,
        )


def start_instance(aws: Aws, name: str) -> None:
    """Start an instance; one that runs, or is gone, is left alone."""
    _until(f"{name} has stopped", STOP_SECONDS, lambda: _state(aws, name) != "stopping")
    if _state(aws, name) == "stopped":
        aws.call("lightsail", "start_instance", instanceName=name)


def stop_instance(aws: Aws, name: str) -> str:
    """Stop an instance, by force if it hangs; its state then: `stopped`, or `gone`.

    The operators' policy may deny to stop what carries no `chronos:run` (D3): it gets that tag for
    this one call, without a value, by which no run and no reaper takes it for a drill host.
    """
    if _state(aws, name) == "gone":
        return "gone"
    tag = {"key": RUN_TAG, "value": ""}
    aws.call("lightsail", "tag_resource", resourceName=name, tags=[tag])
    try:
        for force in (False, True):
            if _stopped(aws, name, force=force):
                break
    finally:
        if instance(aws, name) is not None:
            aws.call("lightsail", "untag_resource", resourceName=name, tagKeys=[RUN_TAG])
    return _state(aws, name)


def _stopped(aws: Aws, name: str, *, force: bool) -> bool:
    if _state(aws, name) in _OFF:
        return True
    try:
        aws.call("lightsail", "stop_instance", instanceName=name, force=force)
    except AwsRefused as error:  # it is stopping already
        if error.code != "OperationFailureException":
            raise
    try:
        _until(f"{name} has stopped", STOP_SECONDS, lambda: _state(aws, name) in _OFF)
    except TransportError:
        if force:
            raise
        return False
    return True


def _state(aws: Aws, name: str) -> str:
    seen = instance(aws, name)
    return "gone" if seen is None or seen.state == "terminated" else seen.state


def _until(noun: str, seconds: float, so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not so():
        if time.monotonic() > deadline:
            raise TransportError(f"waited {seconds:.0f} s in vain until {noun}")
        time.sleep(0.5)
