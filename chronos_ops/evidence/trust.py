"""Which key an archive is expected to be signed with: known from outside the archive (R4)."""

from chronos_ops.connectors.aws import AwsRefused
from chronos_ops.evidence.archive_bucket import Bucket
from chronos_ops.evidence.chain import PUBLIC_KEY
from chronos_ops.evidence.signing import KEY, PublicKey, operator_key, operator_state
from chronos_ops.model.errors import ChronosError, TransportError


def known_fingerprint(pinned: str | None, bucket: Bucket | None) -> str | None:
    """Pinned by a person; else of the key that was first put into the bucket, where it is locked;
    else of this operator's own key. None if nothing of these is there.
    """
    if pinned:
        return pinned
    try:
        if bucket is not None and (first := bucket.first(PUBLIC_KEY)) is not None:
            return PublicKey(first).fingerprint
    except AwsRefused as error:
        if error.code != "NoSuchBucket":
            raise
    except TransportError:
        return None  # the bucket would know, and was not asked: not known
    try:
        return operator_key().fingerprint if (operator_state() / KEY).exists() else None
    except ChronosError:
        return None
