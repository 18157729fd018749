"""Plans: what would be changed, why, how it is undone. Data only; serialisable (undo is data)."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Effect(StrEnum):
    """What a change does to the running database (B3)."""

    NONE = "none"
    RELOAD = "reload"
    RESTART = "restart"
    STOP = "stop"


class _Deed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RunCommand(_Deed):
    """Run a command on the host. Secrets go to `stdin_secret`, never into argv."""

    kind: Literal["command"] = "command"
    argv: tuple[str, ...]
    sudo: bool = True
    user: str = ""
    stdin: str = ""
    stdin_secret: str = ""  # name of a secret in the run's secret store, sent on stdin
    accept: tuple[int, ...] = (0,)
    timeout_seconds: float = 600


class WriteFile(_Deed):
    """Put a whole file in place, atomically, with owner and mode.

    `@{secret:NAME}` in `content` is replaced at apply time by the named secret.
    """

    kind: Literal["file"] = "file"
    path: str
    content: str
    owner: str = "root"
    group: str = "root"
    mode: str = "0644"


class RemoveFile(_Deed):
    """Remove a file (no error if it is not there)."""

    kind: Literal["remove"] = "remove"
    path: str


class RunSql(_Deed):
    """SQL on the host as superuser through psql's stdin (so that secrets may be substituted)."""

    kind: Literal["sql"] = "sql"
    sql: str
    database: str = "postgres"


class CallAws(_Deed):
    """One AWS call. String arguments may carry `@{secret:NAME}`."""

    kind: Literal["aws"] = "aws"
    service: str
    operation: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    store_secret: dict[str, str] = Field(default_factory=dict)
    # secret name -> path in the response: kept in the secret store, never shown


class PutSecret(_Deed):
    """Put a value generated at apply time (32 random bytes, base64) into the secret store, once."""

    kind: Literal["secret"] = "secret"
    name: str


class DestroyInstance(_Deed):
    """Delete a Lightsail instance that carries the tag `chronos:run=<run_id>`; else refuse (D3)."""

    kind: Literal["destroy_instance"] = "destroy_instance"
    name: str
    run_id: str


class EmptyPrefix(_Deed):
    """Delete all objects and versions below a prefix that this run made: it holds the run id."""

    kind: Literal["empty_prefix"] = "empty_prefix"
    bucket: str
    prefix: str
    run_id: str


class RemoveIamUser(_Deed):
    """Remove an IAM user of this run with its keys and policies (its name holds the run id)."""

    kind: Literal["remove_iam_user"] = "remove_iam_user"
    name: str
    run_id: str


class RemoveSecret(_Deed):
    """Remove a secret that this run made (its name holds the run id)."""

    kind: Literal["remove_secret"] = "remove_secret"
    name: str
    run_id: str


class LeadStaticIp(_Deed):
    """Let a static address lead to an instance (""; one that is gone: to nobody).

    Refused while it leads to an instance that is neither that one nor tagged
    `chronos:run=<run_id>`: who serves there now is not this run's to take off.
    """

    kind: Literal["lead_static_ip"] = "lead_static_ip"
    name: str
    instance: str
    run_id: str


class ReviveKey(_Deed):
    """Make an IAM user's access key active again, named by the end of its id (R5); nothing if
    there is no such key any more."""

    kind: Literal["revive_key"] = "revive_key"
    user: str
    ending: str


class StartInstance(_Deed):
    """Start an instance that was stopped; nothing if it runs, or is gone."""

    kind: Literal["start_instance"] = "start_instance"
    name: str


Deed = (
    RunCommand
    | WriteFile
    | RemoveFile
    | RunSql
    | CallAws
    | PutSecret
    | DestroyInstance
    | EmptyPrefix
    | RemoveIamUser
    | RemoveSecret
    | LeadStaticIp
    | StartInstance
    | ReviveKey
)


class Change(BaseModel):
    """One step of a plan: why, what, how undone. `before`/`after` are what the diff shows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str  # "postgres.archive_mode"
    title: str  # imperative: "turn WAL archiving on"
    why: str
    deeds: tuple[Deed, ...]
    undo: tuple[Deed, ...] = ()
    before: str = ""
    after: str = ""
    effect: Effect = Effect.NONE
    # H9: may lock the operator out. Its `undo` (files and commands only) runs on the host by itself
    # unless a second, new connection with sudo succeeds; one of AWS calls only, on this machine.
    guard: bool = False
    late_seconds: float = 0  # H9: it may come into force so late; new connections are tried so long
    creates: str = ""  # resource that comes into being: "s3:bucket/project-chronos-backups"


class Plan(BaseModel):
    """A list of changes. An empty plan states why nothing is to do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    changes: tuple[Change, ...] = ()
    noop_reason: str = ""
    refusals: tuple[str, ...] = ()  # reasons for which this plan must not be applied

    @property
    def empty(self) -> bool:
        return not self.changes

    @property
    def effect(self) -> Effect:
        order = list(Effect)
        return max((c.effect for c in self.changes), key=order.index, default=Effect.NONE)
