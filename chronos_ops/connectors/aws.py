"""AWS through one named profile, never the default credential chain. The only boto3 importer.

P1: a Lightsail host's metadata service offers a role that works for nothing here, and a shell may
carry another account's keys; so profile and files are explicit, every other source of credentials
is taken out, and the caller's account is checked before anything else is asked.
"""

import functools
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import boto3
import botocore
import botocore.loaders
import botocore.session
from botocore import exceptions as refusals
from botocore.config import Config

from chronos_ops.model.errors import ChronosError, Refused, TransportError, UsageError
from chronos_ops.model.journal import Journal
from chronos_ops.model.question import AwsQuestion
from chronos_ops.model.secret import Secret
from chronos_ops.model.settings import Aws as AwsSettings

_STREAM_BYTES = 1024 * 1024
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired")
_BUSY = ("Throttling", "ThrottlingException", "TooManyRequestsException", "SlowDown")
# Credential sources that nobody named: keys of the shell, of the host, of a container.
_UNNAMED_SOURCES = ("env", "container-role", "iam-role", "boto-config")
_LOGIN_NEEDED = (
    refusals.UnauthorizedSSOTokenError,
    refusals.SSOTokenLoadError,
    refusals.TokenRetrievalError,
    refusals.CredentialRetrievalError,
)
_MISCONFIGURED = (
    refusals.ProfileNotFound,
    refusals.NoCredentialsError,
    refusals.PartialCredentialsError,
    refusals.ConfigParseError,
    refusals.InvalidConfigError,
)
_MISCALLED = (
    refusals.ParamValidationError,
    refusals.UnknownServiceError,
    refusals.DataNotFoundError,
    refusals.OperationNotPageableError,
)


class AwsRefused(ChronosError):
    """The service answered with an error; `code` is AWS's own (NoSuchBucket, AccessDenied ...)."""

    def __init__(self, noun: str, code: str, message: str, *, hint: str = "") -> None:
        self.code = code
        self.message = message
        super().__init__(f"AWS refused {noun}", f"{code}: {message}", hint=hint)


class WrongAccount(UsageError):
    """The profile works, and leads to another account than the declared one (P1)."""


@functools.cache
def _models() -> Any:
    """botocore's descriptions of the services, read once per process."""
    return botocore.loaders.create_loader()


@dataclass(frozen=True)
class Identity:
    """Whom AWS takes us for."""

    account: str
    arn: str
    user_id: str


