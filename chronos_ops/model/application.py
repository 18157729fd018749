"""What a target declares about the application that is to be deployed (A1)."""

import re
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
_TABLE = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$"
_DIGEST = r"^sha256:[0-9a-f]{64}$"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Image(_Strict):
    """The container image: `registry/name:tag`, `name` of Docker Hub, or `…@sha256:…`."""

    reference: str = Field(min_length=1)
    digest: str | None = Field(None, pattern=_DIGEST)  # what the reference must lead to
    pull_secret: str = ""  # "user:password" in the secret store; empty: pulled by everybody
    ca_file: str | None = None  # the registry's CA, if it is not a public one


class Environment(_Strict):
    """Variables by name, and where their values lie; these are never shown."""

    names: tuple[str, ...] = Field(min_length=1)
    file: str | None = Field(None, pattern="^/")  # on the declared host: NAME=value lines
    secret: str | None = None  # the same lines as one parameter of the secret store

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.file is None) == (self.secret is None):
            raise ValueError("name the file or the secret that holds them, one of the two")
        return self


class Migration(_Strict):
    """The row that the last migration leaves."""

    table: str = Field(pattern=_TABLE)
    column: str = Field("version", pattern=_NAME)
    version: str


class DatabaseSchema(_Strict):
    """What must be in the database before the application comes."""

    database: str
    tables: tuple[str, ...] = ()
    migration: Migration | None = None

    @field_validator("tables")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:

        wrong = [name for name in value if not re.fullmatch(_TABLE, name)]
        if wrong:
            raise ValueError(f"not the name of a table: {', '.join(wrong)}")
        return value

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.tables and self.migration is None:
            raise ValueError("name tables, a migration, or both")
        return self


class Endpoint(_Strict):
    """What the application needs to reach, as seen from here: `https://…` or `tcp://host:port`."""

    url: str
    status: int = Field(200, ge=100, le=599)  # of HTTP, without following where it leads
    ca_file: str | None = None

    @field_validator("url")
    @classmethod
    def _known(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("https", "http", "tcp") or not parts.hostname:
            raise ValueError("https://…, http://… or tcp://host:port")
        if parts.scheme == "tcp" and parts.port is None:
            raise ValueError("tcp://host:port needs its port")
        if parts.password is not None:
            raise ValueError("no password in a URL")
        return value


class Application(_Strict):
    """`application:` in the parameter file. What is not declared is missing."""

    image: Image | None = None
    environment: Environment | None = None
    database_schema: DatabaseSchema | None = None
    endpoints: tuple[Endpoint, ...] = ()
