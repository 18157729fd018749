"""What the identity of scheduled drills may not do: refused by IAM, call by call (P1).

What it may do is seen where whole drills run with it (test_drill.py).
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chronos_ops.connectors.aws import Aws, AwsRefused
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.secret import Secret
from chronos_ops.model.settings import Settings, load_settings
from tests.lab.drilling import drill_context
from tests.lab.least import BOUNDARY, USER, least_target

pytestmark = pytest.mark.lab
EVERYTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)
RUN = "20261123T000000Z-drill-000000"
TAGS = [{"key": "chronos:run", "value": RUN}]


@pytest.fixture(scope="module")
def least(lab: LabStatus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("least")
    drill_context(load_settings(lab.name), folder).close()  # the bucket is there
    with least_target(lab.name, folder) as settings:
        yield settings


@pytest.fixture
def aws(least: Settings) -> Iterator[Aws]:
    caller = Aws(least.aws)
    yield caller
    caller.close()


def refused(aws: Aws, service: str, operation: str, **arguments: Any) -> None:
    with pytest.raises(AwsRefused) as caught:
        aws.call(service, operation, **arguments)
    assert caught.value.code.startswith("AccessDenied"), caught.value


def test_the_declared_instance_is_out_of_reach_whatever_its_tags(aws: Aws, least: Settings) -> None:
    name = least.host.instance
    target = {"key": "chronos:target", "value": least.target}
    refused(aws, "lightsail", "tag_resource", resourceName=name, tags=[*TAGS, target])
    refused(aws, "lightsail", "delete_instance", instanceName=name)
    refused(aws, "lightsail", "stop_instance", instanceName=name)
    refused(aws, "lightsail", "get_instance_access_details", instanceName=name, protocol="ssh")
    refused(aws, "lightsail", "put_instance_public_ports", instanceName=name, portInfos=[])


def test_an_instance_is_made_with_the_tags_of_a_run_of_this_target_or_not_at_all(
    aws: Aws, least: Settings
) -> None:
    common: dict[str, Any] = {
        "instanceNames": ["untagged"],
        "availabilityZone": least.drill.availability_zone,
        "blueprintId": least.drill.blueprint_id,
        "bundleId": least.drill.bundle_id,
    }
    other = {"key": "chronos:target", "value": "another"}
    for tags in ([], TAGS, [*TAGS, other]):
        refused(aws, "lightsail", "create_instances", **common, tags=tags)


def test_nobody_gets_more_rights_through_a_user_of_a_drill(aws: Aws, least: Settings) -> None:
    own = f"chronos-drill-{RUN}"
    bounded = {"PermissionsBoundary": least.drill.permissions_boundary}
    refused(aws, "iam", "create_user", UserName=own)  # without the boundary
    refused(aws, "iam", "create_user", UserName="somebody", **bounded)
    refused(aws, "iam", "create_access_key", UserName=USER)
    everything = {"PolicyName": "p", "PolicyDocument": EVERYTHING}
    refused(aws, "iam", "put_user_policy", UserName=USER, **everything)
    refused(aws, "iam", "put_user_policy", UserName=least.backup.host_iam_user, **everything)
    arn = least.drill.permissions_boundary
    refused(aws, "iam", "create_policy_version", PolicyArn=arn, PolicyDocument=EVERYTHING)
    # with the boundary it may have a policy that grants everything, and gets what the boundary has
    aws.call("iam", "create_user", UserName=own, **bounded)
    try:
        aws.call("iam", "put_user_policy", UserName=own, **everything)
        refused(aws, "iam", "delete_user_permissions_boundary", UserName=own)
        key = aws.call("iam", "create_access_key", UserName=own)["AccessKey"]
        try:
            _exceeds_nothing(aws, least, key["AccessKeyId"], key["SecretAccessKey"])
        finally:
            aws.call("iam", "delete_access_key", UserName=own, AccessKeyId=key["AccessKeyId"])
            aws.call("iam", "delete_user_policy", UserName=own, PolicyName="p")
    finally:
        aws.call("iam", "delete_user", UserName=own)


def _exceeds_nothing(aws: Aws, least: Settings, key_id: str, secret: str) -> None:
    made = aws.with_key(Secret(key_id), Secret(secret))
    bucket, live = least.backup.bucket, least.backup.prefix.strip("/")
    own = {"Bucket": bucket, "Key": f"drills/{RUN}/x"}
    made.call("s3", "put_object", **own, Body=b"x")  # the control: what a drill's host needs
    made.call("s3", "delete_object", **own)
    refused(made, "s3", "put_object", Bucket=bucket, Key=f"{live}/x", Body=b"x")
    refused(made, "s3", "delete_object", Bucket=bucket, Key=f"{live}/x")
    refused(made, "iam", "list_users")
    refused(made, "lightsail", "get_instances")
    refused(made, "ssm", "get_parameter", Name=least.backup.cipher_secret, WithDecryption=True)
    made.close()


def test_repositories_are_read_and_only_a_drill_s_own_is_emptied(aws: Aws, least: Settings) -> None:
    bucket, live = least.backup.bucket, least.backup.prefix.strip("/")
    aws.call("s3", "list_objects_v2", Bucket=bucket, Prefix=f"{live}/")  # the control
    for key in (f"{live}/x", f"{least.backup.long_term_prefix.strip('/')}/x"):
        refused(aws, "s3", "put_object", Bucket=bucket, Key=key, Body=b"x")
        refused(aws, "s3", "delete_object", Bucket=bucket, Key=key)
    refused(aws, "s3", "put_bucket_versioning", Bucket=bucket,
            VersioningConfiguration={"Status": "Suspended"})  # fmt: skip
    refused(aws, "s3", "list_objects_v2", Bucket=bucket, Prefix="")
    refused(aws, "s3", "list_buckets")


def test_secrets_are_read_by_their_names_alone(aws: Aws, least: Settings) -> None:
    backup = least.backup
    for name in (f"{backup.host_key_secret}/id", f"{backup.host_key_secret}/secret", "/other"):
        refused(aws, "ssm", "get_parameter", Name=name, WithDecryption=True)
    refused(aws, "ssm", "put_parameter", Name=backup.cipher_secret, Value="x",
            Type="SecureString", Overwrite=True)  # fmt: skip
    refused(aws, "ssm", "delete_parameter", Name=backup.cipher_secret)


def test_the_boundary_itself_cannot_be_touched(aws: Aws, least: Settings) -> None:
    arn = least.drill.permissions_boundary
    assert arn is not None
    assert arn.endswith(BOUNDARY)
    refused(aws, "iam", "delete_policy", PolicyArn=arn)
    refused(aws, "iam", "attach_user_policy", UserName=USER, PolicyArn=arn)
