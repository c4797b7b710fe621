"""A row that stands for many cycles grows a crack as so many cycles do, and never less."""

from __future__ import annotations

from typing import Any

import pytest

from tests.twin.fleets import CLOCK, component, fleet, spectrum
from twin.belief.fold import folded

WIDE: dict[str, Any] = {"geometry": {"kind": "centre_crack", "W": 0.15}, "crack_limit": 0.07}


def grown(length: float, cycles: Any) -> float:
    """How much longer a crack is after a spectrum [m]."""
    before = fleet(component(crack_length=length, **WIDE))
    (cohort,) = folded(before, [spectrum(1, 60.0, cycles=cycles)], CLOCK).fleet.cohorts.values()
    return float(cohort.state.a[0]) - length


@pytest.mark.parametrize(("length", "most"), [(0.01, 5e-6), (0.03, 2e-5), (0.05, 2e-4)])
def test_a_row_of_many_cycles_grows_a_crack_as_one_row_for_each(length: float, most: float) -> None:
    together = grown(length, ((1e8, 6e7, 3000.0),))
    each = grown(length, ((1e8, 6e7, 1.0),) * 3000)
    assert 0.0 < together / each - 1.0 < most
