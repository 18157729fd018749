"""Each prerequisite: there, missing, and not known."""

import json
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from pydantic import ValidationError

from chronos_ops.application.endpoints import ask
from chronos_ops.application.environment import environment, judged, read_names
from chronos_ops.application.image import image, parse_reference
from chronos_ops.application.session import database_schema, endpoints
from chronos_ops.execution.context import Context
from chronos_ops.facts import application as facts
from chronos_ops.facts.application import Variables
from chronos_ops.model.application import (
    Application,
    DatabaseSchema,
    Endpoint,
    Environment,
    Migration,
)
from chronos_ops.model.errors import TransportError, UnreadableAnswer, UsageError
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.question import ShellAnswer
from chronos_ops.model.secret import Secret
from tests.application.registry import DIGEST, PULLER, Registry, serving

OTHER = "sha256:" + "00" * 32


@dataclass
class Target:
    """A context with answers that are told beforehand."""

    application: dict[str, Any]
    parameter: str = ""
    answers: dict[str, Any] = field(default_factory=dict)  # by the fact's name
    secrets: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def context(self) -> Context:
        settings = SimpleNamespace(application=Application.model_validate(self.application))
        store = SimpleNamespace(
            ask_secret_exists=lambda name: name in self.secrets,
            get_secret=lambda name: Secret(self.secrets[name]),
        )
        journal = SimpleNamespace(keep_secret=lambda secret: self.kept.append(secret.reveal()))
        parameters = SimpleNamespace(image=self.parameter)
        fake = SimpleNamespace(
            settings=settings, parameters=parameters, aws=store, journal=journal, ask=self._ask
        )
        return cast(Context, fake)

    def _ask(self, fact: Any) -> Any:
        self.asked.append(fact.name)
        answer = self.answers[fact.name]
        if isinstance(answer, Exception):
            raise answer
        return answer


def states(outcome: Outcome) -> dict[str, str]:
    return {finding.id.removeprefix("application."): finding.status for finding in outcome.findings}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with serving(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture
def registry(running: Registry) -> Iterator[Registry]:
    running.requests.clear()
    yield running
    running.private.clear()
    running.status = 0


def look(registry: Registry, reference: str, parameter: str = "", **more: Any) -> Finding:
    given = {"reference": f"{registry.address}/{reference}", "ca_file": registry.ca_file} | more
    target = Target({"image": given}, parameter, secrets={"/pull": PULLER})
    (finding,) = image(target.context()).findings
    if more.get("pull_secret"):
        assert target.kept == [PULLER]  # redacted from now on
    return finding


# -- nothing is declared


@pytest.mark.parametrize("step", [image, environment, database_schema, endpoints])
def test_what_is_not_declared_is_missing(step: Any) -> None:
    target = Target({})
    outcome = step(target.context())
    assert [f.status for f in outcome.findings] == [Status.FAIL]
    assert "nothing is declared" in outcome.summary
    assert target.asked == []


# -- image


@pytest.mark.parametrize(
    ("reference", "more", "status", "said"),
    [
        ("team/app:1.4", {}, Status.PASS, DIGEST),
        ("team/app:1.4", {"digest": DIGEST}, Status.PASS, DIGEST),
        ("team/app:1.4", {"digest": OTHER}, Status.FAIL, DIGEST),
        ("team/app:1.5", {}, Status.FAIL, "404"),
        ("team/app", {}, Status.FAIL, "404"),  # latest
        ("nobody/app:1", {}, Status.FAIL, "404"),
    ],
)
def test_the_registry_is_asked(
    registry: Registry, reference: str, more: dict[str, str], status: Status, said: str
) -> None:
    finding = look(registry, reference, **more)
    assert (finding.status, said in finding.observed) == (status, True), finding
    assert [line.split()[0] for line in registry.requests] == ["HEAD", "GET", "HEAD"]


def test_a_digest_in_the_reference(registry: Registry) -> None:
    registry.images["team/app", DIGEST] = DIGEST
    assert look(registry, f"team/app:9@{DIGEST}").status is Status.PASS


def test_a_private_image_wants_its_secret(registry: Registry) -> None:
    registry.private.add("team/app")
    denied = look(registry, "team/app:1.4")
    assert (denied.status, "pull_secret" in denied.hint) == (Status.UNKNOWN, True)
    assert look(registry, "team/app:1.4", pull_secret="/pull").status is Status.PASS


def test_the_parameter_goes_before_the_declared_image(registry: Registry) -> None:
    newer = look(registry, "team/app:1.4", f"{registry.address}/team/app:1.5", digest=DIGEST)
    assert (newer.status, "404" in newer.observed) == (Status.FAIL, True)
    same = look(registry, "team/app:1.5", f"{registry.address}/team/app:1.4", digest=OTHER)
    assert same.status is Status.PASS  # the digest was the other image's


def test_a_login_stays_with_its_own_registry(registry: Registry) -> None:
    login = {"reference": "registry.example.org/team/app:1", "pull_secret": "/pull"}
    target = Target({"image": login}, f"{registry.address}/team/app:1.4", secrets={"/pull": PULLER})
    (finding,) = image(target.context()).findings
    assert (finding.status, target.kept) == (Status.UNKNOWN, [])  # nor is its CA trusted


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_registry_that_cannot_say_is_unknown(registry: Registry, status: int) -> None:
    registry.status = status
    assert look(registry, "team/app:1.4").status is Status.UNKNOWN


def test_a_registry_out_of_reach_or_not_trusted_is_unknown(registry: Registry) -> None:
    assert look(registry, "team/app:1.4", ca_file=None).status is Status.UNKNOWN
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        gone = Registry(address=f"127.0.0.1:{free.getsockname()[1]}", ca_file=registry.ca_file)
    finding = look(gone, "team/app:1.4")
    assert (finding.status, "refused" in finding.observed) == (Status.UNKNOWN, True)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("nginx", ("registry-1.docker.io", "library/nginx", "latest")),
        ("docker.io/nginx:1.27", ("registry-1.docker.io", "library/nginx", "1.27")),
        ("team/app:2", ("registry-1.docker.io", "team/app", "2")),
        ("ghcr.io/team/app:2", ("ghcr.io", "team/app", "2")),
        ("localhost:5000/app", ("localhost:5000", "app", "latest")),
    ],
)
def test_references_are_read_as_docker_reads_them(text: str, wanted: tuple[str, ...]) -> None:
    found = parse_reference(text)
    assert (found.registry, found.name, found.tag) == wanted


