"""Axes of time: some ticks for every span, and no warning in a notebook's output."""

import warnings
from datetime import UTC, datetime, timedelta

import matplotlib.pyplot as plt
import pytest

from chronos_ops.evidence.drawing import dates


@pytest.mark.parametrize("seconds", [5, 31, 100, 252, 599, 3_700, 9_000, 90_000, 1e6, 4e7])
def test_a_span_of_time_has_some_ticks_and_no_warning(seconds: float) -> None:
    figure, axes = plt.subplots()
    begin = datetime(2026, 11, 23, 4, 13, 31, tzinfo=UTC)
    axes.set_xlim(begin, begin + timedelta(seconds=seconds))  # type: ignore[arg-type]
    axes.xaxis.set_major_formatter(dates(axes))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.canvas.draw()
        ticks = len(axes.get_xticks())
    plt.close(figure)
    assert 2 <= ticks <= 8
