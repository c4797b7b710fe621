"""Who takes long to step is overtaken by the others, and no bit changes by it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.twin.belief import test_plates
from tests.twin.belief.test_fold import assert_same, assert_same_rows, mixed_lines, state, three
from tests.twin.fakes import house
from tests.twin.fleets import CLOCK, component, fleet, inspection, spectrum
from twin.belief.fleet import Fleet
from twin.belief.fold import folded, walked
from twin.belief.record import RecordRow
from twin.belief.segments import Line, Note, planned
from twin.ingest.queue import LineQueue
from twin.pace import FIRST
from twin.publish.changes import StateChanges
from twin.stepping import laggards, stepping
from twin.stepping.stepping import Stepped, Stepping

SLOW = "plant/press-1"


@asynccontextmanager
async def stepped(
    value: Fleet, lines: Sequence[Line], cuts: Sequence[int] = ()
) -> AsyncIterator[tuple[Stepping, list[Stepped]]]:
    """Stepping that is on its way from a fleet, with lines given to it in batches."""
    queue, goes = LineQueue(len(lines) + 1), list[Stepped]()
    whole = Stepping(queue, CLOCK, StateChanges(), goes.append)
    whole.fleet = value
    tasks = [asyncio.create_task(each) for each in (whole.run(), whole.catch_up())]
    for start, end in zip([0, *cuts], [*cuts, len(lines)], strict=True):
        await queue.put(lines[start:end])
        await asyncio.sleep(0.03 if cuts else 0.0)
    try:
        yield whole, goes
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        whole.close()


def assert_same_parts(one: Fleet, other: Fleet) -> None:
    """All that is known of each component is the same; what a row was that is vacant is not."""
    assert one.places == other.places
    assert one.components == other.components
    assert (one.held, one.offset, one.rows) == (other.held, other.offset, other.rows)
    for name in one.places:
        assert_same(laggards.alone(one, name).fleet, laggards.alone(other, name).fleet)


def rows_of(goes: Sequence[Stepped]) -> list[RecordRow]:
    return [row for go in goes for row in go.rows]


def notes_of(notes: Sequence[Note]) -> list[str]:
    return sorted(repr(note) for note in notes if note.kind not in ("state", "outside"))


def slow_for(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the loads of these take long."""

    def effort(value: Fleet, line: Line) -> float:
        return 1.0 if line.component in names else 0.0

    monkeypatch.setattr(laggards, "_effort", effort)


