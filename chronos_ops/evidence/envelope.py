"""What is signed: an in-toto statement in a DSSE envelope (R4).

Formats: in-toto Attestation Framework, Statement v1; DSSE v1 (secure-systems-lab/dsse).
"""

import base64
import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chronos_ops.evidence.signing import PublicKey, SigningKey
from chronos_ops.model.errors import ChronosError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:chronos-ops:run:1"
Kind = Literal["run", "refused", "healed"]


class BadEnvelope(ChronosError):
    """The envelope, its signature or its statement is not what the archive writes."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Digest(_Frozen):
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Subject(_Frozen):
    """A file of the run's folder, by name and hash."""

    name: str
    digest: Digest


class Package(_Frozen):
    """The run's folder as one tar file, as it goes into the bucket."""

    sha256: str
    bytes: int


class Retention(_Frozen):
    """How the bucket has to hold it: what was declared when it was sealed."""

    mode: str
    days: int


class Predicate(_Frozen):
    """What is said of the run, and where in the chain: both are signed.

    `run`: sealed. `refused`: the secret gate found something; only the manifest's hash is kept.
    `healed`: a torn last line of the index was completed or set aside.
    """

    kind: Kind
    seq: int
    previous: str  # hash of the entry before; 64 zeros for the first
    run: str
    target: str
    verdict: str
    runbook: str = ""
    started_at: str = ""
    ended_at: str = ""
    sealed_at: str
    package: Package | None = None
    retention: Retention | None = None  # None: kept on the operators' machine alone
    note: str = ""


class Statement(_Frozen):
    """in-toto Statement v1."""

    type_: str = Field(STATEMENT_TYPE, alias="_type")
    subject: tuple[Subject, ...]
    predicate_type: str = Field(PREDICATE_TYPE, alias="predicateType")
    predicate: Predicate

    def payload(self) -> bytes:
        """The bytes that are signed."""
        data = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return json.dumps(data, separators=(",", ":")).encode()


def subject(name: str, sha256: str) -> Subject:
    return Subject(name=name, digest=Digest(sha256=sha256))


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what the signature is really over."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal(statement: Statement, key: SigningKey) -> bytes:
    """The envelope as it is written: one line of JSON."""
    payload = statement.payload()
    envelope = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [
            {
                "keyid": key.fingerprint,
                "sig": base64.b64encode(key.sign(pae(PAYLOAD_TYPE, payload))).decode(),
            }
        ],
    }
    return json.dumps(envelope, separators=(",", ":")).encode() + b"\n"


def open_envelope(raw: bytes, public: PublicKey) -> tuple[Statement, str]:
    """The statement and its payload's sha256, the signature checked. Raises BadEnvelope."""
    try:
        envelope: dict[str, Any] = json.loads(raw)
        payload = base64.b64decode(envelope["payload"], validate=True)
        kind = envelope["payloadType"]
        signatures = [base64.b64decode(s["sig"], validate=True) for s in envelope["signatures"]]
    except (ValueError, KeyError, TypeError) as error:
        raise BadEnvelope("not a DSSE envelope", error) from None
    if kind != PAYLOAD_TYPE:
        raise BadEnvelope("the envelope carries no in-toto statement", kind)
    signed = pae(kind, payload)
    if not any(public.checks(signature, signed) for signature in signatures):
        raise BadEnvelope("the signature is not of the archive's key", public.fingerprint)
    try:
        statement = Statement.model_validate_json(payload)
    except ValidationError as error:
        raise BadEnvelope("the statement is not readable", error) from None
    if statement.type_ != STATEMENT_TYPE or statement.predicate_type != PREDICATE_TYPE:
        raise BadEnvelope("a statement of another kind", statement.predicate_type)
    return statement, hashlib.sha256(payload).hexdigest()
