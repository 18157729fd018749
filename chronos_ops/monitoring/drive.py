"""Every alarm driven to ALARM and back, and what it told read back and matched (M4)."""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from chronos_ops.execution.context import Context
from chronos_ops.execution.deeds import Doer
from chronos_ops.facts import cloudwatch
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.monitoring.conditions import Condition, conditions, silence
from chronos_ops.monitoring.flow import samples
from chronos_ops.monitoring.read_back import Listener, Told
from chronos_ops.plans.alarms import declared, prefix

_SPARE_PERIODS = 6  # beside an alarm's own: the evaluation range, and the way of the data
_SPARE_SECONDS = 60
_NONCE_SECONDS = 90


@dataclass
class Trial:
    """One alarm's test: how it was driven, and what was told of it."""

    alarm: str
    metric: str
    how: str
    began: float  # monotonic
    nonce: str = ""
    alarmed: dict[str, Told] = field(default_factory=dict)  # by channel
    back: dict[str, Told] = field(default_factory=dict)
    before: str = ""  # its state when the test began

    def row(self) -> dict[str, Any]:
        seconds = {c: f"{t.read_at - self.began:.1f} s" for c, t in self.alarmed.items()}
        return {
            "alarm": self.metric,
            "driven by": self.how,
            "told by queue after": seconds.get("queue", "never"),
            "told by e-mail after": seconds.get("e-mail", "never"),
            "back to OK": "yes" if self.back else "no",
        }