@pytest.mark.parametrize("cuts", [[], [1], [7, 8, 20], [13, 27, 39]])
@pytest.mark.parametrize("names", [[SLOW], ["plant/press-2"], [SLOW, "plant/press-2"]])
async def test_whoever_is_overtaken_no_bit_changes(
    names: list[str], cuts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_for(monkeypatch, *names)
    lines = mixed_lines(40, 1)
    whole = folded(three(), lines, CLOCK)
    async with stepped(three(), lines, cuts) as (value, goes):
        await asyncio.wait_for(value.until(whole.fleet.offset), 60)
        assert_same_parts(value.fleet, whole.fleet)
        assert_same_rows(rows_of(goes), whole.rows)
        told = [note for go in goes for note in go.notes]
        assert notes_of(told) == notes_of(whole.notes)


def gated(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let laggards do nothing until they are let on."""
    on = threading.Event()

    def waiting(value: Fleet, segments: Any) -> Any:
        if threading.current_thread().name.startswith("laggards"):
            on.wait(30)
        return walked(value, segments)

    monkeypatch.setattr(stepping, "walked", waiting)
    return on.set


async def levels(value: Stepping, offset: int) -> list[Fleet]:
    """The states that a checkpoint may hold, until all know the journal up to an offset."""
    found, done = [value.settled], asyncio.create_task(value.until(offset))
    while not done.done():
        await asyncio.sleep(0.001)
        if value.settled is not found[-1]:
            found.append(value.settled)
    return [fleet for fleet in found if fleet is not None]


@pytest.mark.parametrize("names", [[SLOW], [SLOW, "plant/press-2"]])
async def test_what_a_checkpoint_may_hold_while_some_lag_is_the_state_at_one_line_to_the_bit(
    names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_for(monkeypatch, *names)
    lines, start = mixed_lines(60, 1), three()
    let_on = gated(monkeypatch)
    async with stepped(start, lines, list(range(3, 60, 3))) as (value, goes):
        let_on()
        found = await asyncio.wait_for(levels(value, start.offset + len(lines)), 60)
        for level in found:
            until = folded(start, lines[: level.offset - start.offset], CLOCK)
            assert_same_parts(level, until.fleet)
            assert level.rows == until.fleet.rows <= len(rows_of(goes))
    offsets = [level.offset for level in found]
    assert sorted(set(offsets)) == offsets
    assert start.offset < offsets[0] < offsets[-1] == start.offset + len(lines)


async def test_levels_follow_a_plate_that_changes_and_one_that_changes_its_layout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow_for(monkeypatch, test_plates.NAME)
    lines, start = test_plates.lines(), test_plates.plates()
    let_on = gated(monkeypatch)
    async with stepped(start, lines, list(range(1, len(lines)))) as (value, _):
        let_on()
        found = await asyncio.wait_for(levels(value, start.offset + len(lines)), 60)
    assert start.offset < found[0].offset < found[-1].offset
    for level in found:
        assert_same_parts(level, folded(start, lines[: level.offset - start.offset], CLOCK).fleet)


async def test_a_plate_whose_registration_changes_meanwhile_is_overtaken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow_for(monkeypatch, test_plates.NAME)
    lines = test_plates.lines()
    whole = folded(test_plates.plates(), lines, CLOCK)
    async with stepped(test_plates.plates(), lines, [2, 7, 8]) as (value, goes):
        await asyncio.wait_for(value.until(whole.fleet.offset), 60)
        assert_same_parts(value.fleet, whole.fleet)
        assert_same_rows(rows_of(goes), whole.rows)


async def test_one_that_changes_its_layout_and_is_retired_meanwhile_is_overtaken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow_for(monkeypatch, SLOW)
    wheeler = {"kind": "wheeler", "gamma": 1.5, "yield_stress": 3.5e8, "zone": "plane_stress"}
    changed = component(revision=2, retardation=wheeler)
    lines = [
        *(spectrum(i, 10.0 * i) for i in range(20)),
        Line(SLOW, changed),
        *(spectrum(20 + i, 200.0 + 10.0 * i) for i in range(20)),
        inspection(0, 0.0013, 390.0),
        Line(SLOW, changed.model_copy(update={"revision": 3, "retired": True})),
        spectrum(0, 500.0, "plant/press-2"),
        spectrum(1, 600.0, "plant/press-2"),
    ]
    both = fleet(component(), component("plant/press-2"))
    whole = folded(both, lines, CLOCK)
    async with stepped(both, lines, [5, 30]) as (value, goes):
        await asyncio.wait_for(value.until(whole.fleet.offset), 60)
        assert_same_parts(value.fleet, whole.fleet)
        assert_same_rows(rows_of(goes), whole.rows)


class Held:
    """A laggard's go that lasts until it is let on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.on = threading.Event(), threading.Event()

        def slowly(value: Fleet, segments: Any) -> Any:
            if value.members == (SLOW,):
                self.begun.set()
                self.on.wait(30)
            return walked(value, segments)

        monkeypatch.setattr(stepping, "walked", slowly)


async def test_others_are_believed_while_one_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    slow_for(monkeypatch, SLOW)
    held = Held(monkeypatch)
    both = fleet(component(), component("plant/press-2"))
    lines = [spectrum(0, 0.0), spectrum(0, 1.0, "plant/press-2"), spectrum(1, 200.0)]
    lines += [spectrum(1, 201.0, "plant/press-2")]
    async with stepped(both, lines) as (value, goes):
        await asyncio.wait_for(value.until(6, ["plant/press-2"]), 30)
        assert state(value.fleet, "plant/press-2").cycles.item() == 200.0
        assert state(value.fleet).cycles.item() == 0.0
        assert (value.offset_of(SLOW), value.offset_of("plant/press-2")) == (2, 6)
        assert rows_of(goes) == []  # of the tick at 180 s half is not known
        assert value.unstepped == 2
        assert value.waited_s > 0.0
        held.on.set()
        await asyncio.wait_for(value.until(6), 30)
        assert state(value.fleet).cycles.item() == 200.0
        assert_same_rows(rows_of(goes), folded(both, lines, CLOCK).rows)
        assert not value.laggards


async def test_lines_of_laggards_alone_make_no_go_of_the_others_smaller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow_for(monkeypatch, SLOW)
    lines = [spectrum(i, float(i)) for i in range(50)]
    lines += [spectrum(i, 50.0, "plant/press-2") for i in range(200)]
    both = fleet(component(), component("plant/press-2"))
    async with stepped(both, lines, [50]) as (value, goes):
        await asyncio.wait_for(value.until(252), 60)
        sizes = [len(go.lines) for go in goes if go.lines]
        assert (sizes[0], sum(sizes[1:])) == (50, 200)
        assert min(sizes) >= FIRST


async def test_no_checkpoint_holds_half_of_a_line_and_a_stop_does_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_for(monkeypatch, SLOW)
    held = Held(monkeypatch)
    other = "plant/press-2"
    began = 0.0
    async with house(tmp_path / "data") as home:
        await home.register(SLOW, other)
        waiting = asyncio.create_task(home.load(SLOW))
        await home.load(other, minute=1.0)
        assert await asyncio.to_thread(held.begun.wait, 30)
        assert home.service.stepping.settled is None
        assert (await home.http.get("/readyz")).json()["overtaken"] == {SLOW: 1}
        assert "twin_components_overtaken 1.0" in (await home.http.get("/metrics")).text
        page = await home.json(f"components/{SLOW}/state")
        assert (page["cycles"], page["offset"]) == (0.0, 2)
        page = await home.json(f"components/{other}/state")
        assert (page["cycles"], page["offset"]) == (1000.0, 4)
        waiting.cancel()
        threading.Timer(2.5, held.on.set).start()  # what a thread has in hand is waited for
        began = time.monotonic()
    assert time.monotonic() - began < 5.0
    async with house(tmp_path / "data") as home:
        assert (await home.json(f"components/{SLOW}/state"))["cycles"] == 1000.0
        assert (await home.json(f"components/{other}/state"))["cycles"] == 1000.0


def test_of_many_that_take_long_the_slowest_are_stepped_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"plant/press-{i}" for i in range(20)]
    lines = [spectrum(k, float(k), n) for i, n in enumerate(names) for k in range(3 + i)]
    monkeypatch.setattr(laggards, "_effort", lambda _fleet, _line: 0.05)
    value = fleet(*(component(name) for name in names))
    assert laggards.chosen(value, lines, ()) == set(names[-laggards.MOST :])
    assert laggards.chosen(value, lines, set(names[:7])) == {*names[:7], names[-1]}
    assert laggards.chosen(value, lines[:2], ()) == set()


def test_a_laggard_is_folded_in_goes_of_bounded_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laggards, "_effort", lambda _fleet, _line: 0.04)
    value = fleet(component())
    lines = [spectrum(i, 100.0 * i) for i in range(9)]
    plan = planned(value, lines, CLOCK)
    one = laggards.alone(value, SLOW)
    one.give(list(laggards.part(SLOW, plan.segments)), 10)
    goes = 0
    while not one.is_done:
        assert one.offset == value.offset
        segments = one.next()
        assert 1 <= sum(len(each.lines) for each in segments) <= 3
        one.did(segments, walked(one.fleet, segments).fleet)
        goes += 1
    assert goes >= 3
    assert one.offset == 10
    assert state(one.fleet).cycles.item() == 900.0


