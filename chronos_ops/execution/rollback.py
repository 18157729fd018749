"""Undo what a run made, from its folder on disk: newest first, each removal proven by a probe."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from chronos_ops.connectors.aws import Aws, AwsRefused
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution.declared_host import declared_host
from chronos_ops.execution.deeds import GONE, Doer, prefix_versions
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.journal import Journal
from chronos_ops.model.plan import (
    Deed,
    DestroyInstance,
    EmptyPrefix,
    RemoveFile,
    RemoveIamUser,
    RemoveSecret,
    RunCommand,
    RunSql,
    WriteFile,
)
from chronos_ops.model.settings import Settings, parse_settings

_DEED: TypeAdapter[Deed] = TypeAdapter(Deed)
_ON_THE_HOST = (RunCommand, WriteFile, RemoveFile, RunSql)
Resource = tuple[str, list[Deed]]


def pending_resources(folder: Path) -> list[Resource]:
    """Resources of a run that no `removed` or `kept` line closes, newest first."""
    found: dict[str, list[Deed]] = {}
    for line in _lines(folder / "journal.jsonl"):
        name = str(line.get("name", ""))
        if line.get("event") == "resource":
            found[name] = [_DEED.validate_python(undo) for undo in line.get("undo", [])]
        elif line.get("event") == "removed":
            found.pop(name, None)
        elif line.get("event") == "kept":
            for kept in line.get("data", {}).get("resources", []):
                found.pop(kept, None)
    return list(reversed(found.items()))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        return
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue  # the half line of a killed writer
        if isinstance(line, dict):
            yield line


def run_settings(folder: Path) -> Settings:
    """The settings that a run was started with, from its folder."""
    data = json.loads((folder / "parameters.json").read_text(encoding="utf-8"))
    return parse_settings(data["settings"], f"{folder.name}/parameters.json")


def rollback(folder: Path, journal: Journal) -> list[str]:
    """Remove every pending resource of the run in `folder`; returns the names removed.

    Goes on after an error, and raises ChronosError at the end naming all that stayed: a teardown
    is proven by what is, not by having been tried.
    """
    pending = pending_resources(folder)
    if not pending:
        return []
    settings = run_settings(folder)
    aws = Aws(settings.aws, journal)
    ssh = None
    if any(isinstance(deed, _ON_THE_HOST) for _, undo in pending for deed in undo):
        ssh = _host(settings, aws, journal)
    doer = Doer(aws, ssh, journal.keep_secret)
    removed: list[str] = []
    stayed: list[str] = []
    for name, undo in pending:
        try:
            with journal.interval("deed", f"remove {name}"):
                for deed in undo:
                    doer.do(deed)
                    _prove_gone(aws, deed)
            journal.removed(name)
            removed.append(name)
        except ChronosError as error:
            stayed.append(f"{name} ({error})")
    if ssh is not None:
        ssh.close()
    if stayed:
        raise ChronosError(
            "the teardown is not complete",
            "; ".join(stayed),
            hint=f"`./chronos reap --target {settings.target}` tries again, from "
            f"{folder}/journal.jsonl",
        )
    return removed


def _host(settings: Settings, aws: Aws, journal: Journal) -> Ssh | None:
    """The declared host, or None where it cannot be found: all else is removed nevertheless."""
    try:
        return Ssh(declared_host(settings, aws), journal)
    except ChronosError as error:
        journal.note("teardown without the declared host", error=error.text())
        return None


def _prove_gone(aws: Aws, deed: Deed) -> None:
    """Raise ChronosError if a probe still sees the resource."""
    match deed:
        case DestroyInstance():
            still = _answers(aws, "lightsail", "get_instance", instanceName=deed.name)
        case RemoveIamUser():
            still = _answers(aws, "iam", "get_user", UserName=deed.name)
        case RemoveSecret():
            still = _answers(aws, "ssm", "get_parameter", Name=deed.name)
        case EmptyPrefix():
            prefix = deed.prefix.lstrip("/")
            listed = {"Bucket": deed.bucket, "Prefix": prefix, "MaxKeys": 1}
            still = _answers(aws, "s3", "list_objects_v2", **listed) and bool(
                prefix_versions(aws, deed.bucket, prefix)
            )
        case _:
            still = False
    if still:
        raise ChronosError("still there after its removal", deed.model_dump(mode="json"))


def _answers(aws: Aws, service: str, operation: str, **arguments: Any) -> bool:
    try:
        aws.call(service, operation, **arguments)
    except AwsRefused as error:
        if error.code in GONE:
            return False
        raise
    return True
