"""Settings of one target: `parameters/<target>.yaml`, read strictly; it holds no secrets."""

import difflib
import ipaddress
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from chronos_ops.model.application import Application
from chronos_ops.model.archive import Archive, SecretGate
from chronos_ops.model.errors import UsageError
from chronos_ops.model.hardening import AcceptedException, Hardening
from chronos_ops.model.monitoring import Monitoring
from chronos_ops.model.timing import Objectives


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Aws(_Strict):
    """The account, and how the operator reaches it."""

    account_id: str = Field(pattern=r"^\d{12}$")
    region: str = "ca-central-1"
    profile: str  # named profile: never the default chain, never instance metadata (P1)
    config_file: str | None = None  # None: the AWS CLI's own ~/.aws/config
    credentials_file: str | None = None
    endpoint_url: str | None = None  # None: the real AWS
    ca_file: str | None = None  # None: the system's CA store


class Host(_Strict):
    """The declared host: a Lightsail instance reached by SSH."""

    instance: str  # Lightsail instance name
    address: str
    port: int = 22
    user: str = "admin"
    key_file: str
    known_hosts_file: str | None = None  # None: pinned from GetInstanceAccessDetails


class Postgres(_Strict):
    """The declared cluster."""

    cluster: str = "main"
    port: int = 5432
    extensions: tuple[str, ...] = ("pg_stat_statements",)
    operator_networks: tuple[str, ...]  # CIDR networks that may connect over TLS
    connect: Literal["tcp", "ssh_tunnel"] = "tcp"
    operator_role: str = Field("chronos_operator", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    operator_password_secret: str = "/chronos/postgres/operator-password"

    @field_validator("operator_networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            ipaddress.ip_network(text)
        return value


class LongTerm(_Strict):
    """repo2: one full a week, tiered by age (B2 as resolved)."""

    full_calendar: str = "Sun *-*-* 04:00:00 UTC"
    retention_days: int = 365
    glacier_instant_after_days: int = 31
    deep_archive_after_days: int = 91
    expire_after_days: int = 400
    transition_min_bytes: int = 8 * 1024 * 1024


class Backup(_Strict):
    """pgBackRest and its S3 repositories."""

    bucket: str
    stanza: str = "chronos"
    prefix: str = "/live"  # repo1-path: S3 key prefix with a leading slash
    long_term_prefix: str = "/long-term"  # repo2-path
    host_iam_user: str = "chronos-backup-host"
    cipher_secret: str = "/chronos/backup/cipher-pass"  # SSM SecureString name
    host_key_secret: str = "/chronos/backup/host-access-key"  # with /id and /secret below it
    retention_full: int = 4
    retention_diff: int = 4
    noncurrent_days: int = Field(30, ge=30)
    full_calendar: str = "*-*-* 02:00:00 UTC"
    diff_calendar: str = "*-*-* 00,01,03..23:00:00 UTC"
    archive_timeout_seconds: int = Field(60, gt=0)
    host_s3_endpoint: str | None = None  # None: s3.<region>.amazonaws.com
    host_s3_address: str | None = None  # repo-storage-host, where it is not the endpoint's own name
    host_s3_port: int | None = None
    host_s3_ca: str | None = None  # CA file on the operator's machine, copied to the host
    host_s3_uri_style: Literal["host", "path"] = "host"
    long_term: LongTerm | None = LongTerm()  # None: no repo2

    def host_s3_ca_text(self) -> str | None:
        """The declared CA in PEM, None where none is declared. Raises UsageError (no such file)."""
        if self.host_s3_ca is None:
            return None
        path = Path(self.host_s3_ca).expanduser()
        if not path.is_file():
            raise UsageError("backup.host_s3_ca is not a file", path)
        return path.read_text(encoding="ascii")


class Drill(_Strict):
    """Where and how drill hosts are made."""

    bundle_id: str = "small_3_0"
    blueprint_id: str = "debian_12"
    availability_zone: str = "ca-central-1a"
    from_snapshot: str | None = None  # provision from an instance snapshot instead of a bare image
    permissions_boundary: str | None = Field(  # ARN: the most that a user made by a drill may do
        default=None, pattern=r"^arn:aws[a-z-]*:iam::\d{12}:policy/.+$"
    )
    user: str = "admin"
    reap_after_hours: float = 12
    operator_response_seconds: float = 900  # declared, never measured by a drill (D6)
    alarm_worst_latency_seconds: float = 900
    application_database: str = "postgres"  # where the application's query is asked
    application_query: str = ""  # one SELECT that must answer after a restore (D5)
    work_dir: str | None = None


class DnsRecord(_Strict):
    """A record that must be there. `value`: the host's address for A, else any, unless it is said.

    As dnspython writes it: `10 mail.example.com.` for MX.
    """

    name: str
    type: Literal["A", "AAAA", "CNAME", "MX"] = "A"
    value: str = ""


class Dns(_Strict):
    """Names of the host (P4)."""

    server: str | None = None  # ADDRESS[:PORT]; None: whom the system asks
    records: tuple[DnsRecord, ...] = ()  # none: the certificate's names, as A


class Settings(_Strict):
    """One target. `disposable`: a scenario whose subject is the declared host is not refused (D3);
    those of the catalogue strike hosts of their own."""

    target: str
    disposable: bool = False
    aws: Aws
    host: Host
    postgres: Postgres
    backup: Backup
    drill: Drill = Drill()
    hardening: Hardening = Hardening()
    monitoring: Monitoring = Monitoring()
    application: Application = Application()
    dns: Dns = Dns()
    lint_exceptions: tuple[AcceptedException, ...] = ()  # rules of the linter (R9)
    archive: Archive | None = None  # None: runs are not archived
    secret_gate: SecretGate = SecretGate()
    objectives: Objectives = Objectives(recovery_time_seconds=3600, recovery_point_seconds=900)


def _known_keys(model: type[BaseModel]) -> set[str]:
    keys: set[str] = set()
    for name, info in model.model_fields.items():
        keys.add(name)
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            keys |= _known_keys(info.annotation)
    return keys


def explain(error: ValidationError, model: type[BaseModel], noun: str) -> UsageError:
    """A validation error as an operator wants it: each place, its value, the nearest right name."""
    lines: list[str] = []
    for item in error.errors():
        place = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(item["loc"][-1]), _known_keys(model), n=1)
            lines.append(f"{place}: unknown key" + (f", did you mean {near[0]!r}?" if near else ""))
        elif item["type"] == "missing":
            lines.append(f"{place}: missing")
        else:
            lines.append(f"{place}: {item['msg']} (got {item['input']!r})")
    return UsageError(f"not valid: {noun}", "\n  " + "\n  ".join(lines))


def parse_settings(data: Any, noun: str = "the parameter file") -> Settings:
    """Settings from plain data. Raises UsageError naming each wrong place."""
    if not isinstance(data, dict):
        raise UsageError(f"{noun} is not a mapping", type(data).__name__)
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        raise explain(error, Settings, noun) from None


def parameters_dir() -> Path:
    """`parameters/` of this checkout."""
    return Path(__file__).resolve().parents[2] / "parameters"


def load_settings(target: str, directory: Path | None = None) -> Settings:
    """Settings of a target by name.

    Raises UsageError: no such target (with the nearest right name), unreadable YAML, wrong keys.
    """
    folder = directory or parameters_dir()
    path = folder / f"{target}.yaml"
    known = sorted(p.stem for p in folder.glob("*.yaml") if not p.stem.endswith(".example"))
    if not path.is_file() or "/" in target:
        near = difflib.get_close_matches(target, known, n=1)
        have = ", ".join(known) or "none; `./chronos lab up` makes parameters/lab.yaml"
        hint = f"did you mean {near[0]!r}?" if near else f"targets here: {have}"
        raise UsageError("unknown target", repr(target), hint=hint)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UsageError(f"{path.name} is not readable YAML", error) from None
    settings = parse_settings(data, f"parameters/{path.name}")
    if settings.target != target:
        raise UsageError(
            f"parameters/{path.name} names another target",
            repr(settings.target),
            hint=f"set `target: {target}` in it",
        )
    return settings
