"""Units."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.errors import MalformedError
from sensors.units import KSI, LENGTH, STRAIN, STRESS, Unit, length_unit, load_unit


@pytest.mark.parametrize(
    ("name", "value", "pascal"),
    [("Pa", 2.0, 2.0), ("kPa", 2.0, 2e3), ("MPa", 48.28, 48.28e6), ("GPa", 0.2, 2e8)],
)
def test_stress_becomes_pascal(name: str, value: float, pascal: float) -> None:
    quantity, unit = load_unit(name)
    assert quantity == "stress"
    assert unit.si(value) == pascal


def test_a_ksi_follows_from_the_pound_the_inch_and_standard_gravity() -> None:
    pound, inch, gravity = Fraction("0.45359237"), Fraction("0.0254"), Fraction("9.80665")
    exact = 1000 * pound * gravity / inch**2
    assert float(exact) == KSI == STRESS["ksi"].si(1.0)


@pytest.mark.parametrize(("name", "value"), [("um/m", 250.0), ("m/m", 250e-6)])
def test_strain_becomes_a_ratio(name: str, value: float) -> None:
    quantity, unit = load_unit(name)
    assert (quantity, unit.si(value)) == ("strain", 0.00025)


@pytest.mark.parametrize(("name", "value"), [("m", 0.0123), ("mm", 12.3), ("um", 12300.0)])
def test_a_length_becomes_the_float_that_its_decimals_name(name: str, value: float) -> None:
    assert length_unit(name).si(value) == 0.0123


def test_an_inch_is_exact() -> None:
    assert length_unit("in").si(1.0) == 0.0254
    assert length_unit("in").si(100.0) == 2.54


@given(
    value=st.floats(-1e9, 1e9, allow_subnormal=False),  # torch flushes subnormals to zero
    unit=st.sampled_from([*STRESS.values(), *STRAIN.values(), *LENGTH.values()]),
)
def test_there_and_back_is_the_same_value(value: float, unit: Unit) -> None:
    assert math.isclose(unit.si(unit.wire(value)), value, rel_tol=4e-16, abs_tol=1e-300)


@pytest.mark.parametrize(
    ("names", "pascal"),
    [
        (("MPa", "N/mm2", "N/mm^2", "N/mm²", "MN/m2", "MN/m²"), 1e6),
        (("Pa", "N/m2", "N/m^2", "N/m²"), 1.0),
        (("GPa", "kN/mm2", "kN/mm²"), 1e9),
        (("kPa", "kN/m2"), 1e3),
    ],
)
def test_a_force_over_an_area_is_a_stress(names: tuple[str, ...], pascal: float) -> None:
    for name in names:
        quantity, unit = load_unit(name)
        assert (quantity, unit.si(1.0)) == ("stress", pascal)


def test_a_psi_is_a_thousandth_of_a_ksi() -> None:
    for name in ("psi", "lbf/in2", "lbf/in²"):
        assert load_unit(name)[1].si(1000.0) == KSI
    assert load_unit("psi")[1].si(1.0) == pytest.approx(6894.757293168361, rel=1e-15)


@pytest.mark.parametrize(
    "name",
    [
        *("um/m", "µm/m", "μm/m", "microstrain", "ustrain", "µstrain", "ue", "µe", "uε", "µε"),
        *("με", "uin/in", "µin/in"),
    ],
)
def test_a_microstrain_has_many_names(name: str) -> None:  # both signs for micro among them
    quantity, unit = load_unit(name)
    assert (quantity, unit.si(250.0)) == ("strain", 0.00025)


@pytest.mark.parametrize(("name", "value"), [("mm/m", 0.25), ("mm/mm", 250e-6), ("in/in", 250e-6)])
def test_a_length_over_a_length_is_a_strain(name: str, value: float) -> None:
    quantity, unit = load_unit(name)
    assert (quantity, unit.si(value)) == ("strain", 0.00025)


@pytest.mark.parametrize(
    ("name", "value"), [("cm", 1.23), ("µm", 12300.0), ("μm", 12300.0), ("micron", 12300.0)]
)
def test_a_length_in_other_names_is_the_same_length(name: str, value: float) -> None:
    assert length_unit(name).si(value) == 0.0123
    assert length_unit("inch") == length_unit("in")


@pytest.mark.parametrize("name", ["", "bar", "%", "strain", "MPa m", "um\\m", "mm", "kg"])
def test_another_unit_of_load_is_refused_with_those_accepted(name: str) -> None:
    with pytest.raises(MalformedError) as caught:
        load_unit(name)
    assert caught.value.reason == "unit"
    assert str(caught.value) == (
        f"unit {name!r} is not a unit of stress or strain "
        "(Pa, kPa, MPa, GPa, N/mm2, psi, ksi, um/m, mm/m, m/m)"
    )


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        *(("mpa", "MPa"), ("MPA", "MPa"), ("mPa", "MPa"), (" MPa", "MPa"), ("Mpa.", "MPa")),
        *(("PSI", "psi"), ("KSI", "ksi"), ("n/mm2", "N/mm2"), ("N/MM²", "N/mm²"), ("gpa", "GPa")),
        *(("Microstrain", "microstrain"), ("UM/M", "um/m"), ("PA", "Pa"), ("KPa", "kPa")),
    ],
)
def test_a_unit_in_the_wrong_case_is_refused_with_the_right_one(wrong: str, right: str) -> None:
    with pytest.raises(MalformedError) as caught:
        load_unit(wrong)
    assert (
        str(caught.value) == f"unit {wrong!r} is not a unit of stress or strain: is {right} meant?"
    )


@pytest.mark.parametrize(
    ("wrong", "right"), [("MM", "mm"), ("In", "in"), ("INCH", "inch"), ("M", "m")]
)
def test_a_length_in_the_wrong_case_is_refused_with_the_right_one(wrong: str, right: str) -> None:
    with pytest.raises(MalformedError) as caught:
        length_unit(wrong)
    assert str(caught.value) == f"unit {wrong!r} is not a unit of length: is {right} meant?"


def test_another_unit_of_length_is_refused_with_those_accepted() -> None:
    with pytest.raises(
        MalformedError, match=r"unit 'MPa' is not a unit of length \(m, mm, cm, um, in\)"
    ):
        length_unit("MPa")
