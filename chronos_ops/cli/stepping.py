"""JupyterLab on a working copy of a runbook."""

import json
import os
import re
import sys
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from chronos_ops.cli.shelf import ROOT, Runbook
from chronos_ops.model.errors import UsageError
from chronos_ops.model.timing import utc_now


def working_copy(runbook: Runbook, target: str, root: Path = ROOT) -> Path:
    """A copy below outputs/, its `target` parameter filled in: the committed one stays clean.

    Raises UsageError if the notebook has no such parameter.
    """
    notebook = json.loads(runbook.path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            source = "".join(cell["source"])
            filled, count = re.subn(
                r'^target(?P<type>\s*:\s*str)?\s*=\s*"[^"]*"',
                lambda match: f"target{match['type'] or ''} = {json.dumps(target)}",
                source,
                flags=re.MULTILINE,
            )
            if count == 1:
                cell["source"] = filled
                break
    else:
        raise UsageError("the notebook has no parameter `target`", runbook.path.name)
    folder = root / "outputs" / target / "stepping"
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / f"{runbook.name}-{utc_now():%Y%m%dT%H%M%SZ}.ipynb"
    copy.write_text(json.dumps(notebook, indent=1) + "\n", encoding="utf-8")
    return copy


def jupyterlab_command(copy: Path, *, browser: bool, port: int) -> list[str]:
    """The command line of a JupyterLab that asks nothing about news and listens on loopback."""
    command = [sys.executable, "-P", "-m", "jupyterlab"]
    command += [f"--LabApp.default_url=/lab/tree/{quote(copy.name)}"]
    command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"]
    command += [f"--ServerApp.root_dir={copy.parent}"]
    # A workspace of its own: else the tabs of former copies come back, their kernels with them.
    command += [f"--LabApp.workspaces_dir={copy.parent / '.workspaces' / copy.stem}"]
    command += [f"--LabApp.app_settings_dir={Path(__file__).parent / 'jupyterlab'}"]
    command += ["--LabApp.news_url=None", "--LabApp.collaborative=False"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    if not browser:
        command.append("--no-browser")
    if os.geteuid() == 0:
        command.append("--allow-root")
    return command


def open_jupyterlab(copy: Path, *, browser: bool, port: int) -> NoReturn:
    """Become JupyterLab. The kernel is this environment's own, whatever else is installed."""
    environment = {k: v for k, v in os.environ.items() if k != "JUPYTER_PATH"}
    environment["JUPYTER_PREFER_ENV_PATH"] = "1"
    command = jupyterlab_command(copy, browser=browser, port=port)
    sys.stdout.flush()
    os.execve(command[0], command, environment)  # noqa: S606 - argv is ours, no shell is meant
