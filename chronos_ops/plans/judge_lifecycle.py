"""Does the lifecycle leave the repositories alone? Judged before it has done its harm (B2)."""

from typing import Any

from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.settings import Settings
from chronos_ops.plans.bucket import wanted_lifecycle
from chronos_ops.plans.identity import prefixes

_HARMLESS = {"ExpiredObjectDeleteMarker"}


def harmful(rule: dict[str, Any], settings: Settings) -> str:
    """What a rule would do to current objects of a repository, in words; empty: nothing."""
    if rule.get("Status") != "Enabled":
        return ""
    moves = [str(t.get("StorageClass")) for t in rule.get("Transitions", [])]
    expires = set(rule.get("Expiration", {})) - _HARMLESS
    if not moves and not expires:
        return ""
    prefix = _prefix(rule)
    hit = [f"{p}/" for p in prefixes(settings.backup) if _overlap(prefix, f"{p}/")]
    if not hit:
        return ""
    deeds = [*(f"moves to {name}" for name in moves), *(["deletes"] if expires else [])]
    return f"{rule.get('ID', '(no id)')} {', '.join(deeds)} below {', '.join(hit)}"


def _prefix(rule: dict[str, Any]) -> str:
    limits = rule.get("Filter") or {}
    inner = limits.get("And") or limits
    return str(inner.get("Prefix", rule.get("Prefix", "")))


def _overlap(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def judge_lifecycle(settings: Settings, rules: list[dict[str, Any]]) -> Finding:
    """Only our own rule, as it is declared, touches current objects of a repository."""
    ours = {rule["ID"]: rule for rule in wanted_lifecycle(settings)}
    wrong = []
    for rule in rules:
        what = harmful(rule, settings)
        declared = ours.get(str(rule.get("ID")))
        same = declared is not None and all(rule.get(k) == v for k, v in declared.items())
        if what and not same:
            wrong.append(what)
    return judge(
        "backup.lifecycle",
        "No lifecycle rule takes away what the repositories need",
        passed=not wrong,
        observed="; ".join(wrong) or f"{len(rules)} rules, none harmful",
        expected="nothing moves or deletes in repo1; in repo2 only big files below backup/ do",
        hint="take that rule out today: what it deletes comes back from the versions for a while, "
        "what it freezes needs 12 to 48 hours; then run the stage `s3-bucket`",
        requirement="B2",
    )
