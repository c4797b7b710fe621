"""Loads that a law is not known to hold for mark the belief, and are told once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.twin.fakes import PRESS, House, house
from tests.twin.fleets import CLOCK, PARIS, component, fleet, inspection, series, spectrum
from twin.api.schema import Forecast
from twin.belief.fleet import Fleet
from twin.belief.fold import folded
from twin.belief.segments import Line
from twin.belief.validity import outside, strayed
from twin.publish.changes import StateChanges

NAME = "plant/press-1"
VIRKLER = {"law": None, "material": "2024-t3-paris"}
AT_0_7 = (3e7, 8.5e7, 1000.0)  # range, mean [Pa], count
AT_0_2 = (8e7, 6e7, 1000.0)


def after(lines: list[Line], **changes: Any) -> Fleet:
    return folded(fleet(component(**changes)), lines, CLOCK).fleet


def told(fleet: Fleet) -> list[str]:
    place = fleet.places[NAME]
    return outside(fleet.components[NAME], fleet.cohorts[place.cohort].state, place.row)


def test_a_load_at_a_ratio_that_the_material_was_not_measured_at_is_told() -> None:
    assert told(after([], **VIRKLER)) == []
    assert told(after([spectrum(1, cycles=(AT_0_2,))], **VIRKLER)) == []
    found = told(after([spectrum(1, cycles=(AT_0_7,))], **VIRKLER))
    assert found == ["load ratio 0.7 beyond the material's -1 … 0.3, for 100% of the growth"]


def test_a_ripple_on_a_mean_load_is_none() -> None:
    ripple = (1e6, 1e8, 1000.0)
    assert told(after([spectrum(1, cycles=(AT_0_2, ripple))], **VIRKLER)) == []


@pytest.mark.parametrize(
    ("high", "marked"), [(0.679, True), (0.681, False), (0.7, False), (0.2, True)]
)
def test_a_law_may_say_for_which_ratios_it_holds(high: float, marked: bool) -> None:
    law = PARIS | {"R_range": [0.0, high]}
    assert bool(told(after([spectrum(1, cycles=(AT_0_7,))], law=law))) == marked


def test_reversed_loads_are_held_against_the_lower_end() -> None:
    law = PARIS | {"R_range": [-0.5, 0.5]}
    found = told(after([spectrum(1, cycles=((9e7, 0.0, 10.0),))], law=law))
    assert found == ["load ratio -1 beyond the law's -0.5 … 0.5, for 100% of the growth"]
    assert told(after([spectrum(1, cycles=((9e7, 3e7, 10.0),))], law=law)) == []


def test_a_law_that_says_nothing_marks_nothing() -> None:
    assert told(after([spectrum(1, cycles=(AT_0_7,))])) == []


def test_a_range_of_ratios_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(ValueError, match=r"R_range \[0.5, 0.1\] is not the lowest, then"):
        component(law=PARIS | {"R_range": [0.5, 0.1]})


def test_how_loads_are_cut_into_messages_changes_nothing() -> None:
    samples = [9e7, 1e8, 7e7, 1e8, 7e7, 1e8] * 20
    whole = after([series(1, samples)], **VIRKLER)
    half = len(samples) // 2
    cut = [series(1, samples[:half]), series(2, samples[half:], at_s=half / 100.0)]
    assert told(whole) == told(after(cut, **VIRKLER)) != []


def test_it_is_an_event_once() -> None:
    news, lines = StateChanges(), [spectrum(1, cycles=(AT_0_7,)), spectrum(2, cycles=(AT_0_7,))]
    grown = after(lines[:1], **VIRKLER)
    first = [note for note in news.states(grown, lines[:1]) if note.kind == "outside"]
    assert [(note.component, note.data["what"]) for note in first] == [(NAME, told(grown)[0])]
    grown = folded(grown, lines[1:], CLOCK).fleet
    assert not [note for note in news.states(grown, lines[1:]) if note.kind == "outside"]
    assert strayed(grown, [NAME]) == {NAME: (True, False)}


COMPACT = {"geometry": {"kind": "compact_tension", "W": 0.05}, "crack_length": 0.012}


@pytest.mark.parametrize(("length", "marked"), [(0.0099, True), (0.0101, False)])
def test_a_length_that_the_formula_is_not_meant_for_is_told(length: float, marked: bool) -> None:
    changes = COMPACT | {"crack_limit": 0.03}
    assert told(after([spectrum(1)], **changes)) == []
    grown = after([inspection(1, length)], **changes)
    assert told(grown) == ["geometry compact_tension: a/W is 0.198, not within 0.2 … 0.95"] * marked
    assert strayed(grown, [NAME]) == ({NAME: (False, True)} if marked else {})


async def test_a_store_of_an_older_release_opens_and_its_part_is_marked(tmp_path: Path) -> None:
    """What the door refuses now may be in a journal: here it comes by another way."""
    deep = {"kind": "surface_crack", "t": 0.05, "W": 1.0, "aspect": 3.0}
    async with house(tmp_path / "data") as home:
        await home.register(PRESS, geometry=deep, law=PARIS | {"C": 9.7e-24})
        await home.load(count=10.0)
    shutil.rmtree(tmp_path / "data" / "checkpoints")
    async with house(tmp_path / "data") as home:
        page = (await home.http.get(f"/api/v1/components/{PRESS}/state")).json()
    assert page["outside"] == ["geometry surface_crack: aspect is 3, not within 0 … 2"]
    assert page["cycles"] == 10.0


async def test_the_state_says_so_over_http(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await _checked(home)


async def _checked(home: House) -> None:
    await home.register(PRESS, material="2024-t3-paris")
    await home.load(count=10.0, span=1e8)
    state = f"/api/v1/components/{PRESS}/state"
    assert (await home.http.get(state)).json()["outside"] == []
    await home.samples(PRESS, *([9e7, 1.2e8] * 40))
    (sentence,) = (await home.http.get(state)).json()["outside"]
    assert "beyond the material's -1 … 0.3" in sentence


async def test_a_forecast_says_which_of_its_loads_the_law_is_not_known_for(tmp_path: Path) -> None:
    """A what-if by what is asked, whatever was seen; the load seen as the state does."""
    async with house(tmp_path / "data") as home:
        await home.register(PRESS, material="2024-t3-paris")
        await home.load(count=10.0, span=8e7)  # at R 0
        here = f"components/{PRESS}/forecast"
        assert (await home.json(here))["outside"] == []
        asked = {
            0.2: [80.0, 60.0, 1000.0],
            0.7: [30.0, 85.0, 1000.0],
            -2.0: [90.0, -15.0, 1000.0],
        }
        told = {}
        for ratio, row in asked.items():
            body = {"unit": "MPa", "cycles": [row]}
            page = (await home.http.post(f"/api/v1/{here}", json=body)).json()
            told[ratio] = Forecast.model_validate(page).outside
        assert told == {
            0.2: [],
            0.7: ["load ratio 0.7 beyond the material's -1 … 0.3, for 100% of the growth"],
            -2.0: ["load ratio -2 beyond the material's -1 … 0.3, for 100% of the growth"],
        }
        await home.samples(PRESS, *([9e7, 1.2e8] * 40))
        seen = (await home.json(here))["outside"]
        assert seen == (await home.json(f"components/{PRESS}/state"))["outside"] != []


async def test_a_forecast_of_a_load_that_is_open_is_marked_too(tmp_path: Path) -> None:
    """Nothing has closed, so that the belief says nothing yet; what is ahead comes of it alone."""
    async with house(tmp_path / "data") as home:
        await home.register(PRESS, material="2024-t3-paris")
        await home.samples(PRESS, 1e8, 1.5e8, 1.1e8, 1.5e8)
        (sentence,) = (await home.json(f"components/{PRESS}/forecast"))["outside"]
        assert "beyond the material's -1 … 0.3" in sentence


async def test_a_forecast_from_a_length_that_the_formula_is_not_meant_for_is_marked(
    tmp_path: Path,
) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS, **COMPACT, crack_limit=0.03)
        await home.inspect(PRESS, length=0.0099)
        body = {"unit": "MPa", "cycles": [[1.0, 0.5, 1.0]]}
        page = (await home.http.post(f"/api/v1/components/{PRESS}/forecast", json=body)).json()
        assert page["outside"] == ["geometry compact_tension: a/W is 0.198, not within 0.2 … 0.95"]
