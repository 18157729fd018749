"""A target whose answers are told beforehand; what is not told was recorded on a real one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from chronos_ops.execution.context import Context
from chronos_ops.facts.lightsail import Instance
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.question import ShellAnswer
from chronos_ops.model.secret import Secret
from chronos_ops.model.settings import parse_settings
from tests.recorded_cases import RECORDED, example_settings, parsed

Shell = Callable[[Sequence[str]], ShellAnswer]
INSTANCE = Instance(
    name="project-chronos",
    state="running",
    address="16.52.210.100",
    user="admin",
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    tags={},
    blueprint="debian_12",
    bundle="small_3_0",
    zone="ca-central-1a",
    is_static_ip=True,
)


@dataclass
class Target:
    """`answers` by the fact's name; an exception is raised. `says`: what a command prints."""

    answers: dict[str, Any] = field(default_factory=dict)
    says: dict[str, str | Exception] = field(default_factory=dict)  # by the command's first words
    secrets: dict[str, Exception] = field(default_factory=dict)
    offered: tuple[str, ...] = ("pg_stat_statements", "vector")  # extensions
    leftovers: list[Any] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    aws: Any = None

    def context(self) -> Context:
        data = example_settings().model_dump(mode="json")
        for place, value in self.settings.items():
            section, name = place.split(".")
            data[section][name] = value
        settings = parse_settings(data)
        ssh = SimpleNamespace(
            open=lambda: None,
            run=self._run,
            sql_rows=lambda _: [{"name": name} for name in self.offered],
            address=SimpleNamespace(user=settings.host.user),
        )
        store = self.aws or SimpleNamespace(ask=self._instances, get_secret=self._secret)
        fake = SimpleNamespace(
            settings=settings, ssh=ssh, aws=store, ask=self._ask, say=lambda _: None
        )
        return cast(Context, fake)

    def _ask(self, fact: Any) -> Any:
        name = "lightsail.instance" if fact.name.startswith("lightsail.instance.") else fact.name
        answer = self.answers.get(name, INSTANCE if name == "lightsail.instance" else self)
        if isinstance(answer, Exception):
            raise answer
        if answer is not self:
            return answer
        case = "debian-13" if (RECORDED / name / "debian-13.json").exists() else "debian-12"
        return parsed(name, case)

    def _run(self, argv: Sequence[str], **_: Any) -> ShellAnswer:
        told = self.says.get(argv[0], "")
        if isinstance(told, Exception):
            raise told
        return ShellAnswer(0, told)

    def _secret(self, name: str) -> Secret:
        if name in self.secrets:
            raise self.secrets[name]
        return Secret("hunter22")

    def _instances(self, _: Any) -> Any:
        return {"instances": self.leftovers}


def leftover(name: str, hours: float) -> dict[str, Any]:
    """An instance of a run, as Lightsail tells of it."""
    return {
        "name": name,
        "state": {"name": "running"},
        "createdAt": datetime.now(UTC) - timedelta(hours=hours),
        "tags": [{"key": "chronos:run", "value": "20261101T000000Z-drill-abc123"}],
        "location": {"availabilityZone": "ca-central-1a"},
    }


def found(outcome: Outcome) -> dict[str, Finding]:
    return {finding.id.removeprefix("preflight."): finding for finding in outcome.findings}


def wrong(outcome: Outcome) -> dict[str, tuple[Status, str]]:
    return {name: (f.status, f.observed) for name, f in found(outcome).items() if not f.good}
