"""Geometry factors against finite elements, handbooks and their limits."""

import math

import pytest
import torch
from torch import Tensor

from models.fatigue.geometry import (
    FRONT_POINTS,
    GEOMETRIES,
    CentreCrack,
    CompactTension,
    EdgeCrack,
    Formula,
    HoleCrack,
    SurfaceCrack,
    outside,
)
from tests.models.fatigue.plate_fem import Cracked

EVERY: list[Formula] = [
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
        (HoleCrack(0.0001, 1.0), 3.365),
        (SurfaceCrack(1.0, 1e3, 1.0), 1.04 / math.sqrt(2.464)),  # nearly a penny, 2/π
        (SurfaceCrack(1.0, 1e9, 1e-3), 1.13),  # an edge crack
    ],
)
def test_a_vanishing_crack_has_the_handbooks_factor(geometry: Formula, limit: float) -> None:
    assert float(geometry.F(t(1e-9))) == pytest.approx(limit, rel=1.5e-3)


def test_a_long_crack_at_a_small_hole_is_a_centre_crack_of_half_the_length() -> None:
    assert float(HoleCrack(1e-6, 1e4).F(t(1.0))) == pytest.approx(math.sqrt(0.5), rel=1e-3)


@pytest.mark.parametrize("ratio", [0.02, 0.1, 0.5, 1.0, 2.0, 20.0])
def test_a_crack_at_a_hole_in_a_wide_plate_agrees_with_finite_elements(ratio: float) -> None:
    wide = 1000.0 * (1.0 + ratio)
    K = Cracked(-0.5 * wide, 0.5 * wide, 1.0, 1.0 + ratio, 1.0).K()
    F = K / math.sqrt(math.pi * ratio)
    assert float(HoleCrack(1.0, 1e6).F(t(ratio))) == pytest.approx(F, rel=1e-3)


def test_a_crack_as_long_as_the_holes_radius_has_the_converged_factor() -> None:
    assert float(HoleCrack(1.0, 1e6).F(t(1.0))) == pytest.approx(1.304, rel=2e-3)  # ± 0.15 %
    assert float(HoleCrack(0.25, 1.0).F(t(0.2))) == pytest.approx(3.45, rel=2e-3)


@pytest.mark.parametrize("share", [0.004, 0.05, 0.15, 0.25, 0.33, 0.4])
@pytest.mark.parametrize("x", [0.01, 0.15, 0.4, 0.7, 0.93])
def test_a_crack_at_a_hole_agrees_with_finite_elements_in_every_width(
    share: float, x: float
) -> None:
    a = x * (0.5 - share)
    F = Cracked(-0.5, 0.5, share, share + a, share).K() / math.sqrt(math.pi * a)
    assert float(HoleCrack(share, 1.0).F(t(a))) == pytest.approx(F, rel=1e-3)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.4])
def test_a_short_crack_at_a_hole_sees_the_holes_stress_concentration(share: float) -> None:
    """R. C. J. Howland's net factor, as in Peterson's Stress Concentration Factors, × 1.1215."""
    x = 2.0 * share
    net = 3.0 - 3.13 * x + 3.66 * x**2 - 1.53 * x**3
    F = 1.1215 * net / (1.0 - x)
    assert float(HoleCrack(share, 1.0).F(t(1e-7))) == pytest.approx(F, rel=0.01)


