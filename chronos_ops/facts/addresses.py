"""The host's own IPv6 addresses on the interface by which we reach it."""

import ipaddress
from typing import Any

from chronos_ops.facts.reading import json_value
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

# Bridges of Docker have global addresses too, and nobody outside reaches those.
_SAME_INTERFACE = """
set -- $SSH_CONNECTION
device=$(ip -o address show to "$3" | { read -r _ name _; echo "$name"; })
[ -n "$device" ] && exec ip -j -6 address show dev "$device" scope global
"""


def _read(answer: ShellAnswer) -> tuple[str, ...]:
    links: Any = json_value(answer, "the answer of ip")
    try:
        found = [
            str(ipaddress.ip_address(entry["local"]))
            for link in links
            for entry in link.get("addr_info", ())
            if not entry.get("temporary", False) and not entry.get("deprecated", False)
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableAnswer("not addresses of ip", repr(error)) from None
    return tuple(found)


IPV6: Fact[tuple[str, ...]] = Fact(
    "ipv6_addresses", ShellQuestion(("sh", "-c", _SAME_INTERFACE)), _read
)
