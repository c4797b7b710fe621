"""Uncertain cracks through the service: what is told, weighed, kept and carried."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from models import tree
from models.crack.uncertain_state import UncertainCrack, limits
from sensors.observation import Inspection
from tests.twin.fakes import PRESS, house
from tests.twin.fleets import CLOCK, component, fleet, inspection, spectrum
from twin.belief.fleet import EMPTY, Fleet
from twin.belief.fold import folded
from twin.belief.segments import Line
from twin.component import parsed

UNCERTAIN = {"particles": 32, "crack_length_sd": 5e-5, "growth_sd": 0.3, "reading_sd": 5e-5}
HERE = f"components/{PRESS}"
BIG = ((1e8, 6e7, 2000.0),)


def lines(name: str, **changes: Any) -> list[Line]:
    registered = component(name, uncertainty=UNCERTAIN, **changes)
    loads = [spectrum(k, 60.0 * k, name, BIG) for k in range(6)]
    seen = [inspection(k, 0.00105 + 5e-5 * k, 200.0 + 60 * k, name) for k in range(2)]
    return [Line(name, registered), *loads[:4], seen[0], loads[4], seen[1], loads[5]]


def state(value: Fleet, name: str = "plant/press-1") -> Any:
    place = value.places[name]
    return tree.rows(value.cohorts[place.cohort].state, torch.tensor([place.row]))


def same(one: Any, other: Any) -> bool:
    pairs = zip(tree.leaves(one), tree.leaves(other), strict=True)
    return all(torch.equal(x, y) for (_, x), (_, y) in pairs)


def test_the_same_bits_in_any_fold_and_beside_anybody() -> None:
    own = lines("plant/press-1")
    whole = folded(EMPTY, own, CLOCK).fleet
    value = EMPTY
    for line in own:
        value = folded(value, [line], CLOCK).fleet
    assert same(state(value), state(whole))
    beside = [each for pair in zip(lines("plant/press-0"), own, strict=True) for each in pair]
    assert same(state(folded(EMPTY, beside, CLOCK).fleet), state(whole))
    other = state(folded(EMPTY, beside, CLOCK).fleet, "plant/press-0")
    assert not torch.equal(other.particles.a, state(whole).particles.a)


def test_an_inspection_is_weighed_and_not_taken_as_it_is() -> None:
    value = folded(fleet(component(uncertainty=UNCERTAIN)), [spectrum(0)], CLOCK).fleet
    before = state(value)
    after = state(folded(value, [inspection(0, 0.00115, 60.0)], CLOCK).fleet)
    assert float(before.length) < float(after.length) < 0.00115
    assert float(after.length_sd) < float(before.length_sd)


def test_a_surprise_is_held_and_believed_once_another_instrument_agrees() -> None:
    start = folded(
        fleet(component(uncertainty=UNCERTAIN, surprise_factor=5.0)), [spectrum(0)], CLOCK
    ).fleet
    one = folded(start, [inspection(0, 0.0032, 60.0)], CLOCK)  # within a factor of five
    assert [n.data["outcome"] for n in one.notes if n.kind == "surprise"] == ["held"]
    assert same(state(one.fleet).particles, state(start).particles)
    two = folded(one.fleet, [inspection(1, 0.0031, 120.0, source="other")], CLOCK)
    assert [n.data["outcome"] for n in two.notes if n.kind == "surprise"] == ["confirmed"]
    assert float(state(two.fleet).length) == pytest.approx(0.0031, abs=2e-4)


@pytest.mark.parametrize(("reading_sd", "outcome"), [(5e-5, ["held"]), (5e-3, [])])
def test_a_reading_that_states_no_error_is_judged_by_the_one_that_is_registered(
    reading_sd: float, outcome: list[str]
) -> None:
    uncertain = UNCERTAIN | {"reading_sd": reading_sd}
    start = fleet(component(uncertainty=uncertain, surprise_factor=5.0))
    start = folded(start, [spectrum(0)], CLOCK).fleet
    found = folded(start, [unstated(0, 0.0018, 60.0)], CLOCK)  # 0.8 mm off
    assert [n.data["outcome"] for n in found.notes if n.kind == "surprise"] == outcome
    two = folded(found.fleet, [unstated(1, 0.0018, 120.0, source="other")], CLOCK)
    if outcome:
        assert [n.data["outcome"] for n in two.notes if n.kind == "surprise"] == ["confirmed"]
        assert float(state(two.fleet).length) == pytest.approx(0.0018, rel=0.01)


def unstated(*args: Any, **changes: Any) -> Line:
    line = inspection(*args, **changes)
    assert isinstance(line.what, Inspection)
    return line._replace(what=msgspec.structs.replace(line.what, crack_length_sd=0.0))


def broken_share(believed: UncertainCrack) -> float:
    return float((believed.particles.a >= torch.from_numpy(limits(believed))).double().mean())


def test_an_inspection_of_an_unbroken_part_is_no_surprise_where_it_may_have_broken() -> None:
    uncertain = UNCERTAIN | {"growth_sd": 0.6, "particles": 128}
    value, k = fleet(component(uncertainty=uncertain, surprise_factor=5.0)), 0
    while broken_share(state(value)) < 0.3:
        k += 1
        value = folded(value, [spectrum(k, 60.0 * k, cycles=((1e8, 6e7, 5000.0),))], CLOCK).fleet
    now = state(value)
    assert broken_share(now) < 0.8
    seen = folded(value, [inspection(0, float(now.expected), 60.0 * k + 30.0)], CLOCK)
    assert [n for n in seen.notes if n.kind == "surprise"] == []
    assert float(state(seen.fleet).length) == pytest.approx(float(now.expected), rel=0.05)
    assert broken_share(state(seen.fleet)) <= 0.01


def test_what_is_recorded_has_the_quantiles_that_the_state_tells() -> None:
    names = ("plant/press-1", "plant/press-2")
    certain = [Line(names[1], component(names[1])), spectrum(1, 60.0, names[1])]
    value = folded(EMPTY, [*lines(names[0]), *certain], CLOCK).fleet
    for name in names:
        place = value.places[name]
        cohort, row = value.cohorts[place.cohort], place.row
        columns = cohort.kind.columns(cohort.state, cohort.remaining.numpy())
        told = cohort.kind.spread(cohort.state, row)
        for field in ("crack_length", "remaining_cycles"):
            one = float(columns[field][row])
            ends = [told[field][p] if told else one for p in ("0.05", "0.95")]
            assert [float(columns[f"{field}_{end}"][row]) for end in ("low", "high")] == ends
            assert ends[0] <= one <= ends[1]


def test_a_change_of_the_registration_keeps_the_history_with_particles_and_without() -> None:
    value = folded(EMPTY, lines("plant/press-1"), CLOCK).fleet
    length, cycles = float(state(value).length), float(state(value).cycles)
    steps: list[dict[str, Any]] = [{}, {"uncertainty": {"particles": 64}}]
    for revision, changes in enumerate(steps, start=2):
        line = Line("plant/press-1", component(revision=revision, **changes))
        value = folded(value, [line], CLOCK).fleet
        assert float(state(value).length) == pytest.approx(length, rel=0.02)
        assert float(state(value).cycles) == cycles


def test_a_plate_says_that_it_cannot_be_uncertain_yet() -> None:
    with pytest.raises(ValueError, match="uncertainty is not known for a crack along a path"):
        parsed(
            {
                "material": "2024-t3-walker",
                "geometry": {"kind": "plate", "W": 0.1},
                "crack_length": 0.01,
                "crack_limit": 0.03,
                "uncertainty": {},
            }
        )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("crack_length_sd", 6e-4),
        ("growth_sd", -0.1),
        ("particles", 3),
        ("reading_sd", 0.0),
        ("sd", 1.0),
    ],
)
def test_what_cannot_be_meant_is_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        component(uncertainty={field: value})


async def test_state_forecast_and_metric_agree_and_a_restart_changes_nothing(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as home:
        await home.register(PRESS, uncertainty=UNCERTAIN)
        for minute in range(5):
            await home.load(minute=minute)
        await home.inspect(minute=6.0, length=0.00102)
        page, asked = await home.json(f"{HERE}/state"), await home.json(f"{HERE}/forecast")
        text = (await home.http.get("/metrics")).text
    spread = page["uncertainty"]
    assert spread["particles"] == 32
    lengths, lives = (list(spread[name].values()) for name in ("crack_length", "remaining_cycles"))
    assert lengths == sorted(set(lengths))
    assert lives == sorted(set(lives))
    assert lengths[0] < page["crack_length"] < lengths[-1]
    assert spread["probability_beyond_limit"] == 0.0
    assert page["remaining_cycles"] == spread["remaining_cycles"]["0.5"]
    assert not asked["deterministic"]
    for probability in ("0.05", "0.5", "0.95"):
        told = spread["remaining_cycles"][probability]
        assert asked["remaining_cycles"][probability] == told
        gauge = rf'remaining_cycles\{{[^}}]*press[^}}]*probability="{probability}"\}} (\S+)'
        found = re.search(gauge, text)
        assert found is not None
        assert float(found[1]) == told
    async with house(tmp_path) as home:
        again = await home.json(f"{HERE}/state")
    assert again["uncertainty"] == spread
    assert again["crack_length"] == page["crack_length"]
