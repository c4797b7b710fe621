"""Sides, angles and pieces of a kinked crack."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.xfem.crack import PolylineCrack, Tip, chain, checked, polar, side, tips
from models.xfem.cutting import cuts, empty_pieces, pieces
from models.xfem.enrichment import branches, enrichment, sided
from models.xfem.grid import Floats, grid
from models.xfem.quadrature import drawn, nearest

GRID = grid(10e-3, 20e-3, 20, 5e-3)
BEND = np.array([[-1.0, 0.0], [1.0, 0.0], [2.0, -1.0]])  # turns right by 45°
BOX = np.array([0.5, -0.7, 1.5, 0.3])


def test_left_of_the_crack_is_above_it_also_around_a_kink() -> None:
    assert side(0.0, 0.1, BEND) == 1.0
    assert side(0.0, -0.1, BEND) == -1.0
    assert side(1.05, 0.1, BEND) == 1.0  # nearest to the joint itself
    assert side(1.4, -0.5, BEND) == -1.0
    assert side(1.6, -0.5, BEND) == 1.0


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_rounding_moves_no_point_abreast_of_a_sharp_joint_to_the_other_side(sign: float) -> None:
    """There both segments are equally near, and the prolongation of one says the wrong side."""
    random = np.random.default_rng(5)
    for heading, turn in random.uniform([-1.0, 1.7], [1.0, 2.6], (200, 2)):
        ways = np.array([heading, heading + sign * turn])
        path = np.cumsum(np.vstack([[0.3, 0.1], np.column_stack([np.cos(ways), np.sin(ways)])]), 0)
        for way in ways:
            x, y = path[1] + 0.7 * sign * np.array([math.sin(way), -math.cos(way)])
            assert side(x, y, path) == -sign


def test_beyond_its_ends_a_crack_is_thought_of_as_straight() -> None:
    assert side(3.0, -1.9, BEND) == 1.0
    assert side(3.0, -2.1, BEND) == -1.0
    assert side(-3.0, 0.01, BEND) == 1.0


def test_the_angle_at_a_tip_jumps_on_the_crack_and_not_on_the_straight_prolongation() -> None:
    tip = Tip(np.array([2.0, -1.0]), np.array([1.0, -1.0]) / math.sqrt(2.0), 1.0)
    for x, face in ((0.0, 1e-9), (0.5, 1e-9)):
        _, above = polar(x, face, side(x, face, BEND), tip)
        _, below = polar(x, -face, side(x, -face, BEND), tip)
        assert above - below == pytest.approx(2.0 * math.pi, abs=1e-6)
    between = [polar(0.0, y, side(0.0, y, BEND), tip)[1] for y in (0.9, 1.0, 1.1)]
    assert np.abs(np.diff(between)).max() < 0.1  # where the prolongation passes


def test_the_second_tip_of_an_interior_crack_looks_the_other_way() -> None:
    found = tips(PolylineCrack(np.array([[4e-3, 0.0], [6e-3, 0.0]]), interior=True))
    np.testing.assert_allclose(found.at, [[6e-3, 0.0], [4e-3, 0.0]])
    np.testing.assert_allclose(found.ahead, [[1.0, 0.0], [-1.0, 0.0]])
    np.testing.assert_allclose(found.turn, [1.0, -1.0])


@pytest.mark.parametrize("angle", [0.3, -2.0, 2.9])
def test_gradients_of_the_tip_functions_are_their_differences(angle: float) -> None:
    at, ahead = np.array([0.1, 0.2]), np.array([0.8, -0.6])
    tip, where = Tip(at, ahead, 1.0), at + 0.5 * np.array([math.cos(angle), math.sin(angle)])
    step, found = 1e-6, np.empty((4, 3))
    branches(where[0], where[1], 1.0, tip, 0.3, found)
    for d in range(2):
        ends = []
        for sign in (-1.0, 1.0):
            out, moved = np.empty((4, 3)), where.copy()
            moved[d] += sign * step
            branches(moved[0], moved[1], 1.0, tip, 0.3, out)
            ends.append(out[:, 0])
        np.testing.assert_allclose(found[:, 1 + d], (ends[1] - ends[0]) / (2 * step), atol=1e-7)


def _pieces(path: Floats, segments: list[int]) -> list[Floats]:
    room = empty_pieces()
    count = pieces(BOX, path, np.array(segments, dtype=np.int64), room)
    return [room.shapes[k, : room.sizes[k]].copy() for k in range(count)]


def _area(shape: Floats) -> float:
    x, y = shape.T
    return 0.5 * float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


def test_pieces_fill_the_element_and_lie_on_one_side_each() -> None:
    found = _pieces(BEND, [0, 1])
    assert len(found) == 4
    assert sum(map(_area, found)) == pytest.approx(1.0)
    for shape in found:
        inner = 0.99 * shape + 0.01 * shape.mean(axis=0)
        assert len({side(x, y, BEND) for x, y in inner}) == 1


def test_the_areas_on_both_sides_are_those_of_the_polygons() -> None:
    minus, plus = sided(BOX, BEND, np.array([0, 1]), empty_pieces())
    assert plus == pytest.approx(0.3 + 0.5 * 0.5**2)
    assert minus == pytest.approx(1.0 - plus)


def test_drawn_points_integrate_the_inverse_distance_to_their_own_corner() -> None:
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    points = np.empty((4096, 4))
    count = drawn(square, np.zeros(2), 1.0, points, 0)
    x, y, weight, which = points[:count].T
    assert weight.sum() == pytest.approx(1.0)
    assert (which == 1.0).all()
    exact = 2.0 * math.log(1.0 + math.sqrt(2.0))  # ∫∫ 1/r over the unit square
    assert np.sum(weight / np.hypot(x, y)) == pytest.approx(exact, rel=1e-6)


def test_the_nearest_point_of_a_piece_is_inside_on_an_edge_or_a_corner() -> None:
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    assert nearest(square, 4, 0.4, 0.6) == (0.4, 0.6)
    assert nearest(square, 4, 0.4, -2.0) == (0.4, 0.0)
    assert nearest(square, 4, 3.0, 5.0) == (1.0, 1.0)


def test_a_crack_crosses_the_elements_that_it_runs_through() -> None:
    found = cuts(np.array([[0.0, 0.0], [1.1e-3, 0.0]]), GRID)
    row = GRID.rows // 2 * GRID.columns
    np.testing.assert_array_equal(found.element, row + np.arange(3))
    np.testing.assert_array_equal(found.segment, [0, 0, 0])


def test_a_crack_along_a_grid_line_crosses_the_elements_of_both_sides() -> None:
    column = 4
    found = cuts(np.array([[GRID.x[column], -0.2e-3], [GRID.x[column], 0.2e-3]]), GRID)
    row = GRID.rows // 2 * GRID.columns
    np.testing.assert_array_equal(found.element, row + np.array([column - 1, column]))


def test_jumps_are_where_the_crack_has_passed_and_tip_functions_where_it_ends() -> None:
    extra = enrichment(PolylineCrack(np.array([[0.0, 0.0], [5.2e-3, 0.0]])), GRID)
    jumping = np.flatnonzero(extra.jump >= 0)
    x = GRID.x[jumping % len(GRID.x)]
    assert x.max() < 5.2e-3 - 2.0 * GRID.h
    assert len(jumping) == 2 * len(np.unique(x))  # above and below
    assert not ((extra.jump >= 0) & (extra.branch >= 0)).any()


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ([[0.0, 0.0], [10e-3, 0.0]], "leaves the plate"),
        ([[1e-3, 0.0], [2e-3, 0.0]], "is on no side face"),
        ([[0.0, 0.0], [2e-3, 3.1e-3]], "leaves the band"),
        ([[0.0, 0.0]], "at least two"),
        ([[0.0, 0.0], [2e-3, float("nan")]], "finite"),
        ([[0.0, 0.0], [2e-3, 0.0], [2e-3, 0.0]], "no segment"),
    ],
)
def test_a_crack_that_cannot_be_solved_for_is_refused(
    path: list[list[float]], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        checked(PolylineCrack(np.array(path)), GRID, (-3e-3, 3e-3))


def test_an_interior_crack_too_short_for_its_mesh_is_refused() -> None:
    short = PolylineCrack(np.array([[5e-3, 0.0], [6e-3, 0.0]]), interior=True)
    with pytest.raises(ValueError, match="too close"):
        enrichment(short, GRID)


def test_an_edge_crack_is_prolonged_out_of_the_plate() -> None:
    found = chain(PolylineCrack(np.array([[0.0, 1e-3], [1e-3, 1e-3]])), GRID)
    np.testing.assert_allclose(found[0], [-1.5e-3, 1e-3])
