"""What a running runbook holds: its folder, its target, the ways out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import Ssh, SshAddress
from chronos_ops.execution.ask import ask
from chronos_ops.model.journal import Journal
from chronos_ops.model.parameters.common import RunbookParameters
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings

T = TypeVar("T")


@dataclass
class Context:
    """Handed to every step. `say` shows one line that updates in place."""

    run_id: str
    folder: Path  # outputs/<target>/<run_id>
    settings: Settings
    parameters: RunbookParameters
    journal: Journal
    aws: Aws
    ssh: Ssh  # the declared host
    say: Callable[[str], None] = lambda _line: None
    opened: dict[str, Ssh] = field(default_factory=dict)
    part: str = ""  # of a run that makes its hosts more than once: which time this is

    @property
    def own_name(self) -> str:
        """What everything carries in its name that this part of the run makes."""
        return self.run_id + self.part

    @property
    def logs(self) -> Path:
        """Where this part of the run keeps its logs; made if it is not there."""
        folder = self.folder / "logs" / self.part
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def host(self, address: SshAddress) -> Ssh:
        """A connection to another host, closed with the run. A new host may get the address of
        a lost one: its pinned keys tell them apart."""
        key = repr(address)
        if key not in self.opened:
            self.opened[key] = Ssh(address, self.journal)
        return self.opened[key]

    def ask(self, fact: Fact[T], ssh: Ssh | None = None) -> T:
        """What is so, on the declared host unless another is given."""
        return ask(fact, ssh or self.ssh, self.aws)

    def close(self) -> None:
        """Close every connection."""
        for ssh in [self.ssh, *self.opened.values()]:
            ssh.close()
