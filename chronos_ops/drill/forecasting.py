"""The recovery forecast: what was measured here and in earlier sealed runs, fitted and told."""

from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from chronos_ops.drill.passes import Anew, restored_by
from chronos_ops.drill.sizing import restore_sizes
from chronos_ops.drill.synthetic import objectives, parameters
from chronos_ops.evidence.display import duration
from chronos_ops.evidence.manifest import differences
from chronos_ops.evidence.record import hardware, read_result
from chronos_ops.evidence.steps import read_steps
from chronos_ops.execution.context import Context
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.forecast import (
    ENOUGH,
    GROWS,
    Error,
    Forecast,
    Restored,
    forecast,
    judge_error,
    left_out,
    restored,
)
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.result import Result, Verdict

SIZES = (1e9, 1e10, 1e11, 1e12)
_EARLIER_RUNS = 50  # the newest ones that measured anything
_RESTORED: TypeAdapter[Restored] = TypeAdapter(Restored)
_SIZE_NOW = "SELECT sum(pg_database_size(oid))::bigint AS size FROM pg_database"


def tell(context: Context, anew: Anew) -> Outcome:
    """Restore the wanted sizes, fit, hold the prediction against what was restored, foretell."""
    sizes = restore_sizes(context, anew)
    own = [*_of_this_run(context), *(_RESTORED.validate_python(row) for row in sizes.restores)]
    known = [one for one in own if one.source == own[0].source]
    if own and len(left_out(known)) < ENOUGH:  # else this run compares within itself
        known += _of_earlier_runs(context, own[0].source)
    found = forecast(known) if own else "no restore was measured in this run"
    why_not = found if isinstance(found, str) else ""
    errors = [] if why_not else left_out(known)
    own_findings = [sizes.finding] if sizes.finding else []
    kept = {
        "label": _label(context),
        "not_known": why_not,
        "objective_seconds": objectives(context).recovery_time_seconds,
        "restores": [{"bytes": o.size, "wal": o.wal, "seconds": o.total} for o in known],
    }
    outcome = Outcome(
        summary=f"The recovery time of other sizes is **not known**: {why_not}. "
        "`-p forecast_megabytes=64,256,1024,3072` restores some.",
        findings=[_judged(context, errors, why_not), *own_findings],
        measures={"forecast_restores": [one.data() for one in own], "forecast": kept},
    )
    if isinstance(found, str):
        return outcome
    told = _Told(context, found, known, own[0].wal)
    more = {
        "wal": told.wal,
        "size_now": told.size_now,
        "breaks_at_size": found.breaks_at_size(told.objective, told.wal),
        "breaks_at_wal": found.breaks_at_wal(told.objective, told.size_now or 0),
        "curve": [[size, found.seconds(size, told.wal)] for size in told.sizes()],
        "lines": {n: {"fixed": x.fixed, "rate": x.rate} for n, x in found.lines.items()},
        "errors": [{**vars(one), "error": one.error} for one in errors],
    }
    return outcome.model_copy(
        update={
            "summary": told.summary(),
            "table": told.table(),
            "text": told.lines() + "\n\n" + _errors(errors),
            "measures": {**outcome.measures, "forecast": {**kept, **more}},
        }
    )


def _judged(context: Context, errors: list[Error], why_not: str) -> Finding:
    """The error fails a run that was asked for a forecast. Any other only tells it: sizes that
    happen to lie about, much alike, measured on busy days, say nothing of this run."""
    found = judge_error(errors, why_not)
    if parameters(context).forecast_sizes or found.status is Status.NOT_APPLICABLE:
        return found
    said = f"no size was restored for it in this run; {found.observed}"
    return found.model_copy(update={"status": Status.NOT_APPLICABLE, "observed": said})


def _label(context: Context) -> str:
    """Whose rates these are: those of a lab foretell nothing of production (R8)."""
    target = context.settings.target
    return f"lab rates ({target})" if context.settings.disposable else f"rates of {target}"


# -- what was measured


def _of_this_run(context: Context) -> list[Restored]:
    """The first pass, and those that the step `repeats` made."""
    own = [step.outcome for step in read_steps(context.folder).values() if step.outcome]
    rows = restored_by(own, "p1")
    for outcome in own:
        rows += outcome.measures.get("restores", [])
    return [_RESTORED.validate_python(row) for row in rows]


def _of_earlier_runs(context: Context, source: str) -> list[Restored]:
    """Of this target, on this hardware, with hosts of this kind; sealed, and unchanged since."""
    found: list[Restored] = []
    runs = 0
    for folder in sorted(context.folder.parent.glob("2*"), reverse=True):
        if folder == context.folder or runs == _EARLIER_RUNS:
            continue
        result = read_result(folder)
        rows = [one for one in _of_result(result) if one.source == source] if result else []
        if rows and _sealed(folder):
            runs += 1
            found += rows
    return found


