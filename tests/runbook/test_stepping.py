"""Cell by cell, as a person does it: a real kernel that may ask (R1)."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

from chronos_ops.evidence.archive_verify import verify_files
from chronos_ops.evidence.manifest import differences
from chronos_ops.evidence.record import read_result
from chronos_ops.evidence.signing import operator_key
from chronos_ops.evidence.steps import STEP_MIME
from chronos_ops.model.result import Verdict

REPOSITORY = Path(__file__).parents[2]
OPEN = """
from contextlib import ExitStack
from pathlib import Path
from tests.runner.probing import *
run = stepping(Path({folder!r}))
"""


class Kernel:
    """A kernel with a frontend that types what it is told to."""

    def __init__(self, manager: Any) -> None:
        self.client = manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, code: str, typed: str | None = None) -> tuple[dict[str, Any], list[Any]]:
        """The reply's content and all messages; `typed` answers an input request."""
        seen: list[Any] = []

        def answer(message: Any) -> None:
            seen.append(message)
            self.client.input(typed or "")

        reply = self.client.execute_interactive(
            code,
            allow_stdin=typed is not None,
            stdin_hook=answer,
            output_hook=seen.append,
            timeout=60,
        )
        content: dict[str, Any] = reply["content"]
        return content, seen


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    class Manager(KernelManager):  # type: ignore[misc,unused-ignore]
        @property
        def kernel_spec(self) -> KernelSpec:
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=argv, display_name="x", language="python")

    manager = Manager(
        transport="ipc", connection_file=str(tmp_path / "kernel.json"), ip=str(tmp_path / "k")
    )
    manager.start_kernel(cwd=str(REPOSITORY), env=dict(os.environ))
    kernel = Kernel(manager)
    yield kernel
    kernel.client.stop_channels()
    manager.shutdown_kernel(now=True)


def outputs(seen: list[Any]) -> list[Any]:
    shown = ("display_data", "update_display_data")
    return [m["content"]["data"] for m in seen if m["msg_type"] in shown]


def test_a_person_is_asked_and_the_record_is_whole(kernel: Kernel, tmp_path: Path) -> None:
    content, _ = kernel.run(OPEN.replace("{folder!r}", repr(str(tmp_path))), typed="")
    assert content["status"] == "ok", content
    content, seen = kernel.run("run.confirm('the database is destroyed')", typed="prbe")
    assert (content["status"], content["ename"]) == ("error", "Refused")
    prompts = [m["content"]["prompt"] for m in seen if m["msg_type"] == "input_request"]
    assert prompts == [
        "the database is destroyed\nType the target's name (probe) to agree: ",
    ]
    content, _ = kernel.run("run.confirm('the database is destroyed')", typed="probe")
    assert content["status"] == "ok"
    asked = "run.step('look', good, consent='a paid instance is made')"
    content, seen = kernel.run(asked, typed="no")
    assert (content["status"], content["ename"]) == ("error", "Refused")
    prompts = [m["content"]["prompt"] for m in seen if m["msg_type"] == "input_request"]
    assert prompts == ["a paid instance is made\nType the target's name (probe) to agree: "]
    assert "rows in" not in str(outputs(seen))  # the step was not done
    content, _ = kernel.run(asked, typed="probe")
    assert content["status"] == "ok"
    content, seen = kernel.run("run.step('look', good)", typed="")
    first, *_, last = outputs(seen)
    assert first == {"text/plain": "working"}  # the line, in whose place the record comes
    assert last[STEP_MIME]["status"] == "ok"
    content, seen = kernel.run("run.step('tell', tells_secrets)", typed="")
    assert "hunter2secret" not in str(seen)
    assert "***" in str(outputs(seen)[-1])
    content, seen = kernel.run("raise ValueError('hunter2' + 'secret')", typed="")
    assert content["evalue"] == "***"
    assert "hunter2secret" not in str(seen)
    kernel.run("run.teardown()", typed="")
    content, _ = kernel.run("run.verdict()", typed="")
    (folder,) = (p.parent for p in tmp_path.glob("outputs/probe/*/result.json"))
    result = read_result(folder)
    assert result is not None
    assert result.verdict is Verdict.UNKNOWN  # most cells of the runbook were never run
    assert differences(folder) == []
    assert "JupyterLab" in (folder / "manifest.json").read_text()
    looked = verify_files(folder.parent, fingerprint=operator_key().fingerprint)
    assert [finding.id for finding in looked.findings if not finding.good] == []
    assert looked.newest[folder.name].said.verdict == "unknown"
