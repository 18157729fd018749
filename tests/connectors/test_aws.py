"""The AWS connector against a small server of our own on loopback."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from chronos_ops.connectors.aws import Aws, AwsRefused
from chronos_ops.model.errors import Refused, TransportError, UsageError
from chronos_ops.model.question import AwsQuestion
from chronos_ops.model.secret import Secret
from chronos_ops.model.settings import Aws as AwsSettings

ACCOUNT = "123456789012"


class Service(ThreadingHTTPServer):
    """Answers by operation; keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.account = ACCOUNT
        self.asked: list[tuple[str, Any, str]] = []
        self.answers: dict[str, list[tuple[int, dict[str, Any]]]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def operations(self) -> list[str]:
        return [name for name, _, _ in self.asked]


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def log_message(self, *args: Any) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        authorization = self.headers.get("authorization", "")
        target = self.headers.get("x-amz-target")
        if target is None:
            self._identity(parse_qs(body.decode())["Action"][0], authorization)
            return
        name = target.split(".")[-1]
        self.server.asked.append((name, json.loads(body), authorization))
        queue = self.server.answers[name]
        status, answer = queue.pop(0) if len(queue) > 1 else queue[0]
        self._send(status, json.dumps(answer).encode(), "application/x-amz-json-1.1")

    def _identity(self, action: str, authorization: str) -> None:
        self.server.asked.append((action, {}, authorization))
        status, answer = self.server.answers.get(action, [(200, {})])[0]
        if status != 200:
            text = (
                f"<ErrorResponse><Error><Code>{answer['code']}</Code><Message>m</Message></Error>"
            )
            self._send(status, f"{text}</ErrorResponse>".encode(), "text/xml")
            return
        text = (
            "<GetCallerIdentityResponse><GetCallerIdentityResult>"
            f"<Arn>arn:aws:iam::{self.server.account}:user/op</Arn><UserId>AIDA</UserId>"
            f"<Account>{self.server.account}</Account>"
            "</GetCallerIdentityResult></GetCallerIdentityResponse>"
        )
        self._send(200, text.encode(), "text/xml")

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def settings(service: Service, tmp_path: Path) -> AwsSettings:
    config, credentials = tmp_path / "config", tmp_path / "credentials"
    config.write_text("[profile op]\nregion = eu-west-1\n[profile empty]\nregion = eu-west-1\n")
    credentials.write_text("[op]\naws_access_key_id = AKIAOP\naws_secret_access_key = hush\n")
    return AwsSettings(
        account_id=ACCOUNT,
        profile="op",
        config_file=str(config),
        credentials_file=str(credentials),
        endpoint_url=service.url,
    )


@pytest.fixture
def aws(settings: AwsSettings) -> Iterator[Aws]:
    connector = Aws(settings)
    yield connector
    connector.close()


def test_the_identity_comes_from_the_named_profile_in_the_declared_region(
    aws: Aws, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASHELL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "shell")
    monkeypatch.setenv("AWS_PROFILE", "other")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert aws.identity().account == ACCOUNT
    [(_, _, authorization)] = service.asked
    assert "Credential=AKIAOP/" in authorization
    assert "/ca-central-1/sts/" in authorization


def test_another_account_is_refused_before_anything_is_asked(aws: Aws, service: Service) -> None:
    service.account = "999999999999"
    service.answers["DeleteInstance"] = [(200, {})]
    with pytest.raises(UsageError, match=f"999999999999, expected {ACCOUNT}"):
        aws.call("lightsail", "delete_instance", instanceName="db")
    assert service.operations() == ["GetCallerIdentity"]


def test_the_account_is_asked_once(aws: Aws, service: Service) -> None:
    service.answers["GetInstances"] = [(200, {"instances": []})]
    for _ in range(2):
        assert aws.call("lightsail", "get_instances") == {"instances": []}
    assert service.operations() == ["GetCallerIdentity", "GetInstances", "GetInstances"]


def test_keys_of_the_shell_are_no_substitute_for_the_profile_s(
    settings: AwsSettings, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASHELL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "shell")
    with pytest.raises(UsageError, match="'empty' cannot be used"):
        Aws(settings.model_copy(update={"profile": "empty"})).identity()
    assert service.asked == []


def test_an_endpoint_of_the_shell_is_not_followed(
    aws: Aws, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    service.answers["GetParameter"] = [(200, _parameter("SecureString"))]
    assert aws.get_secret("/a").reveal() == "value"


def test_an_unknown_profile_is_named(settings: AwsSettings) -> None:
    with pytest.raises(UsageError, match="'nobody' cannot be used"):
        Aws(settings.model_copy(update={"profile": "nobody"})).identity()


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException"])
def test_an_expired_login_says_what_to_do(aws: Aws, service: Service, code: str) -> None:
    service.answers["GetCallerIdentity"] = [(403, {"code": code})]
    with pytest.raises(UsageError, match="has expired") as caught:
        aws.identity()
    assert caught.value.hint == "aws sso login --profile op"


def test_an_sso_profile_without_a_login_says_what_to_do(
    settings: AwsSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # no cached token
    config = tmp_path / "sso"
    config.write_text(
        "[profile op]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = r\n"
        "[sso-session s]\nsso_region = eu-west-1\nsso_start_url = https://example.invalid/start\n"
    )
    changed = {"config_file": str(config), "credentials_file": str(tmp_path / "none")}
    with pytest.raises(UsageError) as caught:
        Aws(settings.model_copy(update=changed)).identity()
    assert caught.value.hint == "aws sso login --profile op"


def test_a_refusal_carries_its_code(aws: Aws, service: Service) -> None:
    service.answers["GetInstance"] = [(400, {"__type": "NotFoundException", "message": "none"})]
    with pytest.raises(AwsRefused, match="NotFoundException: none") as caught:
        aws.call("lightsail", "get_instance", instanceName="db")
    assert caught.value.code == "NotFoundException"


def test_an_absent_code_is_an_answer_and_any_other_is_not(aws: Aws, service: Service) -> None:
    question = AwsQuestion(
        "lightsail", "get_instance", {"instanceName": "db"}, absent=("NotFoundException",)
    )
    service.answers["GetInstance"] = [
        (400, {"__type": "NotFoundException", "message": "none"}),
        (400, {"__type": "AccessDeniedException", "message": "no"}),
    ]
    assert aws.ask(question) is None
    with pytest.raises(AwsRefused, match="AccessDeniedException"):
        aws.ask(question)


def test_pages_are_merged(aws: Aws, service: Service) -> None:
    service.answers["GetInstances"] = [
        (200, {"instances": [{"name": "a"}], "nextPageToken": "2"}),
        (200, {"instances": [{"name": "b"}]}),
    ]
    answer = aws.ask(AwsQuestion("lightsail", "get_instances", paginate=True))
    assert [found["name"] for found in answer["instances"]] == ["a", "b"]
    assert service.asked[-1][1] == {"pageToken": "2"}


def test_an_empty_list_of_pages_still_has_its_key(aws: Aws, service: Service) -> None:
    service.answers["GetInstances"] = [(200, {})]
    answer = aws.ask(AwsQuestion("lightsail", "get_instances", paginate=True))
    assert answer == {"instances": []}


def test_a_service_that_fails_says_nothing_about_what_is_so(
    aws: Aws, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    service.answers["GetInstances"] = [(500, {"__type": "ServiceException", "message": "oops"})]
    with pytest.raises(TransportError, match="ServiceException"):
        aws.call("lightsail", "get_instances")
    assert service.operations().count("GetInstances") == 4


def test_no_answer_is_a_transport_error(
    settings: AwsSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    nowhere = settings.model_copy(update={"endpoint_url": "http://127.0.0.1:9"})
    with pytest.raises(TransportError, match="did not answer sts get_caller_identity"):
        Aws(nowhere).identity()


@pytest.mark.parametrize(
    ("service_name", "operation", "arguments"),
    [
        ("lightsail", "make_tea", {}),
        ("nosuchservice", "get_it", {}),
        ("lightsail", "get_instance", {"wrong": 1}),
    ],
)
def test_a_call_that_aws_does_not_know_is_wrong_usage(
    aws: Aws, service_name: str, operation: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        aws.call(service_name, operation, **arguments)


def test_a_secret_comes_back_wrapped(aws: Aws, service: Service) -> None:
    service.answers["GetParameter"] = [(200, _parameter("SecureString"))]
    secret = aws.get_secret("/chronos/x")
    assert secret == Secret("value")
    assert service.asked[-1][1] == {"Name": "/chronos/x", "WithDecryption": True}


def test_a_secret_in_the_clear_is_refused(aws: Aws, service: Service) -> None:
    service.answers["GetParameter"] = [(200, _parameter("String"))]
    with pytest.raises(UsageError, match="not a SecureString"):
        aws.get_secret("/chronos/x")


def test_a_missing_secret_is_named(aws: Aws, service: Service) -> None:
    service.answers["GetParameter"] = [(400, {"__type": "ParameterNotFound", "message": ""})]
    with pytest.raises(UsageError, match="/chronos/x"):
        aws.get_secret("/chronos/x")


def test_a_secret_is_not_overwritten_unless_asked(aws: Aws, service: Service) -> None:
    there = {"__type": "ParameterAlreadyExists", "message": ""}
    service.answers["PutParameter"] = [(400, there), (200, {"Version": 2})]
    with pytest.raises(Refused, match="/chronos/x"):
        aws.put_secret("/chronos/x", Secret("v"))
    assert service.asked[-1][1]["Overwrite"] is False
    aws.put_secret("/chronos/x", Secret("v"), overwrite=True)
    sent = service.asked[-1][1]
    assert sent == {"Name": "/chronos/x", "Value": "v", "Type": "SecureString", "Overwrite": True}


def test_whether_a_secret_exists_is_asked_without_unsealing_it(aws: Aws, service: Service) -> None:
    service.answers["GetParameter"] = [
        (200, _parameter("SecureString")),
        (400, {"__type": "ParameterNotFound", "message": ""}),
    ]
    assert aws.ask_secret_exists("/chronos/x")
    assert not aws.ask_secret_exists("/chronos/x")
    assert [sent for name, sent, _ in service.asked[1:]] == [{"Name": "/chronos/x"}] * 2


def _parameter(kind: str) -> dict[str, Any]:
    return {"Parameter": {"Name": "/chronos/x", "Type": kind, "Value": "value"}}