async def test_an_inspection_of_one_that_lags_behind_is_durable_and_told_not_to_be_believed_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_for(monkeypatch, SLOW)
    held = Held(monkeypatch)
    monkeypatch.setattr("twin.api.inspections.BELIEVED_S", 0.1)
    body = {"crack_length": 4.0, "unit": "mm", "time": "2026-01-01T00:05:00Z"}
    async with house(tmp_path / "data") as home:
        await home.register(SLOW)
        waiting = asyncio.create_task(home.load(SLOW))
        assert await asyncio.to_thread(held.begun.wait, 30)
        answers = [
            await home.http.post(
                f"/api/v1/components/{SLOW}/inspections",
                json=body,
                headers={"Idempotency-Key": "one"},
            )
            for _ in range(2)
        ]
        assert [answer.status_code for answer in answers] == [202, 200]
        assert [answer.json()["outcome"] for answer in answers] == ["accepted", "duplicate"]
        assert not answers[0].json()["believed"]
        page = await home.json(f"components/{SLOW}/state")
        assert page["inspection"] is None
        held.on.set()
        await asyncio.gather(waiting, return_exceptions=True)
        await home.service.until(home.service.committer.end)
        page = await home.json(f"components/{SLOW}/state")
        assert page["inspection"]["crack_length"] == 0.004


async def test_a_stop_does_not_wait_for_laggards_where_somebody_is_caught_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_for(monkeypatch, SLOW)
    held = Held(monkeypatch)
    soon = {
        "lateness_s": 5.0,
        "backfill_behind_s": 60.0,
        "backfill_quiet_s": 0.0,
        "backfill_every_s": 1.0,
    }
    async with house(tmp_path / "data", ingest=soon) as home:
        await home.register(SLOW, "plant/press-2")
        await home.load("plant/press-2", minute=60.0)
        waiting = asyncio.create_task(home.load(SLOW, minute=60.0))
        assert await asyncio.to_thread(held.begun.wait, 30)
        await home.load("plant/press-2", minute=1.0)  # late: it is caught up
        backfill = home.service.backfill
        async with asyncio.timeout(30.0):
            while backfill._swap is None:  # noqa: ASYNC110  nothing tells of it
                await asyncio.sleep(0.02)
        waiting.cancel()
        threading.Timer(4.0, held.on.set).start()
        began = time.monotonic()
        await home.service.stepping.stop()
        await backfill.close()
        assert time.monotonic() - began < 2.0
