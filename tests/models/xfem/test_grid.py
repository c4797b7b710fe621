"""The grid covers the plate, with a row of elements centred on y = 0."""

from __future__ import annotations

import numpy as np
import pytest

from models.xfem.grid import grid


@pytest.mark.parametrize(("height", "fine"), [(20e-3, 7e-3), (20e-3, 9.9e-3), (6e-3, 7e-3)])
def test_a_row_of_elements_is_centred_on_mid_height(height: float, fine: float) -> None:
    found = grid(10e-3, height, 50, fine)
    assert found.rows % 2 == 1
    assert found.y[0] == pytest.approx(-height / 2)
    assert found.y[-1] == pytest.approx(height / 2)
    np.testing.assert_allclose(found.y, -found.y[::-1], atol=1e-15)
    assert (np.diff(found.y) > 0.0).all()


def test_the_rows_of_the_fine_zone_are_as_high_as_wide_and_grow_beyond() -> None:
    found = grid(10e-3, 20e-3, 50, 7e-3)
    size, middle = np.diff(found.y), 0.5 * (found.y[1:] + found.y[:-1])
    np.testing.assert_allclose(size[np.abs(middle) <= 7e-3], 0.2e-3, rtol=1e-9)
    beyond = size[middle > 7.2e-3]
    assert len(beyond) >= 3
    assert (np.diff(beyond) > 0.0).all()


def test_nodes_near_a_point_are_those_within_the_radius() -> None:
    found = grid(10e-3, 20e-3, 20, 5e-3)
    x, y = np.meshgrid(found.x, found.y)
    distance = np.hypot(x - 3.1e-3, y + 0.2e-3).ravel()
    np.testing.assert_array_equal(
        found.near(3.1e-3, -0.2e-3, 1.3e-3), np.flatnonzero(distance < 1.3e-3)
    )


def test_elements_at_a_corner_of_the_plate_stay_inside_it() -> None:
    found = grid(10e-3, 20e-3, 20, 5e-3)
    np.testing.assert_array_equal(found.elements_at(np.array([0])), [0])
    np.testing.assert_array_equal(found.elements_at(np.array([22])), [0, 1, 20, 21])
    np.testing.assert_array_equal(found.corners(np.array([21])), [[22, 23, 44, 43]])


def test_too_few_columns_are_refused() -> None:
    grid(10e-3, 20e-3, 4, 5e-3)
    with pytest.raises(ValueError, match="3 columns"):
        grid(10e-3, 20e-3, 3, 5e-3)
