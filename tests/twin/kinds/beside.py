"""Hours under load beside the cracks: run by `test_beside.py`, in a process that knows them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import tree
from storage.errors import UnavailableError
from storage.store import Store
from storage.trajectories.trajectories import Trajectories
from tests.twin import fleets
from tests.twin.belief.test_fold import assert_same_rows, mixed_lines
from tests.twin.fakes import MINUTE_NS, PRESS, REGISTRATION, T0_NS, House, house, wanted
from tests.twin.fleets import CLOCK, fleet, spectrum
from tests.twin.kinds.hours import Hours
from tests.twin.stepping.test_stepping import levels, rows_of, slow_for, stepped
from twin.archive.checkpoint import metadata, restored, tensors
from twin.archive.rebuild import rebuild
from twin.archive.recovery import recovered
from twin.archive.verify import checked
from twin.belief.fleet import EMPTY, Fleet, clock_of
from twin.belief.fold import folded
from twin.belief.lines import lines as lines_of
from twin.belief.record import RecordRow
from twin.belief.segments import Line
from twin.component import Component, parsed
from twin.kinds.catalogue import KINDS

OTHER = "plant-a/press-2"
CRACK = {k: v for k, v in REGISTRATION.items() if k not in ("calibration", "gauge")}
BOTH: dict[str, Any] = {"crack": CRACK, "hours": {"limit_h": 2.5}}
SLOW = "plant/press-1"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path / "data") as found:
        yield found


def assert_same_beliefs(one: Fleet, other: Fleet) -> None:
    """Everything of both kinds is the same to the bit."""
    assert one.sections.keys() == other.sections.keys()
    for group, section in one.sections.items():
        there = other.sections[group]
        assert section.places == there.places
        assert section.began == there.began
        for key, cohort in section.cohorts.items():
            for (name, a), (_, b) in zip(
                tree.leaves(cohort.state), tree.leaves(there.cohorts[key].state), strict=True
            ):
                assert np.array_equal(a.numpy(), b.numpy(), equal_nan=True), (group, key, name)


def component(name: str = SLOW, revision: int = 1, **parts: Any) -> Component:
    """One of `fleets`, with other parts of its registration."""
    found = fleets.component(name, revision)
    registration = parsed(found.registration.model_dump() | parts)
    return found.model_copy(update={"registration": registration})


def problems(directory: Path) -> list[str]:
    """What `twin check` finds."""
    found: list[str] = checked(directory)["problems"]
    return found


async def put(home: House, name: str, body: dict[str, Any], revision: int = 0) -> Any:
    headers = {"If-Match": f'"{revision}"'} if revision else {}
    return await home.http.put(f"/api/v1/components/{name}", json=body, headers=headers)


async def hours(home: House, name: str = PRESS) -> float | None:
    page = await home.json(f"components/{name}/state")
    return page["beside"]["hours"]["under_load"] if page["beside"] else None


def test_the_line_in_the_dict_is_all() -> None:
    assert isinstance(KINDS["hours"], Hours)
    assert parsed({"crack": CRACK}).model_dump()["hours"] is None
    assert parsed(REGISTRATION) == parsed({"crack": CRACK})


async def test_it_is_registered_stepped_and_shown_beside_a_crack(home: House) -> None:
    assert (await put(home, PRESS, BOTH)).status_code == 201
    assert (await put(home, OTHER, {"crack": CRACK})).status_code == 201
    assert await hours(home) == 0.0
    for name in (PRESS, OTHER):
        await home.load(name, minute=0.0)  # 1,000 cycles of 3.6 s each: one hour
        await home.load(name, minute=5.0)
    page = await home.json(f"components/{PRESS}/state")
    assert page["beside"] == {
        "hours": {
            "under_load": 2.0,
            "whole_hours": 2,
            "last_evidence": "2026-01-01T00:05:00Z",
            "at_limit": False,
            "ended": False,
        }
    }
    other = await home.json(f"components/{OTHER}/state")
    assert other["beside"] == {}
    assert (page["cycles"], page["crack_length"]) == (other["cycles"], other["crack_length"])
    await home.load(PRESS, minute=6.0)
    told = [e for e in home.service.news.events.since(0)[0] if e.kind == "limit"]
    assert [(e.component, dict(e.data)) for e in told] == [
        (PRESS, {"belief": "hours", "under_load": 3.0})
    ]
    metrics = (await home.http.get("/metrics")).text
    assert 'twin_component_hours_under_load{site="plant-a",component="press-1"} 3.0' in metrics
    assert metrics.count("twin_component_hours_under_load{") == 1
    labels = '{site="plant-a",component="press-1"}'
    for line in ("hours_whole_hours", "hours_at_limit", "hours_ended"):
        value = {"hours_whole_hours": "3.0", "hours_at_limit": "1.0", "hours_ended": "0.0"}[line]
        assert f"twin_component_{line}{labels} {value}\n" in metrics
    at_s = f"{(T0_NS + 6 * MINUTE_NS) / 1e9!r}"
    assert f"twin_component_hours_last_evidence_timestamp_seconds{labels} {at_s}\n" in metrics
    await home.load(PRESS, minute=7.0)
    await home.load(PRESS, minute=8.0)
    ended = [e for e in home.service.news.events.since(0)[0] if e.kind in ("ended", "fractured")]
    assert [(e.kind, dict(e.data)) for e in ended] == [
        ("ended", {"belief": "hours", "under_load": 5.0})
    ]
    part = await home.json(f"components/{PRESS}/state")
    assert (part["beside"]["hours"]["ended"], part["fractured"]) == (True, False)
    used = (await home.json("models"))["cohorts"]
    assert {(c["belief"], c["components"]) for c in used} == {("crack", 2), ("hours", 1)}


async def test_its_history_is_a_group_of_its_own(home: House) -> None:
    await put(home, OTHER, {"crack": CRACK})
    for minute in range(4):
        await home.load(OTHER, minute=float(minute))
    await put(home, PRESS, BOTH)
    for minute in range(4, 9):
        await home.load(PRESS, minute=float(minute), count=100.0)
    await home.load(OTHER, minute=20.0)
    whole = await home.json(f"components/{PRESS}/history?belief=hours")
    assert whole["units"]["under_load"] == "h"
    assert whole["units"]["last_evidence"] == "RFC 3339"
    cracks = await home.json(f"components/{PRESS}/history?fields=cycles")
    assert whole["columns"]["time"] == cracks["columns"]["time"]
    assert np.allclose(
        np.array(whole["columns"]["under_load"]) * 1000.0, cracks["columns"]["cycles"]
    )
    text = (await home.get(f"components/{PRESS}/history?belief=hours", accept="text/csv")).text
    assert text.splitlines()[0] == "time,under_load,whole_hours,last_evidence"
    assert all(row.split(",")[2].isdecimal() for row in text.splitlines()[1:])
    assert whole["columns"]["whole_hours"] == [int(h) for h in whole["columns"]["under_load"]]
    nothing = await home.json(f"components/{OTHER}/history?belief=hours")
    assert nothing["columns"]["time"] == []
    for query, says in (
        ("belief=hour", "belief 'hour': it must be one of crack, hours"),
        ("belief=hours&fields=cycles", "field 'cycles'"),
    ):
        answer = await home.get(f"components/{PRESS}/history?{query}")
        assert (answer.status_code, says in answer.json()["detail"]) == (422, True)


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ({"limit_h": -1.0}, "hours.limit_h is -1.0: it must be above 0"),
        ({"limit": 3.0}, "hours.limit is unknown: is hours.limit_h meant?"),
        ({"limit_h": 1e6}, "hours.limit_h is 1e+06: no machine runs a century"),
    ],
)
async def test_what_is_wrong_with_it_is_told_at_the_door(
    home: House, own: dict[str, Any], says: str
) -> None:
    answer = await put(home, PRESS, BOTH | {"hours": own})
    assert (answer.status_code, says in answer.json()["detail"]) == (422, True), answer.text


async def test_what_no_stepper_can_be_made_of_is_refused_and_takes_no_revision(home: House) -> None:
    unlucky = BOTH | {"hours": {"limit_h": 13.0}}
    for revision in (0, 1):
        answer = await put(home, PRESS, unlucky, revision)
        assert answer.status_code == 422, answer.text
        assert "hours: ValueError: no stepper can be made of it" in answer.json()["detail"]
        good = BOTH | {"hours": {"limit_h": 2.0 + revision}}
        assert (await put(home, PRESS, good, revision)).is_success
    assert (await home.json(f"components/{PRESS}"))["revision"] == 2


async def test_what_cannot_be_recorded_is_left_out_and_ends_nothing(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(home, PRESS, BOTH)

    def broken(*_: object) -> Any:
        raise ValueError("no columns today")

    monkeypatch.setattr(Hours, "columns", broken)
    for minute in range(3):
        await home.load(minute=float(minute))
    page = await home.json(f"components/{PRESS}/state")
    assert (page["cycles"], page["beside"]["hours"]["under_load"]) == (3000.0, None)
    found = await home.json(f"components/{PRESS}/history?belief=hours")
    assert found["columns"]["under_load"] == []
    assert (await home.json(f"components/{PRESS}/history"))["columns"]["cycles"]


async def test_it_is_added_changed_and_taken_away(home: House) -> None:
    await put(home, PRESS, {"crack": CRACK})
    await home.load(minute=0.0)
    await put(home, PRESS, BOTH, 1)
    assert await hours(home) == 0.0
    await home.load(minute=1.0)
    await put(home, PRESS, BOTH | {"hours": {"limit_h": 0.5}}, 2)
    page = await home.json(f"components/{PRESS}/state")
    assert (page["beside"]["hours"]["under_load"], page["cycles"]) == (1.0, 2000.0)
    assert page["beside"]["hours"]["at_limit"]
    told = [dict(e.data) for e in home.service.news.events.since(0)[0] if e.kind == "limit"]
    assert told == [{"belief": "hours", "under_load": 1.0}]
    await home.load(minute=2.5)  # the tick at two minutes passes
    await put(home, PRESS, {"crack": CRACK}, 3)
    await home.load(minute=3.0)
    assert (await home.json(f"components/{PRESS}/state"))["beside"] == {}
    await put(home, PRESS, BOTH, 4)
    assert await hours(home) == 0.0  # another belief
    await home.load(minute=30.0)
    kept = await home.json(f"components/{PRESS}/history?belief=hours")
    assert 1.0 in kept["columns"]["under_load"]


async def test_retired_and_back_it_begins_anew(home: House) -> None:
    await put(home, PRESS, BOTH)
    await home.load()
    headers = {"If-Match": "*"}
    assert (await home.http.delete(f"/api/v1/components/{PRESS}", headers=headers)).is_success
    assert "hours_under_load{" not in (await home.http.get("/metrics")).text
    await home.http.put(f"/api/v1/components/{PRESS}", json=BOTH, headers=headers)
    assert await hours(home) == 0.0


async def lived(directory: Path) -> None:
    """A store with both kinds, of which the second begins late."""
    async with house(directory) as home:
        await put(home, OTHER, {"crack": CRACK})
        for minute in range(4):
            await home.load(OTHER, minute=float(minute))
        await put(home, PRESS, BOTH)
        for minute in range(4, 12):
            await home.load(PRESS, minute=float(minute), count=50.0)
        await home.load(OTHER, minute=20.0)
        shutil.copytree(directory, directory.with_name("killed"))
        await home.service.archiver._checkpoint(
            home.service.fleet, home.service.clock, home.service.threads.journalling
        )
        shutil.copytree(directory, directory.with_name("checkpointed"))


async def test_a_kill_loses_nothing_and_a_checkpoint_brings_both_back(tmp_path: Path) -> None:
    await lived(tmp_path / "data")
    clock = clock_of(wanted(tmp_path))
    found, pages = [], []
    for name in ("data", "killed", "checkpointed"):
        with Store(tmp_path / name) as store:
            assert store.verify() == []
            entries = [entry for _, batch in store.journal.read(0) for entry in batch]
            whole = folded(EMPTY, lines_of(entries), clock)
            back = recovered(store, clock)
            assert back.damage == []
            assert_same_beliefs(back.fleet, whole.fleet)
            back.recorder.flush()
            assert store.trajectories.committed("hours") == back.fleet.recorded["hours"]
            assert store.trajectories.committed("crack") == back.fleet.rows
            assert back.fleet.recorded["hours"] < back.fleet.rows
            found.append(store.trajectories.read("hours", PRESS, ["under_load"])["under_load"])
        assert problems(tmp_path / name) == []
        async with house(tmp_path / name) as home:
            pages.append(await home.json(f"components/{PRESS}/state"))
            assert pages[-1]["beside"]["hours"]["under_load"] == pytest.approx(0.4)
    assert all(np.array_equal(one, found[0]) for one in found)
    assert pages[0] == pages[1] == pages[2]


async def test_rows_that_one_group_has_on_disk_and_another_has_not_are_in_every_history(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were in neither: the tail was that of the cracks."""
    await put(home, PRESS, BOTH)
    for minute in range(5):
        await home.load(PRESS, minute=float(minute), count=100.0)
    asked = f"components/{PRESS}/history?belief=hours"
    before = await home.json(asked)
    write = Trajectories.write

    def refusing(self: Trajectories, name: str, *args: Any) -> int:
        if name == "hours":
            raise UnavailableError("no space left")
        return write(self, name, *args)

    monkeypatch.setattr(Trajectories, "write", refusing)
    recorder = home.service.archiver._recorder
    with pytest.raises(UnavailableError):
        recorder.flush()
    assert recorder.flushed == recorder.waiting > 2
    assert await home.json(asked) == before
    monkeypatch.undo()
    recorder.flush()
    assert recorder.waiting == 0
    assert await home.json(asked) == before


