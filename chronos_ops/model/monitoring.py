"""What a target declares about its monitoring (M): metrics, thresholds, who is told, the money."""

import datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from chronos_ops.model.errors import UsageError
from chronos_ops.model.metrics import BY_NAME, DEFAULT

AWS_MANAGED_KEY = "alias/aws/sns"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Threshold(_Strict):
    """When a metric's alarm fires: beyond `value` in `datapoints` of the last `periods`."""

    value: float
    periods: int = Field(1, ge=1)
    datapoints: int | None = Field(None, ge=1)  # None: all of `periods`


class Inbox(_Strict):
    """Where the alarm's e-mail arrives, if it shall be read back: HTTP(S) JSON or IMAP."""

    url: str  # "imaps://user@mail.example.com/INBOX" or "https://…/messages"
    password_secret: str = ""
    ca_file: str | None = None


class Prices(_Strict):
    """Dated list prices in USD, ca-central-1 (M6). Change them when AWS does."""

    as_of: datetime.date = datetime.date(2026, 11, 1)
    region: str = "ca-central-1"
    s3_standard_gb_month: float = 0.025
    s3_glacier_instant_gb_month: float = 0.005
    s3_deep_archive_gb_month: float = 0.0018
    s3_put_per_1000: float = 0.0055
    s3_get_per_1000: float = 0.00044
    s3_transition_instant_per_1000: float = 0.02
    s3_transition_deep_per_1000: float = 0.055
    s3_glacier_instant_read_gb: float = 0.033
    # RestoreObject, by tier: per GB brought back, per 1000 requests.
    s3_deep_archive_thaw_gb: dict[str, float] = {"standard": 0.022, "bulk": 0.00275}
    s3_deep_archive_thaw_per_1000: dict[str, float] = {"standard": 0.11, "bulk": 0.0275}
    s3_glacier_thaw_gb: dict[str, float] = {"standard": 0.011, "bulk": 0.0}
    s3_glacier_thaw_per_1000: dict[str, float] = {"standard": 0.055, "bulk": 0.0}
    metric_month: float = 0.30
    alarm_month: float = 0.10
    high_resolution_alarm_month: float = 0.30  # a period below a minute; none of them is free
    dashboard_month: float = 3.00
    kms_key_month: float = 1.00
    advanced_parameter_month: float = 0.05  # of the Parameter Store; standard ones are free
    snapshot_gb_month: float = 0.05
    free_metrics: int = 10
    free_alarms: int = 10
    free_dashboards: int = 3
    bundle_month: dict[str, float] = {"small_3_0": 12.0, "nano_3_0": 5.0, "micro_3_0": 7.0}


class Budget(_Strict):
    """The user's figures, USD a month."""

    name: str = "chronos-monthly"
    limit_usd: float = Field(25, gt=0)
    planned_usd: float = Field(14, gt=0)
    notify_percent: tuple[float, ...] = Field((80, 100), min_length=1)  # or nobody is told


class Monitoring(_Strict):
    """`monitoring:` in the parameter file."""

    namespace: str = Field("Chronos", pattern=r"^[A-Za-z0-9._/#:-]{1,255}$")
    sender: Literal["publisher", "cloudwatch_agent"] = "publisher"  # of the host's vitals
    publish_seconds: int = Field(60, ge=5)
    period_seconds: int = 300
    metrics: tuple[str, ...] = DEFAULT
    thresholds: dict[str, Threshold] = {}  # beside the defaults: by metric
    host_iam_user: str = "chronos-metrics-host"
    host_key_secret: str = "/chronos/monitoring/host-access-key"  # with /id and /secret below it
    host_endpoint_url: str | None = None  # as the host reaches CloudWatch; None: the real AWS
    host_ca_file: str | None = None  # CA on the operator's machine, copied to the host
    topic: str = "chronos-alarms"
    topic_key: str | None = None  # a customer KMS key; None: not encrypted
    email: str | None = None
    inbox: Inbox | None = None  # None: the e-mail is not read back
    queue: str = "chronos-alarms-read-back"  # the second channel: SQS
    dashboard: str = "chronos"
    burst_least_percent: float = Field(20, ge=0, le=100)  # of Lightsail's burst capacity
    budget: Budget = Budget()
    prices: Prices = Prices()

    def host_ca_text(self) -> str | None:
        """The declared CA in PEM, None where none is declared. Raises UsageError (no such file)."""
        if self.host_ca_file is None:
            return None
        path = Path(self.host_ca_file).expanduser()
        if not path.is_file():
            raise UsageError("monitoring.host_ca_file is not a file", path)
        return path.read_text(encoding="ascii")

    @field_validator("namespace")
    @classmethod
    def _own_namespace(cls, value: str) -> str:
        if value.startswith("AWS/"):
            raise ValueError("names that begin with AWS/ are Amazon's own")
        return value

    @field_validator("period_seconds")
    @classmethod
    def _period(cls, value: int) -> int:
        if value not in (10, 20, 30) and (value < 60 or value % 60):
            raise ValueError("must be 10, 20, 30 or a multiple of 60")
        return value

    @field_validator("topic_key")
    @classmethod
    def _key(cls, value: str | None) -> str | None:
        if value and value.endswith(AWS_MANAGED_KEY):
            raise ValueError(f"CloudWatch cannot publish to a topic encrypted with {value}")
        return value

    @model_validator(mode="after")
    def _known(self) -> Self:
        unknown = sorted({*self.metrics, *self.thresholds} - set(BY_NAME))
        if unknown:
            raise ValueError(f"no such metric: {', '.join(unknown)}; known: {', '.join(BY_NAME)}")
        for name, threshold in self.thresholds.items():
            if BY_NAME[name].unit == "Percent" and not 0 <= threshold.value < 100:
                raise ValueError(f"{name} never exceeds {threshold.value:g} %: no alarm")
        every = self.publish_seconds
        if every > 3600 or (60 % every if every < 60 else every % 60 or 3600 % every):
            raise ValueError(
                "publish_seconds must divide a minute, or be minutes that divide an hour"
            )
        if self.publish_seconds > self.period_seconds:
            raise ValueError("publish_seconds is longer than period_seconds: periods stay empty")
        return self
