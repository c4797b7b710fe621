"""Registrations: what they need, and what is refused with a sentence."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from models.crack.stepper import CrackStepper
from models.crack_path.stepper import PathStepper
from models.fatigue.geometry import GEOMETRIES
from models.fatigue.laws import LAWS, ParisLaw
from models.fatigue.materials import MATERIALS
from models.fatigue.retardation import ZONES, GeneralisedWillenborg, Wheeler
from tests.twin.fleets import component, registration
from twin.belief.fleet_file import fleet_file, registrations, tried
from twin.component import Registration
from twin.errors import SettingsError
from twin.kinds.catalogue import stepper_of
from twin.units import constant_unit

PLATE = {"kind": "plate", "W": 0.01}


def cracked(**changes: Any) -> CrackStepper:
    stepper = stepper_of(registration(**changes).crack)
    assert isinstance(stepper, CrackStepper)
    return stepper


def test_a_plate_is_twice_as_high_as_wide_and_its_crack_straight_unless_told() -> None:
    stepper = stepper_of(registration(geometry=PLATE | {"mouth": 0.001}, crack_limit=0.009).crack)
    assert isinstance(stepper, PathStepper)
    assert (stepper.plate.H, stepper.plate.closure) == (0.02, "uniform")
    assert stepper.plate.path.tolist() == [[0.0, 0.001], [0.001, 0.001]]


@pytest.mark.parametrize(
    ("geometry", "words"),
    [
        ({"W": 1.0}, "segment of 0.001 m is shorter than 0.018 m"),
        ({"W": 0.005}, "beyond 97.5% of the width"),
        ({"H": 0.005}, "height of 0.005 m is too little"),
        ({"mouth": 0.0095}, "leaves the part of the plate"),
        ({"mouth": 0.0069}, "leaves the part of the plate"),
        ({"closure": "clamp"}, "uniform"),
        ({"path": [[0.0, 0.0], [0.002, 0.0]]}, "is not that of the path"),
        ({"path": [[0.001, 0.0], [0.002, 0.0]]}, "starts at x = 0"),
        ({"path": [[0.0, 0.0], [0.0003, 0.0004], [0.0001, 0.0008]]}, "rising x"),
    ],
)
def test_a_plate_that_cannot_be_followed_is_refused(geometry: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        registration(geometry=PLATE | geometry, crack_limit=0.009)


def test_a_path_says_where_its_mouth_is_and_another_mouth_is_refused() -> None:
    path = [[0.0, 0.002], [0.001, 0.002]]
    with pytest.raises(ValidationError, match=r"mouth 0\.004 m is not that of the path, 0\.002 m"):
        registration(geometry=PLATE | {"path": path, "mouth": 0.004}, crack_limit=0.009)
    with pytest.raises(ValidationError, match=r"mouth 0\.0 m is not that of the path"):
        registration(geometry=PLATE | {"path": path, "mouth": 0.0}, crack_limit=0.009)
    found = registration(geometry=PLATE | {"path": path}, crack_limit=0.009)
    assert found.crack.geometry.mouth == 0.002
    assert Registration.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize("path", [[], "path", [0.0], [[0.0]], [["x", "y"], [1, 2]], {"a": 1}, 7])
def test_a_path_that_is_none_is_refused(path: Any) -> None:
    with pytest.raises(ValidationError, match=r"geometry\.plate\.path"):
        registration(geometry=PLATE | {"path": path}, crack_limit=0.009)


def test_load_interaction_along_a_path_is_refused() -> None:
    wheeler = {"kind": "wheeler", "gamma": 1.5, "yield_stress": 3.5e8, "zone": "plane_stress"}
    with pytest.raises(ValidationError, match="'wheeler' is not known for a crack along a path"):
        registration(geometry=PLATE, crack_limit=0.009, retardation=wheeler)


@pytest.mark.parametrize("material", sorted(MATERIALS))
def test_every_material_of_the_table_makes_a_stepper(material: str) -> None:
    stepper = stepper_of(registration(law=None, material=material).crack)
    assert isinstance(stepper.law, LAWS[MATERIALS[material].law])


def test_a_law_goes_before_the_material() -> None:
    law = stepper_of(registration(material="2024-t3-walker").crack).law
    assert isinstance(law, ParisLaw)


@pytest.mark.parametrize("zone", sorted(ZONES))
def test_the_plastic_zone_is_chosen_by_name(zone: str) -> None:
    wheeler = {"kind": "wheeler", "gamma": 1.5, "yield_stress": 3.5e8, "zone": zone}
    retardation = cracked(retardation=wheeler).retardation
    assert isinstance(retardation, Wheeler)
    assert retardation.zone == ZONES[zone]


@pytest.mark.parametrize("kind", sorted(GEOMETRIES))
def test_every_geometry_can_be_registered(kind: str) -> None:
    sizes = {"radius": 0.002, "W": 0.05, "t": 0.01, "aspect": 0.5, "point": "deepest"}
    names = inspect.signature(GEOMETRIES[kind]).parameters
    geometry = {"kind": kind} | {name: sizes[name] for name in names}
    assert isinstance(cracked(geometry=geometry, crack_limit=0.005).geometry, GEOMETRIES[kind])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"law": None}, "a law or a material"),
        ({"law": {"kind": "parys", "C": 1e-29, "m": 3.0}}, "parys"),
        ({"law": {"kind": "paris", "C": float("nan"), "m": 3.0}}, "finite"),
        ({"law": {"kind": "paris", "C": 1e-29, "m": 3.0, "n": 1.0}}, "Extra inputs"),
        ({"geometry": {"kind": "edge_crack"}}, "W"),
        ({"crack_length": 0.0}, "greater than 0"),
        ({"crack_limit": 0.001}, "not beyond crack_length"),
        ({"crack_limit": 0.03}, "a crack of geometry edge_crack is at most"),
        ({"calibration": {"gain": 0.0}}, "gain is 0"),
        ({"law": None, "material": "unobtainium"}, "unobtainium"),
        ({"inspection": "believe"}, "replace"),
        ({"unknown": 1}, "Extra inputs"),
    ],
)
def test_a_registration_that_cannot_be_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        registration(**changes)


def test_a_fleet_file_names_the_component_and_the_field_at_fault(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text('[[component]]\nname = "plant/press-1"\nmaterial = "nickel"\n')
    with pytest.raises(
        SettingsError,
        match="plant/press-1: geometry is missing; crack_length is missing; crack_limit is missing",
    ):
        fleet_file(path)


@pytest.mark.parametrize("name", ["press", "Plant/press", "plant/press/1", "plant/", "-a/b", ""])
def test_a_name_that_no_topic_can_carry_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="is malformed: it must be site/component"):
        registrations([{"name": name}], "test")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[components]]\nname = 'a/b'\n", r"fleet\.toml: components is unknown: is component mea"),
        ("[http]\nport = 1\n", "http is unknown.*is this a file of settings"),
        ("component = 5\n", r"write \[\[component\]\]"),
        ("[component]\nname = 'a/b'\n", r"write \[\[component\]\]"),
        ("[[component]]\nmaterial = 'nickel'\n", "component 1 of the file has no name"),
        ("[[component]]\nname = 7\n", "component name 7 is malformed"),
    ],
)
def test_a_file_that_is_no_fleet_is_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=words):
        fleet_file(path)


def test_a_name_that_is_there_twice_is_told() -> None:
    table = registration().model_dump() | {"name": "a/b"}
    with pytest.raises(SettingsError, match="'a/b' is there twice"):
        registrations([table, table], "test")


def test_constants_that_no_crack_can_grow_by_are_refused_by_name() -> None:
    shrinking = {"kind": "paris", "C": -1e-29, "m": 3.0}
    with pytest.raises(SettingsError, match=r"fleet\.toml: plant/press-1 cannot be stepped"):
        tried([component(), component(law=shrinking)], "fleet.toml")


def test_the_example_fleet_can_be_read() -> None:
    example = Path(__file__).parents[3] / "deploy" / "fleet.example.toml"
    assert len(fleet_file(example)) >= 3


@pytest.mark.parametrize(
    ("unit", "pascals", "root"),
    [("psi", 6894.757, 0.0254**0.5), ("N/mm²", 1e6, 1.0), ("kN/mm2", 1e9, 1.0)],
)
def test_a_retardation_knows_every_unit_of_stress_that_loads_have(
    unit: str, pascals: float, root: float
) -> None:
    model = {"kind": "willenborg", "zone": "plane_stress", "yield_stress": 2.0, "K_th": 3.0}
    found = cracked(retardation=model | {"unit": unit}).retardation
    assert isinstance(found, GeneralisedWillenborg)
    assert found.yield_stress == pytest.approx(2.0 * pascals)
    assert found.K_th == pytest.approx(3.0 * pascals * root)


@pytest.mark.parametrize(
    ("unit", "size"),
    [
        ("MN/m^1.5, m/cycle", 1e6),
        ("N/mm^3/2, mm/cycle", 1e6 * 1e-3**0.5),
        ("psi sqrt(in), in/cycle", 6894.757 * 0.0254**0.5),
        ("ksi√in, inch/cycle", 6894757.0 * 0.0254**0.5),
    ],
)
def test_a_constant_knows_the_units_of_handbooks(unit: str, size: float) -> None:
    assert constant_unit(unit)[0] == pytest.approx(size, rel=1e-6)


@pytest.mark.parametrize("W", [0.02, 0.01])
def test_a_hole_that_leaves_nothing_of_its_plate_is_refused_in_a_sentence(W: float) -> None:
    with pytest.raises(ValidationError, match="no formula is meant for it"):
        registration(geometry={"kind": "hole_crack", "radius": 0.01, "W": W})
