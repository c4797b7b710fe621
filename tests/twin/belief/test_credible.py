"""Registrations that cannot be meant are refused at the door, with what would be meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from models.fatigue.laws import LAWS
from models.fatigue.materials import MATERIALS
from sensors.replay.sequence import sequence_fleet
from sensors.replay.series import strain_fleet
from sensors.replay.specimens import virkler_fleet
from sensors.simulation.plant import PlantSettings, fleet
from tests.twin.fleets import PARIS, component, registration
from twin.api.problems import SENTENCE
from twin.belief.credible import NotMeantError, credible
from twin.belief.fleet_file import fleet_file, registrations, tried
from twin.belief.lines import line, made
from twin.belief.lines import registration as entry
from twin.belief.preflight import trial
from twin.commands.demo import DemoOptions, _plates
from twin.component import Registration
from twin.errors import SettingsError
from twin.kinds.catalogue import stepper_of
from twin.units import GROWTHS, INTENSITIES, distinct

EDGE = {"kind": "edge_crack", "W": 0.1}
WHEELER = {"kind": "wheeler", "gamma": 1.4, "yield_stress": 365e6, "zone": "plane_stress"}
WILLENBORG = {"kind": "willenborg", "yield_stress": 365e6, "zone": "plane_stress"}
WALKER = {"kind": "walker", "C": 1.42e-11, "m": 3.59, "gamma": 0.68}
FORMAN = {"kind": "forman", "C": 7.13e-9, "m": 2.7, "K_c": 71.3}
IN_MPA = {"C_unit": "MPa sqrt(m), m/cycle"}
DEMO = DemoOptions(duration_s=1.0, parts=1, speed=60.0, port=0, data_dir=Path(), seed=1)
LONG = {"geometry": {"kind": "edge_crack", "W": 9.0}, "crack_limit": 3.0}

UNMEANT: list[tuple[dict[str, Any], str]] = [
    ({"law": PARIS | {"C": 6.9e-12}}, r"6.9e\+09 m a cycle .* C 6.9e-12 looks like one for .MPa"),
    ({"law": PARIS | {"C": 9.7e-20}}, r"97 m a cycle at ΔK 10 MPa √m, R 0, not within"),
    ({"law": PARIS | {"C": 1e-40}}, "1e-19 m a cycle at ΔK 10"),
    ({"law": PARIS | {"C": 2e-14, "m": 1.05}}, "a year of 1e[+]07 cycles .* would add 0.399 m"),
    ({"law": PARIS | {"m": 0.5}}, "law.m is 0.5, not within 1 … 10"),
    ({"law": PARIS | {"m": 30.0}}, "law.m is 30"),
    ({"law": PARIS | {"dK_th": 2e12}}, "law.dK_th is 2e[+]12 Pa √m, not within 0 … 3e[+]07"),
    ({"law": WALKER | IN_MPA | {"gamma": -3.0}}, "law.gamma is -3, not within -0.1 … 1.2"),
    ({"law": FORMAN | {"C": 4.5e-19}}, "law.K_c is 71.3 Pa √m.* looks like MPa √m: give C_unit"),
    ({"law": FORMAN | IN_MPA | {"K_c": 71.3e6}}, r"law.K_c is 7.13e\+13 Pa √m"),
    ({"retardation": WHEELER | {"gamma": -2.0}}, "retardation.gamma is -2, not within 0 … 6"),
    ({"retardation": WHEELER | {"yield_stress": 365.0}}, "yield_stress is 365 Pa.*like MPa"),
    ({"retardation": WILLENBORG | {"S_ol": 1.0}}, "retardation.S_ol is 1, not within 1.05"),
    ({"retardation": WILLENBORG | {"K_th": -1.0}}, "retardation.K_th is -1 Pa √m"),
    ({"calibration": {"youngs_modulus": 210.0}}, "youngs_modulus is 210 Pa.*looks like GPa"),
    ({"calibration": {"youngs_modulus": 210e3}}, "youngs_modulus is 210000 Pa.*looks like MPa"),
    ({"calibration": {"gain": 1e9}}, r"calibration.gain is 1e\+09"),
    ({"gate": 1e12}, r"gate is 1e\+12 Pa"),
    (LONG | {"crack_length": 2.0}, "crack_length is 2 m.*looks like mm: give .unit.: .mm."),
    ({"geometry": EDGE | {"W": 100.0}}, "geometry.W is 100 m.*100 looks like mm"),
    ({"crack_length": 1e-8}, "crack_length is 1e-08 m, not within 1e-06 … 1"),
]


@pytest.mark.parametrize(("changes", "words"), UNMEANT)
def test_what_cannot_be_meant_is_refused_unless_it_is_said_to_be(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(NotMeantError, match=words) as refused:
        trial(registration(**changes))
    assert '"unusual": true' in str(refused.value)
    trial(registration(**changes, unusual=True))


@pytest.mark.parametrize(
    ("geometry", "words"),
    [
        (
            {"kind": "surface_crack", "t": 0.05, "W": 1.0, "aspect": 3.0},
            "aspect is 3, not within 0",
        ),
        ({"kind": "surface_crack", "t": 0.0105, "W": 1.0, "aspect": 0.1}, "crack_limit 0.0095 m: "),
        (
            {"kind": "compact_tension", "W": 0.05},
            "crack_length 0.001 m: a/W is 0.02, not within 0.2",
        ),
        (
            {"kind": "hole_crack", "W": 0.2, "radius": 0.085},
            "radius/W is 0.425, not within 0 … 0.4",
        ),
        (
            {"kind": "tabulated", "a": [0.002, 0.02], "beta": [1, 2]},
            "crack_length 0.001 m is below the table's first a, 0.002 m",
        ),
    ],
)
def test_what_a_formula_is_not_meant_for_is_refused_even_if_unusual(
    geometry: dict[str, Any], words: str
) -> None:
    wanted = registration(geometry=geometry, crack_limit=0.0095, unusual=True)
    with pytest.raises(NotMeantError, match=words):
        trial(wanted)


@pytest.mark.parametrize(("changes", "words"), UNMEANT[:3])
def test_what_the_journal_holds_is_read_however_unusual(changes: Any, words: str) -> None:
    kept = entry(component(**changes), 1)
    assert line(kept).what == made(component(**changes), 1)


def test_a_surface_crack_that_an_older_release_took_is_read_and_can_be_stepped() -> None:
    geometry = {"kind": "surface_crack", "t": 0.0105, "W": 1.0, "aspect": 0.1}
    old = component(geometry=geometry, crack_length=0.0094, crack_limit=0.0097)
    assert line(entry(old, 1)).what == made(old, 1)
    stepper_of(old.registration.crack).init(1)


def test_the_fleet_file_is_a_door() -> None:
    with pytest.raises(SettingsError, match=r"fleet\.toml: plant/press-1: law\.gamma is -3"):
        tried([component(law=WALKER | IN_MPA | {"gamma": -3.0})], "fleet.toml")


def test_what_comes_with_the_product_is_meant() -> None:
    example = Path(__file__).parents[3] / "deploy" / "fleet.example.toml"
    tables = [*fleet(PlantSettings(parts=40)), *(p.registration() for p in _plates(DEMO))]
    for wanted in (*fleet_file(example).values(), *registrations(tables, "demo").values()):
        assert not wanted.unusual
        trial(wanted)


@pytest.mark.parametrize("name", sorted(MATERIALS))
def test_the_constants_of_every_material_are_credible(name: str) -> None:
    material = MATERIALS[name]
    law = {"kind": material.law, **material.constants}
    trial(registration(law=law))
    assert material.law in LAWS


# --- units -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("law", "same"),
    [
        ({"C": 5.21e-13, "C_unit": "N/mm^1.5, mm/cycle"}, 1.648e-29),
        ({"C": 5.21e-13, "C_unit": "N/mm^(3/2), mm/cycle"}, 1.648e-29),
        ({"C": 5.21e-13, "C_unit": "MPa√mm, mm/cycle"}, 1.648e-29),
        ({"C": 5.21e-13, "C_unit": "MPa*sqrt(mm), mm/cycle"}, 1.648e-29),
        ({"C": 6.9e-9, "C_unit": "MPa m^0.5, mm/cycle"}, 6.9e-30),
        ({"C": 6.9e-12, "C_unit": "MPa m^(1/2), m/cycle"}, 6.9e-30),
        ({"C": 6.9e-12, "C_unit": "MPa sqrt(m), m/cycle"}, 6.9e-30),
        ({"C": 3.6e-10, "C_unit": "ksi sqrt(in), in/cycle"}, 6.892e-30),
        ({"C": 6.9e-30, "C_unit": "Pa√m,m/cycle"}, 6.9e-30),
        ({"C": 6.9e-30, "C_unit": None}, 6.9e-30),
    ],
)
def test_a_constant_is_kept_in_SI_whatever_it_is_typed_in(law: Any, same: float) -> None:
    found = registration(law=PARIS | law)
    kept: Any = found.crack.law
    assert pytest.approx(same, rel=2e-4) == kept.C
    assert "C_unit" not in found.model_dump_json()
    assert Registration.model_validate_json(found.model_dump_json()) == found


def test_the_other_constants_of_a_law_follow_its_unit() -> None:
    found: Any = registration(law=FORMAN | IN_MPA | {"dK_th": 2.0}).crack.law
    assert (found.K_c, found.dK_th) == (pytest.approx(71.3e6), pytest.approx(2e6))
    assert pytest.approx(MATERIALS["2024-t3-forman"].constants["C"], rel=1e-12) == found.C


def test_lengths_are_kept_in_metres_whatever_they_are_typed_in() -> None:
    typed = {"unit": "mm", "crack_length": 1.0, "crack_limit": 10.0}
    assert registration(**typed, geometry={"kind": "edge_crack", "W": 20.0}) == registration()
    own = {"kind": "edge_crack", "W": 2.0, "unit": "in"}
    assert pytest.approx(0.0508) == registration(**typed, geometry=own).crack.geometry.W
    surface = {"kind": "surface_crack", "W": 200.0, "t": 30.0, "aspect": 0.5, "unit": "mm"}
    found = registration(geometry=surface).crack.geometry
    assert (found.W, found.t, found.aspect) == (0.2, 0.03, 0.5)


def test_a_path_is_in_the_unit_of_the_plate() -> None:
    plate = {"kind": "plate", "W": 40.0, "path": [[0.0, 1.0], [1.0, 1.0]], "unit": "mm"}
    found = registration(geometry=plate).crack.geometry
    assert (found.W, found.mouth, found.path) == (0.04, 0.001, ((0.0, 0.001), (0.001, 0.001)))
    assert Registration.model_validate_json(registration(geometry=plate).model_dump_json())


def test_a_retardation_has_a_unit_of_stress() -> None:
    typed = WILLENBORG | {"yield_stress": 50, "K_th": 3, "unit": "ksi"}
    found: Any = registration(retardation=typed).crack.retardation
    assert found.yield_stress == pytest.approx(50 * 6.894757e6, rel=1e-6)
    assert found.K_th == pytest.approx(3 * 1.09884e6, rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"law": PARIS | {"C_unit": "psi, m/cycle"}},
            "C_unit is 'psi': it must be one of Pa√m, MPa√m",
        ),
        (
            {"law": PARIS | {"C_unit": "MPa√m"}},
            "it must be a stress intensity, a comma and a growth",
        ),
        (
            {"law": PARIS | {"C_unit": "MPa√m, mile/cycle"}},
            "'mile/cycle': it must be one of m/cycle",
        ),
        ({"law": PARIS | {"C": "1e-9"} | IN_MPA}, "C is '1e-9': it must be a number"),
        ({"unit": "furlong"}, "unit is 'furlong': it must be one of m, mm, cm, um"),
        ({"geometry": EDGE | {"unit": "Pa"}}, "unit is 'Pa': it must be one of m, mm"),
        (
            {"retardation": WHEELER | {"unit": "mm"}},
            "unit is 'mm': it must be one of Pa, kPa, MPa",
        ),
    ],
)
def test_a_unit_that_is_none_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        registration(**changes)


TABLE: dict[str, Any] = {
    "kind": "tabulated",
    "R": [0.0, 0.5],
    "growth": [1e-7, 1e-5, 1e-4, 1e-2],  # mm/cycle
    "dK": [[1.2, 1.1], [4.1, 3.6], [8.6, 6.3], [21.0, 11.5]],  # MPa √m
}
IN_MM_PER_CYCLE, IN_MPA_ROOT_M = {"growth_unit": "mm/cycle"}, {"dK_unit": "MPa sqrt(m)"}


@pytest.mark.parametrize(
    ("units", "named"),
    [
        (IN_MM_PER_CYCLE, ["dK 1.2 … 21 Pa √m looks like MPa√m", *distinct(INTENSITIES)]),
        (IN_MPA_ROOT_M, ["growth 1e-07 … 0.01 m/cycle looks like mm/cycle", *distinct(GROWTHS)]),
        ({}, ["looks like MPa√m", "give dK_unit", "looks like mm/cycle", "give growth_unit"]),
    ],
)
def test_a_table_without_its_units_is_told_which_is_missing_and_which_there_are(
    units: dict[str, str], named: list[str]
) -> None:
    with pytest.raises(NotMeantError) as refused:
        trial(registration(law=TABLE | units))
    assert all(word in str(refused.value) for word in named)
    assert len(str(refused.value)) < SENTENCE
    trial(registration(law=TABLE | IN_MM_PER_CYCLE | IN_MPA_ROOT_M))


def test_a_table_that_looks_like_nothing_is_told_the_units_all_the_same() -> None:
    with pytest.raises(NotMeantError) as refused:
        trial(registration(law=TABLE | {"growth": [1.0, 2.0, 3.0, 4.0]}))
    assert all(unit in str(refused.value) for unit in (*distinct(INTENSITIES), *distinct(GROWTHS)))


@pytest.mark.parametrize("name", ["dK_unit", "growth_unit"])
@pytest.mark.parametrize("unit", [0, "", [], {}, False])
def test_a_unit_that_is_empty_is_not_read_as_si(name: str, unit: object) -> None:
    with pytest.raises(ValueError, match=f"{name} is .*: it must be one of"):
        registration(law=TABLE | {name: unit})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"C": 10**400}, "C is 1000.*: it is too large"),
        ({"m": 1e300}, "m is 1e.300: no law is that steep"),
        ({"m": -1e9}, "m is -1000000000.0: no law is that steep"),
    ],
)
def test_constants_beyond_floats_are_a_sentence(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        registration(law=PARIS | IN_MPA | changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"calibration": {"gain": -1e9}}, r"calibration.gain is -1e\+09, not within ±0.001 … 1000"),
        ({"gauge": {"max_stress": 400.0}}, "gauge.max_stress is 400 Pa, .* looks like MPa"),
        ({"gauge": {"spike": 50.0}}, "gauge.spike is 50 Pa, .* looks like MPa"),
        ({"gauge": {"max_strain": 5000.0}}, "gauge.max_strain is 5000 m/m, .* looks like µm/m"),
    ],
)
def test_what_is_told_is_what_was_sent(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(NotMeantError, match=words):
        trial(registration(**changes))


@pytest.mark.parametrize(
    ("geometry", "words"),
    [
        (
            {"kind": "hole_crack", "radius": 0.3, "W": 0.5},
            "geometry hole_crack: radius/W is 0.6, not within 0 … 0.4: no formula is meant for it",
        ),
        ({"kind": "tabulated", "a": [0.5, 1], "beta": [1, 2]}, "below the table's first a, 0.5 m"),
    ],
)
def test_a_geometry_that_bears_no_crack_says_why(geometry: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        trial(registration(geometry=geometry))


def test_the_fleets_of_recorded_files_are_meant(data: Path) -> None:
    tables = [*strain_fleet("rig/gauge"), *sequence_fleet("rig/spar")]
    tables += virkler_fleet(data / "virkler" / "virkler_shared_odd34.csv")
    for wanted in registrations(tables, "recorded").values():
        assert not wanted.unusual
        trial(wanted)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gauge": {"rail": 2000.0}}, "gauge.rail is 2000: it is in m/m where the gauge sends"),
        ({"gate": 4e8}, "gate is 4e"),
        ({"toughness": 100.0}, "toughness is 100 Pa .m, not within .* looks like MPa"),
        ({"yield_stress": 365.0}, "yield_stress is 365 Pa, not within .* looks like MPa"),
        ({"law": {"kind": "paris", "C": 9.7e-30, "m": 3.0, "dK_th": 2.0}}, "looks like MPa"),
        (
            {"geometry": {"kind": "tabulated", "a": [5e-4, 2e-2], "beta": [112.0, 250.0]}},
            "geometry.beta is 112",
        ),
        (
            {"geometry": {"kind": "tabulated", "a": [5e-4, 2e-2], "K_over_stress": [2.0, 14.0]}},
            "looks like one from K_over_stress in .mm",
        ),
    ],
)
def test_more_that_cannot_be_meant_is_refused(changes: Any, words: str) -> None:
    with pytest.raises(NotMeantError, match=words):
        credible(component(**changes).registration)
    credible(component(**changes, unusual=True).registration)


@pytest.mark.parametrize("value", [True, "0.01", -1.0, 1e30])
def test_no_word_is_taken_for_a_number(value: Any) -> None:
    for name in ("crack_length", "toughness"):
        with pytest.raises(ValidationError):
            component(**{name: value})
