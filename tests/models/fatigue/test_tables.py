"""Tables of growth and of geometry factors: read as they say, refused where they are none."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from models.fatigue.geometry import outside
from models.fatigue.tables import (
    MOST_CURVE_POINTS,
    MOST_RATIOS,
    shape_name,
    table_geometry,
    table_law,
)

R = [0.0, 0.5]
GROWTH = [1e-10, 1e-8, 1e-7]
DK = [[2e6, 1e6], [20e6, 10e6], [40e6, 15e6]]


def t(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


def test_a_table_of_growth_gives_back_its_entries() -> None:
    law = table_law(R, GROWTH, DK)
    for i, ratio in enumerate(R):
        at = t(*(row[i] for row in DK[1:]))
        torch.testing.assert_close(law(at, t(ratio)), t(*GROWTH[1:]), rtol=1e-12, atol=0)


def test_a_table_arrests_at_its_first_entry_and_goes_on_beyond_its_last() -> None:
    law = table_law(R, GROWTH, DK)
    assert law(t(1.9e6, 2e6), t(0.0)).tolist() == [[0.0, 0.0]]
    slope = math.log(10.0) / math.log(2.0)
    assert float(law(t(400e6), t(0.0))) == pytest.approx(1e-7 * 10.0**slope, rel=1e-9)


def test_beyond_its_load_ratios_a_table_has_its_nearest_curve() -> None:
    law = table_law(R, GROWTH, DK)
    assert float(law(t(10e6), t(0.95))) == float(law(t(10e6), t(0.5)))
    assert float(law(t(40e6), t(-1.0))) == float(law(t(20e6), t(0.0)))  # of K_max alone
    below = table_law([-1.0, 0.0], GROWTH, [[2e6, 1e6], [20e6, 10e6], [40e6, 15e6]])
    assert float(below(t(20e6), t(-1.0))) == pytest.approx(1e-8, rel=1e-12)
    assert float(below(t(20e6), t(-5.0))) == pytest.approx(1e-8, rel=1e-12)


@pytest.mark.parametrize("ratios", [1, 2, 5, MOST_RATIOS - 1])
@pytest.mark.parametrize("points", [2, 3, 17, MOST_CURVE_POINTS])
def test_how_a_table_is_filled_up_is_not_seen(ratios: int, points: int) -> None:
    """A Paris law as a table of any size is that law, in it and beyond."""
    rows = [1e6 * 1.2 ** (i * 20 / points) for i in range(points)]
    law = table_law(
        [0.9 * i / ratios for i in range(ratios)],
        [1e-11 * (row / 1e6) ** 3 for row in rows],
        [[row] * ratios for row in rows],
    )
    at = t(1.01e6, 7.7e6, 3e7, 4e8)
    for ratio in (0.0, 0.44, 0.89, 0.99):
        torch.testing.assert_close(law(at, t(ratio)), 1e-11 * (at / 1e6) ** 3, rtol=1e-9, atol=0)


def test_tables_share_a_shape_by_their_sizes() -> None:
    one, other = table_law(R, GROWTH, DK), table_law([0.1], GROWTH, [row[:1] for row in DK])
    assert (shape_name(one), shape_name(other)) == ("4x4", "2x4")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"R": [0.5, 0.0]}, "R of the table does not rise"),
        ({"R": [0.0, 1.0]}, "R of the table has to lie within −10 … 1"),
        (
            {"R": [0.01 * i for i in range(MOST_RATIOS)]},
            "R of the table has 16 load ratios, not 1 to 15",
        ),
        ({"growth": [1e-10, 1e-10, 1e-7]}, "growth of the table does not rise: 1e-10 comes after"),
        ({"growth": [-1e-10, 1e-8, 1e-7]}, "growth of the table begins with -1e-10"),
        ({"growth": [1e-10]}, "growth of the table has 1 entries, not 2 to 128"),
        ({"dK": DK[:2]}, "2 rows: it must have one for each growth, 3"),
        (
            {"dK": [*DK[:2], [4e7]]},
            "dK\\[2\\] is a row of 1: it must have one number for each of R, 2",
        ),
        ({"dK": [*DK[:2], [4e7, 9e6]]}, "dK at R = 0.5 of the table does not rise: 9e.06 comes"),
        ({"dK": [[0.0, 1e6], *DK[1:]]}, "dK at R = 0 of the table begins with 0"),
    ],
)
def test_what_is_no_table_of_growth_is_refused(changes: dict[str, Any], words: str) -> None:
    table: dict[str, Any] = {"R": R, "growth": GROWTH, "dK": DK}
    with pytest.raises(ValueError, match=words):
        table_law(**(table | changes))


A, BETA = [0.001, 0.004, 0.02], [1.12, 1.3, 2.6]


def test_a_table_of_factors_is_straight_between_its_entries_and_ends_at_its_last() -> None:
    geometry = table_geometry(A, BETA)
    torch.testing.assert_close(
        geometry.F(t(0.0005, 0.001, 0.0025, 0.004, 0.012, 0.02)),
        t(1.12, 1.12, 1.21, 1.3, 1.95, 2.6),
        rtol=1e-12,
        atol=0,
    )
    assert float(torch.as_tensor(geometry.limit)) == 0.02
    assert geometry.F_II(t(0.01)).tolist() == [[0.0]]
    assert outside(geometry, 0.001) == outside(geometry, 0.02) == []
    assert outside(geometry, 0.0009)
    assert outside(geometry, 0.021)


def test_the_factors_of_a_table_rise_where_its_entries_do() -> None:
    geometry = table_geometry(A, BETA)
    found = geometry.F(t(*(0.0001 * i for i in range(1, 300)))).flatten().tolist()
    assert all(b >= a for a, b in pairwise(found))


@pytest.mark.parametrize(
    ("a", "beta", "words"),
    [
        ([0.001], [1.0], "a of the table has 1 entries, not 2 to 128"),
        ([0.002, 0.001], [1.0, 1.1], "a of the table does not rise: 0.001 comes after 0.002"),
        ([0.0, 0.001], [1.0, 1.1], "a of the table begins with 0"),
        ([0.001, 0.002], [1.0], "2 lengths: beta or K_over_stress must have as many, not 1"),
        ([0.001, 0.002], [1.0, -1.1], "a factor of the table is -1.1: it must be above 0"),
    ],
)
def test_what_is_no_table_of_factors_is_refused(a: Any, beta: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        table_geometry(a, beta)
