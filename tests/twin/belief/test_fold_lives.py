"""Remaining lives in the fold: renewed in time, and no trouble of one is that of others."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.crack_path.plate import Plates, TipIntensities
from models.crack_path.stepper import PathStepper
from tests.twin.belief.test_fold import assert_same, assert_same_rows, state
from tests.twin.belief.test_plates import PLATE, loaded, plate
from tests.twin.fakes import PRESS, house
from tests.twin.fleets import CLOCK, component, fleet, spectrum
from twin import networks
from twin.belief.cohort import out_of_memory
from twin.belief.fleet import Fleet
from twin.belief.fold import Folded, folded
from twin.belief.record import RecordRow
from twin.belief.segments import Line
from twin.kinds.crack_fields import GROUP

ODD = "plant/plate-odd"
LINES = [
    line
    for k in range(4)
    for line in (
        loaded(k, 50.0 * k, 0.3),
        loaded(k, 50.0 * k, 0.1, name=ODD),
        loaded(k, 50.0 * k, 0.2, name="plant/plate-2"),
        spectrum(k, 50.0 * k),
    )
]


def afraid_of_wide_plates(plates: Plates, path: Tensor, nodes: Tensor) -> TipIntensities:
    """As ever, but no tip far on in a plate of 12 mm can be dealt with."""
    far = path[torch.arange(len(nodes)), nodes - 1, 0] > 3e-3
    if (far & (plates.width > 11e-3)).any():
        raise RuntimeError("there is a wide plate")
    return networks.intensities()(plates, path, nodes)


def some(wide: bool = True) -> Fleet:
    odd = plate(ODD, geometry=PLATE | {"W": 0.012 if wide else 0.01})
    return fearful(fleet(plate(), odd, plate("plant/plate-2"), component()))


def fearful(value: Fleet) -> Fleet:
    cohorts = dict(value.cohorts)
    for key, cohort in cohorts.items():
        if isinstance(cohort.stepper, PathStepper):
            stepper = replace(cohort.stepper, find=afraid_of_wide_plates)
            cohorts[key] = replace(cohort, stepper=stepper)
    return value.with_cohorts({GROUP: cohorts})


def life(result: Folded, name: str) -> float:
    place = result.fleet.places[name]
    return float(result.fleet.cohorts[place.cohort].remaining[place.row])


def test_a_life_that_cannot_be_found_is_unknown_and_told_and_others_are_found() -> None:
    result, calm = folded(some(), LINES, CLOCK), folded(some(wide=False), LINES, CLOCK)
    assert math.isnan(life(result, ODD))
    assert math.isfinite(life(calm, ODD))
    for name in ("plant/plate", "plant/plate-2", "plant/press-1"):
        assert life(result, name) == life(calm, name) > 0.0
    assert {(n.kind, n.component) for n in result.notes} == {("life_unknown", ODD)}
    assert result.notes[0].data == {"why": "RuntimeError: there is a wide plate"}
    assert [note.t_ns for note in result.notes] == [row.t_ns for row in result.rows]
    assert calm.notes == []


def test_how_the_journal_is_cut_changes_no_bit_where_a_life_cannot_be_found() -> None:
    whole, value = folded(some(), LINES, CLOCK), some()
    rows: list[RecordRow] = []
    for line in LINES:
        part = folded(value, [line], CLOCK)
        value, rows = part.fleet, rows + part.rows
    assert_same(value, whole.fleet)
    assert_same_rows(rows, whole.rows)


def test_a_load_that_breaks_the_computation_is_left_out_and_told_and_others_are_stepped() -> None:
    far = [loaded(9, 240.0, 0.1, 1e7, name) for name in (ODD, "plant/plate")]
    result, before = folded(some(), [*LINES, *far], CLOCK), folded(some(), LINES, CLOCK)
    a, b = (state(value.fleet, ODD) for value in (result, before))
    assert float(a.a) == float(b.a)
    assert float(a.cycles) == float(b.cycles)
    name = "plant/plate"
    assert float(state(result.fleet, name).a) > float(state(before.fleet, name).a) + 1e-4
    (told,) = [note for note in result.notes if note.kind == "implausible"]
    assert told.component == ODD
    assert told.data["why"] == "RuntimeError: there is a wide plate"


async def test_a_service_outlives_a_life_that_it_cannot_find_and_counts_it(tmp_path: Path) -> None:
    geometry = {"kind": "plate", "W": 0.012}
    async with house(tmp_path / "data") as home:
        await home.register(ODD, geometry=geometry, crack_length=0.001, crack_limit=0.008)
        home.service.stepping.fleet = fearful(home.service.fleet)
        for minute in range(3):
            await home.load(ODD, minute=minute)
        page = await home.json(f"components/{ODD}/state")
        text = (await home.http.get("/metrics")).text
        told = home.service.news.events.since(0)[0]
    assert page["remaining_cycles"] is None
    assert "twin_lives_unknown_total 2.0" in text
    assert [event.kind for event in told].count("life_unknown") == 2


def test_a_new_law_gives_a_new_life_at_the_next_tick() -> None:
    faster = {"kind": "paris", "C": 9.7e-30 * 4.0, "m": 3.0}
    change = Line("plant/press-1", component(revision=2, law=faster))
    other = [spectrum(k, at_s, "plant/press-2") for k, at_s in enumerate((70.0, 130.0, 190.0))]
    value = fleet(component(), component("plant/press-2"))
    result = folded(value, [spectrum(0), other[0], change, *other[1:]], CLOCK)
    left = [row.columns["remaining_cycles"][0] for row in result.rows]
    assert len(left) == 3
    assert 3.9 < left[0] / left[1] < 4.1
    assert left[1] == left[2]


def test_a_part_that_has_seen_nothing_has_no_life_after_a_change_either() -> None:
    change = Line("plant/press-1", component(revision=2, crack_limit=0.009))
    other = [spectrum(k, at_s, "plant/press-2") for k, at_s in enumerate((0.0, 70.0))]
    value = fleet(component(), component("plant/press-2"))
    result = folded(value, [other[0], change, other[1]], CLOCK)
    assert math.isnan(life(result, "plant/press-1"))


def test_memory_that_runs_out_is_the_machines_trouble_and_no_loads() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**14)
    assert out_of_memory(caught.value)
    assert not out_of_memory(RuntimeError("there is a wide plate"))


async def test_a_part_that_its_own_past_would_break_has_nothing_left_and_says_why(
    tmp_path: Path,
) -> None:
    """0.8 GPa at 2 mm is K 71 MPa√m, at 5 mm 113: beyond the toughness, were it to come again."""
    async with house(tmp_path / "data") as home:
        await home.register(PRESS, stale_after_s=1e9)
        await home.load(count=1.0, span=8e8)
        await home.load(minute=1.0, count=1000.0, span=1e8)
        before = await home.json(f"components/{PRESS}/state")
        await home.inspect(PRESS, minute=2.0, length=0.005)
        state = await home.json(f"components/{PRESS}/state")
        forecast = await home.json(f"components/{PRESS}/forecast")
        body = {"unit": "MPa", "cycles": [[100.0, 50.0, 1.0]]}
        answer = await home.http.post(f"/api/v1/components/{PRESS}/forecast", json=body)
    assert (before["status"], before["reason"]) == ("ok", None)
    assert before["remaining_cycles"] > 0.0
    assert (state["status"], state["fractured"], state["remaining_cycles"]) == ("ok", False, 0.0)
    assert (
        state["reason"] == "the largest load seen so far would break the part if it came again now"
    )
    assert forecast["remaining_cycles"]["0.5"] == 0.0
    assert answer.json()["remaining_cycles"]["0.5"] > 0.0  # without that load it goes on
