"""Scenarios in which data are dropped by mistake and the server lives: point-in-time recovery."""

import time
from datetime import datetime
from typing import ClassVar

from chronos_ops.drill import integrity, recovering, sample
from chronos_ops.drill.archived import switch_segment, wait_stored
from chronos_ops.drill.catalog import judge_catalog, read_catalog
from chronos_ops.drill.faults import Dropped
from chronos_ops.drill.objectives import Loss, PhaseClock
from chronos_ops.drill.state import Drill
from chronos_ops.drill.synthetic import Synthetic, parameters
from chronos_ops.execution.context import Context
from chronos_ops.model.errors import UsageError
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.recovery_target import RecoveryTarget, at_time
from chronos_ops.model.wal import Lsn

_DUMP = "/var/lib/postgresql/chronos-bring-back.dump"
_COMMITS_AROUND = 20


class Dropping(Synthetic):
    """Drop, keep writing, restore beside to just before the drop, bring the rows back."""

    point_in_time = True
    kinds: ClassVar[tuple[str, ...]] = ("xid", "lsn", "name", "time")  # the first is the default

    def strike(self, context: Context, drill: Drill) -> Dropped:
        raise NotImplementedError

    def default_target(self) -> str:
        return f"just before the drop, by {self.kinds[0]}"

    def check_target(self, context: Context, drill: Drill, asked: RecoveryTarget) -> Outcome:
        if asked.own and asked.kind not in self.kinds:
            raise UsageError(
                f"scenario {self.id} has no {asked.kind} of its own",
                hint=f"one of: {', '.join(kind + ':' for kind in self.kinds)}",
            )
        return super().check_target(context, drill, asked)

    def inject_fault(self, context: Context, drill: Drill) -> Outcome:
        """Commits before and after it, all on record."""
        self._more_commits(context, drill, "commits before the drop")
        dropped = self.strike(context, drill)
        struck = dropped.struck
        drill.keep("dropped", dropped)
        drill.keep("struck", struck)
        drill.keep("clock", PhaseClock(struck.began, struck.began_at))
        context.journal.note("fault", what=struck.what, xid=dropped.xid, lsn=dropped.lsn)
        drill.target = self.target_of(drill, dropped)
        return Outcome(
            summary=f"`{struck.what}` was committed; the writer goes on. "
            f"Recovery target: **{drill.target}**.",
            measures={"fault_at": struck.began_at.isoformat()},
        )

    def _more_commits(self, context: Context, drill: Drill, why: str) -> None:
        known = len(drill.writer.wait_for(1, 1).acked)
        patience = parameters(context).patience(_COMMITS_AROUND)
        with context.journal.interval("wait", why):
            drill.writer.wait_for(known + _COMMITS_AROUND, patience)

    def target_of(self, drill: Drill, dropped: Dropped) -> RecoveryTarget:
        """Just before the drop, in the wanted kind."""
        match drill.asked.kind if drill.asked.own else self.kinds[0]:
            case "xid":
                return RecoveryTarget("xid", dropped.xid, exclusive=True)
            case "lsn":
                lsn = Lsn.parse(dropped.lsn)
                return RecoveryTarget("lsn", str(lsn), exclusive=True, lsn=lsn)
            case "name":
                return RecoveryTarget("name", dropped.restore_point)
            case _:
                return at_time(datetime.fromisoformat(dropped.server_at))

    def provision_drill_host(self, context: Context, drill: Drill) -> Outcome:
        """The server lives: its newest WAL is sent to the repository first."""
        drill.writer.wait_for(  # commits that will be given up
            len(drill.writer.wait_for(1, 1).acked) + _COMMITS_AROUND,
            parameters(context).patience(_COMMITS_AROUND),
        )
        ssh = drill.primary.ssh
        stanza = drill.primary.settings.backup.stanza
        wait_stored(context, ssh, stanza, switch_segment(ssh))
        return super().provision_drill_host(context, drill)

    def restore(self, context: Context, drill: Drill) -> Outcome:
        return recovering.restore_files(context, drill, after=Lsn.parse(drill.dropped.lsn))

    def promised_until(self, drill: Drill) -> float | None:
        return drill.dropped.promised_until

    def sides(self, drill: Drill, loss: Loss) -> list[Finding]:
        """Both sides of the target: the last commit before is there, the first after is not."""
        after = [c for c in drill.record.acked if c.begun > drill.struck.ended]
        back = [c.seq for c in after if c.seq in drill.recovered]
        last = loss.last_promised
        return [
            judge(
                "drill.pitr.before-present",
                "every commit before the target is there, the last one too",
                passed=None if last is None else not loss.lost and last.seq in drill.recovered,
                observed=f"{loss.recovered} of {loss.promised}, the last is {last and last.seq}",
                expected="all of them",
                requirement="B5",
            ),
            judge(
                "drill.pitr.after-absent",
                "no commit after the target is there, not even the first",
                passed=None if not after else not back,
                observed=f"{len(back)} of {len(after)}, the first is {after[0].seq}"
                if after
                else "no commit after the target",
                expected="none",
                requirement="B5",
            ),
        ]

    def summary(self, drill: Drill, loss: Loss) -> str:
        return (
            f"{loss.promised} commits were acknowledged before the drop and {loss.recovered} of "
            f"them are on the drill host; {len(loss.given_up)} commits after the target would be "
            "**given up** if it replaced the primary. It does not: only what was dropped is "
            "brought back."
        )

    def move(
        self, context: Context, drill: Drill, dump: list[str], restore: list[str]
    ) -> tuple[int, float]:
        """Dump on the drill host, carry over, restore on the primary; bytes and seconds."""
        began = time.monotonic()
        host, primary = drill.host.ssh, drill.primary.ssh
        host.run([*dump, f"--file={_DUMP}"], user="postgres", timeout=6 * 3600)
        content = host.get(_DUMP, sudo=True)
        primary.put(_DUMP, content, owner="postgres", group="postgres", mode="0600")
        log = context.logs / "bring-back.log"
        primary.run([*restore, _DUMP], user="postgres", timeout=6 * 3600, log=log)
        primary.run(["rm", "-f", _DUMP], sudo=True)
        return len(content), time.monotonic() - began

    def compared(self, drill: Drill, moved: tuple[int, float], what: str) -> Outcome:
        """The primary now against before the drop; what the writer wrote aside."""
        after = integrity.read_all(drill.primary.ssh)
        finding = integrity.judge_digests(
            drill.digests_before, after, moving=(sample.COMMITS,)
        ).model_copy(
            update={
                "id": "drill.bring-back.compared",
                "title": f"{what} is back on the primary, row for row",
            }
        )
        objects = judge_catalog(
            drill.catalog_before, read_catalog(drill.primary.ssh, drill.primary.bin_dir)
        ).model_copy(
            update={
                "id": "drill.bring-back.catalog",
                "title": "the primary consists of what it consisted of before the drop",
            }
        )
        sequences = integrity.judge_sequences(after, drill.digests_before).model_copy(
            update={"id": "drill.bring-back.sequences"}
        )
        written = after[sample.DATABASE].tables[sample.COMMITS].rows
        kept = judge(
            "drill.bring-back.nothing-else-lost",
            "the primary has kept every acknowledged commit",
            passed=written >= len(drill.record.acked),
            observed=f"{written} rows",
            expected=f"at least {len(drill.record.acked)}",
            requirement="D6",
        )
        size, seconds = moved
        return Outcome(
            summary=f"{what} brought back ({size / 1e6:.1f} MB in {seconds:.1f} s).",
            findings=[finding, objects, sequences, kept],
            measures={"bring_back_seconds": round(seconds, 3)},
        )