@pytest.mark.parametrize("alpha", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_centre_crack_agrees_with_finite_elements(alpha: float) -> None:
    a = 0.5 * alpha
    F = Cracked(-0.5, 0.5, -a, a).K() / math.sqrt(math.pi * a)
    assert float(CentreCrack(1.0).F(t(a))) == pytest.approx(F, rel=1.5e-3)


@pytest.mark.parametrize("x", [0.05, 0.2, 0.5, 0.8, 0.9, 0.95])
def test_an_edge_crack_agrees_with_our_finite_elements_up_to_its_limit(x: float) -> None:
    F = Cracked(0.0, 1.0, 0.0, x, tall=1.0).K() / math.sqrt(math.pi * x)
    assert float(EdgeCrack(1.0).F(t(x))) == pytest.approx(F, rel=0.0066 if x <= 0.8 else 0.01)


@pytest.mark.parametrize(("x", "astm"), [(0.3, 5.62), (0.45, 8.34), (0.5, 9.66), (0.55, 11.36)])
def test_a_compact_specimen_has_the_factors_of_astm_e399(x: float, astm: float) -> None:
    a = t(x)
    in_P_over_B_root_W = CompactTension(1.0).F(a) * torch.sqrt(math.pi * a)
    assert float(in_P_over_B_root_W) == pytest.approx(astm, rel=2e-3)


@pytest.mark.parametrize("alpha", [1.0 / 3.0, 2.0 / 3.0, 0.9])
def test_a_centre_crack_is_tadas_secant(alpha: float) -> None:
    tada = 1.0 - 0.025 * alpha**2 + 0.06 * alpha**4
    tada *= math.sqrt(1.0 / math.cos(0.5 * math.pi * alpha))
    assert float(CentreCrack(1.0).F(t(0.5 * alpha))) == pytest.approx(tada, rel=1e-12)


def test_a_surface_crack_is_the_equation_of_newman_and_raju() -> None:
    q, x, c_over_b = 0.4, 0.5, 0.25  # a = 10, t = 20, c = 25, W = 2b = 200
    shape = 1.13 - 0.09 * q + (0.89 / 0.6 - 0.54) * x**2
    shape += (0.5 - 1.0 / 1.05 + 14.0 * 0.6**24) * x**4
    width = math.sqrt(1.0 / math.cos(0.5 * math.pi * c_over_b * math.sqrt(x)))
    F = shape * width / math.sqrt(1.0 + 1.464 * q**1.65)
    assert float(SurfaceCrack(0.02, 0.2, q).F(t(0.01))) == pytest.approx(F, rel=1e-12)


@pytest.mark.parametrize(
    ("aspect", "depth", "F"), [(2.0, 0.5, 0.423), (2.0, 0.1, 0.421), (1.5, 1e-9, 0.517)]
)
def test_a_deep_surface_crack_has_the_factor_of_the_second_set(
    aspect: float, depth: float, F: float
) -> None:
    assert float(SurfaceCrack(1.0, 1e3, aspect).F(t(depth))) == pytest.approx(F, abs=6e-4)


@pytest.mark.parametrize("depth", [0.01, 0.4, 0.9])
def test_both_sets_of_equations_meet_at_a_half_circle(depth: float) -> None:
    for point in FRONT_POINTS.values():
        flat, deep = (SurfaceCrack(1.0, 1e3, q, point).F(t(depth)) for q in (1.0, 1.0 + 1e-9))
        torch.testing.assert_close(flat, deep, rtol=4e-3, atol=0)


@pytest.mark.parametrize(
    ("aspect", "least", "most"),
    [(0.2, 1.0, 1.0), (0.6, 1.0, 1.0), (1.0, 1.09, 1.3), (2.0, 1.5, 1.7)],
)
def test_the_surface_point_governs_a_deep_crack(aspect: float, least: float, most: float) -> None:
    a = t(0.05, 0.5)
    governing, deepest = (SurfaceCrack(1.0, 1e3, aspect, p).F(a) for p in (1.0, 0.0))
    assert ((governing / deepest >= least) & (governing / deepest <= most)).all()


@pytest.mark.parametrize(
    ("geometry", "a", "words"),
    [
        (CompactTension(0.1), 0.004, ["a/W is 0.04, not within 0.2 … 0.95"]),
        (CompactTension(0.1), 0.0201, []),
        (SurfaceCrack(0.02, 1.0, 2.1), 0.01, ["aspect is 2.1, not within 0 … 2"]),
        (SurfaceCrack(0.02, 1.0, 2.0), 0.0191, ["a/t is 0.955, not within 0 … 0.95"]),
        (SurfaceCrack(0.02, 0.03, 0.8), 0.01, ["a/(aspect W) is 0.4167, not within 0 … 0.25"]),
        (HoleCrack(0.041, 0.1), 0.001, ["radius/W is 0.41, not within 0 … 0.4"]),
        (HoleCrack(0.04, 0.1), 0.009, []),
    ],
)
def test_each_geometry_says_what_it_is_not_meant_for(
    geometry: Formula, a: float, words: list[str]
) -> None:
    assert [fault.what for fault in outside(geometry, a)] == words


@pytest.mark.parametrize("geometry", [*EVERY, SurfaceCrack(0.02, 9.0, 0.05), HoleCrack(0.03, 0.1)])
def test_growth_up_to_the_limit_never_leaves_what_the_formula_is_meant_for(
    geometry: Formula,
) -> None:
    limit = float(geometry.limit)
    assert outside(geometry, limit) == []
    growing = [bound for bound in geometry.valid if bound.longer]
    assert growing
    assert max(bound.of(geometry, limit) / bound.high for bound in growing) == pytest.approx(1.0)
    assert geometry.accuracy


@pytest.mark.parametrize("geometry", EVERY)
def test_stress_intensity_rises_up_to_the_limit_and_stays_finite(geometry: Formula) -> None:
    limit = float(geometry.limit)
    start = 0.2 * limit if isinstance(geometry, CompactTension) else 1e-3 * limit
    a = torch.linspace(start, limit, 500, dtype=torch.float64)
    K = geometry.F(a) * torch.sqrt(math.pi * a)
    assert torch.isfinite(K).all()
    assert (K.diff() > 0.0).all()


@pytest.mark.parametrize("geometry", EVERY)
def test_beyond_the_limit_nothing_is_nan(geometry: Formula) -> None:
    a = float(geometry.limit) * t(1.0, 1.06, 1.2, 2.0, 10.0)
    assert not torch.isnan(geometry.F(a)).any()
    assert not torch.isnan(geometry.F_II(a)).any()


@pytest.mark.parametrize("geometry", EVERY[1:])
def test_shear_factors_that_are_not_known_are_zero(geometry: Formula) -> None:
    assert geometry.F_II(t(1e-3, 1e-2)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("geometry", EVERY)
def test_lengths_scale(geometry: Formula) -> None:
    names = geometry.__dataclass_fields__  # type: ignore[attr-defined]
    plain = ("aspect", "point")
    twice = {n: getattr(geometry, n) * (1.0 if n in plain else 2.0) for n in names}
    a = t(0.001, 0.005, 0.01)
    torch.testing.assert_close(
        type(geometry)(**twice).F(2.0 * a), geometry.F(a), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("geometry", EVERY)
def test_parameters_may_be_tensors(geometry: Formula) -> None:
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
