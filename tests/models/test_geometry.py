"""Geometry factors against finite elements, handbooks and their limits."""

import math

import pytest
import torch
from torch import Tensor

from models.geometry import (
    GEOMETRIES,
    CentreCrack,
    CompactTension,
    EdgeCrack,
    Geometry,
    HoleCrack,
    SurfaceCrack,
)

EVERY: list[Geometry] = [
    EdgeCrack(0.1),
    CentreCrack(0.1),
    CompactTension(0.1),
    HoleCrack(0.005, 0.1),
    SurfaceCrack(0.02, 0.2, 0.8),
]


def t(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_an_edge_crack_agrees_with_finite_elements() -> None:
    a = t(0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
    fem = t(1.13985, 1.18933, 1.36801, 1.66105, 2.11271, 2.82539, 4.03329, 6.35439, 11.9546)
    torch.testing.assert_close(EdgeCrack(10.0).F(a), fem, rtol=0.0066, atol=0)


def test_an_edge_crack_in_shear_agrees_with_finite_elements() -> None:
    a, fem = t(1.0, 2.0, 3.0, 5.0, 7.0), t(1.12189, 1.12669, 1.14293, 1.24154, 1.5242)
    torch.testing.assert_close(EdgeCrack(10.0).F_II(a), fem, rtol=1e-6, atol=0)


def test_shear_between_and_beyond_those_points_agrees_with_the_handbook() -> None:
    x = torch.linspace(0.0, 0.95, 50, dtype=torch.float64)
    tada = (1.122 - 0.561 * x + 0.085 * x**2 + 0.18 * x**3) / torch.sqrt(1.0 - x)
    torch.testing.assert_close(EdgeCrack(1.0).F_II(x), tada, rtol=0.012, atol=0)


@pytest.mark.parametrize(
    ("geometry", "limit"),
    [
        (EdgeCrack(1.0), 1.1215),
        (CentreCrack(1.0), 1.0),
        (HoleCrack(0.001, 1.0), 3.365),
        (SurfaceCrack(1.0, 1e3, 1.0), 1.04 / math.sqrt(2.464)),  # nearly a penny, 2/π
        (SurfaceCrack(1.0, 1e9, 1e-3), 1.13),  # an edge crack
    ],
)
def test_a_vanishing_crack_has_the_handbooks_factor(geometry: Geometry, limit: float) -> None:
    assert float(geometry.F(t(1e-9))) == pytest.approx(limit, rel=1.5e-3)


def test_a_long_crack_at_a_small_hole_is_a_centre_crack_of_half_the_length() -> None:
    assert float(HoleCrack(1e-6, 1e4).F(t(1.0))) == pytest.approx(math.sqrt(0.5), rel=1e-3)


@pytest.mark.parametrize(("ratio", "bowie"), [(0.1, 2.73), (0.5, 1.73), (1.0, 1.37), (2.0, 1.06)])
def test_a_crack_at_a_hole_agrees_with_bowie(ratio: float, bowie: float) -> None:
    assert float(HoleCrack(1.0, 1e6).F(t(ratio))) == pytest.approx(bowie, rel=0.02)


@pytest.mark.parametrize(("x", "astm"), [(0.3, 5.62), (0.45, 8.34), (0.5, 9.66), (0.55, 11.36)])
def test_a_compact_specimen_has_the_factors_of_astm_e399(x: float, astm: float) -> None:
    a = t(x)
    in_P_over_B_root_W = CompactTension(1.0).F(a) * torch.sqrt(math.pi * a)
    assert float(in_P_over_B_root_W) == pytest.approx(astm, rel=2e-3)


def test_a_centre_crack_is_the_secant() -> None:
    assert float(CentreCrack(1.0).F(t(1.0 / 3.0))) == pytest.approx(math.sqrt(2.0), rel=1e-12)


def test_a_surface_crack_is_the_equation_of_newman_and_raju() -> None:
    q, x, c_over_b = 0.4, 0.5, 0.25  # a = 10, t = 20, c = 25, W = 2b = 200
    shape = 1.13 - 0.09 * q + (0.89 / 0.6 - 0.54) * x**2
    shape += (0.5 - 1.0 / 1.05 + 14.0 * 0.6**24) * x**4
    width = math.sqrt(1.0 / math.cos(0.5 * math.pi * c_over_b * math.sqrt(x)))
    F = shape * width / math.sqrt(1.0 + 1.464 * q**1.65)
    assert float(SurfaceCrack(0.02, 0.2, q).F(t(0.01))) == pytest.approx(F, rel=1e-12)


@pytest.mark.parametrize("geometry", EVERY)
def test_stress_intensity_rises_up_to_the_limit_and_stays_finite(geometry: Geometry) -> None:
    limit = float(geometry.limit)
    start = 0.2 * limit if isinstance(geometry, CompactTension) else 1e-3 * limit
    a = torch.linspace(start, limit, 500, dtype=torch.float64)
    K = geometry.F(a) * torch.sqrt(math.pi * a)
    assert torch.isfinite(K).all()
    assert (K.diff() > 0.0).all()


@pytest.mark.parametrize("geometry", EVERY)
def test_beyond_the_limit_nothing_is_nan(geometry: Geometry) -> None:
    a = float(geometry.limit) * t(1.0, 1.06, 1.2, 2.0, 10.0)
    assert not torch.isnan(geometry.F(a)).any()
    assert not torch.isnan(geometry.F_II(a)).any()


@pytest.mark.parametrize("geometry", EVERY[1:])
def test_shear_factors_that_are_not_known_are_zero(geometry: Geometry) -> None:
    assert geometry.F_II(t(1e-3, 1e-2)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("geometry", EVERY)
def test_lengths_scale(geometry: Geometry) -> None:
    names = geometry.__dataclass_fields__  # type: ignore[attr-defined]
    twice = {n: getattr(geometry, n) * (1.0 if n == "aspect" else 2.0) for n in names}
    a = t(0.001, 0.005, 0.01)
    torch.testing.assert_close(
        type(geometry)(**twice).F(2.0 * a), geometry.F(a), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("geometry", EVERY)
def test_parameters_may_be_tensors(geometry: Geometry) -> None:
    names = geometry.__dataclass_fields__  # type: ignore[attr-defined]
    columns = {name: t(getattr(geometry, name)).reshape(1, 1) for name in names}
    tensors, a = type(geometry)(**columns), t(0.001, 0.005)[:, None]
    torch.testing.assert_close(tensors.F(a), geometry.F(a), rtol=1e-14, atol=0)
    assert float(torch.as_tensor(tensors.limit)) == pytest.approx(float(geometry.limit))


def test_a_surface_crack_is_limited_by_the_nearer_of_thickness_and_width() -> None:
    assert SurfaceCrack(0.02, 1.0, 0.8).limit == pytest.approx(0.019)
    assert SurfaceCrack(0.02, 0.05, 0.8).limit == pytest.approx(0.01)


def test_every_geometry_has_a_name() -> None:
    assert {type(geometry) for geometry in EVERY} == set(GEOMETRIES.values())
