"""The monthly forecast from what is deployed (M6): pure. `later`: in a year, of steady work.

Every sum is an upper bound where it cannot be known: a server that is idle pushes no WAL.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from chronos_ops.facts import billed, lightsail, s3
from chronos_ops.facts.billed import AlarmCount
from chronos_ops.facts.lightsail import Instance, Snapshot
from chronos_ops.facts.s3_usage import Usage
from chronos_ops.model.instance import TARGET_TAG
from chronos_ops.model.monitoring import Prices
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.plans import cost_storage
from chronos_ops.plans.cost_line import HOURS_MONTH, Line
from chronos_ops.plans.cost_storage import Deployed as Storage

_DRILLS_MONTH = 1  # older than 35 days is an alarm (drill_age_hours)
_MANY = 3  # lines that are named when the plan is exceeded


@dataclass(frozen=True)
class Deployed:
    """What there is that costs money."""

    instances: list[Instance]
    snapshots: list[Snapshot]
    usage: list[Usage]  # of the repositories' bucket first, then of the evidence's
    lifecycle: list[dict[str, Any]]
    alarms: AlarmCount
    metrics: int
    dashboards: int
    keys: int  # customers' own
    advanced_parameters: int


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """All but the buckets, which are read page by page."""
    return {
        "instances": lightsail.instances(),
        "snapshots": lightsail.snapshots(),
        "lifecycle": s3.lifecycle(settings.backup.bucket),
        "alarms": billed.ALARMS,
        "metrics": billed.METRICS,
        "dashboards": billed.DASHBOARDS,
        "keys": billed.KEYS,
        "amazons_keys": billed.AMAZONS_KEYS,
        "advanced_parameters": billed.ADVANCED_PARAMETERS,
    }


def usages(settings: Settings) -> dict[str, Usage]:
    """Empty sums by bucket, to be filled page by page."""
    backup = settings.backup
    places = {f"{backup.prefix.strip('/')}/": cost_storage.LIVE}
    big = 0
    if backup.long_term is not None:
        places[f"{backup.long_term_prefix.strip('/')}/"] = cost_storage.LONG_TERM
        big = backup.long_term.transition_min_bytes
    found = {backup.bucket: Usage(places, big)}
    if settings.archive is not None and settings.archive.bucket is not None:
        found.setdefault(settings.archive.bucket, Usage({"": cost_storage.EVIDENCE}, big))
    return found


def deployed(values: dict[str, Any], usage: list[Usage]) -> Deployed:
    """From the facts' values."""
    kept = {key: value for key, value in values.items() if key != "amazons_keys"}
    keys = len(values["keys"] - values["amazons_keys"])
    return Deployed(**(kept | {"keys": keys}), usage=usage)


def forecast(settings: Settings, there: Deployed) -> list[Line]:
    """What a month costs, line by line; a line without a price is not known."""
    storage = Storage(settings, there.usage, there.lifecycle)
    return [
        *_instances(settings, there),
        *cost_storage.lines(storage),
        *_watching(settings.monitoring.prices, there),
    ]


def _instances(settings: Settings, there: Deployed) -> Iterator[Line]:
    name, prices = settings.host.instance, settings.monitoring.prices
    host = next((i for i in there.instances if i.name == name), None)
    bundle = host.bundle if host else "not found"
    price = prices.bundle_month.get(bundle)
    yield Line("instance", f"instance {name} ({bundle})", 1, "month", price, 1)
    month = prices.bundle_month.get(settings.drill.bundle_id)
    running = [i for i in there.instances if i.run_id and i.tags.get(TARGET_TAG) == settings.target]
    hours = settings.drill.reap_after_hours  # at most: a drill takes less
    yield Line(
        "instance",
        f"drill hosts ({settings.drill.bundle_id}): {_DRILLS_MONTH} a month, {len(running)} now",
        (_DRILLS_MONTH + len(running)) * hours,
        "h",
        None if month is None else month / HOURS_MONTH,
        _DRILLS_MONTH * hours,
    )
    size = sum(snapshot.size_gb for snapshot in there.snapshots)
    title = f"snapshots of instances ({len(there.snapshots)})"
    yield Line("storage", title, size, "GB", prices.snapshot_gb_month, size)


def _watching(prices: Prices, there: Deployed) -> Iterator[Line]:
    counted = (
        ("custom metrics", there.metrics, prices.free_metrics, prices.metric_month),
        ("alarms", there.alarms.standard, prices.free_alarms, prices.alarm_month),
        (
            "alarms of high resolution",
            there.alarms.high_resolution,
            0,
            prices.high_resolution_alarm_month,
        ),
        ("dashboards", there.dashboards, prices.free_dashboards, prices.dashboard_month),
    )
    for title, number, free, price in counted:
        beyond = max(0, number - free)
        item = f"{title} ({number}, {free} free)" if free else f"{title} ({number})"
        yield Line("monitoring", item, beyond, "month", price, beyond)
    for title, number, price in (
        ("customer KMS keys", there.keys, prices.kms_key_month),
        ("advanced parameters", there.advanced_parameters, prices.advanced_parameter_month),
    ):
        yield Line("keys", f"{title} ({number})", number, "month", price, number)


@dataclass(frozen=True)
class Total:
    """Of a forecast; None: a price or a size is not known."""

    now: float | None
    later: float | None
    unknown: list[str] = field(default_factory=list)
    groups: dict[str, dict[str, float]] = field(default_factory=dict)  # by group: now, later

    @property
    def most(self) -> float | None:
        """The dearer of both."""
        return None if self.now is None or self.later is None else max(self.now, self.later)

    def text(self) -> str:
        return f"{_usd(self.now)} a month now, {_usd(self.later)} in a year"


def total(lines: list[Line]) -> Total:
    """Sums, with what could not be known."""
    unknown = [line.item for line in lines if line.usd is None or line.usd_later is None]
    groups: dict[str, dict[str, float]] = {}
    for line in lines:
        group = groups.setdefault(line.group, {"now": 0.0, "later": 0.0})
        group["now"] += line.usd or 0
        group["later"] += line.usd_later or 0
    now = None if any(x.usd is None for x in lines) else sum(x.usd or 0 for x in lines)
    later = (
        None if any(x.usd_later is None for x in lines) else sum(x.usd_later or 0 for x in lines)
    )
    return Total(now, later, unknown, groups)


def over_by(lines: list[Line], most: float, limit: float) -> str:
    """By how much, and what the money beside the instance goes to."""
    if most <= limit:
        return ""
    rest = [line for line in lines if not line.item.startswith("instance ")]
    dear = sorted(rest, key=lambda line: max(line.usd or 0, line.usd_later or 0), reverse=True)
    named = [f"{x.item} {_usd(max(x.usd or 0, x.usd_later or 0))}" for x in dear[:_MANY]]
    return f"over by {_usd(most - limit)}; beside the instance: {', '.join(named)}"


def _usd(value: float | None) -> str:
    return "not known" if value is None else f"{value:.2f} USD"
