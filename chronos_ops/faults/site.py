"""Where a fault strikes: a disposable target, and the hosts that the detecting run made there."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import Ssh, SshAddress
from chronos_ops.execution.context import Context
from chronos_ops.execution.hosts import host_name
from chronos_ops.facts import lightsail
from chronos_ops.model.errors import ChronosError, Refused, TransportError
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.runbook_stage import carry_out

_SETTLED_SECONDS = 180.0
_SETTLED = """
systemctl is-system-running --wait >/dev/null || :
sudo -u postgres psql -XAtqc 'SELECT 1' >/dev/null 2>&1 || exit 1
[ -z "$(pgrep -x pgbackrest)" ] || exit 1
"""
_REPEAT = """
for unit in $(systemctl list-units --failed --plain --no-legend 'chronos-backup-*.service' |
    cut -d' ' -f1); do systemctl start "$unit"; done
"""
_KEY = "memfd:chronos-host-key"  # as execution.hosts names it


@dataclass
class Site:
    """What a fault may use. Raises Refused for a target that is not disposable (D3)."""

    context: Context  # of the struck target: ssh to the declared host, aws, settings
    run_folder: Path | None = None  # of the detecting run, where the fault strikes inside it
    processes: Sequence[int] = ()  # of that run, stopped meanwhile
    kept: dict[str, Any] = field(default_factory=dict)  # what inject leaves for undo

    def __post_init__(self) -> None:
        if not self.context.settings.disposable:
            raise Refused(
                "faults strike disposable targets only",
                self.context.settings.target,
                hint="`disposable: true` stands in a lab's parameter file, never in production's",
            )

    @property
    def settings(self) -> Settings:
        return self.context.settings

    @property
    def aws(self) -> Aws:
        return self.context.aws

    @property
    def ssh(self) -> Ssh:
        """The declared host."""
        return self.context.ssh

    def sql(self, script: str, database: str = "postgres") -> str:
        """What the declared cluster answers, as its superuser."""
        return self.ssh.sql(script, database).stdout.strip()

    def shell(self, script: str) -> str:
        """What a shell script on the declared host says, as root. Raises CommandFailed."""
        return self.ssh.run(["sh", "-ec", script], sudo=True).stdout.strip()

    def wait_until_settled(self) -> None:
        """Booted, the database answers, no backup runs. Raises ChronosError at the deadline."""
        deadline = time.monotonic() + _SETTLED_SECONDS
        while self.ssh.run(["sh", "-c", _SETTLED], sudo=True, accept=(0, 1)).exit_code:
            if time.monotonic() > deadline:
                raise ChronosError("the struck host does not come to rest", self.ssh)
            time.sleep(0.2)

    def repeat_failed_jobs(self) -> None:
        """Backups that came due while the fault lasted, and failed, are taken now."""
        self.shell(_REPEAT)

    def mend(self, *stages: Stage) -> None:
        """Bring back what is declared, by the runbook's own stages."""
        for stage in stages:
            carry_out(stage, self.context, lambda _plan, _text: None)

    def host(self, role: str) -> Ssh:
        """A host that the detecting run made (`primary`, `restore` …), by that run's own key.

        Raises ChronosError where the run made none of that role, or its key is gone.
        """
        if self.run_folder is None:
            raise ChronosError("no run is under way whose hosts could be struck", role)
        run_id = self.run_folder.name
        name = host_name(replace(self.context, run_id=run_id), role)
        found = self.context.ask(lightsail.instance(name))
        if found is None or found.run_id != run_id:
            raise Refused("that run made no such host", name)
        pins = self.context.ask(lightsail.host_keys(name))
        said = "none is held"
        for key in self._keys():
            ssh = self.context.host(SshAddress(found.address, 22, found.user, str(key), pins))
            try:
                ssh.open()
            except TransportError as error:
                said = error.text()
            else:
                return ssh
        raise ChronosError("no key of the run opens its host", f"{name}: {said}")

    def _keys(self) -> list[Path]:
        """The private keys that the run's processes hold in memory."""
        held = [link for pid in self.processes for link in Path(f"/proc/{pid}/fd").glob("*")]
        return [link for link in held if _KEY in str(link.readlink())]
