"""SQL scripts for psql, as files."""

from importlib.resources import files


def script(name: str) -> str:
    """The text of `<name>.sql`."""
    return files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
