"""Hosts that a run makes for itself: named after it, reached with a key made for it alone."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from chronos_ops.execution.context import Context
from chronos_ops.execution.provision import Provisioned, destroy, make_key, provision
from chronos_ops.model.settings import Settings


def host_name(context: Context, role: str) -> str:
    """`<target>-<role>-<end of the run id>`: short enough to be read, and nobody else's."""
    return f"{context.settings.target}-{role}-{context.own_name.rsplit('-', maxsplit=1)[-1]}"


def make_host(context: Context, role: str, settings: Settings | None = None) -> Provisioned:
    """Make a host of this run (its undo is journalled). Raises what provisioning raises.

    Its private key ends with this process: from here on it lies in memory alone.
    """
    work_dir = context.settings.drill.work_dir
    parent = Path(work_dir).expanduser() if work_dir else None
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="chronos-key-", dir=parent) as folder:
        key = make_key(Path(folder))
        made = provision(
            context.aws,
            settings or context.settings,
            host_name(context, role),
            context.run_id,
            key,
            on_event=context.say,
            journal=context.journal,
        )
        return replace(made, key_file=_in_memory(key.read_bytes()))


def remove_host(context: Context, role: str) -> None:
    """Delete a host of this run, if it is there, and say so in the journal."""
    name = host_name(context, role)
    with context.journal.interval("deed", f"remove lightsail:instance/{name}"):
        destroy(context.aws, name, context.run_id)
    context.journal.removed(f"lightsail:instance/{name}")


def _in_memory(content: bytes) -> str:
    """A file of this process without a place on any disk."""
    handle = os.memfd_create("chronos-host-key", os.MFD_CLOEXEC)
    os.write(handle, content)
    return f"/proc/{os.getpid()}/fd/{handle}"
