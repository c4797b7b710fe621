"""Which states are told: those that moved, by whatever moved them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from sensors.topics import Topics
from tests.twin.fakes import PRESS, REGISTRATION, House, house
from tests.twin.fleets import CLOCK, SECOND, T0, component, fleet, inspection, spectrum
from twin.api.schema import State
from twin.belief.events import Event
from twin.belief.fleet import EMPTY, Fleet
from twin.belief.fold import folded
from twin.belief.segments import Line, Note
from twin.metrics import Metrics
from twin.publish.changes import StateChanges
from twin.publish.outbox import Outbox


def test_a_change_of_the_registration_that_moves_the_crack_is_told() -> None:
    news, first = StateChanges(), [spectrum(1)]
    value = folded(fleet(component()), first, CLOCK).fleet
    assert [note.kind for note in news.states(value, first)] == ["state"]
    change = [Line("plant/press-1", component(revision=2, crack_length=0.004))]
    value = folded(value, change, CLOCK).fleet
    (note,) = news.states(value, change)
    assert (note.kind, note.data["crack_length"]) == ("state", 0.004)


def test_a_change_that_moves_nothing_is_not_told() -> None:
    news, first = StateChanges(), [spectrum(1)]
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
    news = StateChanges(Clock())
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
    news, lines = StateChanges(clock), [spectrum(1)]
    value = grown(fleet(component(stale_after_s=60.0)), *lines)
    assert [note.data["status"] for note in news.states(value, lines)] == ["ok"]
    assert list(news.grown_stale(value)) == []
    clock.now_ns = T0 + 60 * SECOND
    assert list(news.grown_stale(value)) == []
    clock.now_ns += 1
    assert [note.data["status"] for note in news.grown_stale(value)] == ["stale"]
    assert list(news.grown_stale(value)) == []


def test_after_a_start_all_are_told() -> None:
    value = grown(fleet(component(), component("plant/press-2")), spectrum(1))
    news = StateChanges(Clock())
    told = {note.component: note.data["status"] for note in news.at_start(value)}
    assert told == {"plant/press-1": "ok", "plant/press-2": "new"}
    assert list(news.states(value, [spectrum(1)])) == []


def test_one_that_is_registered_is_told_and_one_that_comes_back_again() -> None:
    news = StateChanges(Clock())
    lines = [Line("plant/press-1", component(revision=1))]
    value = grown(EMPTY, *lines)
    (note,) = news.states(value, lines)
    assert (note.data["status"], note.data["crack_length"]) == ("new", 0.001)
    gone = component(revision=2).model_copy(update={"retired": True})
    lines = [spectrum(1), Line("plant/press-1", gone)]
    value = grown(value, *lines)
    assert [note.kind for note in news.states(value, lines)] == ["retired"]
    lines = [Line("plant/press-1", component(revision=3, crack_length=0.0012))]
    (note,) = news.states(grown(value, *lines), lines)
    assert (note.kind, note.data["crack_length"]) == ("state", 0.0012)


def test_what_moves_too_little_to_be_news_is_refreshed_once() -> None:
    news, value = StateChanges(Clock()), fleet(component())
    told: list[Note] = []
    for seq in range(3):
        value = grown(value, spectrum(seq, seq))
        told += news.states(value, [spectrum(seq, seq)])
    assert told[-1].data["cycles"] == 100.0
    (note,) = news.refreshed(value, 10)
    assert note.data["cycles"] == 300.0
    assert news.refreshed(value, 10) == []


def test_what_is_refreshed_does_not_swallow_the_news_that_it_becomes() -> None:
    """The smallest change of the length that is told is 10 µm, whatever was refreshed between."""
    news, value = StateChanges(Clock()), grown(fleet(component()), inspection(0, 0.002))
    (first,) = news.states(value, [inspection(0, 0.002)])
    kinds = []
    for seq in (1, 2, 3, 4):
        line = inspection(seq, 0.002 + 4e-6 * seq, seq)
        value = grown(value, line)
        kinds += [note.kind for note in news.states(value, [line])]
        assert len(news.refreshed(value, 10)) == (seq != 3)
    assert (first.data["crack_length"], kinds) == (0.002, ["state"])


def test_so_many_are_refreshed_at_a_time_the_first_first() -> None:
    parts = [component(f"plant/press-{i}") for i in range(3)]
    news, value = StateChanges(Clock()), fleet(*parts)
    list(news.at_start(value))
    for part in reversed(parts):
        line = inspection(0, 0.001, name=part.name)
        value = grown(value, line)
        list(news.states(value, [line]))  # it is new no more
        line = inspection(1, 0.001, 1.0, name=part.name)
        value = grown(value, line)
        assert list(news.states(value, [line])) == []
    order = [[note.component for note in news.refreshed(value, 2)] for _ in range(2)]
    assert order == [["plant/press-2", "plant/press-1"], ["plant/press-0"]]


async def test_a_broken_part_and_one_that_comes_back_are_retained_as_http_says(
    tmp_path: Path,
) -> None:
    async with house(tmp_path / "data") as home:
        outbox = home.service.news.outbox = Outbox(Topics(), home.service.metrics)
        refreshing = asyncio.create_task(home.service._refresh())
        await home.register(PRESS)
        for minute in range(3):
            await home.load(minute=minute, span=2e9)
        await agreed(home, outbox)
        path = f"/api/v1/components/{PRESS}"
        assert (await home.http.delete(path, headers={"If-Match": '"1"'})).status_code == 204
        assert outbox._states[Topics().state(PRESS)] == b""
        body = {**REGISTRATION, "crack_length": 0.012}
        answer = await home.http.put(path, json=body, headers={"If-Match": '"2"'})
        assert answer.status_code == 200
        await agreed(home, outbox)
        refreshing.cancel()


async def agreed(home: House, outbox: Outbox) -> None:
    """Wait until the broker would keep what HTTP says."""
    async with asyncio.timeout(10.0):
        while True:
            page = await home.json(f"components/{PRESS}/state")
            told = json.loads(outbox._states[Topics().state(PRESS)])
            fields = told.keys() - {"kind", "t_ns"}
            if {name: page[name] for name in fields} == {name: told[name] for name in fields}:
                return
            await asyncio.sleep(0.05)


def test_of_a_state_the_newest_waits_and_only_events_are_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("twin.publish.outbox.CAPACITY", 2)
    metrics = Metrics()
    outbox = Outbox(Topics(), metrics)
    for i in range(5):
        outbox.add([Event(i, "state", f"plant/press-{i % 3}", 0, {"cycles": i})])
        outbox.add([Event(i, "limit", "plant/press-0", i, {})])
    assert outbox.waiting == 5
    taken = [outbox.taken() for _ in range(5)]
    assert [json.loads(body)["t_ns"] for _, body, retain in taken if not retain] == [3, 4]
    states = {topic[-13:]: json.loads(body)["cycles"] for topic, body, retain in taken if retain}
    assert states == {"press-0/state": 3, "press-1/state": 4, "press-2/state": 2}
    assert metrics.registry.get_sample_value("twin_messages_dropped_total") == 3


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
    home.service.news.outbox = outbox
    await home.register(PRESS, material="2024-t3-paris")
    await home.load(span=span)
    (state,) = (json.loads(body) for body in outbox._states.values())
    return state


def test_a_life_without_an_end_can_be_sent() -> None:
    outbox = Outbox(Topics(), Metrics())
    value = grown(fleet(component()), inspection(1, 0.002))
    (note,) = StateChanges(Clock()).states(value, [inspection(1, 0.002)])
    outbox.add([Event(0, *note)])
    page = json.loads(outbox.taken()[1])
    assert (page["remaining_cycles"], page["remaining_cycles_is"]) == (None, "unknown")
    assert page["reason"] == "no load cycle has been seen yet"
