"""What an identity needs to add to the archive and to check it, and no more (R4, P1)."""

from typing import Any

from chronos_ops.model.archive import Archive


def archive_statements(archive: Archive) -> list[dict[str, Any]]:
    """IAM policy statements; none where no bucket is declared.

    Neither deletion nor shortening: who adds evidence cannot take it back. The bucket is made by
    somebody else (`chronos archive init`).
    """
    if archive.bucket is None:
        return []
    bucket = f"arn:aws:s3:::{archive.bucket}"
    return [
        {
            "Effect": "Allow",
            "Action": [
                "s3:PutObject",
                "s3:PutObjectRetention",
                "s3:GetObject",
                "s3:GetObjectVersion",
                "s3:GetObjectRetention",
            ],
            "Resource": f"{bucket}/{archive.prefix}/*",
        },
        {
            "Effect": "Allow",
            "Action": ["s3:ListBucket", "s3:ListBucketVersions"],
            "Resource": bucket,
            "Condition": {"StringLike": {"s3:prefix": [f"{archive.prefix}/*"]}},
        },
        {
            "Effect": "Allow",
            "Action": ["s3:GetBucketObjectLockConfiguration", "s3:GetBucketVersioning"],
            "Resource": bucket,
        },
    ]
