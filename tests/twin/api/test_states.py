"""What the API says of a component's state and history."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import nanoarrow
import pytest
from nanoarrow.ipc import InputStream

from tests.twin.fakes import PRESS, House, house
from twin.api.arrow import ARROW
from twin.api.schema import Described, History, Items, State
from twin.belief.status import FLAGS, STATUSES

HERE = f"components/{PRESS}"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path / "data") as opened:
        await opened.register(PRESS)
        yield opened


async def test_a_component_without_evidence_is_new(home: House) -> None:
    state = State.model_validate(await home.json(f"{HERE}/state"))
    assert (state.status, state.time, state.last_evidence) == ("new", None, None)
    assert (state.crack_length, state.crack_limit, state.cycles) == (0.002, 0.03, 0.0)
    assert (state.remaining_cycles, state.remaining_cycles_is) == (None, "unknown")
    assert state.inspection is None


async def test_a_loaded_crack_has_grown(home: House) -> None:
    await home.load(count=1000.0)
    state = State.model_validate(await home.json(f"{HERE}/state"))
    assert state.crack_length is not None
    assert state.crack_length > 0.002
    assert state.cycles == 1000.0
    assert state.growth_rate == pytest.approx((state.crack_length - 0.002) / 1000.0)
    assert str(state.last_evidence) == "2026-01-01 00:00:00+00:00"
    assert state.offset == 2


async def test_remaining_cycles_are_told_from_the_first_record_tick_on(home: House) -> None:
    for minute in (0.0, 1.0, 2.0):
        await home.load(minute=minute)
    state = State.model_validate(await home.json(f"{HERE}/state"))
    assert state.remaining_cycles_is == "finite"
    assert state.remaining_cycles is not None
    assert 1e5 < state.remaining_cycles < 1e6


async def test_a_load_below_the_gate_leaves_an_unbounded_life_as_null(home: House) -> None:
    for minute in (0.0, 1.0, 2.0):
        await home.load(minute=minute, span=0.0)
    state = State.model_validate(await home.json(f"{HERE}/state"))
    assert (state.remaining_cycles, state.remaining_cycles_is) == (None, "unbounded")


async def test_an_inspection_is_shown_with_its_innovation(home: House) -> None:
    await home.load()
    await home.inspect(minute=0.5, length=0.004)
    state = State.model_validate(await home.json(f"{HERE}/state"))
    assert state.inspection is not None
    assert state.inspection.crack_length == 0.004
    assert state.inspection.innovation == pytest.approx(0.002, rel=0.01)
    assert state.crack_length == 0.004


@pytest.mark.parametrize(
    ("length", "status"),
    [(0.0299, "stale"), (0.03, "limit"), (0.0301, "limit"), (0.2, "fractured")],
)
async def test_the_status_names_the_worst(home: House, length: float, status: str) -> None:
    await home.inspect(length=length)
    assert (await home.json(f"{HERE}/state"))["status"] == status


async def test_recent_evidence_is_ok(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS, stale_after_s=1e9)
        await home.load()
        assert (await home.json(f"{HERE}/state"))["status"] == "ok"


async def test_an_earlier_state_is_that_of_the_record_tick_before(home: House) -> None:
    for minute in (0.5, 1.5, 2.5, 3.5):
        await home.load(minute=minute)
    columns = (await home.json(f"{HERE}/history"))["columns"]
    then = State.model_validate(await home.json(f"{HERE}/state?at=2026-01-01T00:02:59Z"))
    assert str(then.time) == "2026-01-01 00:02:00+00:00"
    assert columns["time"][1] == "2026-01-01T00:02:00Z"
    assert then.crack_length == columns["crack_length"][1]
    assert then.status is None
    at_the_tick = await home.json(f"{HERE}/state?at=2026-01-01T02:02:00%2B02:00")
    assert at_the_tick == then.model_dump(mode="json") | {"time": "2026-01-01T00:02:00Z"} | {
        "last_evidence": "2026-01-01T00:01:30Z"
    }


async def test_nothing_is_known_before_the_first_record_tick(home: House) -> None:
    for minute in (0.5, 1.5):
        await home.load(minute=minute)
    answer = await home.get(f"{HERE}/state?at=2026-01-01T00:00:59Z")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/missing")


@pytest.mark.parametrize(
    "at",
    ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-01-01T00:00:00", "yesterday", "", "١"],
)
async def test_a_strange_time_is_refused_with_its_name(home: House, at: str) -> None:
    answer = await home.http.get(f"/api/v1/{HERE}/state", params={"at": at})
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/invalid"
    assert "at" in answer.json()["detail"]


async def test_the_history_goes_on_over_a_restart_without_a_gap_or_a_double(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        for minute in range(5):
            await home.load(minute=minute)
    async with house(tmp_path / "data") as home:
        home.seq = 100
        for minute in range(5, 9):
            await home.load(minute=minute)
        columns = (await home.json(f"{HERE}/history"))["columns"]
        assert columns["time"] == [f"2026-01-01T00:0{minute}:00Z" for minute in range(8)]
        lengths = columns["crack_length"]
        assert lengths == sorted(lengths)
        assert len(set(lengths)) == 8
        thinned = await home.json(f"{HERE}/history?every=3&fields=cycles")
        assert thinned["columns"] == {
            "time": [f"2026-01-01T00:0{minute}:00Z" for minute in (0, 3, 6)],
            "cycles": [1000.0, 4000.0, 7000.0],
        }


async def test_pages_of_a_history_join_without_a_gap(home: House) -> None:
    for minute in range(9):
        await home.load(minute=minute)
    whole = (await home.json(f"{HERE}/history?fields=cycles"))["columns"]["time"]
    times, start = [], "2026-01-01T00:00:00Z"
    while start:
        page = History.model_validate(
            raw := await home.json(f"{HERE}/history?fields=cycles&limit=3&from={start}")
        )
        assert len(page.columns["time"]) <= 3
        times += page.columns["time"]
        start = raw["next"]
    assert times == whole
    assert len(whole) == 8


async def test_a_history_ends_before_to(home: House) -> None:
    for minute in range(5):
        await home.load(minute=minute)
    page = await home.json(
        f"{HERE}/history?from=2026-01-01T00:01:00Z&to=2026-01-01T00:03:00Z&fields=cycles"
    )
    assert page["columns"]["time"] == ["2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z"]
    assert page["next"] is None


async def test_a_history_is_offered_as_csv(home: House) -> None:
    for minute in range(4):
        await home.load(minute=minute)
    answer = await home.get(f"{HERE}/history?fields=crack_length,last_evidence", Accept="text/csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    columns = (await home.json(f"{HERE}/history"))["columns"]
    assert [row["time"] for row in rows] == columns["time"]
    assert [float(row["crack_length"]) for row in rows] == columns["crack_length"]
    assert [row["last_evidence"] for row in rows] == columns["last_evidence"]


async def test_a_history_is_offered_as_arrow(home: House) -> None:
    for minute in range(4):
        await home.load(minute=minute)
    answer = await home.get(f"{HERE}/history", Accept=ARROW)
    assert answer.headers["content-type"] == ARROW
    stream = nanoarrow.ArrayStream(InputStream.from_readable(answer.content))
    table = stream.read_all()
    found = {field.name: table.child(i).to_pylist() for i, field in enumerate(table.schema.fields)}
    columns = (await home.json(f"{HERE}/history"))["columns"]
    assert list(found) == list(columns)
    for name in ("crack_length", "cycles"):
        assert found[name] == columns[name]
    for name in ("time", "last_evidence"):
        assert found[name] == [datetime.fromisoformat(text) for text in columns[name]]
    assert dict(table.schema.field(list(found).index("crack_length")).metadata) == {b"unit": b"m"}


async def test_a_history_of_nothing_is_an_arrow_stream_without_rows(home: House) -> None:
    answer = await home.get(f"{HERE}/history?to=2020-01-01T00:00:00Z", Accept=ARROW)
    assert len(nanoarrow.ArrayStream(InputStream.from_readable(answer.content)).read_all()) == 0


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/vnd.apache.parquet", 406),
        ("application/json;q=0", 406),
        ("text/*, application/json;q=0.1", 200),
        ("*/*", 200),
        ("", 200),
    ],
)
async def test_what_is_not_offered_is_refused(home: House, accept: str, status: int) -> None:
    answer = await home.get(f"{HERE}/history", Accept=accept)
    assert answer.status_code == status
    if status == 406:
        assert (
            "application/json, text/csv, application/vnd.apache.arrow.stream are"
            in answer.json()["detail"]
        )


async def test_an_unknown_field_is_named(home: House) -> None:
    answer = await home.get(f"{HERE}/history?fields=crack_length,colour")
    assert answer.status_code == 422
    assert "'colour'" in answer.json()["detail"]


async def test_a_damaged_shard_is_named_and_not_served(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        for minute in range(5):
            await home.load(minute=minute)
    shard = tmp_path / "data/trajectories.zarr/crack/cycles/c/0/0"
    async with house(tmp_path / "data") as home:
        data = bytearray(shard.read_bytes())
        data[40] ^= 0xFF  # within the chunk that is asked for
        shard.write_bytes(data)
        answer = await home.get(f"{HERE}/history?fields=cycles")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/damaged")
        assert "crack/cycles" in answer.json()["detail"]
        assert (await home.get(f"{HERE}/history?fields=crack_length")).status_code == 200


async def test_a_component_that_joined_later_has_no_rows_from_before(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        for minute in range(4):
            await home.load(minute=minute)
        await home.register("plant-a/late")
        for minute in range(4, 7):
            await home.load("plant-a/late", minute=minute)
        before = (await home.json("components/plant-a/late/history"))["columns"]
        assert before["time"][0] == "2026-01-01T00:03:00Z"  # the tick that was still open
    async with house(tmp_path / "data") as home:
        after = (await home.json("components/plant-a/late/history"))["columns"]
        assert {k: v[: len(before["time"])] for k, v in after.items()} == before


async def test_a_list_is_paged_by_name(home: House) -> None:
    names = [f"plant-b/part-{i}" for i in range(7)]
    await home.register(*names)
    cursor: str | None = ""
    found: list[str] = []
    while cursor is not None:
        page = await home.json(f"components?limit=3{cursor and f'&cursor={cursor}'}")
        Items.model_validate(page)
        found += [item["component"] for item in page["items"]]
        cursor = page["next"]
    assert found == [PRESS, *names]


async def test_a_list_is_filtered_by_site_and_status(home: House) -> None:
    await home.register("plant/x", "plant-a/zeta", "plant-ab/y")
    await home.inspect("plant-a/zeta", length=0.05)
    names = [i["component"] for i in (await home.json("components?site=plant-a"))["items"]]
    assert names == [PRESS, "plant-a/zeta"]
    page = await home.json("components?status=limit")
    assert [i["component"] for i in page["items"]] == ["plant-a/zeta"]
    both = await home.json("components?status=new&site=plant-a")
    assert [i["component"] for i in both["items"]] == [PRESS]
    assert (await home.json("components?site=elsewhere"))["items"] == []


async def test_the_list_and_the_state_agree(home: House) -> None:
    for minute in range(3):
        await home.load(minute=minute)
    state = await home.json(f"{HERE}/state")
    item = (await home.json("components"))["items"][0]
    assert {key: state[key] for key in item if key != "revision"} == {
        key: value for key, value in item.items() if key != "revision"
    }


async def test_an_empty_fleet_has_an_empty_list(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        nobody: dict[str, object] = {
            "items": [],
            "next": None,
            "total": 0,
            "counts": dict.fromkeys(STATUSES, 0),
            "flagged": dict.fromkeys(FLAGS, 0),
        }
        assert await home.json("components") == nobody
        assert await home.json("components?status=ok&sort=margin") == nobody


async def test_a_component_is_described_with_its_state(home: House) -> None:
    page = Described.model_validate(await home.json(HERE))
    assert page.registration.crack.geometry.W == 0.1
    assert page.state is not None
    assert page.state.component == PRESS


@pytest.mark.parametrize("what", ["", "/state", "/history", "/crack", "/forecast", "/images"])
async def test_an_unknown_component_is_a_404(home: House, what: str) -> None:
    answer = await home.get(f"components/plant-a/ghost{what}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "/problems/unknown-component",
        "title": "There is no such component",
        "status": 404,
        "detail": "component 'plant-a/ghost' is not registered",
    }