def _of_result(result: Result) -> Iterator[Restored]:
    if result.verdict not in (Verdict.PASSED, Verdict.DEVIATED) or result.hardware != hardware():
        return
    kept = result.measures.get("forecast_restores")
    if kept is None:
        first = restored(result.phases, result.measures, "p1")
        yield from [first] if first else []
    for row in kept or []:
        yield _RESTORED.validate_python(row)


def _sealed(folder: Any) -> bool:
    try:
        return not differences(folder)
    except (OSError, ValueError, KeyError):
        return False  # no manifest, or none that can be read


# -- what is told of it


class _Told:
    """A forecast in words and figures."""

    def __init__(self, context: Context, by: Forecast, known: list[Restored], wal: int) -> None:
        self.by = by
        self.wal = wal  # bytes, as this run's own scenario replayed
        self.largest = max(one.size for one in known)
        self.objective = objectives(context).recovery_time_seconds
        self.label = _label(context)
        self.size_now = size_now(context)

    def sizes(self) -> list[float]:
        """From 10 MB to 10 TB, eight a decade, and the largest that was restored."""
        return sorted({float(self.largest), *(10 ** (step / 8) for step in range(56, 105))})

    def summary(self) -> str:
        size = self.by.breaks_at_size(self.objective, self.wal)
        at = "no size that was seen" if size is None else _bytes(size)
        return (
            f"At {self.label} the objective of {duration(self.objective)} breaks at **{at}** of "
            f"backup (with {_bytes(self.wal)} of WAL). Restores of up to {_bytes(self.largest)} "
            "were measured: what is larger is extrapolated. Alarm and response come on top."
        )

    def table(self) -> list[dict[str, Any]]:
        rows = [self._row(_bytes(size), size) for size in SIZES]
        if self.size_now is None:
            rows.append({**dict.fromkeys(rows[0], "not known"), "what": "the target's size now"})
        else:
            rows.append(self._row("the target's size now", self.size_now))
        size = self.by.breaks_at_size(self.objective, self.wal)
        rows.append(self._breaks("the objective breaks at this size", size, self.wal))
        at = self.size_now or 0
        wal = self.by.breaks_at_wal(self.objective, at)
        rows.append(self._breaks("the objective breaks at this WAL", at, wal))
        return rows

    def _row(self, what: str, size: float) -> dict[str, Any]:
        seconds = self.by.seconds(size, self.wal)
        far = size / self.largest
        return {
            "what": what,
            "backup": _bytes(size),
            "WAL": _bytes(self.wal),
            "recovery time": duration(seconds),
            "objective": "kept" if seconds < self.objective else "missed",
            "how far": "within what was restored" if far <= 1 else f"extrapolated {far:,.0f} times",
        }

    def _breaks(self, what: str, size: float | None, wal: float | None) -> dict[str, Any]:
        known = size is not None and wal is not None
        return {
            "what": what,
            "backup": "not in sight" if size is None else _bytes(size),
            "WAL": "not in sight" if wal is None else _bytes(wal),
            "recovery time": duration(self.objective) if known else "not known",
            "objective": "breaks",
            "how far": "" if size is None else f"{size / self.largest:,.1f} times the largest",
        }

    def lines(self) -> str:
        found = []
        for name, line in self.by.lines.items():
            noun = {"wal": " of WAL", "size": " of backup"}.get(GROWS.get(name, ""), "")
            grows = f" + {line.rate / 1e6:8.1f} MB/s{noun}" if line.rate else ""
            found.append(f"{name:<12}{line.fixed:8.2f} s{grows}")
        return "\n".join(found)


def size_now(context: Context) -> int | None:
    """Bytes of all databases of the declared host; None where it cannot be asked."""
    try:
        return int(context.ssh.sql_rows(_SIZE_NOW)[0]["size"])
    except ChronosError:
        return None


def _errors(errors: list[Error]) -> str:
    said = ["each size, predicted from the other sizes alone:"]
    for one in errors:
        error = "not known" if one.error is None else f"{one.error:6.1%}"
        grew = "not known" if one.growing is None else f"{one.growing:6.1%}"
        predicted = "not known" if one.predicted is None else f"{one.predicted:7.1f} s"
        said.append(
            f"{_bytes(one.size):>10} + {_bytes(one.wal):>8} WAL: measured {one.measured:7.1f} s "
            f"(n={one.restores}), predicted {predicted}, error {error}; of the phases that grow "
            f"{grew}"
        )
    return "\n".join(said)


def _bytes(size: float) -> str:
    """Decimal units, as disks are sold."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if size >= unit:
            return f"{size / unit:,.4g} {name}"
    return f"{size / 1e3:,.0f} kB"
