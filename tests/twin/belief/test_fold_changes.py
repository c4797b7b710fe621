"""What a part remembers when its registration changes, and when it comes back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from tests.twin.fleets import CLOCK, component, fleet, inspection, spectrum
from twin.belief.fleet import Fleet
from twin.belief.fold import folded
from twin.belief.segments import Line
from twin.component import Component

NAME = "plant/press-1"
WHEELER = {"kind": "wheeler", "gamma": 1.4, "yield_stress": 365e6, "zone": "plane_stress"}
SMALL = (6e7, 3e7, 2000.0)
WIDE: dict[str, Any] = {
    "geometry": {"kind": "edge_crack", "W": 0.1},
    "crack_length": 0.01,
    "crack_limit": 0.05,
    "retardation": WHEELER,
}
LOADED = [spectrum(1, 1.0, cycles=(SMALL, (1.5e8, 7.5e7, 1.0))), inspection(1, 0.03, 2.0)]


def after(*lines: Line) -> Fleet:
    return folded(fleet(component(**WIDE)), lines, CLOCK).fleet


def told(revision: int, *, retired: bool = False, **changes: Any) -> Line:
    made = component(revision=revision, **(WIDE | changes))
    return Line(NAME, made.model_copy(update={"retired": retired}))


def state(value: Fleet) -> Any:
    place = value.places[NAME]
    return value.cohorts[place.cohort].state, place.row


def believed(value: Fleet) -> tuple[float, float, float]:
    """Length [m], cycles and last measured length [m]."""
    cracks, row = state(value)
    return float(cracks.length[row, 0]), float(cracks.cycles[row]), float(cracks.measured[row])


RETURNED = [told(2, retired=True), told(3)]
ANOTHER = [told(2, crack_length=0.0100001)]


@pytest.mark.parametrize("change", [RETURNED, ANOTHER], ids=["returned", "length"])
def test_a_part_that_returns_or_starts_elsewhere_is_another_one(change: Sequence[Line]) -> None:
    start = change[-1].what
    assert isinstance(start, Component)
    length = start.registration.crack.crack_length
    value = after(*LOADED, *change)
    assert believed(value) == (length, 0.0, 0.0)
    loads = [spectrum(9, 9.0, cycles=(SMALL,))]
    found = believed(folded(value, loads, CLOCK).fleet)
    fresh = folded(fleet(component(**WIDE | {"crack_length": length})), loads, CLOCK).fleet
    assert found == believed(fresh)


@pytest.mark.parametrize("change", [RETURNED, ANOTHER], ids=["returned", "length"])
def test_a_broken_part_is_whole_again_as_another_one(change: Sequence[Line]) -> None:
    broken = after(spectrum(1, 1.0, cycles=((9e8, 4.6e8, 1e6),)))
    cracks, row = state(broken)
    assert bool(cracks.fractured[row])
    cracks, row = state(value := folded(broken, change, CLOCK).fleet)
    assert not bool(cracks.fractured[row])
    place = value.places[NAME]
    assert not bool(value.cohorts[place.cohort].limit_passed[place.row])


def test_an_inspection_that_waits_is_not_of_the_part_that_returns() -> None:
    strict = folded(
        fleet(component(**WIDE | {"surprise_factor": 2.0})), [inspection(1, 0.04, 1.0)], CLOCK
    ).fleet
    assert NAME in strict.held
    change = [told(2, retired=True, surprise_factor=2.0), told(3, surprise_factor=2.0)]
    assert NAME not in folded(strict, change, CLOCK).fleet.held


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"geometry": {"kind": "edge_crack", "W": 0.03}, "crack_limit": 0.02}, {}),
        ({"calibration": {"gain": 3.0}}, {"calibration": {"gain": 1.0}}),
    ],
    ids=["geometry", "calibration"],
)
def test_a_corrected_registration_keeps_no_zone_of_the_wrong_one(
    first: dict[str, Any], then: dict[str, Any]
) -> None:
    """60 MPa in a part said to be narrow, or under a gain of 3, stopped growth for good."""
    wrong = component(**WIDE | {"crack_length": 0.018} | first)
    right = component(revision=2, **WIDE | {"crack_length": 0.018} | then)
    some, many = [spectrum(i, i, cycles=((6e7, 3e7, n),)) for i, n in ((1, 10.0), (2, 3000.0))]
    value = folded(fleet(wrong), [some, Line(NAME, right), many], CLOCK).fleet
    begun = believed(folded(fleet(wrong), [some], CLOCK).fleet)[0]
    fresh = component(**WIDE | {"crack_length": begun} | then)
    expected = believed(folded(fleet(fresh), [many], CLOCK).fleet)[0]
    assert believed(value)[0] - begun == pytest.approx(expected - begun, rel=1e-3)


def test_a_part_at_its_limit_is_told_of_once_whatever_is_changed() -> None:
    value = folded(fleet(component(**WIDE)), [inspection(1, 0.051, 1.0)], CLOCK)
    assert "limit" in {note.kind for note in value.notes}
    on = [told(2, life_alert_cycles=10.0), spectrum(9, 9.0, cycles=((1e6, 6e5, 1.0),))]
    assert "limit" not in {note.kind for note in folded(value.fleet, on, CLOCK).notes}


def test_a_limit_below_the_belief_is_told_of_when_it_is_set() -> None:
    result = folded(after(*LOADED), [told(2, crack_limit=0.02)], CLOCK)
    (note,) = [note for note in result.notes if note.kind == "limit"]
    assert note.data["crack_length"] == pytest.approx(0.03)
    later = folded(result.fleet, [spectrum(9, 9.0, cycles=(SMALL,))], CLOCK)
    assert "limit" not in {note.kind for note in later.notes}


def test_a_broken_part_can_be_inspected_though_its_gauge_goes_on() -> None:
    broken = after(spectrum(1, 1.0, cycles=((9e8, 4.6e8, 1e6),)), spectrum(2, 50.0))
    found = folded(broken, [inspection(1, 0.012, 30.0)], CLOCK).fleet
    assert believed(found)[0] == pytest.approx(0.012)
    before = folded(broken, [inspection(1, 0.012, 0.5)], CLOCK)
    assert "late" in {note.kind for note in before.notes}


def test_nothing_waits_for_a_part_that_is_retired() -> None:
    strict = fleet(component(**WIDE | {"surprise_factor": 2.0}))
    held = folded(strict, [inspection(1, 0.04, 1.0)], CLOCK).fleet
    assert NAME in held.held
    assert NAME not in folded(held, [told(2, retired=True, surprise_factor=2.0)], CLOCK).fleet.held


def test_a_part_whose_limit_changes_remembers_everything() -> None:
    before = after(*LOADED)
    value = folded(before, [told(2, crack_limit=0.06)], CLOCK).fleet
    assert believed(value) == believed(before)
    (one, i), (other, j) = state(before), state(value)
    assert torch.equal(one.overload.K[i], other.overload.K[j])
    assert torch.equal(one.exposure.sums[i], other.exposure.sums[j])
