"""What the runner does with a run that has ended: seal it, then send it (R4)."""

from collections.abc import Callable
from pathlib import Path

from chronos_ops.connectors.aws import Aws
from chronos_ops.evidence.archive import TIMESTAMPS, Archive
from chronos_ops.evidence.archive_bucket import Bucket
from chronos_ops.evidence.archive_push import push
from chronos_ops.evidence.chain import read_index
from chronos_ops.evidence.signing import operator_key
from chronos_ops.evidence.timestamp import request_stamp
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.settings import Settings

Say = Callable[[str], None]


def archive_run(run: Path, settings: Settings, say: Say, *, refused: str = "") -> str:
    """Seal a run and send it. Why it is not sealed; empty if it is, or none is declared.

    That it could not be sent is said and tried again by the next run: the archive here is whole.
    """
    if settings.archive is None:
        return ""
    try:
        archive = Archive(run.parent, settings.archive, operator_key(), say)
        archive.seal(run, refused=refused)
    except (ChronosError, OSError) as error:
        return f"the run is not sealed in the archive: {error}"
    send(archive, settings, say)
    return ""


def send(archive: Archive, settings: Settings, say: Say) -> bool:
    """Stamp and send what waits; says what stays pending. True if nothing does."""
    stamped = _stamp(archive, say)
    if archive.declared.bucket is None:
        return stamped
    try:
        push(archive, Bucket(Aws(settings.aws), archive.declared))
    except (ChronosError, OSError) as error:
        number = len(archive.pending())
        say(
            f"archive: pending: {number} not in the bucket {archive.declared.bucket}: {error}\n"
            f"  the next run tries again, or: ./chronos archive push --target {settings.target}"
        )
        return False
    return stamped


def _stamp(archive: Archive, say: Say) -> bool:
    """Time-stamps that are missing, the newest first; one that is not given ends the trying."""
    url = archive.declared.timestamp_url
    if url is None:
        return True
    try:
        for entry in reversed(read_index(archive.folder).entries):
            token = archive.folder / TIMESTAMPS / f"{entry.name}.tsr"
            if not token.exists():
                request_stamp(entry, url, token)
    except (ChronosError, OSError) as error:
        say(f"archive: no time-stamp yet: {error}")
        return False
    return True