class AlarmTest:
    """`run.monitoring.test_alarms`: real conditions in parallel, nonces for the rest, silence."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.settings = context.settings
        self.doer = Doer(context.aws, context.ssh, context.journal.keep_secret)
        self.channels = ("queue", "e-mail") if self._mail() else ("queue",)
        self.listener = Listener(context)
        self.trials: list[Trial] = []

    def _mail(self) -> bool:
        monitoring = self.settings.monitoring
        return monitoring.inbox is not None and monitoring.email is not None

    def run(self) -> list[Finding]:
        """Drive them all; returns one finding for each alarm."""
        self.listener.begin()
        names = [d.alarm.metric for d in declared(self.settings).values()]
        real = conditions(self.settings) if self._wants_real() else ()
        driven = {m for c in real for m in c.metrics} & set(names)
        rest = [m for m in names if m not in driven and m != "heartbeat"]
        states = {
            each.name: each.state
            for each in self.context.ask(cloudwatch.alarms(prefix(self.settings))).values()
        }
        with ExitStack() as made:
            self._make(made, real, driven, states)
            for metric in rest:
                self._by_nonce(metric, states)
            self._until(self._all_alarmed, "ALARM")
        for trial in self.trials:
            if trial.nonce and len(trial.back) < len(self.channels):
                self._set_state(trial, "OK", "back")
        self._until(self._all_back, "OK again")
        self._lead_back({m for c in real if c.others for m in c.metrics})
        judged = [self._finding(trial) for trial in self.trials]
        shown, self.trials = self.trials, []  # silence makes every alarm fire: it proves its own
        if "heartbeat" in names:
            with self._making(silence()):
                self._begin("heartbeat", "publisher stopped", states)
                self._until(self._all_alarmed, "ALARM by silence")
            self._until(self._all_back, "OK again")
        judged += [self._finding(trial) for trial in self.trials]
        self.trials = [*shown, *self.trials]
        return judged

    def _wants_real(self) -> bool:
        return bool(getattr(self.context.parameters, "real_conditions", True))

    # -- driving

    def _make(
        self,
        made: ExitStack,
        real: Sequence[Condition],
        driven: set[str],
        states: dict[str, str],
    ) -> None:
        for condition in real:
            for metric in condition.metrics:
                if metric in driven:
                    trial = self._begin(metric, condition.name, states)
                    if trial.before == "ALARM":  # it tells only of a change
                        self._set_state(trial, "OK", "before")
            made.enter_context(self._making(condition))

    @contextmanager
    def _making(self, condition: Condition) -> Iterator[None]:
        """Journalled before it is made, undone in any case."""
        name = f"condition:{condition.name}"
        self.context.say(f"{condition.name} …")
        self.context.journal.resource(name, condition.undo)
        try:
            for deed in condition.make:
                self.doer.do(deed)
            if condition.keep_up is not None:
                condition.keep_up(self.context)
            yield
        finally:
            for deed in condition.undo:
                self.doer.do(deed)
            self.context.journal.removed(name)

    def _begin(self, metric: str, how: str, states: dict[str, str], nonce: str = "") -> Trial:
        name = f"{prefix(self.settings)}{metric}"
        trial = Trial(name, metric, how, time.monotonic(), nonce, before=states.get(name, ""))
        self.trials.append(trial)
        return trial

    def _by_nonce(self, metric: str, states: dict[str, str]) -> None:
        """An alarm tells only of a change: one that is in ALARM already is set to OK first."""
        nonce = f"chronos test {secrets.token_hex(8)}"
        trial = self._begin(metric, "set-alarm-state with a nonce", states, nonce)
        if trial.before == "ALARM":
            self._set_state(trial, "OK", "before")
        trial.began = time.monotonic()
        self._set_state(trial, "ALARM", "driven")

    def _lead_back(self, shared: set[str]) -> None:
        """What others still keep up comes back by set-alarm-state, and its row says so."""
        alarms = {d.alarm.metric: d.alarm for d in declared(self.settings).values()}
        period = self.settings.monitoring.period_seconds
        since = datetime.now(UTC) - timedelta(seconds=3 * period)
        led = False
        for trial in self.trials:
            if trial.metric not in shared or len(trial.back) == len(self.channels):
                continue
            newest = samples(self.context, trial.metric, since)[-1:]
            if newest and alarms[trial.metric].breaches(newest[0].value):
                trial.how += f", back by set-alarm-state: others keep it at {newest[0].value:.0f}"
                self._set_state(trial, "OK", "back")
                led = True
        if led:
            self._until(self._all_back, "OK again")

    def _set_state(self, trial: Trial, state: str, word: str) -> None:
        self.context.aws.call(
            "cloudwatch",
            "set_alarm_state",
            AlarmName=trial.alarm,
            StateValue=state,
            StateReason=f"{trial.nonce} ({word})",
        )

    # -- waiting

    def _until(self, done: Callable[[], bool], what: str) -> None:
        """Listen until it is so, or until the slowest alarm must have told. Raises nothing."""
        period = self.settings.monitoring.period_seconds
        longest = max(
            (d.alarm.evaluation_periods for d in declared(self.settings).values()), default=1
        )
        deadline = time.monotonic() + (longest + _SPARE_PERIODS) * period + _SPARE_SECONDS
        with self.context.journal.interval("wait", f"alarms: {what}"):
            while not done() and time.monotonic() < deadline:
                self.context.say(f"waiting for {what} …")
                self.listener.listen()
                for trial in self.trials:
                    self._match(trial)

    def _match(self, trial: Trial) -> None:
        for channel in self.channels:
            nonce = f"{trial.nonce} (driven)" if trial.nonce else ""
            found = self.listener.find(
                trial.alarm, "ALARM", channel, nonce=nonce, after=trial.began
            )
            if found and channel not in trial.alarmed:
                trial.alarmed[channel] = found
            if channel in trial.alarmed:
                # CloudWatch itself looks again and finds the metric well: that is a way back too.
                again = self.listener.way_back(trial.alarmed[channel], f"{trial.nonce} (before)")
                if again and channel not in trial.back:
                    trial.back[channel] = again

    def _all_alarmed(self) -> bool:
        return all(len(trial.alarmed) == len(self.channels) for trial in self.trials)

    def _all_back(self) -> bool:
        return all(len(trial.back) == len(self.channels) for trial in self.trials)

    def _finding(self, trial: Trial) -> Finding:
        heard = [c for c in self.channels if c in trial.alarmed]
        silent = [c for c in self.channels if c not in trial.alarmed]
        back = [c for c in self.channels if c in trial.back]
        observed = f"{trial.how}: ALARM told by {', '.join(heard) or 'nobody'}"
        observed += f"; back to OK told by {', '.join(back) or 'nobody'}"
        # What nobody read back is not claimed: without a declared inbox that is the mail.
        whom = "a person" if "e-mail" in self.channels else "the queue (no inbox is declared)"
        return judge(
            f"monitoring.alarm.{trial.metric}",
            f"The alarm {trial.metric} reaches {whom}, and comes back",
            passed=not silent and len(back) == len(self.channels),
            observed=observed,
            expected=f"ALARM and OK told by {', '.join(self.channels)}",
            hint="look at the alarm's history (describe-alarm-history), the topic's policy, the "
            "subscriptions; is the metric there with the alarm's dimensions?",
            requirement="M4",
        )


def test_alarms(context: Context) -> Outcome:
    """Drive every alarm to ALARM and back, and read back what it told."""
    if not getattr(context.parameters, "test_alarms", True):
        return Outcome(summary="Not asked for (test_alarms = False).")
    if not context.ask(cloudwatch.alarms(prefix(context.settings))):
        raise ChronosError("there are no alarms to test", hint="run the stage `alarms`")
    test = AlarmTest(context)
    started = time.monotonic()
    findings = test.run()
    evaluator = _evaluator(test.listener.told)
    return Outcome(
        summary=f"{sum(f.good for f in findings)} of {len(findings)} alarms told and came back, "
        f"in {time.monotonic() - started:.0f} s. Evaluator: {evaluator}.",
        table=[trial.row() for trial in test.trials],
        findings=findings,
        measures={
            "monitoring.told": {
                trial.metric: {
                    "how": trial.how,
                    "seconds": {c: t.read_at - trial.began for c, t in trial.alarmed.items()},
                }
                for trial in test.trials
            }
        },
    )


def _evaluator(told: Sequence[Told]) -> str:
    lab = any("evaluator: lab" in each.reason for each in told)
    return "the lab's (CloudWatch's documented arithmetic)" if lab else "CloudWatch"
