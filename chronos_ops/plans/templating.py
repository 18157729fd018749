"""Templates of what is written to a host: package data, rendered only here."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("chronos_ops.plans", "templates"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - configuration files, not HTML
    )


def render(name: str, **values: Any) -> str:
    """The text of `templates/<name>`; a value that the template wants and lacks is an error."""
    return _environment().get_template(name).render(**values)
