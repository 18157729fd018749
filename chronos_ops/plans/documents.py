"""JSON documents of AWS (policies, dashboards): compared by meaning, shown line by line."""

import json
from collections.abc import Mapping
from typing import Any


def shown(document: Mapping[str, Any]) -> str:
    """For the diff, and for the call: keys sorted, so that the same is always the same text."""
    return json.dumps(document, indent=1, sort_keys=True) if document else ""


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Equal, whether a single value stands in a list or not, and in any order of keys."""
    return bool(_plain(one) == _plain(other))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        items = [_plain(item) for item in value]
        return (
            items[0]
            if len(items) == 1
            else sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
        )
    return value