@pytest.mark.parametrize(
    "text", ["Team/App", "app:", "https://ghcr.io/app", "app@sha256:12", "a b"]
)
def test_what_names_no_image_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not the name of an image"):
        parse_reference(text)


# -- environment

DECLARED = {"names": ["URL", "KEY"], "file": "/etc/app/env"}


@pytest.mark.parametrize(
    ("found", "status", "said"),
    [
        (Variables(frozenset({"URL", "KEY", "MORE"}), frozenset()), "pass", "2 in /etc/app/env"),
        (Variables(frozenset({"URL"}), frozenset()), "fail", "not in /etc/app/env: KEY"),
        (Variables(frozenset({"URL"}), frozenset({"KEY"})), "fail", "without a value: KEY"),
        (None, "fail", "/etc/app/env is not there"),
    ],
)
def test_names_are_compared(found: Variables | None, status: str, said: str) -> None:
    target = Target({"environment": DECLARED}, answers={"application_variables": found})
    outcome = environment(target.context())
    assert outcome.findings[0].status == status
    assert said in outcome.findings[0].observed


def test_a_host_that_does_not_answer_is_unknown() -> None:
    gone = TransportError("the host lost its connection")
    target = Target({"environment": DECLARED}, answers={"application_variables": gone})
    assert states(environment(target.context())) == {"environment": "unknown"}
    odd = UnreadableAnswer("not the names of variables")
    target = Target({"environment": DECLARED}, answers={"application_variables": odd})
    assert states(environment(target.context())) == {"environment": "unknown"}


def test_a_file_for_everybody_is_a_finding() -> None:
    declared = Environment.model_validate(DECLARED)
    found = judged(declared, Variables(frozenset({"URL", "KEY"}), frozenset(), "644"))
    assert [f.status for f in found] == [Status.PASS, Status.FAIL]


def test_a_secret_is_read_by_its_names_and_never_shown() -> None:
    text = "# one\nexport URL=postgres://x:hunter22@db\nKEY=\n\nodd line\n"
    declared = {"environment": {"names": ["URL", "KEY", "NO"], "secret": "/app/env"}}
    target = Target(declared, secrets={"/app/env": text})
    outcome = environment(target.context())
    (finding,) = outcome.findings
    assert "not in /app/env: NO; without a value: KEY" in finding.observed
    assert "hunter22" not in outcome.model_dump_json()
    assert "postgres://x:hunter22@db" in target.kept
    assert states(environment(Target(declared).context())) == {"environment": "fail"}
    assert read_names(text) == Variables(frozenset({"URL"}), frozenset({"KEY"}))


