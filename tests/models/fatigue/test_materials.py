"""The table of materials against the formulas, and units against other units."""

import dataclasses
import math

import pytest
import torch

from models.fatigue.laws import LAWS
from models.fatigue.materials import (
    INDICATIVE,
    KSI,
    MATERIALS,
    Material,
    material,
    paris_constant_SI,
)

MPa_SQRT_M = 1e6


def newman(R: float, alpha: float, S: float) -> tuple[float, float]:
    """Newman's f for R ≥ 0, and A0."""
    A0 = (0.825 - 0.34 * alpha + 0.05 * alpha**2) * math.cos(math.pi * S / 2) ** (1 / alpha)
    A1 = (0.415 - 0.071 * alpha) * S
    A3 = 2 * A0 + A1 - 1
    A2 = 1 - A0 - A1 - A3
    return max(R, A0 + A1 * R + A2 * R**2 + A3 * R**3), A0


def threshold(chosen: Material, R: float) -> float:
    """NASGRO's threshold of a long crack [Pa √m], version 3 or 4 as the material says."""
    c = chosen.constants
    f, A0 = newman(R, c["alpha"], c["S"])
    if chosen.law == "nasgro":
        return c["dK_0"] / math.pow((1 - f) / ((1 - A0) * (1 - R)), 1 + c["C_th"] * R)
    opening = math.pow((1 - R) / (1 - f), 1 + R * c["C_th"])
    return c["dK_1"] * opening / math.pow(1 - A0, (1 - R) * c["C_th"])


def growth(chosen: Material, dK: float, R: float) -> float:
    """da/dN [m/cycle], written out here; `dK` [Pa √m]."""
    c = chosen.constants
    if chosen.law == "paris":
        return c["C"] * math.pow(dK, c["m"])
    if chosen.law == "walker":
        return c["C"] * math.pow(dK / math.pow(1 - R, 1 - c["gamma"]), c["m"])
    if chosen.law == "forman":
        return c["C"] * math.pow(dK, c["m"]) / ((1 - R) * c["K_c"] - dK)
    f, _ = newman(R, c["alpha"], c["S"])
    driving = c["C"] * math.pow((1 - f) / (1 - R) * dK, c["n"])
    above = math.pow(1 - threshold(chosen, R) / dK, c["p"])
    return driving * above / math.pow(1 - dK / (1 - R) / c["K_c"], c["q"])


@pytest.mark.parametrize(
    ("name", "R", "expected"),
    [
        ("2024-t3-nasgro3", 0.0, 5.4e-8),
        ("2024-t3-forman", 0.0, 5.8e-8),
        ("2024-t3-walker", 0.0, 5.5e-8),
        ("2024-t3-nasgro3", 0.5, 2.0e-7),
        ("2024-t3-forman", 0.5, 1.4e-7),
        ("2024-t3-walker", 0.5, 1.2e-7),
        ("ti-6al-4v-nasgro4", 0.0, 1.7e-8),
        ("ti-6al-4v-nasgro4", 0.5, 4.7e-8),
        ("nickel", 0.0, 9.7e-9),
        ("ferrite-pearlite", 0.0, 6.9e-9),
        ("steel-bs7910", 0.0, 1.648e-8),
        ("42crmo4-qt", 0.0, 1.36e-10 * 10**2.25),
    ],
)
def test_growth_at_10_MPa_root_m_is_the_published_one(name: str, R: float, expected: float) -> None:
    digits = f"{expected:e}".split("e")[0].rstrip("0")
    half_a_digit = 0.5 * 10.0 ** -(len(digits) - 2) * 10.0 ** math.floor(math.log10(expected))
    assert growth(material(name), 10 * MPa_SQRT_M, R) == pytest.approx(expected, abs=half_a_digit)


def test_three_independent_fits_of_2024_T3_agree() -> None:
    names = ("2024-t3-nasgro3", "2024-t3-forman", "2024-t3-walker")
    rates = [growth(material(name), 10 * MPa_SQRT_M, 0.0) for name in names]
    assert max(rates) / min(rates) < 1.1
    virkler = growth(material("2024-t3-paris"), 10 * MPa_SQRT_M, 0.2)  # measured at R = 0.2
    walker = growth(material("2024-t3-walker"), 10 * MPa_SQRT_M, 0.2)
    assert virkler / walker == pytest.approx(0.9, abs=0.1)


