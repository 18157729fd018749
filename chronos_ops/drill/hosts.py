"""Hosts that a run makes for itself: named after it, reached with a key made for it alone."""

import shutil
import tempfile
from pathlib import Path

from chronos_ops.execution.context import Context
from chronos_ops.execution.provision import Provisioned, make_key, provision


def host_name(context: Context, role: str) -> str:
    """`<target>-<role>-<end of the run id>`: short enough to be read, and nobody else's."""
    return f"{context.settings.target}-{role}-{context.run_id.rsplit('-', maxsplit=1)[-1]}"


def _key_folder(context: Context) -> Path:
    """Outside the run's folder, which is archived as evidence."""
    base = context.settings.drill.work_dir
    root = Path(base).expanduser() if base else Path(tempfile.gettempdir())
    return root / f"chronos-{context.run_id}"


def new_host(context: Context, role: str) -> Provisioned:
    """Make a host of this run. Raises what provisioning raises."""
    folder = _key_folder(context) / role
    key = make_key(folder)
    return provision(
        context.aws,
        context.settings,
        host_name(context, role),
        context.run_id,
        key,
        on_event=context.say,
        journal=context.journal,
    )


def install_log(context: Context, host: Provisioned) -> Path:
    """What apt said on a host of this run."""
    return context.folder / "logs" / f"install-{host.name}.log"


def forget_keys(context: Context) -> None:
    """The hosts are gone: so are their keys."""
    shutil.rmtree(_key_folder(context), ignore_errors=True)
