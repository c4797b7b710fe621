"""A soak tells what creeps, and a short one is well."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tests.end_to_end.slopes import Bound, slope, trends
from tests.end_to_end.soak import BOUNDS, COLUMNS, soaked

TIMES = np.arange(0.0, 60.0).tolist()  # a window a minute
SETTLED = ("descriptors", "tasks", "tensors")  # of what is level after some seconds already


def grown(per_minute: float, noise: float = 0.0) -> list[float]:
    """A hundred, and so much more each minute."""
    draw = np.random.default_rng(0)
    return [100.0 + per_minute * t + noise * draw.standard_normal() for t in TIMES]


def test_a_slope_is_that_of_most_of_the_values() -> None:
    values = grown(0.5)
    values[::4] = [1e6] * len(values[::4])  # somebody else had the machine
    assert slope(TIMES, values) == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize(("per_minute", "holds"), [(0.09, True), (0.1, True), (0.11, False)])
def test_what_grows_by_more_than_its_bound_over_the_second_half_creeps(
    per_minute: float, holds: bool
) -> None:
    (trend,) = trends(TIMES, {"x": grown(per_minute)}, {"x": Bound(2.9 + 1e-9)})
    assert trend.grown == pytest.approx(29 * per_minute)
    assert trend.holds is holds


def test_what_grew_before_the_second_half_does_not_count() -> None:
    values = [min(t, 25.0) for t in TIMES]
    (trend,) = trends(TIMES, {"x": values}, {"x": Bound(0.0)})
    assert (trend.grown, trend.holds) == (0.0, True)


def test_a_leak_of_a_few_bytes_a_message_is_found_in_an_hour() -> None:
    each, rate = 10, 2000  # bytes, and messages a second
    values = [500.0 + each * rate * 60 * t / 1e6 for t in TIMES]
    (trend,) = trends(TIMES, {"rss_mb": values}, {"rss_mb": BOUNDS["rss_mb"]})
    assert not trend.holds


def test_windows_without_a_measurement_are_left_out_and_too_few_tell_nothing() -> None:
    values = [math.nan if t % 2 else 1.0 for t in TIMES]
    (trend,) = trends(TIMES, {"x": values}, {"x": Bound(0.0)})
    assert trend.holds
    for count, told in ((4, 0), (5, 1)):  # two and three of them in the second half
        assert len(trends(TIMES[:count], {"x": [1.0] * count}, {"x": Bound(0.0)})) == told


def test_a_short_soak_loses_nothing_and_measures_everything(tmp_path: Path) -> None:
    found = soaked(tmp_path, seconds=6.0, rate=200.0, rows=6, parts=10)
    creeping = {f"{t.name} grew by {t.grown:.1f}, {t.most:.1f} at most" for t in found.trends}
    seldom = {f"{name} was measured too seldom" for name in BOUNDS if name.endswith("_ms")}
    # nothing else: whether memory is level, and how long anything takes, an hour tells
    assert set(found.faults) <= creeping | seldom
    assert all(t.holds for t in found.trends if t.name in SETTLED)
    assert len(found.rows) == 6
    assert all(row.keys() == COLUMNS.keys() for row in found.rows)
    assert found.figures["messages"] > 1000
    assert found.figures["registrations_changed"] > 0
    assert found.figures["bytes_of_events"] > 0
    assert found.rows[-1]["lines_s"] > 0.0
