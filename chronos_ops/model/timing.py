"""Durations, phases and objectives. RTO/RPO are objectives; what was measured is achieved."""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict


def utc_now() -> datetime:
    """Now, in UTC. Stamps only: durations come from the monotonic clock."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """RFC 3339 with microseconds and `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Phase(BaseModel):
    """A named part of a recovery: when it began (UTC) and how long it took (seconds)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    started_at: str
    seconds: float


class Objectives(BaseModel):
    """What recovery must keep, in seconds (RTO, RPO)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recovery_time_seconds: float
    recovery_point_seconds: float


class Achieved(BaseModel):
    """What was measured. None: not measured in this run (never read as zero)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recovery_time_seconds: float | None = None  # the later of first write and verified
    first_write_seconds: float | None = None
    verified_seconds: float | None = None
    recovery_point_seconds: float | None = None
    lost_commits: int | None = None
    given_up_commits: int | None = None  # PITR: commits after the target