async def test_a_rebuild_gives_both_kinds(tmp_path: Path) -> None:
    await lived(tmp_path / "data")
    found = []
    for _ in range(2):
        with Store(tmp_path / "data") as store:
            read = store.trajectories.read("hours", PRESS, ["under_load"])
            found.append(np.array([read["time"], read["under_load"]]))
            catalogue = store.journal.catalogue.arrays()
            assert catalogue["hours"] == store.trajectories.committed("hours")
        if len(found) == 1:
            rebuild(wanted(tmp_path / "data"), tmp_path / "data", None)
    began = found[1][0] >= found[0][0][0]  # in event time it is registered from the beginning
    assert np.array_equal(found[0], found[1][:, began])
    assert problems(tmp_path / "data") == []


async def test_damage_of_its_history_is_found_and_made_again(tmp_path: Path) -> None:
    await lived(tmp_path / "data")
    array = tmp_path / "data/trajectories.zarr/hours/under_load"
    shard = max((p for p in array.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    assert any("hours" in said for said in problems(tmp_path / "data"))
    async with house(tmp_path / "data") as home:
        assert await hours(home) == pytest.approx(0.4)
    async with house(tmp_path / "data") as home:  # the stop has written it anew
        whole = await home.json(f"components/{PRESS}/history?belief=hours")
        assert whole["columns"]["under_load"][-1] == pytest.approx(0.4)
    assert problems(tmp_path / "data") == []


def test_a_state_of_both_is_written_and_read() -> None:
    value = folded(mixed(), mixed_lines(40, 1), CLOCK).fleet
    back = restored(tensors(value), metadata(value, CLOCK))
    assert_same_beliefs(back, value)
    assert back.recorded == value.recorded


def mixed() -> Fleet:
    return fleet(
        component(hours={"limit_h": 3.0}),
        component("plant/press-2"),
        component("plant/beam", hours={"limit_h": 3.0, "cycle_s": 1.0}),
    )


@pytest.mark.parametrize("cuts", [[], [1, 7, 8, 30], list(range(1, 40))])
def test_how_the_journal_is_cut_changes_no_bit(cuts: list[int]) -> None:
    lines = mixed_lines(40, 2)
    lines[30:30] = [Line("plant/press-2", with_hours("plant/press-2", 2))]
    whole, value, rows = folded(mixed(), lines, CLOCK), mixed(), list[RecordRow]()
    for start, end in zip([0, *cuts], [*cuts, len(lines)], strict=True):
        part = folded(value, lines[start:end], CLOCK)
        value, rows = part.fleet, rows + part.rows
    assert_same_beliefs(value, whole.fleet)
    assert_same_rows(rows, whole.rows)


def with_hours(name: str, revision: int) -> Component:
    return component(name, revision, hours={"limit_h": 1.0})


async def test_who_is_overtaken_takes_both_along(monkeypatch: pytest.MonkeyPatch) -> None:
    slow_for(monkeypatch, SLOW)
    lines = mixed_lines(40, 1)
    lines[20:20] = [Line("plant/press-2", with_hours("plant/press-2", 2))]
    lines += [spectrum(100 + i, 400.0 + 60.0 * i) for i in range(5)]
    lines += [Line(SLOW, component(revision=9)), spectrum(200, 900.0), spectrum(201, 1000.0)]
    whole = folded(mixed(), lines, CLOCK)
    async with stepped(mixed(), lines, [7, 15, 33]) as (value, goes):
        found = await levels(value, whole.fleet.offset)
        assert_same_beliefs_of_each(value.fleet, whole.fleet)
        for one, other in zip(rows_of(goes), whole.rows, strict=True):
            assert one.groups.keys() == other.groups.keys()
            for group, columns in one.groups.items():
                for name, column in columns.items():
                    assert np.array_equal(column, other.groups[group][name], equal_nan=True)
    for level in found:
        until = folded(mixed(), lines[: level.offset - mixed().offset], CLOCK).fleet
        assert_same_beliefs_of_each(level, until)


def assert_same_beliefs_of_each(one: Fleet, other: Fleet) -> None:
    """All that is known of each component; what a row was that is vacant is not."""
    for group, section in one.sections.items():
        there = other.sections[group]
        assert section.places == there.places
        for name, place in section.places.items():
            a, b = section.cohorts[place.cohort].state, there.cohorts[place.cohort].state
            for (leaf, x), (_, y) in zip(tree.leaves(a), tree.leaves(b), strict=True):
                if len(x) == len(section.cohorts[place.cohort].members):
                    assert np.array_equal(
                        x[place.row].numpy(), y[place.row].numpy(), equal_nan=True
                    ), (name, leaf)


async def test_late_evidence_is_put_in_its_place_for_both(tmp_path: Path) -> None:
    soon = {"lateness_s": 5.0, "backfill_behind_s": 60.0, "backfill_quiet_s": 0.0}
    soon |= {"backfill_every_s": 1.0}
    async with house(tmp_path / "data", ingest=soon) as home:
        await put(home, PRESS, BOTH)
        await put(home, OTHER, {"crack": CRACK})
        await home.load(minute=0.0, count=100.0)
        await home.load(OTHER, minute=30.0)
        await home.load(minute=10.0, count=100.0)  # late
        page = await home.json(f"components/{PRESS}/state")
        for _ in range(300):
            page = await home.json(f"components/{PRESS}/state")
            if page["history_is"] == "complete":
                break
            await asyncio.sleep(0.1)
        assert page["history_is"] == "complete"
        assert page["beside"]["hours"]["under_load"] == 0.2
        await home.load(OTHER, minute=40.0)
        kept = await home.json(f"components/{PRESS}/history?belief=hours")
        times = [np.datetime64(t[:-1], "ns") for t in kept["columns"]["time"]]
        at = np.array([t.astype(np.int64) for t in times])
        late = at >= T0_NS + 11 * MINUTE_NS
        assert set(np.array(kept["columns"]["under_load"])[late]) == {0.2}
