"""PostgreSQL's configuration files, read by the server itself: they are where it says they are."""

from dataclasses import dataclass

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, Rows, SqlQuestion


@dataclass(frozen=True)
class ConfigFiles:
    """The main file, the access rules, and the drop-ins that it includes (name: text)."""

    config_file: str
    hba_file: str
    hba_text: str
    drop_in_directory: str
    includes_drop_ins: bool
    drop_ins: dict[str, str]

    @property
    def directory(self) -> str:
        return self.config_file.rpartition("/")[0]


_QUESTION = r"""
WITH place AS (
    SELECT current_setting('config_file') AS config_file,
           current_setting('hba_file') AS hba_file,
           regexp_replace(current_setting('config_file'), '/[^/]*$', '/conf.d') AS drop_ins)
SELECT config_file, hba_file, drop_ins,
       pg_read_file(hba_file) AS hba_text,
       pg_read_file(config_file) ~
           '(^|\n)\s*include_dir\s*=?\s*''(conf\.d|[^'']*/conf\.d)''' AS included,
       (SELECT coalesce(json_object_agg(name, pg_read_file(drop_ins || '/' || name)), '{}')
        FROM pg_ls_dir(drop_ins, true, false) AS name WHERE name LIKE '%.conf') AS texts
FROM place
"""


def _read(rows: Rows) -> ConfigFiles:
    if len(rows) != 1:
        raise UnreadableAnswer("configuration files: one row expected", len(rows))
    row = rows[0]
    return ConfigFiles(
        config_file=row["config_file"],
        hba_file=row["hba_file"],
        hba_text=row["hba_text"],
        drop_in_directory=row["drop_ins"],
        includes_drop_ins=bool(row["included"]),
        drop_ins=dict(row["texts"]),
    )


CONFIG_FILES: Fact[ConfigFiles] = Fact("postgres_config_files", SqlQuestion(_QUESTION), _read)
