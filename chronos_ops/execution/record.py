"""Record what a fact's question answers on a real target: the cases of the parsers' tests.

`tests/recorded/<fact>/<case>.json` holds question, exit code, output, release and version, date.
The wanted value (`wanted`) is added by hand: a new case is a data file, not a new test.
"""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution.ask import ask
from chronos_ops.execution.declared_host import declared_host
from chronos_ops.facts.pgbackrest import VERSION
from chronos_ops.facts.registry import FACTS
from chronos_ops.facts.system import OS_RELEASE
from chronos_ops.model.errors import UsageError
from chronos_ops.model.question import AwsQuestion, Fact, ShellAnswer
from chronos_ops.model.settings import load_settings
from chronos_ops.model.timing import stamp, utc_now

MASK = "***"
_ROOT = Path(__file__).resolve().parents[2]
_SECRETS = (
    re.compile(r"(?P<keep>(?:cipher-pass|key-secret|password|passwd|secret)\s*[=:]\s*)[^\s,\"]+"),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{8,}"),
    re.compile(r"(?P<keep>SCRAM-SHA-256\$)\S+"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL),
)


def redacted(text: str) -> str:
    """`text` without what looks like a secret or an access key's id (R5)."""
    for pattern in _SECRETS:
        text = pattern.sub(lambda match: (match.groupdict().get("keep") or "") + MASK, text)
    return text


def _clean(value: Any) -> Any:
    """A whole answer, text by text: a pattern must not run over the end of one."""
    match value:
        case str():
            return redacted(value)
        case dict():
            return {key: _clean(item) for key, item in value.items()}
        case list() | tuple():
            return [_clean(item) for item in value]
        case _:
            return value


def recorded_dir() -> Path:
    """`tests/recorded/` of this checkout."""
    return _ROOT / "tests" / "recorded"


def record(name: str, target: str, *, case: str = "") -> Path:
    """Ask a fact on a target and write the case; returns its file.

    The case is named after the release unless a name is given. An existing `wanted` is kept.
    Raises UsageError: no such fact.
    """
    if name not in FACTS:
        raise UsageError("unknown fact", repr(name), hint=f"known: {', '.join(sorted(FACTS))}")
    settings = load_settings(target)
    fact = FACTS[name](settings)
    aws = Aws(settings.aws)
    with Ssh(declared_host(settings, aws)) as ssh:
        return record_with(fact, ssh, aws, case=case)


def record_with(fact: Fact[Any], ssh: Ssh, aws: Aws, *, case: str = "") -> Path:
    """Ask a fact over given connections and write the case."""
    release = ask(OS_RELEASE, ssh, aws)
    version = ask(VERSION, ssh, aws)
    answer = _answer(fact, ssh, aws)
    path = recorded_dir() / fact.name / f"{case or f'{release.id}-{release.version_id}'}.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    data = {
        "fact": fact.name,
        "question": dataclasses.asdict(fact.question),
        "release": release.pretty_name,
        "pgbackrest": ".".join(map(str, version)) if version else None,
        "recorded_at": stamp(utc_now()),
        "answer": _clean(answer),
    }
    if "wanted" in kept:
        data["wanted"] = kept["wanted"]
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(data, indent=2, default=str, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def _answer(fact: Fact[Any], ssh: Ssh, aws: Aws) -> Any:
    if isinstance(fact.question, AwsQuestion):
        return aws.ask(fact.question)
    answer = ssh.ask(fact.question)
    if isinstance(answer, ShellAnswer):
        return {"exit_code": answer.exit_code, "stdout": answer.stdout, "stderr": answer.stderr}
    return answer
