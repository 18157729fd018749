"""A drop-in of PostgreSQL settings: ours alone, judged by what is in effect (B3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chronos_ops.facts.backups import StanzaInfo
from chronos_ops.facts.postgres import Cluster, Setting
from chronos_ops.facts.postgres_files import ConfigFiles
from chronos_ops.model.plan import Change, Deed, Effect, RemoveFile, RunCommand, RunSql, WriteFile

_AUTO_CONF = "postgresql.auto.conf"

# A line that the server cannot read would keep it from starting again: look before the restart.
_LOOK_FIRST = """
DO $$
DECLARE wrong text;
BEGIN
    SELECT string_agg(format('%s:%s %s', sourcefile, sourceline, error), E'\\n') INTO wrong
    FROM pg_file_settings WHERE error IS NOT NULL AND error <> 'setting could not be applied';
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'PostgreSQL would not accept its configuration: %', wrong;
    END IF;
END $$;
"""


@dataclass(frozen=True)
class Wanted:
    """A setting and its value as pg_settings shows it; `accepts`: other values that do as well."""

    name: str
    value: str
    accepts: tuple[str, ...] = ()

    def satisfied_by(self, value: str) -> bool:
        return value == self.value or value in self.accepts


def text_of(wanted: Sequence[Wanted], purpose: str) -> str:
    """The drop-in's text."""
    lines = [f"# {purpose} (written by chronos-ops)"]
    for item in wanted:
        quoted = item.value.replace("'", "''")
        lines.append(f"{item.name} = '{quoted}'")
    return "\n".join(lines) + "\n"


def overriding(
    wanted: Sequence[Wanted], settings: Mapping[str, Setting], files: ConfigFiles, path: str
) -> list[str]:
    """Why our drop-in would have no effect: what beats it, and how to take that away."""
    found: list[str] = []
    for item in wanted:
        setting = settings[item.name]
        if setting.source == "command line" and not item.satisfied_by(setting.value):
            found.append(
                f"{item.name} is given on the server's command line ({setting.value!r}): "
                "take it out of pg_ctl.conf or the unit"
            )
        elif setting.written is None or item.satisfied_by(setting.written):
            continue
        elif setting.written_in.endswith(_AUTO_CONF):
            found.append(
                f"{item.name} = {setting.written!r} in {_AUTO_CONF} beats every file: "
                f"ALTER SYSTEM RESET {item.name}; then reload"
            )
        elif setting.written_in > path and setting.written_in.startswith(
            files.drop_in_directory + "/"
        ):
            found.append(
                f"{item.name} = {setting.written!r} in {setting.written_in} is read after ours: "
                "take it out there"
            )
    if not files.includes_drop_ins:
        found.append(f"{files.config_file} has no line include_dir = 'conf.d': add it at its end")
    return found


def restart_deed(cluster: Cluster) -> RunCommand:
    """Restart the cluster by its unit; returns when it accepts connections."""
    return RunCommand(argv=("systemctl", "restart", cluster.unit))


def drop_in_change(
    *,
    identifier: str,
    title: str,
    why: str,
    file_name: str,
    purpose: str,
    wanted: Sequence[Wanted],
    settings: Mapping[str, Setting],
    files: ConfigFiles,
    cluster: Cluster,
) -> Change | None:
    """The change that brings the wanted values into effect, or None: they are."""
    path = f"{files.drop_in_directory}/{file_name}"
    current, text = files.drop_ins.get(file_name), text_of(wanted, purpose)
    wrong = [w for w in wanted if not w.satisfied_by(settings[w.name].value)]
    if not wrong:
        return None
    restart = any(settings[w.name].context == "postmaster" for w in wrong)
    activate: tuple[Deed, ...] = (RunSql(sql=_LOOK_FIRST),)
    activate += (restart_deed(cluster),) if restart else (RunSql(sql="SELECT pg_reload_conf();"),)

    def written(content: str) -> WriteFile:
        return WriteFile(
            path=path, content=content, owner="postgres", group="postgres", mode="0640"
        )

    put_back: Deed = RemoveFile(path=path) if current is None else written(current)
    write = written(text)
    shown = [f"{w.name} = {settings[w.name].value!r}" for w in wrong]
    return Change(
        id=identifier,
        title=title,
        why=why,
        deeds=((write,) if current != text else ()) + activate,
        undo=(put_back, *activate[1:]),
        before="\n".join(shown) + "\n" if current is None else current,
        after=text,
        effect=Effect.RESTART if restart else Effect.RELOAD,
    )


def restart_refusals(change: Change | None, stanza: StanzaInfo | None) -> list[str]:
    """Why the change's restart must wait: it would break a backup."""
    if change is None or change.effect is not Effect.RESTART:
        return []
    if stanza is None or not stanza.backup_running:
        return []
    return ["a backup is running, a restart would break it: wait until it has ended"]