def test_the_thresholds_of_both_NASGRO_versions_agree_for_2024_T3() -> None:
    """Two sources, and two forms of the equation, of one alloy at R = 0."""
    old, new = (threshold(material(f"2024-t3-nasgro{v}"), 0.0) for v in (3, 4))
    assert new == pytest.approx(old, rel=0.01)


@pytest.mark.parametrize("name", MATERIALS)
@pytest.mark.parametrize("R", [0.0, 0.5])
def test_every_entry_makes_the_law_that_the_formula_is(name: str, R: float) -> None:
    chosen = material(name)
    law = LAWS[chosen.law](**chosen.constants)
    dK = torch.tensor(10 * MPa_SQRT_M, dtype=torch.float64)
    assert float(law(dK, R=R)) == pytest.approx(growth(chosen, float(dK), R), rel=1e-9)


@pytest.mark.parametrize("name", MATERIALS)
def test_every_entry_is_indicative_sourced_and_in_SI(name: str) -> None:
    chosen = material(name)
    assert chosen.name == name
    assert chosen.note == INDICATIVE
    assert chosen.source
    assert 1e8 < chosen.yield_stress < 2e9
    assert 5e10 < chosen.youngs_modulus < 3e11
    assert 0.2 < chosen.poisson < 0.4
    assert 2e7 < chosen.K_c < 3e8
    assert chosen.constants.get("K_c", chosen.K_c) == chosen.K_c
    assert set(chosen.assumed) <= {field.name for field in dataclasses.fields(Material)}


def test_the_mean_of_Virkler_is_the_same_in_the_units_of_its_source() -> None:
    C = paris_constant_SI(math.exp(-26.155), 2.874, "N/mm^1.5, mm/cycle")
    assert material("2024-t3-paris").constants["C"] == pytest.approx(C, rel=1e-4)


def test_a_table_entry_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        material("nickel").constants["C"] = 1.0  # type: ignore[index]  # the claim
    with pytest.raises(TypeError):
        MATERIALS["mine"] = material("nickel")  # type: ignore[index]  # the claim


def test_a_material_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="'unobtainium' is none of 2024-t3-paris"):
        material("unobtainium")


# --- units ----------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [2.0, 2.874, 3.0, 4.0])
@pytest.mark.parametrize(
    ("unit", "intensity", "length"),
    [
        ("MPa√m, m/cycle", 1e6, 1.0),
        ("ksi√in, in/cycle", 1.09884e6, 0.0254),
        ("MPa√mm, mm/cycle", 1e6 / 31.6228, 1e-3),
        ("N/mm^1.5, mm/cycle", 1e6 / 31.6228, 1e-3),
    ],
)
def test_growth_is_the_same_in_every_unit(
    m: float, unit: str, intensity: float, length: float
) -> None:
    """The same crack: C ΔK^m in that unit, and in SI."""
    C, dK = 7e-10, 13.0
    SI = paris_constant_SI(C, m, unit) * (dK * intensity) ** m
    assert pytest.approx(C * dK**m * length, rel=1e-4) == SI


@pytest.mark.parametrize(
    ("C", "m", "unit", "in_MPa_root_m"),
    [
        (8.0e-9, 3.20, "ksi√in, in/cycle", 1.503e-10),
        (2.5e-9, 3.0, "ksi√in, in/cycle", 4.786e-11),
        (5.21e-13, 3.0, "N/mm^1.5, mm/cycle", 1.648e-11),
        (9.7e-12, 3.0, "MPa√m, m/cycle", 9.7e-12),
    ],
)
def test_published_pairs_of_constants_are_one_another(
    C: float, m: float, unit: str, in_MPa_root_m: float
) -> None:
    assert paris_constant_SI(C, m, unit) * 1e6**m == pytest.approx(in_MPa_root_m, rel=5e-4)


def test_a_ksi_is_6_89_MPa() -> None:
    assert pytest.approx(6.894757293e6, rel=1e-9) == KSI


def test_an_unknown_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="unit 'psi√ft' is none of MPa√m, m/cycle"):
        paris_constant_SI(1.0, 3.0, "psi√ft")
