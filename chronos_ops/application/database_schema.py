"""Is the schema in the database, and is it the right one? Asked on the host, read only."""

from chronos_ops.application.looking import looked, undeclared
from chronos_ops.execution.context import Context
from chronos_ops.facts import application
from chronos_ops.model.application import DatabaseSchema
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.outcome import Outcome

_TITLE = "The schema is in the database"
_WHAT = "database_schema"


def database_schema(context: Context) -> Outcome:
    """Look for the declared database, tables and migration."""
    declared = context.settings.application.database_schema
    if declared is None:
        return looked(_WHAT, _TITLE, lambda: [undeclared(_WHAT, _TITLE)])
    return looked(_WHAT, _TITLE, lambda: _look(context, declared))


database_schema.probe = True  # type: ignore[attr-defined] # reads only


def _look(context: Context, declared: DatabaseSchema) -> list[Finding]:
    name = declared.database
    there = context.ask(application.database(name))
    if not there:
        return [_judged("", passed=False, observed=f"no database {name!r}", expected=name)]
    tables = context.ask(application.tables(declared))
    missing = [table for table, present in tables.items() if not present]
    found = _judged(
        ".tables",
        passed=not missing,
        observed=f"not there: {', '.join(missing)}" if missing else f"{len(tables)} tables",
        expected=", ".join(tables),
    )
    migration = declared.migration
    if migration is None:
        return [found]
    applied = migration.table not in missing and context.ask(
        application.applied(declared, migration)
    )
    return [
        found,
        _judged(
            ".migration",
            passed=applied,
            observed="applied" if applied else f"{migration.table} does not hold it",
            expected=f"{migration.column} {migration.version}",
        ),
    ]


def _judged(part: str, *, passed: bool, observed: str, expected: str) -> Finding:
    return judge(
        f"application.{_WHAT}{part}",
        _TITLE,
        passed=passed,
        observed=observed,
        expected=expected,
        hint="run the application's migrations",
        requirement="A1",
    )
