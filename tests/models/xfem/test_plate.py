"""Stress intensities of XFEM against analysis, other finite elements and themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.xfem.closure import SHEAR, TENSION
from models.xfem.crack import PolylineCrack
from models.xfem.elasticity import Elastic, Plane
from models.xfem.plate import Plate
from tests.benchmarks.xfem import references as known
from tests.benchmarks.xfem.cost import refactorised
from tests.benchmarks.xfem.verification import Row, edge_cracks, intensities, kinks, slanted

COARSE = Plate(columns=32, band=(-3e-3, 1.5e-3))
BENT = PolylineCrack(np.array([[0.0, 0.0], [1.13e-3, 0.0], [2.07e-3, -0.61e-3], [2.9e-3, -0.7e-3]]))
SIZE = math.sqrt(math.pi * known.MM)


def missed(rows: list[Row]) -> list[Row]:
    assert rows
    return [row for row in rows if not row.met]


def test_straight_edge_cracks_are_within_one_percent_to_half_the_width() -> None:
    assert missed(list(edge_cracks())) == []


def test_slanted_edge_cracks_are_within_one_percent() -> None:
    assert missed(list(slanted())) == []


def test_kinked_paths_are_within_one_percent_of_a_mesh_three_times_finer() -> None:
    assert missed(list(kinks())) == []


@pytest.mark.parametrize("degrees", [0.0, 30.0, 45.0, 90.0])
def test_both_tips_of_an_inclined_centre_crack_match_the_infinite_plate(degrees: float) -> None:
    plate = Plate(20e-3, 20e-3, 80, 2e-3, (-1.2e-3, 1.2e-3))
    t = math.radians(degrees)
    tips = plate.K(known.inclined(np.array([10e-3, 0.0]), 1.0, degrees))
    exact = np.array([[math.cos(t) ** 2, 0.5 * math.sin(2 * t)],
                      [-math.sin(2 * t), math.cos(2 * t)]])  # fmt: skip  # loads are rows
    for K in tips:
        np.testing.assert_allclose(K / SIZE, exact, atol=0.012)  # 2a/W = 0.1: exact + 0.6 %


def test_condensing_on_the_intact_plate_changes_nothing() -> None:
    np.testing.assert_allclose(COARSE.K(BENT), refactorised(COARSE, BENT), rtol=1e-8)


@pytest.mark.parametrize("closure", ["grip", "clamp"])
def test_condensing_changes_nothing_for_any_closure(closure: str) -> None:
    plate = Plate(columns=24, closure=closure)  # type: ignore[arg-type]  # parametrised
    np.testing.assert_allclose(plate.K(BENT), refactorised(plate, BENT), rtol=1e-8)


def test_what_was_asked_before_changes_no_bit() -> None:
    fresh, used = Plate(columns=24), Plate(columns=24)
    used.K(known.straight(4.0, -20.0))
    np.testing.assert_array_equal(used.K(BENT), fresh.K(BENT))


def test_a_mirrored_crack_has_the_mirrored_answer() -> None:
    plate = Plate(columns=24)
    K, mirrored = plate.K(BENT)[0], plate.K(PolylineCrack(BENT.path * np.array([1.0, -1.0])))[0]
    signs = np.array([[1.0, -1.0], [-1.0, 1.0]])  # shear turns round as K_II does
    np.testing.assert_allclose(mirrored, K * signs, rtol=1e-7, atol=1e-9)


def test_a_crack_from_the_right_face_is_the_plate_turned_round() -> None:
    plate = Plate(columns=24)
    turned = PolylineCrack(np.array([10e-3, 0.0]) - BENT.path)
    np.testing.assert_allclose(plate.K(turned), plate.K(BENT), rtol=1e-7)


@pytest.mark.parametrize("plane", ["stress", "strain"])
@pytest.mark.parametrize("nu", [0.0, 0.45])
def test_under_given_tractions_elasticity_has_no_influence(plane: Plane, nu: float) -> None:
    crack = known.straight(3.0)
    other = Plate(columns=32, band=(-3e-3, 1.5e-3), material=Elastic(70e9, nu, plane))
    K, reference = other.K(crack)[0], COARSE.K(crack)[0]
    np.testing.assert_allclose(np.diag(K), np.diag(reference), rtol=4e-3)


def test_splitting_a_segment_changes_nothing() -> None:
    whole = known.straight(3.0, -20.0).path
    split = np.vstack([whole[0], 0.37 * whole[1], 0.8 * whole[1], whole[1]])
    np.testing.assert_allclose(
        COARSE.K(PolylineCrack(split)), COARSE.K(PolylineCrack(whole)), rtol=1e-4
    )


@pytest.mark.parametrize("name", list(known.KINKS))
def test_the_radius_of_the_integral_has_no_influence(name: str) -> None:
    plate = Plate()
    crack = known.kinked(name)
    K = np.array([plate.K(crack, radius)[0] for radius in (3.5, 4.0, 6.0)])
    size = np.linalg.norm(K[0], axis=1, keepdims=True)
    assert np.abs((K - K[0]) / size).max() < 0.003


def test_the_error_falls_with_the_size_of_the_elements() -> None:
    exact = known.EDGE_TENSION[3.0] * math.sqrt(3.0) * SIZE
    errors = [
        abs(
            Plate(columns=n, band=(-0.5e-3, 0.5e-3)).K(known.straight(3.0))[0, TENSION, 0] / exact
            - 1
        )
        for n in (24, 48, 96)
    ]
    assert errors[0] > 1.5 * errors[1] > 1.5 * 1.5 * errors[2]


def test_where_the_tip_lies_in_its_element_matters_little() -> None:
    plate = Plate()
    offsets = np.linspace(0.0, 1.0, 9) * plate.grid.h * 1e3
    factors = [
        plate.K(known.straight(a))[0, SHEAR, 1] / math.sqrt(math.pi * a * known.MM)
        for a in 3.0 + offsets
    ]
    trend = np.polyval(np.polyfit(offsets, factors, 1), offsets)
    assert np.abs(factors / trend - 1.0).max() < 2e-3


def test_a_long_plate_between_grips_bends_as_one_of_square_elements_does() -> None:
    """The rows towards the ends are higher, but not so high that they stiffen the plate."""
    long = Plate(height=100e-3, columns=32, closure="grip", band=(-0.5e-3, 6.5e-3))
    square = Plate(10e-3, 100e-3, 32, 50e-3, (-0.5e-3, 6.5e-3), "grip")
    for crack in (known.straight(6.0), PolylineCrack(np.array([[0.0, 6e-3], [5e-3, 6e-3]]))):
        K, reference = long.K(crack)[0], square.K(crack)[0]
        gap = np.linalg.norm(K - reference, axis=1) / np.linalg.norm(reference, axis=1)
        assert gap.max() < 0.005


def test_no_closure_of_another_name() -> None:
    with pytest.raises(ValueError, match="'glue' is none of uniform, grip, clamp"):
        Plate(closure="glue").K(BENT)  # type: ignore[arg-type]


@pytest.mark.parametrize("nu", [-1.0, 0.5])
def test_a_material_that_cannot_exist_is_refused(nu: float) -> None:
    with pytest.raises(ValueError, match="is no material"):
        Plate(material=Elastic(nu=nu)).K(BENT)


def test_errors_are_relative_to_the_whole_intensity() -> None:
    rows = intensities("case", np.array([3.03, 4.0]), np.array([3.0, 4.0]), None)
    assert [row.error for row in rows] == pytest.approx([0.006, 0.0])


@pytest.mark.parametrize(("error", "met"), [(0.009, True), (0.01, True), (-0.011, False)])
def test_a_row_is_met_up_to_its_target(error: float, met: bool) -> None:
    assert Row("case", "K", 1.0, 1.0 + error, error, 0.01).met is met
