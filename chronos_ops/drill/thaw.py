"""Frozen objects are thawed: ordered once, waited for, and gone on with by the next run (B2).

S3 keeps what was ordered: a run that ends while it waits loses nothing but its time.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from chronos_ops.connectors.aws import AwsRefused
from chronos_ops.execution.context import Context
from chronos_ops.facts import s3
from chronos_ops.facts.s3 import StoredObject
from chronos_ops.model.errors import Rule, TransportError, UnfitTarget
from chronos_ops.model.timing import utc_now
from chronos_ops.plans.thaw import Needed

_AT_ONCE = 8  # S3 takes 1000 a second
_FIRST_LOOK, _SLOWER, _LONGEST = 1.0, 1.3, 120.0  # seconds between two looks
_SOON = timedelta(days=1)  # a copy that ends earlier is kept for longer
_DONE = ("RestoreAlreadyInProgress", "ObjectAlreadyInActiveTierError")
_AGAIN = "S3 goes on with what was ordered: start the same run again, it goes on where this ended"

THAWED = Rule(
    "drill.thaw.complete",
    "every object that the restore reads can be read now",
    "all of them within the patience",
    "B2",
)
WHOLE = Rule("drill.thaw.set-complete", "every file of the set is there", "all of them", "B2")


def order(context: Context, needed: Needed, tier: str, days: int) -> int:
    """RestoreObject for each that is frozen, or whose copy ends soon; how many were asked for.

    What is in progress, or back already, is no error. Raises AwsRefused, UnfitTarget.
    """
    soon = utc_now() + _SOON
    wanted = [
        item
        for item in needed.objects
        if not item.thawing
        and (not item.readable or (item.thawed_until is not None and item.thawed_until < soon))
    ]
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        for _ in pool.map(lambda item: _restore(context, item, tier, days), wanted):
            pass
    return len(wanted)


def _restore(context: Context, item: StoredObject, tier: str, days: int) -> None:
    request = {"Days": days, "GlacierJobParameters": {"Tier": tier.capitalize()}}
    where = {"Bucket": context.settings.backup.bucket, "Key": item.key}
    try:
        context.aws.call("s3", "restore_object", **where, RestoreRequest=request)
    except AwsRefused as error:
        if error.code == "NoSuchKey":
            raise _gone([item.key]) from None
        if error.code == "AccessDenied":
            error.add("grant s3:RestoreObject on the long-term prefix to the profile's identity")
        if error.code not in _DONE:
            raise


def wait(context: Context, needed: Needed, tier: str, days: int, patience: float) -> Needed:
    """Look until all of them can be read. Raises UnfitTarget after `patience` seconds.

    A copy that ended meanwhile is ordered again; a look that fails on its way is made again.
    """
    began, pause = time.monotonic(), _FIRST_LOOK
    deadline = began + patience
    with context.journal.interval("wait", "the thaw"):
        while True:
            needed = _looked(context, needed)
            cold = needed.frozen
            if not cold:
                return needed
            hours = (time.monotonic() - began) / 3600
            total = len(needed.objects)
            state = f"{total - len(cold)} of {total} objects can be read after {hours:.2f} h"
            if time.monotonic() >= deadline:
                raise UnfitTarget(
                    f"the thaw is not complete after {patience / 3600:g} h",
                    state,
                    hint=_AGAIN,
                    breaks=THAWED,
                )
            context.say(f"thaw: {state}")
            if any(not item.thawing for item in cold):
                order(context, needed, tier, days)
            time.sleep(max(0.0, min(pause, deadline - time.monotonic())))
            pause = min(pause * _SLOWER, _LONGEST)


def _looked(context: Context, needed: Needed) -> Needed:
    """The objects that are still frozen, as they are now."""
    cold = needed.frozen
    bucket = context.settings.backup.bucket
    folders = {"/".join(item.key.split("/")[: _depth(context)]) for item in cold}
    try:
        now = [
            item for folder in sorted(folders) for item in context.ask(s3.objects(bucket, folder))
        ]
    except TransportError as error:
        context.journal.note("thaw: a look failed", error=error.text())
        return needed
    there = {item.key for item in now}
    if missing := [item.key for item in cold if item.key not in there]:
        raise _gone(missing)
    return needed.refreshed(now)


def _depth(context: Context) -> int:
    """Words of a key down to a set's folder, or an archive id's: prefix, kind, stanza, name."""
    return len(context.settings.backup.long_term_prefix.strip("/").split("/")) + 3


def _gone(keys: Sequence[str]) -> UnfitTarget:
    return UnfitTarget(
        "objects of the set are gone from the bucket",
        ", ".join(keys[:3]),
        hint="expired meanwhile? Choose another set; former versions are kept some days",
        breaks=WHOLE,
    )
