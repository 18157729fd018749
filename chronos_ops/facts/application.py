"""What an application finds on its host: the names of its variables, its tables, its migration."""

from dataclasses import dataclass

from chronos_ops.facts.reading import lines
from chronos_ops.model.application import DatabaseSchema, Migration
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, Rows, ShellAnswer, ShellQuestion, SqlQuestion

_ASSIGNED = r"^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)="
# Values never leave the host: `set NAME` or `empty NAME` is all that is said.
_SCRIPT = (
    '[ -f "$1" ] || { echo absent; exit; }; stat -c "mode %a" "$1"; '
    f'sed -nE -e "s/{_ASSIGNED}(\\"\\"|\'\')?[[:space:]]*$/empty \\2/p; t" '
    f'-e "s/{_ASSIGNED}.*/set \\2/p" "$1"'
)
_DATABASE = "SELECT 1 AS there FROM pg_database WHERE datname = {name}"
_TABLES = """
SELECT name, to_regclass(quoted) IS NOT NULL AS there FROM (VALUES {values}) t(name, quoted)"""
_APPLIED = "SELECT 1 AS there FROM {table} WHERE {column}::text = {version} LIMIT 1"


@dataclass(frozen=True)
class Variables:
    """Names by whether they have a value; `mode` of the file that holds them, octal."""

    given: frozenset[str]
    empty: frozenset[str]
    mode: str = "600"


def _read_variables(answer: ShellAnswer) -> Variables | None:
    said = lines(answer)
    if said == ["absent"]:
        return None
    pairs = [line.split(" ") for line in said]
    words = [pair[0] if len(pair) == 2 else "" for pair in pairs]
    if words[:1] != ["mode"] or not {*words[1:]} <= {"set", "empty"}:
        raise UnreadableAnswer("not the names of variables", f"{len(said)} lines")
    state = {name: word for word, name in pairs[1:]}  # the last assignment wins
    given = frozenset(name for name, word in state.items() if word == "set")
    return Variables(given, frozenset(state) - given, pairs[0][1])


def variables(path: str) -> Fact[Variables | None]:
    """The variables of a NAME=value file, without their values; None: no such file."""
    question = ShellQuestion(("sh", "-c", _SCRIPT, "names", path), sudo=True)
    return Fact("application_variables", question, _read_variables)


def database(name: str) -> Fact[bool]:
    """Whether the cluster has this database."""
    sql = _DATABASE.format(name=_literal(name))
    return Fact("application_database", SqlQuestion(sql), bool)


def tables(declared: DatabaseSchema) -> Fact[dict[str, bool]]:
    """Each declared table, the migrations' own too: whether it is there."""
    names = list(declared.tables)
    if declared.migration and declared.migration.table not in names:
        names.append(declared.migration.table)
    values = ", ".join(f"({_literal(name)}, {_literal(_quoted(name))})" for name in names)
    question = SqlQuestion(_TABLES.format(values=values), declared.database)
    return Fact("application_tables", question, _read_tables)


def _read_tables(rows: Rows) -> dict[str, bool]:
    return {str(row["name"]): bool(row["there"]) for row in rows}


def applied(declared: DatabaseSchema, migration: Migration) -> Fact[bool]:
    """Whether the migrations' table holds the declared version."""
    sql = _APPLIED.format(
        table=_quoted(migration.table),
        column=_quoted(migration.column),
        version=_literal(migration.version),
    )
    return Fact("application_migration", SqlQuestion(sql, declared.database), bool)


def _quoted(table: str) -> str:
    return ".".join(f'"{part}"' for part in table.split("."))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
