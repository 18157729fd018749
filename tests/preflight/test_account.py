"""Account, instance, storage, rights: there, wrong, not made yet, not known."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chronos_ops.connectors.aws import Aws, AwsRefused, Identity, WrongAccount
from chronos_ops.connectors.aws_profile import login_kind
from chronos_ops.model.errors import TransportError
from chronos_ops.model.finding import Status
from chronos_ops.model.settings import Aws as AwsSettings
from chronos_ops.preflight import session
from chronos_ops.preflight.account import CONF, secret_names
from tests.preflight.looking import INSTANCE, Target, found, leftover, wrong

DENIED = AwsRefused("s3 get_bucket_location", "AccessDenied", "no")
SSO = """[profile op]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = operator
[sso-session corp]
sso_region = eu-west-1
sso_start_url = https://example.invalid/start
[profile old]
sso_start_url = https://example.invalid/start
sso_region = eu-west-1
sso_account_id = 123456789012
sso_role_name = operator
[profile assumed]
role_arn = arn:aws:iam::123456789012:role/r
source_profile = op
[profile keyed]
aws_access_key_id = AKIAEXAMPLE
aws_secret_access_key = hush
[profile program]
credential_process = /bin/true
[profile pasted]
aws_access_key_id = ASIAEXAMPLE
aws_session_token = hush
[profile browser]
login_session = arn:aws:iam::123456789012:user/op
[profile both]
role_arn = arn:aws:iam::123456789012:role/r
source_profile = op
aws_access_key_id = AKIAEXAMPLE
[unprefixed]
aws_access_key_id = AKIAEXAMPLE
[profile loop]
role_arn = arn:aws:iam::123456789012:role/r
source_profile = loop
"""


def profile(folder: Path, name: str) -> AwsSettings:
    (folder / "config").write_text(SSO)
    return AwsSettings(
        account_id="123456789012",
        profile=name,
        config_file=str(folder / "config"),
        credentials_file=str(folder / "none"),
        endpoint_url="http://127.0.0.1:1",
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("op", "sso"),
        ("old", "sso"),
        ("assumed", "sso"),
        ("keyed", "keys"),
        ("pasted", "temporary keys"),
        ("browser", "sso"),
        ("both", "sso"),
        ("unprefixed", "nothing"),
        ("program", "a program"),
        ("loop", "a role"),
        ("nobody", "nothing"),
    ],
)
def test_how_a_profile_logs_in(tmp_path: Path, name: str, kind: str) -> None:
    assert login_kind(profile(tmp_path, name)) == kind


def test_the_credentials_file_may_name_a_role_of_a_login(tmp_path: Path) -> None:
    settings = profile(tmp_path, "keyed")
    (tmp_path / "none").write_text(
        "[keyed]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = op\n"
    )
    assert login_kind(settings) == "sso"


@pytest.mark.parametrize(
    ("name", "key"), [("op", "corp"), ("old", "https://example.invalid/start")]
)
def test_an_expired_sso_login_names_its_profile_and_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, key: str
) -> None:
    """With the token cache that `aws sso login` left there yesterday."""
    cache = tmp_path / "cache"
    cache.mkdir()
    for reader in ("tokens.SSOTokenProvider", "credentials.SSOProvider"):
        monkeypatch.setattr(f"botocore.{reader}._SSO_TOKEN_CACHE_DIR", str(cache))
    token = {
        "startUrl": "https://example.invalid/start",
        "region": "eu-west-1",
        "accessToken": "hunter22-token",
        "expiresAt": "2026-01-01T00:00:00Z",
    }
    (cache / f"{hashlib.sha1(key.encode()).hexdigest()}.json").write_text(json.dumps(token))  # noqa: S324 - its name
    outcome = session.account(Target(aws=Aws(profile(tmp_path, name))).context())
    (finding,) = outcome.findings
    assert (finding.id, finding.status) == ("preflight.identity", Status.UNKNOWN)
    assert f"'{name}' has expired" in finding.observed
    assert re.search("Token has expired|has expired or is otherwise invalid", finding.observed)
    assert finding.hint == f"aws sso login --profile {name}"
    assert "hunter22" not in outcome.model_dump_json()


def test_another_account_is_known_to_be_wrong() -> None:
    no = WrongAccount("profile 'op' is of another AWS account", "1, expected 2", hint="aws.profile")
    outcome = session.account(Target(aws=SimpleNamespace(identity=raising(no))).context())
    assert wrong(outcome) == {"identity": (Status.FAIL, f"{no.noun}: {no.value}")}
    assert found(outcome)["identity"].hint == "aws.profile"


def raising(error: Exception) -> Callable[[], Identity]:
    def identity() -> Identity:
        raise error

    return identity


def test_instance_and_leftovers_as_declared() -> None:
    outcome = session.instance(Target(leftovers=[leftover("drill-1", 1)]).context())
    assert wrong(outcome) == {}
    assert found(outcome)["static-ip"].observed == "16.52.210.100, static"


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("instance", {"state": "stopped"}),
        ("static-ip", {"is_static_ip": False}),
        ("static-ip", {"address": "16.52.210.101"}),
        ("region", {"zone": "eu-west-1a"}),
        ("bundle", {"bundle": "nano_3_0"}),
    ],
)
def test_what_differs_is_its_own_finding(name: str, changes: dict[str, Any]) -> None:
    seen = dataclasses.replace(INSTANCE, **changes)
    outcome = session.instance(Target({"lightsail.instance": seen}).context())
    assert list(wrong(outcome)) == [name]
    assert found(outcome)[name].status is Status.FAIL
    assert found(outcome)[name].hint


def test_no_instance_names_region_and_account_and_the_leftovers_are_told_with_their_price() -> None:
    target = Target({"lightsail.instance": None}, leftovers=[leftover("a", 30), leftover("b", 13)])
    outcome = session.instance(target.context())
    assert list(wrong(outcome)) == ["instance", "leftovers"]
    assert "in ca-central-1 of 123456789012" in found(outcome)["instance"].expected
    seen = found(outcome)["leftovers"]
    assert "a of 20261101T000000Z-drill-abc123 (30 h)" in seen.observed
    assert "24.00 USD a month" in seen.observed
    assert "./chronos reap --target production" in seen.hint


def test_one_look_that_breaks_leaves_the_others() -> None:
    lost = TransportError("AWS did not answer lightsail get_instance", "timeout")
    outcome = session.instance(Target({"lightsail.instance": lost}).context())
    assert wrong(outcome) == {
        "instance": (Status.UNKNOWN, "AWS did not answer lightsail get_instance: timeout")
    }
    assert "leftovers" in found(outcome)


SECRETS = dict.fromkeys(secret_names(Target().context().settings), "SecureString")


def storage(**answers: Any) -> Target:
    told = {"secrets": SECRETS, "anything_below": True, "bucket_location": "ca-central-1"}
    return Target(told | answers)


def test_bucket_and_secrets_as_declared() -> None:
    assert wrong(session.storage(storage().context())) == {}


@pytest.mark.parametrize(
    ("answers", "observed"),
    [
        ({"bucket_location": "us-east-1"}, "it stands in us-east-1"),
        ({"bucket_public_access_block": {}}, "public access is not blocked"),
        ({"bucket_public_access_block": {"BlockPublicAcls": False}}, "public access is not"),
        ({"bucket_versioning": "Suspended"}, "versioning is Suspended"),
    ],
)
def test_a_bucket_that_is_not_as_it_must_be(answers: dict[str, Any], observed: str) -> None:
    seen = wrong(session.storage(storage(**answers).context()))
    assert list(seen) == ["bucket"]
    assert observed in seen["bucket"][1]


def test_a_bucket_of_another_account_is_never_not_made_yet() -> None:
    outcome = session.storage(storage(bucket_location=DENIED).context())
    assert wrong(outcome)["bucket"][0] is Status.ERROR
    assert "another account's" in found(outcome)["bucket"].hint


def test_what_was_never_made_is_not_applicable_until_a_host_needs_it() -> None:
    nothing = {"bucket_location": None, "secrets": dict.fromkeys(SECRETS), "iam_user": False}
    target = storage(**nothing)
    fresh = found(session.storage(target.context())) | found(session.rights(target.context()))
    assert {f.status for f in fresh.values()} == {Status.NOT_APPLICABLE}
    assert "pgbackrest_backup_restore makes it" in fresh["bucket"].expected
    target.says["ls"] = f"{CONF}\n"
    at_work = wrong(session.storage(target.context())) | wrong(session.rights(target.context()))
    assert set(at_work) == {"bucket", "secrets", "rights.bucket", "rights.secrets"}
    assert {status for status, _ in at_work.values()} == {Status.FAIL}
    assert f"the host has {CONF}" in at_work["bucket"][1]


def test_a_secret_that_is_gone_or_in_the_clear_is_named() -> None:
    cipher, key, *_ = SECRETS
    outcome = session.storage(storage(secrets=SECRETS | {cipher: None, key: "String"}).context())
    assert wrong(outcome) == {"secrets": (Status.FAIL, f"{cipher}: missing; {key}: String")}
    assert "offline copy" in found(outcome)["secrets"].hint


def test_rights_by_listing_and_by_the_policy_and_no_value_is_shown() -> None:
    target = storage()
    outcome = session.rights(target.context())
    assert wrong(outcome) == {}
    assert "hunter22" not in outcome.model_dump_json()
    target.answers["iam_inline_policy"] = {"Version": "2012-10-17", "Statement": []}
    target.secrets = {next(iter(SECRETS)): AwsRefused("ssm", "AccessDeniedException", "no")}
    seen = wrong(session.rights(target.context()))
    assert seen["rights.bucket"][0] is Status.FAIL
    assert "its own prefixes" in seen["rights.bucket"][1]
    assert seen["rights.secrets"] == (
        Status.FAIL,
        f"{next(iter(SECRETS))}: AccessDeniedException",
    )
    target.answers["anything_below"] = DENIED
    assert wrong(session.rights(target.context()))["rights.bucket"][0] is Status.ERROR
