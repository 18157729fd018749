"""`.confluence-mapping.json`: the page and the ticket of each runbook."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from chronos_ops.model.errors import UsageError
from chronos_ops.model.settings import explain

FILE = ".confluence-mapping.json"


class _Site(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = ""  # empty: nothing is published there
    user: str = ""  # e-mail of the token's owner, on Atlassian's cloud; empty: a Data Center site
    token_secret: str = "/chronos/atlassian/token"  # in the target's secret store
    ca_file: str | None = None  # None: the system's CA store


class ConfluenceSite(_Site):
    """Where the pages are. `url` with `/wiki` on Atlassian's cloud."""

    space: str = Field(pattern=r"^~?[A-Za-z0-9_.-]+$")  # its key
    parent_id: str = Field("", pattern=r"^\d*$")  # new pages are made below it
    pages: dict[str, str]  # runbook: title

    @field_validator("pages")
    @classmethod
    def _titles_differ(cls, value: dict[str, str]) -> dict[str, str]:
        if len(set(value.values())) != len(value) or not all(value.values()):
            raise ValueError("a space holds a title once, and none is empty")
        return value


class JiraSite(_Site):
    """Where the tickets are."""

    issues: dict[str, str]  # runbook: key of the ticket

    @field_validator("issues")
    @classmethod
    def _keys(cls, value: dict[str, str]) -> dict[str, str]:
        wrong = [key for key in value.values() if not key.replace("-", "").isalnum()]
        if wrong:
            raise ValueError(f"not a ticket's key: {', '.join(wrong)}")
        return value


class Mapping(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    confluence: ConfluenceSite
    jira: JiraSite


def load_mapping(path: Path) -> Mapping:
    """The mapping of a checkout. Raises UsageError: no such file, wrong keys."""
    try:
        return Mapping.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError("the mapping cannot be read", error) from None
    except ValidationError as error:
        raise explain(error, Mapping, path.name) from None
