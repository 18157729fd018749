"""Judges that are not ours: ssh-audit, sslyze and lynis, and the floors they must find."""

from collections.abc import Callable
from typing import Any

from chronos_ops.execution.context import Context
from chronos_ops.hardening import lynis, ssh_audit, sslyze
from chronos_ops.hardening.outside import described, together
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, Status, judge, not_known
from chronos_ops.model.outcome import Outcome

LYNIS_FLOOR = 80
TITLES = {
    "ssh-audit": "ssh-audit finds no failure",
    "sslyze": "PostgreSQL's TLS is Mozilla's \"intermediate\" (sslyze)",
    "lynis": f"lynis' hardening index is at least {LYNIS_FLOOR}",
}


def judges(context: Context) -> Outcome:
    """Ask ssh-audit, sslyze and lynis; each has a floor that must be met."""
    if not getattr(context.parameters, "judges", True):
        skipped = [
            Finding(
                id=f"judge.{name}",
                status=Status.UNKNOWN,
                title=title,
                observed="not proven: switched off for this run (judges = False)",
                expected="the judge's own word",
                hint="run once more with `judges = True`: what was left out is never passed",
                requirement="H7",
            )
            for name, title in TITLES.items()
        ]
        return Outcome(summary="**Not proven:** `judges = False`.", findings=skipped)
    if not lynis.running(context):  # else it was begun with the port scan
        lynis.start(context)
    looks: dict[str, Callable[[], Any]] = {
        "ssh-audit": lambda: ssh_audit.audit(context),
        "sslyze": lambda: sslyze.scan(context),
        "lynis": lambda: lynis.finish(context, "lynis-after.log"),
    }
    context.say("asking the judges …")
    seen = together(looks)
    findings = [judged(name, value) for name, value in seen.items()]
    good = all(finding.good for finding in findings)
    return Outcome(
        summary="Three judges that are not ours agree."
        if good
        else "**Not every judge is content.** All that they said is in `logs/`.",
        findings=findings,
        measures={"judges_after": {name: described(value) for name, value in seen.items()}},
        text=_advice(seen.get("lynis")),
    )


def judged(name: str, value: Any) -> Finding:
    """A judge's answer, or why there is none, as a finding."""
    identifier, title = f"judge.{name}", TITLES[name]
    match value:
        case ssh_audit.SshAudit():
            return judge(
                identifier,
                title,
                passed=not value.failures,
                observed=f"{value.software}: {described(value)}"
                + "".join(f"; {text}" for text in value.failures[:5]),
                expected="0 failures",
                hint="the stage `ssh` sets the algorithms; what `sshd -T` says counts",
                requirement="H3",
            )
        case sslyze.TlsScan():
            return judge(
                identifier,
                title,
                passed=value.compliant,
                observed=described(value) + "".join(f"; {text[:200]}" for text in value.issues[:5]),
                expected="compliant",
                hint="the stage `postgres-tls` sets protocol, ciphers and curves; an untrusted "
                "chain: hardening.certificate.trusted_ca_file",
                requirement="H5",
            )
        case lynis.Report():
            return judge(
                identifier,
                title,
                passed=value.index >= LYNIS_FLOOR,
                observed=f"{value.index}, {len(value.warnings)} warnings: "
                + ("; ".join(value.warnings[:3]) or "none"),
                expected=f"{LYNIS_FLOOR} or more",
                hint="logs/lynis-after.log of this run has each suggestion",
                requirement="H7",
            )
        case ChronosError():
            return not_known(identifier, title, value, "H7")
    raise TypeError(type(value).__name__)


def _advice(report: Any) -> str:
    if not isinstance(report, lynis.Report):
        return ""
    rows = [*(f"warning  {text}" for text in report.warnings)]
    rows += [f"suggests {text}" for text in report.suggestions]
    return "\n".join(["lynis would still:", *rows[:60]])
