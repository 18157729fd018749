"""The lab as a target once more, reached with no more rights than scheduled drills have (P1)."""

import configparser
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from chronos_ops.connectors.aws import Aws, AwsRefused
from chronos_ops.evidence.archive_bucket import Bucket
from chronos_ops.facts import lightsail
from chronos_ops.model.question import AwsQuestion
from chronos_ops.model.settings import Settings, load_settings, parameters_dir
from chronos_ops.plans.drill_rights import boundary_document, identity_document

USER = "chronos-drill"
BOUNDARY = "chronos-drill-boundary"


def untouchable(aws: Aws) -> list[str]:
    """As `chronos policy identity` asks for them."""
    fact = lightsail.instances()
    assert isinstance(fact.question, AwsQuestion)
    return [found.arn for found in fact.parse(aws.ask(fact.question)) if not found.run_id]


@contextmanager
def least_target(lab: str, folder: Path) -> Iterator[Settings]:
    """`<lab>-least`: its profile is a user with the generated policies; gone afterwards."""
    data: dict[str, Any] = yaml.safe_load((parameters_dir() / f"{lab}.yaml").read_text())
    operator = Aws(load_settings(lab).aws)
    home = f"arn:aws:iam::{operator.settings.account_id}:policy"
    files = {name: str(folder / name) for name in ("credentials_file", "config_file")}
    data["target"] = f"{lab}-least"
    data["aws"] |= {"profile": USER, **files}
    data["drill"] = (data.get("drill") or {}) | {"permissions_boundary": f"{home}/{BOUNDARY}"}
    data["archive"]["prefix"] = f"{lab}-least"  # a key and a chain of its own
    path = parameters_dir() / f"{lab}-least.yaml"
    path.write_text(yaml.safe_dump(data))
    try:
        settings = load_settings(f"{lab}-least")
        arns = untouchable(operator)
        documents = {
            BOUNDARY: boundary_document(settings),
            USER: identity_document(settings, arns),
        }
        _make_archive(operator, settings)
        operator.call("iam", "create_user", UserName=USER)
        for name, document in documents.items():
            text = json.dumps(document)
            operator.call("iam", "create_policy", PolicyName=name, PolicyDocument=text)
        operator.call("iam", "attach_user_policy", UserName=USER, PolicyArn=f"{home}/{USER}")
        key = operator.call("iam", "create_access_key", UserName=USER)["AccessKey"]
        _write(
            files["credentials_file"],
            USER,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )
        _write(files["config_file"], f"profile {USER}", region=settings.aws.region)
        yield settings
        operator.call("iam", "detach_user_policy", UserName=USER, PolicyArn=f"{home}/{USER}")
        operator.call("iam", "delete_access_key", UserName=USER, AccessKeyId=key["AccessKeyId"])
        operator.call("iam", "delete_user", UserName=USER)
        for name in documents:
            operator.call("iam", "delete_policy", PolicyArn=f"{home}/{name}")
    finally:
        operator.close()
        path.unlink()


def _make_archive(operator: Aws, settings: Settings) -> None:
    """As `chronos archive init` does, by whom may make buckets."""
    assert settings.archive is not None
    bucket = Bucket(operator, settings.archive)
    try:
        assert bucket.locks_objects()
    except AwsRefused as error:
        if error.code != "NoSuchBucket":
            raise
        bucket.make()


def _write(path: str, section: str, **values: str) -> None:
    content = configparser.ConfigParser()
    content[section] = values
    with Path(path).open("w", encoding="utf-8") as out:
        content.write(out)
