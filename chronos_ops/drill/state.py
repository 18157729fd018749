"""What a drill knows from one step to the next."""

from dataclasses import dataclass, field
from threading import Thread

from chronos_ops.drill.catalog import Catalog
from chronos_ops.drill.faults import Dropped, Struck
from chronos_ops.drill.integrity import DatabaseDigest
from chronos_ops.drill.objectives import Loss, PhaseClock
from chronos_ops.drill.primary import Primary
from chronos_ops.drill.probe import Probe
from chronos_ops.drill.restore import DrillHost, Recovery
from chronos_ops.drill.workload import CommitRecord, Writer
from chronos_ops.facts.backups import BackupSet
from chronos_ops.model.errors import UsageError
from chronos_ops.model.recovery_target import RecoveryTarget

Digests = dict[str, DatabaseDigest]


@dataclass
class Drill:
    """Filled step by step; a step that comes too early says which one is missing."""

    asked: RecoveryTarget = field(default_factory=RecoveryTarget)  # what the operator asked for
    target: RecoveryTarget = field(default_factory=RecoveryTarget)  # where recovery stops
    marker: str = ""  # production proof: what was written to be found again
    steady: dict[str, str] = field(default_factory=dict)
    window_began: float = 0.0  # monotonic: the last WAL switch before the fault
    push_seconds: float = 0.0
    rows_before: list[dict[str, object]] | None = None  # the application query's answer
    digests_before: Digests = field(default_factory=dict)
    catalog_before: Catalog = field(default_factory=dict)
    digests_after: Digests = field(default_factory=dict)
    recovered: frozenset[int] = frozenset()
    _parts: dict[str, object] = field(default_factory=dict)

    # Each of these is set once by its step, and wanted by later ones.

    def keep(self, name: str, value: object) -> None:
        """Remember what a step made."""
        self._parts[name] = value

    def has(self, name: str) -> bool:
        """Whether the step that makes it was run."""
        return name in self._parts

    def part(self, name: str, step: str = "inject-fault") -> object:
        """What a step made. Raises UsageError naming the step if it was not run."""
        if name not in self._parts:
            raise UsageError(f"the step `{step}` was not run yet", hint="run the cells in order")
        return self._parts[name]

    @property
    def primary(self) -> Primary:
        part = self.part("primary", "provision-primary")
        assert isinstance(part, Primary)
        return part

    @property
    def writer(self) -> Writer:
        part = self.part("writer", "start-writer")
        assert isinstance(part, Writer)
        return part

    @property
    def probe(self) -> Probe:
        part = self.part("probe", "start-writer")
        assert isinstance(part, Probe)
        return part

    @property
    def struck(self) -> Struck:
        part = self.part("struck", "inject-fault")
        assert isinstance(part, Struck)
        return part

    @property
    def dropped(self) -> Dropped:
        part = self.part("dropped", "inject-fault")
        assert isinstance(part, Dropped)
        return part

    @property
    def deletion(self) -> Thread:
        part = self.part("deletion")
        assert isinstance(part, Thread)
        return part

    @property
    def clock(self) -> PhaseClock:
        part = self.part("clock", "inject-fault")
        assert isinstance(part, PhaseClock)
        return part

    @property
    def host(self) -> DrillHost:
        part = self.part("host", "provision-drill-host")
        assert isinstance(part, DrillHost)
        return part

    @property
    def backup(self) -> BackupSet:
        part = self.part("backup", "restore")
        assert isinstance(part, BackupSet)
        return part

    @property
    def recovery(self) -> Recovery:
        part = self.part("recovery", "recover")
        assert isinstance(part, Recovery)
        return part

    @property
    def record(self) -> CommitRecord:
        part = self.part("record", "verify")
        assert isinstance(part, CommitRecord)
        return part

    @property
    def loss(self) -> Loss:
        part = self.part("loss", "account-for-commits")
        assert isinstance(part, Loss)
        return part
