"""What a target declares of its evidence: where and how long it is kept (R4), what is no secret."""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Archive(_Strict):
    """Runs are signed, chained and, where a bucket is named, kept there under Object Lock (R4)."""

    bucket: str | None = None  # None: signed and chained on the operators' machine alone
    prefix: str = "evidence"  # one archive (one key, one chain) below one prefix
    lock_mode: Literal["COMPLIANCE", "GOVERNANCE"] = "COMPLIANCE"  # GOVERNANCE: a right lifts it
    retention_days: int = Field(400, ge=1)
    create_bucket: bool = False  # made by the first run; else by `chronos archive init`
    key_fingerprint: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")  # pinned out of band
    timestamp_url: str | None = None  # an RFC 3161 authority; never required
    timestamp_ca_file: str | None = None  # what its answers are checked against

    @field_validator("prefix")
    @classmethod
    def _prefix(cls, value: str) -> str:
        clean = value.strip("/")
        if not re.fullmatch(r"[A-Za-z0-9._/-]+", clean):
            raise ValueError("letters, digits and ._/- only")
        return clean


class Allowed(_Strict):
    """One exception of the secret gate. Known secrets of a run cannot be excepted."""

    rule: str  # as the gate names it: aws-access-key, assignment ...
    file: str = "*"  # a pattern of the file's name in the run's folder
    text: str  # a regular expression that the whole found text must match
    reason: str = Field(min_length=3)

    @field_validator("text")
    @classmethod
    def _expression(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return value


class SecretGate(_Strict):
    """The last look over a run's files before they are sealed (R5)."""

    allow: tuple[Allowed, ...] = ()
