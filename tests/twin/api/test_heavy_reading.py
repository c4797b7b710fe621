"""Heavy reading is bounded in memory, and nothing that comes in waits for it."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from PIL import Image

from sensors.mqtt.packets import Message
from sensors.mqtt.source import MqttSource
from sensors.observation import Snapshot
from sensors.payload.encode import image_message
from storage.errors import CorruptError
from storage.journal.entry import DeadLetter
from storage.journal.journal import Journal
from tests.twin.fakes import PRESS, REGISTRATION, T0_NS, House, house
from twin.api import dead_letters as letters
from twin.api import states
from twin.api.application import application
from twin.api.context import Context
from twin.api.image_index import ImageIndex
from twin.forecast.forecast import Answer

HISTORY = f"components/{PRESS}/history"
WAIT_S = 10.0


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path / "data") as opened:
        await opened.register(PRESS)
        for minute in range(8):
            await opened.load(minute=float(minute))
        yield opened


@asynccontextmanager
async def blocked(home: House, count: int) -> AsyncIterator[None]:
    """All threads of readers are busy, and more wait."""
    gate, begun = threading.Event(), threading.Semaphore(0)

    def slow() -> bool:
        begun.release()
        return gate.wait(30)

    reads = Context(home.service).reads
    tasks = [asyncio.ensure_future(reads.ask(slow)) for _ in range(count)]
    try:
        for _ in range(2):
            assert await asyncio.to_thread(begun.acquire, timeout=WAIT_S)
        yield
    finally:
        gate.set()
        await asyncio.gather(*tasks)


class Source:
    """One batch, and what was acknowledged."""

    def __init__(self, batch: list[Message]) -> None:
        self.acknowledged = asyncio.Event()
        self._batch = batch

    async def batches(self) -> AsyncIterator[list[Message]]:
        yield self._batch

    def acknowledge(self, _: object) -> None:
        self.acknowledged.set()


async def test_what_comes_in_waits_for_no_reader(home: House) -> None:
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "PNG")
    snapshot = Snapshot(
        component=PRESS,
        source="camera",
        boot=0,
        seq=0,
        t_ns=T0_NS,
        kind="microstructure",
        sha256="",
        media_type="image/png",
        width=8,
        height=8,
        pixel_size=5e-5,
    )
    sent = image_message(snapshot, file.getvalue())
    batch = [Message(sent.topic, sent.payload, sent.content_type or "", sent.properties)]
    assert home.service.inbox.is_heavy(batch), "it would not leave the loop"
    source = Source(batch)
    async with blocked(home, 12), asyncio.timeout(WAIT_S):
        await home.service.intake.run(cast(MqttSource, source))
        await source.acknowledged.wait()
        assert (await home.http.get("/metrics")).status_code == 200
        assert (await home.get(f"components/{PRESS}/state")).status_code == 200
        await home.inspect(minute=9.0)
    assert len(home.service.store.images) == 1


async def test_a_registration_waits_for_no_forecast(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    monkeypatch.setattr("twin.api.forecast.forecast", lambda *_: gate.wait(30) and Answer({}, {}))
    path = f"/api/v1/components/{PRESS}/forecast"
    body = {"unit": "Pa", "cycles": [[1e8, 5e7, 1000.0]]}
    asking = [asyncio.ensure_future(home.http.post(path, json=body)) for _ in range(4)]
    try:
        async with asyncio.timeout(WAIT_S):
            put = await home.http.put("/api/v1/components/a/new", json=REGISTRATION)
        assert put.status_code == 201
        assert not any(task.done() for task in asking)
    finally:
        gate.set()
        await asyncio.gather(*asking)


@pytest.mark.parametrize(
    "geometry", [{"kind": "edge_crack", "W": 0.1}, {"kind": "plate", "W": 0.1}]
)
async def test_a_forecast_that_takes_too_long_is_given_up(
    home: House, monkeypatch: pytest.MonkeyPatch, geometry: dict[str, Any]
) -> None:
    await home.register("a/slow", geometry=geometry, crack_length=0.01)
    monkeypatch.setattr("twin.api.forecast.LONGEST_S", 0.0)
    path, body = "/api/v1/components/a/slow/forecast", {"unit": "Pa", "cycles": [[1e8, 5e7, 1.0]]}
    answer = await home.http.post(path, json=body)
    assert answer.status_code == 422
    assert "takes more than 0 s: ask for a nearer horizon" in answer.json()["detail"]
    monkeypatch.setattr("twin.api.forecast.LONGEST_S", 60.0)
    home.service.is_stopping = True
    answer = await home.http.post(path, json=body)
    assert (answer.status_code, answer.json()["detail"]) == (503, "the service is stopping")
    home.service.is_stopping = False
    assert (await home.http.post(path, json=body)).status_code == 200


async def test_a_reader_with_many_questions_does_not_keep_another_from_his(home: House) -> None:
    app = application(home.service)

    def client(address: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app, client=(address, 1))
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

    async with client("10.0.0.1") as greedy, client("10.0.0.2") as other:
        many = [asyncio.ensure_future(greedy.get(f"/api/v1/{HISTORY}")) for _ in range(40)]
        await asyncio.sleep(0)
        answer = await other.get(f"/api/v1/{HISTORY}")
        refused = [(await task).status_code for task in many].count(429)
        metrics = (await other.get("/metrics")).text
    assert f'twin_http_refused_total{{reason="overloaded"}} {float(refused)}' in metrics
    assert answer.status_code == 200
    assert refused >= 20, "one client had more than half of all places"


@pytest.mark.parametrize("media", ["application/json", "text/csv"])
async def test_a_long_history_comes_in_pages_that_join_to_the_whole(
    home: House, monkeypatch: pytest.MonkeyPatch, media: str
) -> None:
    fields = "fields=crack_length,cycles,last_evidence"
    whole = (await home.get(f"{HISTORY}?{fields}", accept=media)).text
    monkeypatch.setattr(states, "CELLS", 15)  # three rows of time, what is read along, and fields
    monkeypatch.setattr(states, "VALUES", 2)
    parts, following = list[str](), None
    while True:
        start = f"&from={following}" if following else ""
        answer = await home.get(f"{HISTORY}?{fields}{start}", accept=media)
        parts.append(answer.text)
        following = answer.headers.get("x-next-from")
        if following is None:
            break
    assert len(parts) == 3
    assert _joined(parts, media) == _joined([whole], media)
    assert len(_joined([whole], media)) >= 7


def _joined(pages: list[str], media: str) -> list[Any]:
    """The rows of all pages."""
    if media == "text/csv":
        assert len({page.splitlines()[0] for page in pages}) == 1
        return [row for page in pages for row in page.splitlines()[1:]]
    columns = [json.loads(page)["columns"] for page in pages]
    return [row for page in columns for row in zip(*page.values(), strict=True)]


async def test_an_empty_history_is_whole(home: House) -> None:
    empty = f"{HISTORY}?to=1999-01-01T00:00:00Z&fields=cycles"
    page = (await home.get(empty)).json()
    assert page["columns"] == {"time": [], "cycles": []}
    assert (await home.get(empty, accept="text/csv")).text == "time,cycles\n"


async def test_a_page_of_letters_is_bounded_in_bytes_and_the_pages_join(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "PAGE_BYTES", 40_000)
    large = {f"p{i}": "x" * 100_000 for i in range(3)} | {f"q{i}": "y" for i in range(100)}
    many = [DeadLetter(T0_NS, "t" * 9_000, "json", f"{i}", b"{", "", large) for i in range(12)]
    journal = home.service.store.journal
    await home.service.threads.journal(lambda: journal.append((), many, now_ns=T0_NS))
    told, sizes, query = list[str](), list[int](), "limit=1000"
    while True:
        answer = await home.get(f"dead-letters?{query}")
        page = answer.json()
        sizes.append(len(answer.content))
        told += [item["sentence"] for item in page["items"]]
        for item in page["items"]:
            assert len(item["properties"]) == letters.PROPERTIES
            assert max(map(len, item["properties"].values())) == letters.SHOWN
        if page["next"] is None:
            break
        query = f"limit=1000&before={page['next']}"
    assert told == [str(i) for i in reversed(range(12))]
    assert max(sizes) < 2 * 40_000
    assert len(sizes) > 3


def test_retention_beside_a_reader_is_no_damage() -> None:
    class Pruned:
        """A journal whose beginning goes while it is read."""

        start, end = 0, 7

        def __init__(self) -> None:
            self.damage = list[str]()

        def following(self, _: int) -> int:
            return self.end

        def read(self, *_: int, **__: bool) -> list[Any]:
            if not self.start:
                self.start = 7
                raise CorruptError("entries 0 to 6 are lost")
            return []

    class Damaged(Pruned):
        def read(self, *_: int, **__: bool) -> list[Any]:
            raise CorruptError("entries 0 to 6 are lost")

    pruned, damaged = Pruned(), Damaged()
    album = ImageIndex(cast(Journal, pruned))
    assert [album.look(), album.look()] == [False, True]
    assert pruned.damage == []
    assert ImageIndex(cast(Journal, damaged)).look()
    (told,) = damaged.damage
    assert "lines 0 to 6" in told


async def test_bodies_that_are_not_answered_yet_fill_no_memory(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twin.api.middleware.BODIES", 8)
    app = application(home.service)
    hold = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"[" * 200_000  # four pieces
        await hold.wait()

    path, headers = "/api/v1/components/a/b", {"content-type": "application/json"}
    bodies = [_put(app, path, slowly, headers) for _ in range(3)]
    done, waiting = await asyncio.wait(bodies, timeout=1.0, return_when=asyncio.ALL_COMPLETED)
    assert [task.result().status_code for task in done] == [429, 429]
    hold.set()
    assert [(await task).status_code for task in waiting] == [400]


def _put(app: Any, path: str, body: Any, headers: dict[str, str]) -> asyncio.Task[httpx.Response]:
    async def put() -> httpx.Response:
        transport = httpx.ASGITransport(app)  # it streams
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            return await http.put(path, content=body(), headers=headers)

    return asyncio.ensure_future(put())
