"""Questions: what to ask of a host, a database or a service, and what came back.

A fact is a frozen `Question` and a pure parser. Connectors execute questions, and only
`execution.ask` joins the two.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class ShellQuestion:
    """A command that changes nothing. `accept` are exit codes that are answers."""

    argv: tuple[str, ...]
    sudo: bool = False
    user: str = ""  # run as this user (sudo -u); implies sudo
    accept: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class SqlQuestion:
    """A query that changes nothing, asked on the host as the cluster's superuser.

    It goes through `psql` over SSH (peer authentication), so it works before any network
    access to the database exists. Rows come back as dictionaries.
    """

    sql: str
    database: str = "postgres"


@dataclass(frozen=True)
class AwsQuestion:
    """A read-only AWS call. `absent` are error codes that mean "there is none" (answer: None)."""

    service: str
    operation: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    paginate: bool = False
    absent: tuple[str, ...] = ()


Question = ShellQuestion | SqlQuestion | AwsQuestion


@dataclass(frozen=True)
class ShellAnswer:
    """What a command said. `exit_code` is always one of the question's accepted codes."""

    exit_code: int
    stdout: str
    stderr: str = ""


Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Fact(Generic[T]):
    """A name, a question, and how to read its answer.

    `parse` gets a `ShellAnswer`, `Rows`, or the AWS response (`dict`, or None if absent), and
    raises `UnreadableAnswer` on what it does not know.
    """

    name: str
    question: Question
    parse: Callable[[Any], T]
