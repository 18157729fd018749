"""The address that applications know, and the hosts to which it leads (D9)."""

from dataclasses import replace

from chronos_ops.execution.context import Context
from chronos_ops.execution.declared_host import declared_host
from chronos_ops.facts import lightsail
from chronos_ops.facts.lightsail import StaticIp
from chronos_ops.model.errors import UsageError
from chronos_ops.model.settings import Settings

RECOVERED_FROM = "chronos:recovered-from"  # tag of a host that took another one's place
RECOVERED_BY = "chronos:recovered-by"


def static_address(context: Context) -> StaticIp:
    """The declared address among the account's static ones. Raises UsageError: it is none."""
    address = context.settings.host.address
    found = {static.address: static for static in context.ask(lightsail.static_ips())}
    if address not in found:
        raise UsageError(
            "host.address is no static address of this account: it cannot be moved to a new host",
            f"{address} (there are: {', '.join(sorted(found)) or 'none'})",
            hint="restore beside it with scenario production_proof, and move the clients by hand",
        )
    return found[address]


def successor(context: Context, static: StaticIp) -> str:
    """The host that took the declared one's place in an earlier run that was cut short; "": none.

    Raises UsageError where the address leads to a stranger.
    """
    holder, lost = static.attached_to, context.settings.host.instance
    if holder in ("", lost):
        return ""
    seen = context.ask(lightsail.instance(holder))
    if seen is None or seen.tags.get(RECOVERED_FROM) != lost:
        raise UsageError(
            f"the static address {static.name} leads to another instance than the declared one",
            f"{holder}, declared is {lost}",
            hint="nothing is moved away from a stranger: set host.instance to whom it serves now",
        )
    return holder


def settings_of(settings: Settings, instance: str, user: str) -> Settings:
    """The target with its new host: same address, keys pinned from Lightsail."""
    changes = {"instance": instance, "user": user, "known_hosts_file": None}
    host = settings.host.model_copy(update=changes)
    return settings.model_copy(update={"host": host})


def serving(context: Context, instance: str) -> Context:
    """The run, looking at its new host at the old address, by the operator's own key."""
    seen = context.ask(lightsail.instance(instance))
    if seen is None:
        raise UsageError("the new host is not there any more", instance)
    settings = settings_of(context.settings, instance, seen.user)
    ssh = context.host(declared_host(settings, context.aws))
    return replace(context, settings=settings, ssh=ssh)
