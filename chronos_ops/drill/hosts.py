"""Hosts that a run makes for itself: named after it, reached with a key made for it alone."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from chronos_ops.drill.snapshot import require_no_database
from chronos_ops.execution.context import Context
from chronos_ops.execution.provision import Provisioned, make_key, provision


def host_name(context: Context, role: str) -> str:
    """`<target>-<role>-<end of the run id>`: short enough to be read, and nobody else's."""
    return f"{context.settings.target}-{role}-{context.run_id.rsplit('-', maxsplit=1)[-1]}"


def new_host(context: Context, role: str) -> Provisioned:
    """Make a host of this run, without a database on it. Raises what provisioning raises.

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
            context.settings,
            host_name(context, role),
            context.run_id,
            key,
            on_event=context.say,
            journal=context.journal,
        )
        made = replace(made, key_file=_in_memory(key.read_bytes()))
    if context.settings.drill.from_snapshot:
        require_no_database(context.host(made.ssh_address()), made.source)
    return made


def _in_memory(content: bytes) -> str:
    """A file of this process without a place on any disk."""
    handle = os.memfd_create("chronos-host-key", os.MFD_CLOEXEC)
    os.write(handle, content)
    return f"/proc/{os.getpid()}/fd/{handle}"


def install_log(context: Context, host: Provisioned) -> Path:
    """What apt said on a host of this run."""
    return context.folder / "logs" / f"install-{host.name}.log"
