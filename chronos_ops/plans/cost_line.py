"""One line of the forecast."""

from dataclasses import dataclass

HOURS_MONTH = 730.0
DAYS_MONTH = HOURS_MONTH / 24
SECONDS_MONTH = HOURS_MONTH * 3600
GB = 2**30  # as S3 bills it


@dataclass(frozen=True)
class Line:
    """What it is, how much of it now and in a year, and its price (USD a unit and month).

    None: not known.
    """

    group: str  # instance, storage, requests, monitoring, keys
    item: str
    quantity: float
    unit: str
    price: float | None
    later: float | None

    @property
    def usd(self) -> float | None:
        return None if self.price is None else self.quantity * self.price

    @property
    def usd_later(self) -> float | None:
        if self.price is None or self.later is None:
            return None
        return self.later * self.price