def test_names_as_the_host_tells_them() -> None:
    read = facts.variables("/x").parse
    found = read(ShellAnswer(0, "mode 640\nset A\nempty B\nset C\nempty C\n"))
    assert found == Variables(frozenset({"A"}), frozenset({"B", "C"}), "640")
    assert read(ShellAnswer(0, "absent\n")) is None
    for odd in ("", "set A\n", "mode 600\nA=secret value\n"):
        with pytest.raises(UnreadableAnswer) as caught:
            read(ShellAnswer(0, odd))
        assert "secret" not in caught.value.text()


def test_the_hosts_own_script_tells_names_only(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text(
        "# COMMENT=1\nA=hunter2\n export B='x y'\nC=\nD=\"\"\nE=''  \n"
        'F==\nodd line\nG="\n9=8\nA=again\n'
    )
    path.chmod(0o640)
    question: Any = facts.variables(str(path)).question
    done = subprocess.run(question.argv, capture_output=True, text=True, check=True)
    assert "hunter2" not in done.stdout + done.stderr
    found = facts.variables("").parse(ShellAnswer(0, done.stdout))
    assert found == Variables(frozenset("ABFG"), frozenset("CDE"), "640")
    assert read_names(path.read_text()) == Variables(found.given, found.empty)
    absent = subprocess.run([*question.argv[:-1], "/no/such"], capture_output=True, text=True)
    assert facts.variables("").parse(ShellAnswer(0, absent.stdout)) is None


# -- schema

SCHEMA = {
    "database": "app",
    "tables": ["users"],
    "migration": {"table": "schema_migrations", "version": "42"},
}


@pytest.mark.parametrize(
    ("answers", "wanted"),
    [
        ({"application_database": False}, {"database_schema": "fail"}),
        (
            {"application_tables": {"users": False, "schema_migrations": False}},
            {"database_schema.tables": "fail", "database_schema.migration": "fail"},
        ),
        (
            {"application_applied": False},
            {"database_schema.tables": "pass", "database_schema.migration": "fail"},
        ),
        ({}, {"database_schema.tables": "pass", "database_schema.migration": "pass"}),
        ({"application_database": TransportError("gone")}, {"database_schema": "unknown"}),
    ],
)
def test_database_tables_and_migration(answers: dict[str, Any], wanted: dict[str, str]) -> None:
    known = {
        "application_database": True,
        "application_tables": {"users": True, "schema_migrations": True},
        "application_migration": answers.pop("application_applied", True),
    }
    target = Target({"database_schema": SCHEMA}, answers=known | answers)
    assert states(database_schema(target.context())) == wanted


def test_names_and_versions_cannot_leave_their_quotes() -> None:
    declared = DatabaseSchema.model_validate(SCHEMA)
    question: Any = facts.applied(declared, Migration(table="a.b", version="'; DROP--")).question
    assert question.sql.endswith(""" FROM "a"."b" WHERE "version"::text = '''; DROP--' LIMIT 1""")
    for wrong in ('users"; DROP', "a.b.c", ""):
        with pytest.raises(ValidationError):
            DatabaseSchema.model_validate(SCHEMA | {"tables": [wrong]})


# -- endpoints


@pytest.mark.parametrize(
    ("path", "status", "wanted"),
    [
        ("/health", 200, Status.PASS),
        ("/health", 204, Status.FAIL),
        ("/moved", 301, Status.PASS),
        ("/moved", 200, Status.FAIL),
    ],
)
def test_the_declared_status_is_wanted(
    registry: Registry, path: str, status: int, wanted: Status
) -> None:
    url = registry.url + path
    found = ask(Endpoint(url=url, status=status, ca_file=registry.ca_file))
    assert found.status is wanted


def test_ports_certificates_and_silence(registry: Registry) -> None:
    assert ask(Endpoint(url=f"tcp://{registry.address}")).status is Status.PASS
    assert "certificate" in ask(Endpoint(url=registry.url + "/health")).observed
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for scheme in ("tcp", "http"):
        found = ask(Endpoint(url=f"{scheme}://127.0.0.1:{port}"))
        assert (found.status, "refused" in found.observed) == (Status.FAIL, True)


@pytest.mark.parametrize("url", ["ftp://x", "tcp://host", "https://", "https://a:b@c/", "/path"])
def test_what_is_no_endpoint_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        Endpoint(url=url)


def test_the_example_of_the_runbook_is_a_valid_one() -> None:
    text = (Path(__file__).parents[2] / "notebooks/application_deploy.ipynb").read_text()
    cells = ["".join(cell["source"]) for cell in json.loads(text)["cells"]]
    block = next(cell for cell in cells if "```yaml" in cell).split("```yaml")[1].split("```")[0]
    given = yaml.safe_load(block.replace("sha256:…", DIGEST))["application"]
    assert Application.model_validate(given).endpoints[1].url.startswith("tcp://")
