"""What the drill's parameters promise: the time to recover, and what may be struck (D3, D6)."""

from chronos_ops.plans.lint.rule import Rule, Said, Subject, said


def _recovery_time(subject: Subject) -> Said:
    settings = subject.settings
    before = settings.drill.alarm_worst_latency_seconds + settings.drill.operator_response_seconds
    objective = settings.objectives.recovery_time_seconds
    return said(
        good=before < objective,
        observed=f"alarm {settings.drill.alarm_worst_latency_seconds:.0f} s + response "
        f"{settings.drill.operator_response_seconds:.0f} s leave "
        f"{max(objective - before, 0):.0f} of {objective:.0f} s for the recovery",
    )


def _disposable(subject: Subject) -> Said:
    settings = subject.settings
    production = "prod" in settings.target.lower()
    return said(
        good=not (settings.disposable and production),
        observed=f"target {settings.target}, disposable: {str(settings.disposable).lower()}",
    )


def _query(subject: Subject) -> Said:
    words = subject.settings.drill.application_query.strip().rstrip(";")
    if not words:
        return said(good=True, observed="none: integrity alone is proven")
    good = words.lower().startswith(("select", "with", "table")) and ";" not in words
    return said(good=good, observed=words[:80])


def _reaping(subject: Subject) -> Said:
    hours = subject.settings.drill.reap_after_hours
    return said(good=0 < hours <= 72, observed=f"{hours:g} h")


RULES = (
    Rule(
        "lint.drill.recovery-time",
        "The recovery time objective leaves time to recover",
        "the alarm's latency and the operator's response within the objective",
        "no drill measures them, and they run before it begins.",
        "D6",
        "Shorten the alarm's periods or the response time, or widen the objective.",
        _recovery_time,
    ),
    Rule(
        "lint.drill.disposable",
        "Production is not disposable",
        "disposable: false on a target named so",
        "in a disposable target a scenario may strike the declared host.",
        "D3",
        "Set disposable: false.",
        _disposable,
    ),
    Rule(
        "lint.drill.query",
        "The application's query only reads",
        "one SELECT",
        "it is asked of a restored copy as proof, not to change it.",
        "D5",
        "Write one SELECT into drill.application_query.",
        _query,
    ),
    Rule(
        "lint.drill.reaping",
        "Forgotten drill hosts are deleted within three days",
        "more than 0, at most 72 hours",
        "a forgotten copy of production costs money and is a danger.",
        "D4",
        "Set drill.reap_after_hours.",
        _reaping,
    ),
)
