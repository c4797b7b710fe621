"""Which states are told: those that moved, by whatever moved them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sensors.topics import Topics
from tests.twin.fakes import PRESS, House, house
from tests.twin.fleets import CLOCK, SECOND, T0, component, fleet, inspection, spectrum
from twin.api.schema import State
from twin.events import Event
from twin.fleet import Fleet
from twin.fold import Line, folded
from twin.metrics import Metrics
from twin.news import Told
from twin.outbox import Outbox


def test_a_change_of_the_registration_that_moves_the_crack_is_told() -> None:
    news, first = Told(), [spectrum(1)]
    value = folded(fleet(component()), first, CLOCK).fleet
    assert [note.kind for note in news.states(value, first)] == ["state"]
    change = [Line("plant/press-1", component(revision=2, crack_length=0.004))]
    value = folded(value, change, CLOCK).fleet
    (note,) = news.states(value, change)
    assert (note.kind, note.data["crack_length"]) == ("state", 0.004)


def test_a_change_that_moves_nothing_is_not_told() -> None:
    news, first = Told(), [spectrum(1)]
    value = folded(fleet(component()), first, CLOCK).fleet
    list(news.states(value, first))
    change = [Line("plant/press-1", component(revision=2, stale_after_s=99.0))]
    assert list(news.states(folded(value, change, CLOCK).fleet, change)) == []


class Clock:
    """A wall clock that stands where it is put."""

    def __init__(self, now_ns: int = T0) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


def grown(value: Fleet, *lines: Line) -> Fleet:
    return folded(value, list(lines), CLOCK).fleet


def test_what_changes_is_told_though_the_length_stands() -> None:
    """The status by a break, and by the limit that a registration moves; the life by a new load."""
    news = Told(Clock())
    value = grown(fleet(component()), spectrum(1))
    (first,) = news.states(value, [spectrum(1)])
    assert first.data["status"] == "ok"
    lower = Line("plant/press-1", component(revision=2, crack_limit=0.0010001))
    value = grown(value, lower, inspection(2, 0.001002, 1.0))
    (second,) = news.states(value, [lower, inspection(2, 0.001002, 1.0)])
    assert (second.data["status"], second.data["remaining_cycles"]) == ("limit", 0.0)
    assert second.data["crack_limit"] == 0.0010001


def test_a_part_that_falls_silent_is_told_of_once_by_the_clock_alone() -> None:
    clock = Clock()
    news, lines = Told(clock), [spectrum(1)]
    value = grown(fleet(component(stale_after_s=60.0)), *lines)
    assert [note.data["status"] for note in news.states(value, lines)] == ["ok"]
    assert list(news.grown_stale(value)) == []
    clock.now_ns = T0 + 60 * SECOND
    assert list(news.grown_stale(value)) == []
    clock.now_ns += 1
    assert [note.data["status"] for note in news.grown_stale(value)] == ["stale"]
    assert list(news.grown_stale(value)) == []


def test_after_a_start_all_that_were_observed_are_told() -> None:
    value = grown(fleet(component(), component("plant/press-2")), spectrum(1))
    news = Told(Clock())
    assert [note.component for note in news.at_start(value)] == ["plant/press-1"]
    assert list(news.states(value, [spectrum(1)])) == []


@pytest.mark.parametrize("span", [1e8, 2e9])
async def test_mqtt_and_http_tell_the_same_state(tmp_path: Path, span: float) -> None:
    async with house(tmp_path / "data") as home:
        told = await _retained(home, span)
        page = await home.json(f"components/{PRESS}/state")
    State.model_validate(page)
    fields = told.keys() - {"kind", "t_ns"}
    assert {name: page[name] for name in fields} == {name: told[name] for name in fields}
    assert {"status", "remaining_cycles", "remaining_cycles_is", "reason", "outside"} <= fields
    assert told["kind"] == "state"
    assert list(told)[:5] == ["kind", "t_ns", "crack_length", "growth_rate", "cycles"]


async def _retained(home: House, span: float) -> Any:
    """What the broker keeps of a part that a load was seen of."""
    outbox = Outbox(Topics(), home.service.metrics)
    home.service.outbox = outbox
    await home.register(PRESS, material="2024-t3-paris")
    await home.load(span=span)
    (payload,) = [body for _, body, retain in outbox._waiting if retain]
    return json.loads(payload)


def test_a_life_without_an_end_can_be_sent() -> None:
    outbox = Outbox(Topics(), Metrics())
    value = grown(fleet(component()), inspection(1, 0.002))
    (note,) = Told(Clock()).states(value, [inspection(1, 0.002)])
    outbox.add([Event(0, *note)])
    page = json.loads(outbox._waiting[0][1])
    assert (page["remaining_cycles"], page["remaining_cycles_is"]) == (None, "unknown")
    assert page["reason"] == "no load cycle has been seen yet"
