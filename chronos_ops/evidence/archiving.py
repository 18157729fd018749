"""What the runner does with a run that has ended: seal it, then send it (R4)."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from chronos_ops.evidence.redact import Redactor
from chronos_ops.evidence.secret_gate import look_over
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.settings import Settings

if TYPE_CHECKING:  # cryptography and boto3: only where an archive is declared
    from chronos_ops.evidence.archive import Archive

Say = Callable[[str], None]
_LEAKS_SHOWN = 10


def archive_run(run: Path, settings: Settings, say: Say, *, refused: str = "") -> str:
    """Seal a run and send it. Why it is not sealed; empty if it is, or none is declared.

    That it could not be sent is said and tried again by the next run: the archive here is whole.
    """
    if settings.archive is None:
        return ""
    from chronos_ops.evidence.archive import Archive
    from chronos_ops.evidence.signing import operator_key

    try:
        archive = Archive(run.parent, settings.archive, operator_key(), say)
        archive.seal(run, refused=refused)
    except (ChronosError, OSError) as error:
        return f"the run is not sealed in the archive: {error}"
    send(archive, settings, say)
    return ""


def is_sealed(run: Path, settings: Settings) -> bool:
    """It has its entry, or no archive is declared. Raises OSError."""
    if settings.archive is None:
        return True
    from chronos_ops.evidence.archive import unsealed

    return run not in unsealed(run.parent)


def archive_sealed(
    run: Path, settings: Settings, say: Say, redactor: Redactor | None = None
) -> str:
    """`archive_run` behind the secret gate. Says why, if the run is not sealed.

    Without a `redactor` the run's process is gone, and with it what it handled: then the gate
    looks only for what looks like a secret.
    """
    leaks = look_over(run, redactor or Redactor(), settings.secret_gate.allow)
    for leak in leaks[:_LEAKS_SHOWN]:
        say(f"the secret gate refuses {run.name}: {leak}")
    refused = f"the secret gate found {len(leaks)} places" if leaks else ""
    problem = archive_run(run, settings, say, refused=refused)
    if problem:
        say(problem)
    return problem


def send(archive: "Archive", settings: Settings, say: Say) -> bool:
    """Stamp and send what waits; says what stays pending. True if nothing does."""
    stamped = _stamp(archive, say)
    if archive.declared.bucket is None:
        return stamped
    from chronos_ops.connectors.aws import Aws
    from chronos_ops.evidence.archive_bucket import Bucket
    from chronos_ops.evidence.archive_push import push

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


def _stamp(archive: "Archive", say: Say) -> bool:
    """Time-stamps that are missing, the newest first; one that is not given ends the trying."""
    url = archive.declared.timestamp_url
    if url is None:
        return True
    from chronos_ops.evidence.archive import TIMESTAMPS
    from chronos_ops.evidence.chain import read_index
    from chronos_ops.evidence.timestamp import request_stamp

    try:
        for entry in reversed(read_index(archive.folder).entries):
            token = archive.folder / TIMESTAMPS / f"{entry.name}.tsr"
            if not token.exists():
                request_stamp(entry, url, token)
    except (ChronosError, OSError) as error:
        say(f"archive: no time-stamp yet: {error}")
        return False
    return True