class Aws:
    """The account of one target. Clients are made at first use, one per service.

    Raises UsageError (profile, login, wrong account), AwsRefused (the service said no) and
    TransportError (no answer, or one that says nothing about what is so).
    """

    def __init__(self, settings: AwsSettings, journal: Journal | None = None) -> None:
        self.settings = settings
        self.journal = journal
        self._lock = threading.RLock()
        self._session: Any = None
        self._clients: dict[str, Any] = {}
        self._identity: Identity | None = None

    def __repr__(self) -> str:
        return f"Aws({self.settings.account_id}, profile {self.settings.profile})"

    def close(self) -> None:
        """Close every client's connections; the next call opens them anew."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    # -- calls

    def call(self, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
        """One call; `operation` as boto3 names it (get_instance). Without ResponseMetadata."""
        self._right_account(service)
        return self._call(service, operation, arguments)

    def ask(self, question: AwsQuestion) -> Any:
        """Execute a question: all pages merged; None if an `absent` code came back."""
        try:
            if not question.paginate:
                return self.call(question.service, question.operation, **question.arguments)
            return self._all_pages(question)
        except AwsRefused as error:
            if error.code in question.absent:
                return None
            raise

    def identity(self) -> Identity:
        """Account and ARN behind the profile (STS). Raises UsageError on the wrong account."""
        with self._lock:
            if self._identity is None:
                answer = self._call("sts", "get_caller_identity", {})
                seen = Identity(answer["Account"], answer["Arn"], answer["UserId"])
                if seen.account != self.settings.account_id:
                    raise WrongAccount(
                        f"profile {self.settings.profile!r} is of another AWS account",
                        f"{seen.account}, expected {self.settings.account_id}",
                        hint="name the right profile in `aws.profile` of the parameter file",
                    )
                self._identity = seen
            return self._identity

    def with_key(self, key_id: Secret, secret: Secret) -> "Aws":
        """The same account by one access key instead of the profile: to try what it may do."""
        return _ByKey(self.settings, self.journal, key_id, secret)

    # -- secrets (SSM Parameter Store, SecureString)

    def ask_secret_exists(self, name: str) -> bool:
        """Whether a parameter of that name is there; its value stays sealed."""
        question = AwsQuestion(
            "ssm", "get_parameter", {"Name": name}, absent=("ParameterNotFound",)
        )
        return self.ask(question) is not None

    def get_secret(self, name: str) -> Secret:
        """The secret's value. Raises UsageError if there is none, or it is stored in the clear."""
        try:
            found = self.call("ssm", "get_parameter", Name=name, WithDecryption=True)["Parameter"]
        except AwsRefused as error:
            if error.code != "ParameterNotFound":
                raise
            raise UsageError(
                "no such secret in the Parameter Store",
                name,
                hint="the backup runbook makes it; is this the right account and region?",
            ) from None
        if found["Type"] != "SecureString":
            raise UsageError(f"the parameter {name} is not a SecureString", found["Type"])
        return Secret(found["Value"])

    def put_secret(self, name: str, secret: Secret, *, overwrite: bool = False) -> None:
        """Store a SecureString. Raises Refused if it is there and `overwrite` was not asked."""
        arguments = {"Name": name, "Value": secret.reveal(), "Type": "SecureString"}
        try:
            self.call("ssm", "put_parameter", Overwrite=overwrite, **arguments)
        except AwsRefused as error:
            if error.code != "ParameterAlreadyExists":
                raise
            raise Refused("the secret exists already and is not overwritten", name) from None

    # -- S3 bodies

    @contextmanager
    def stream(self, bucket: str, key: str, **arguments: Any) -> Iterator[Iterator[bytes]]:
        """The chunks of an object, fetched as they are read."""
        body = self.call("s3", "get_object", Bucket=bucket, Key=key, **arguments)["Body"]
        try:
            with self._translated(f"s3 get_object {key}"):
                yield body.iter_chunks(_STREAM_BYTES)
        finally:
            body.close()

    # -- inside

    def _right_account(self, service: str) -> None:
        if service != "sts" and self._identity is None:
            self.identity()

    def _call(self, service: str, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        noun = f"{service} {operation}"
        with self._remote(noun), self._translated(noun):
            client = self._client(service)
            method = getattr(client, botocore.xform_name(operation), None)
            if method is None:
                raise UsageError("AWS has no such operation", noun)
            response: dict[str, Any] = method(**arguments)
        response.pop("ResponseMetadata", None)
        return response

    def _all_pages(self, question: AwsQuestion) -> dict[str, Any]:
        self._right_account(question.service)
        noun = f"{question.service} {question.operation}"
        with self._remote(noun), self._translated(noun):
            paginator = self._client(question.service).get_paginator(
                botocore.xform_name(question.operation)
            )
            pages = paginator.paginate(**question.arguments)
            merged: dict[str, Any] = pages.build_full_result()
        for key in pages.result_keys:  # a result without entries names none
            merged.setdefault(key.expression, [])
        return merged

    def _remote(self, noun: str) -> AbstractContextManager[Any]:
        if self.journal is None:
            return nullcontext()
        return self.journal.interval("remote", f"aws {noun}")

    def _client(self, service: str) -> Any:
        with self._lock:
            if service not in self._clients:
                if self._session is None:
                    self._session = self._new_session()
                self._clients[service] = self._session.client(
                    service,
                    endpoint_url=self.settings.endpoint_url,
                    verify=self.settings.ca_file or True,
                    config=self._config(),
                )
            return self._clients[service]

    def _config(self) -> Config:
        direct: dict[str, Any] = (
            {"proxies": {}} if self.settings.endpoint_url else {}
        )  # a named endpoint is near
        return Config(
            connect_timeout=5,
            read_timeout=60,
            retries={"mode": "standard", "total_max_attempts": 4},
            ignore_configured_endpoint_urls=True,
            max_pool_connections=20,
            **direct,
        )

    def _new_session(self) -> Any:
        os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
        core = botocore.session.Session(profile=self.settings.profile)
        core.register_component("data_loader", _models())
        for variable in ("config_file", "credentials_file"):
            path = getattr(self.settings, variable)
            if path is not None:
                core.set_config_variable(variable, path)
        core.set_config_variable("region", self.settings.region)
        sources = core.get_component("credential_provider")
        for source in _UNNAMED_SOURCES:
            sources.remove(source)
        return boto3.session.Session(botocore_session=core, region_name=self.settings.region)

    @contextmanager
    def _translated(self, noun: str) -> Iterator[None]:
        """botocore's errors as ours."""
        try:
            yield
        except refusals.ClientError as error:
            raise self._refusal(noun, error) from None
        except _LOGIN_NEEDED as error:
            raise self._login_needed(error) from None
        except _MISCONFIGURED as error:
            raise UsageError(
                f"the AWS profile {self.settings.profile!r} cannot be used",
                error,
                hint=f"`aws configure list-profiles` shows what there is; "
                f"`aws configure sso --profile {self.settings.profile}` makes one",
            ) from None
        except _MISCALLED as error:
            raise UsageError(f"AWS cannot be asked for {noun}", error) from None
        except (refusals.BotoCoreError, OSError) as error:
            raise TransportError(
                f"AWS did not answer {noun}",
                error,
                hint="is the network up, and the endpoint in the parameter file right?",
            ) from None

    def _refusal(self, noun: str, error: Any) -> ChronosError:
        code = str(error.response.get("Error", {}).get("Code", ""))
        message = str(error.response.get("Error", {}).get("Message", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _EXPIRED:
            return self._login_needed(message)
        if status >= 500 or code in _BUSY:
            return TransportError(f"AWS could not answer {noun}", f"{code} ({status}): {message}")
        hint = ""
        if code.startswith("AccessDenied"):
            hint = f"the identity of profile {self.settings.profile!r} lacks this permission"
        return AwsRefused(noun, code, message, hint=hint)

    def _login_needed(self, error: object) -> UsageError:
        profile = self.settings.profile
        return UsageError(
            f"the login of AWS profile {profile!r} has expired",
            error,
            hint=f"aws sso login --profile {profile}",
        )


class _ByKey(Aws):
    """Its identity is not asked first: a key that was revoked has none."""

    def __init__(
        self, settings: AwsSettings, journal: Journal | None, key_id: Secret, secret: Secret
    ) -> None:
        super().__init__(settings, journal)
        self._key = key_id, secret

    def _right_account(self, service: str) -> None:
        """Nothing to ask."""

    def _new_session(self) -> Any:
        os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
        key_id, secret = self._key
        return boto3.session.Session(
            aws_access_key_id=key_id.reveal(),
            aws_secret_access_key=secret.reveal(),
            region_name=self.settings.region,
        )
