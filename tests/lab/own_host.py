"""A lab host of a test module's own, as a target like any other: its context, then it is gone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.evidence.journal import FileJournal
from chronos_ops.evidence.redact import Redactor
from chronos_ops.execution.context import Context
from chronos_ops.execution.declared_host import declared_host
from chronos_ops.lab import control
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.parameters import parse_parameters
from chronos_ops.model.settings import Settings, load_settings

_BOOTED = "for i in $(seq 300); do [ -e /var/lib/cloud/instance/boot-finished ] && exit; sleep 0.1"
Change = Callable[[Settings], Settings]


def _same(settings: Settings) -> Settings:
    return settings


@contextmanager
def own_host(
    lab: LabStatus, name: str, folder: Path, *, image: str = "db", change: Change = _same
) -> Iterator[Context]:
    """A host with a cluster that was made at its first boot; `change`: other settings of it."""
    host = control.request(
        lab.name,
        "create",
        name=name,
        image=image,
        memory_bytes=1024**3,
        disk_bytes=8 * 1024**3,
        user_data=control._MAKE_CLUSTER,
    )
    try:
        context = context_of(lab, host, folder, change)
        context.ssh.run(["sh", "-c", f"{_BOOTED}; done; exit 1"])
        yield context
        context.close()
    finally:
        control.request(lab.name, "delete", name=name)


def context_of(
    lab: LabStatus, host: dict[str, Any], folder: Path, change: Change = _same
) -> Context:
    """A run on that host, with what is recorded in `folder`."""
    known = folder / "known_hosts"
    known.write_text("".join(f"{host['address']} {key}\n" for key in host["host_keys"]))
    place = {
        "instance": host["name"],
        "address": host["address"],
        "known_hosts_file": str(known),
    }
    settings = load_settings(lab.name)
    settings = settings.model_copy(update={"host": settings.host.model_copy(update=place)})
    settings = change(settings)
    journal = FileJournal(folder, Redactor())
    aws = Aws(settings.aws, journal)
    given = {"target": lab.name, "allow_restart": True}
    return Context(
        run_id=folder.name,
        folder=folder,
        settings=settings,
        parameters=parse_parameters("security_hardening", given),
        journal=journal,
        aws=aws,
        ssh=Ssh(declared_host(settings, aws), journal),
    )
