"""Do the restored rows keep the promises of their tables (D5)?

A dump would not load, and an application meets the orphan much later: PostgreSQL itself checks a
constraint only while rows are written.
"""

import json
from concurrent.futures import ThreadPoolExecutor

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.drill.integrity import conninfo, databases, not_applicable
from chronos_ops.drill.sql import script
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.finding import Finding, judge

_ID, _TITLE = "drill.integrity.constraints", "every row keeps the foreign keys and CHECKs"


def check_constraints(ssh: Ssh) -> Finding:
    """Every foreign key and CHECK of every database. Raises CommandFailed, UnreadableAnswer."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        names = databases(ssh)
        told = pool.map(lambda name: ssh.sql(_script(), conninfo(name), timeout=6 * 3600), names)
        return judge_constraints({n: t.stdout for n, t in zip(names, told, strict=True)})


def judge_constraints(answers: dict[str, str]) -> Finding:
    """From each database's answer. Raises UnreadableAnswer."""
    checked, violated = 0, []
    for name, text in answers.items():
        try:
            found = json.loads(text)
            checked += int(found["checked"])
            violated += [f"{name}: {each}" for each in found["violated"]]
        except (ValueError, KeyError, TypeError):
            raise UnreadableAnswer(f"constraints of {name!r}", text[:200]) from None
    if not checked:
        return not_applicable(_ID, _TITLE, "no table has one")
    return judge(
        _ID,
        _TITLE,
        passed=not violated,
        observed="; ".join(violated[:5]) or f"{checked} constraints hold",
        expected="no row that breaks one",
        hint="find the rows (ALTER TABLE … VALIDATE CONSTRAINT names them), mend them at the "
        "source, and find out who wrote them past the constraint",
        requirement="D5",
    )


def _script() -> str:
    return script("validate_constraints")
