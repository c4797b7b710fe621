"""Drawings, images, events, dead letters, models, health and the dashboard."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import re
import shutil
import socket
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import httpx
import pytest
import uvicorn
from PIL import Image

from sensors.mqtt.settings import BRIEF, MqttSettings
from sensors.mqtt.source import MqttSource
from sensors.observation import Snapshot
from storage.journal.entry import DeadLetter
from tests.twin.fakes import PRESS, T0_NS, House, house
from twin import networks
from twin.api.application import application
from twin.api.context import Context
from twin.api.event_stream import EventStream
from twin.api.listing import SORTS
from twin.api.schema import LOAD_UNITS, Crack, Images
from twin.api.schema_service import Alive, Models, Ready, Resubmitted
from twin.belief.status import FLAGS, WORST_FIRST
from twin.broker_session import Gone
from twin.ingest.image_worker import default_reader
from twin.networks import DEFAULTS

HERE = f"components/{PRESS}"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path / "data", ingest={"read_images": False}) as opened:
        await opened.register(PRESS)
        yield opened


async def test_the_crack_is_told_as_coordinates(home: House) -> None:
    page = Crack.model_validate(await home.json(f"{HERE}/crack"))
    assert page.path == [[(0.0, 0.03), (0.002, 0.03)]]
    assert page.path_at_limit == [[(0.0, 0.03), (0.03, 0.03)]]
    assert page.outline == [(0.0, 0.0), (0.1, 0.0), (0.1, 0.06), (0.0, 0.06)]


async def test_the_crack_is_drawn_as_svg_and_png(home: House) -> None:
    drawing = await home.get(f"{HERE}/crack", Accept="image/svg+xml")
    root = ET.fromstring(drawing.content)
    words = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert PRESS in words
    assert "a = 2 mm" in words
    picture = await home.get(f"{HERE}/crack", Accept="image/png")
    assert picture.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(picture.content)).size == (720, 540)


async def snapshot(home: House, data: bytes, seq: int) -> str:
    digest = await home.service.threads.query(home.service.store.images.put, data)
    await home.service.observe(
        Snapshot(
            component=PRESS,
            source="camera",
            boot=1,
            seq=seq,
            t_ns=T0_NS + seq,
            sha256=digest,
            kind="crack",
            media_type="image/png",
            width=2,
            height=1,
            pixel_size=1e-6,
        )
    )
    return digest


def picture(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (2, 1), shade).save(file, "PNG")
    return file.getvalue()


async def test_images_are_listed_newest_first_and_given_as_they_came(home: House) -> None:
    data = [picture(shade) for shade in (10, 20, 30)]
    digests = [await snapshot(home, d, seq) for seq, d in enumerate(data)]
    await home.load()
    page = Images.model_validate(await home.json(f"{HERE}/images"))
    assert page.complete
    assert [image.sha256 for image in page.items] == digests[::-1]
    answer = await home.get(f"{HERE}/images/{digests[0]}")
    assert answer.content == data[0]
    assert answer.headers["content-type"] == "image/png"
    assert (
        await home.get(f"{HERE}/images/{digests[0]}", **{"If-None-Match": f'"{digests[0]}"'})
    ).status_code == 304
    fewer = await home.json(f"{HERE}/images?limit=2")
    assert (len(fewer["items"]), fewer["total"]) == (2, 3)


async def test_the_journal_is_looked_through_a_slice_at_a_time(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twin.api.image_index.SLICE", 2)
    monkeypatch.setattr("twin.api.images.SLICES", 1)
    digests = [await snapshot(home, picture(seq), seq) for seq in range(3)]
    seen = [await home.json(f"{HERE}/images") for _ in range(3)]
    assert [len(page["items"]) for page in seen] == [1, 3, 3]
    assert [page["complete"] for page in seen] == [False, True, True]
    assert seen[-1]["items"][0]["sha256"] == digests[-1]


async def test_an_image_that_is_not_there_is_a_404_and_a_damaged_one_a_503(home: House) -> None:
    answer = await home.get(f"{HERE}/images/{'0' * 64}")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/missing")
    assert (await home.get(f"{HERE}/images/..%2F..%2Fjournal")).status_code in (404, 422)
    digest = await snapshot(home, picture(1), 0)
    file = home.service.store.directory / "images" / digest[:2] / digest
    file.write_bytes(picture(2))
    answer = await home.get(f"{HERE}/images/{digest}")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/damaged")
    assert digest in answer.json()["detail"]


async def test_the_image_of_another_part_is_a_404(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "plant-a/press-2"
    await home.register(other)
    digest = await snapshot(home, picture(1), 0)
    answer = await home.get(f"components/{other}/images/{digest}")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/missing")
    assert f"{other} has no image" in answer.json()["detail"]
    assert (await home.get(f"{HERE}/images/{digest}")).status_code == 200
    monkeypatch.setattr("twin.api.images.SLICES", 0)  # the journal is long
    fresh = await snapshot(home, picture(2), 1)
    assert (await home.get(f"{HERE}/images/{fresh}")).status_code == 429
    assert (await home.get(f"{HERE}/images/{digest}")).status_code == 200


async def test_a_letter_is_taken_once_its_component_is_there(home: House) -> None:
    payload = json.dumps(
        {"source": "ndt", "boot": 1, "seq": 1, "time": "2026-01-01T00:00:00Z", "unit": "mm"}
        | {"crack_length": 5.0}
    ).encode()
    letter = DeadLetter(T0_NS, "twin/v1/plant-b/x/inspection", "component", "who?", payload)
    journal = home.service.store.journal
    await home.service.threads.journal(lambda: journal.append((), [letter], now_ns=T0_NS))
    number = (await home.json("dead-letters"))["items"][0]["id"]
    path = f"/api/v1/dead-letters/{number}/resubmit"
    refused = await home.http.post(path)
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/invalid")
    await home.register("plant-b/x")
    taken = await home.http.post(path)
    assert Resubmitted.model_validate(taken.json()).outcome == "accepted"
    assert (await home.http.post(path)).status_code == 404
    assert (await home.json("dead-letters"))["items"] == []


async def test_models_are_told_with_their_users(home: House) -> None:
    page = Models.model_validate(await home.json("models"))
    assert {"paris", "walker", "forman", "nasgro"} <= set(page.laws)
    assert [(c.law, c.geometry, c.components) for c in page.cohorts] == [
        ("ParisLaw", "EdgeCrack", 1)
    ]
    assert all(text for text in (*page.laws.values(), *page.materials.values()))


async def test_networks_are_told_with_what_they_learned_from_and_what_they_are_used_for(
    home: House,
) -> None:
    known = Models.model_validate(await home.json("models")).weights
    assert {name for name, one in known.items() if one.used_for} == {
        "crack-image", "crack-k", "crack-spiking",
    }  # fmt: skip  # a set
    for name, one in known.items():
        file = DEFAULTS / f"{name}.safetensors"
        assert one.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
        assert one.command.startswith(f"twin train {name} ")
        assert one.data["held_out"] == 108


async def test_the_networks_in_use_are_those_that_parts_and_settings_ask(tmp_path: Path) -> None:
    async def used(home: House) -> set[str]:
        known = Models.model_validate(await home.json("models")).weights
        return {name for name, one in known.items() if one.in_use}

    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        assert await used(home) == {"crack-image"}
        plate = {"kind": "plate", "W": 0.01}
        await home.register("lab/plate", geometry=plate, crack_length=1e-3, crack_limit=9e-3)
        assert await used(home) == {"crack-image", "crack-k", "crack-spiking"}
        known = Models.model_validate(await home.json("models")).weights
        assert known["crack-image"].version == default_reader().name
    async with house(tmp_path / "other", ingest={"read_images": False}) as home:
        assert await used(home) == set()


async def test_what_is_told_of_weights_is_what_the_process_works_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upgrade under a running service changes the files, and nothing that runs."""
    copied = tmp_path / "weights"
    shutil.copytree(DEFAULTS, copied)
    monkeypatch.setattr(networks, "DEFAULTS", copied)
    before = networks.identified("crack-k")
    shutil.copy(copied / "crack-image.safetensors", copied / "crack-k.safetensors")
    shutil.copy(copied / "crack-image.card.json", copied / "crack-k.card.json")
    async with house(tmp_path / "data") as home:
        told = Models.model_validate(await home.json("models")).weights["crack-k"]
    assert told.sha256 == before.sha256
    assert told.seed == networks.default("crack-k")[1]["seed"]


async def test_readiness_follows_the_disk_and_not_the_broker(home: House) -> None:
    answer = await home.http.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["broker"]) == (200, None)
    for part in (home.service.committer, home.service.archiver):
        part.is_available = False
        answer = await home.http.get("/readyz")
        assert answer.status_code == 503
        assert Ready.model_validate(answer.json()).ready is False
        part.is_available = True
    assert (await home.http.get("/readyz")).status_code == 200


async def test_readiness_follows_a_broker_that_ends_connection_after_connection(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stayed 200 while nothing got on."""
    source = MqttSource(MqttSettings(), ["t/#"])
    monkeypatch.setattr(home.service, "source", source)
    answer = await home.http.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["steady"]) == (200, True)
    for _ in range(BRIEF):
        source._patience.after(1.0)
    answer = await home.http.get("/readyz")
    page = Ready.model_validate(answer.json())
    assert (answer.status_code, page.ready, page.checks.steady) == (503, False, False)
    assert "\ntwin_broker_steady 0.0" in (await home.http.get("/metrics")).text


async def test_a_session_that_is_gone_is_told(home: House) -> None:
    sentence = "127.0.0.1:1883: the session 'twin' was not kept: it is another one"
    home.service.news.forgotten(Gone("fresh", sentence, 12.3))
    (event,) = [e for e in home.service.news.events.since(0)[0] if e.kind == "session"]
    assert event.data == {"why": "fresh", "away_s": 12, "reason": sentence}
    page = (await home.http.get("/metrics")).text
    assert '\ntwin_broker_sessions_gone_total{why="fresh"} 1.0' in page
    assert '\ntwin_broker_sessions_gone_total{why="lost"} 0.0' in page


async def test_before_recovery_only_health_is_told(home: House) -> None:
    home.service.ready.clear()
    assert (await home.http.get("/readyz")).status_code == 503
    assert Alive.model_validate((await home.http.get("/healthz")).json()).alive
    answer = await home.get("components")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/starting")
    home.service.ready.set()


def constant(page: str, name: str) -> list[str]:
    """A list of words in the dashboard's program."""
    found = re.search(rf"{name} = (\[.*?\])", page)
    assert found is not None
    return list(json.loads(found[1]))


async def test_the_dashboard_knows_the_words_of_this_service(home: House) -> None:
    page = (await home.http.get("/")).text
    assert constant(page, "WORST_FIRST") == list(WORST_FIRST)
    assert constant(page, "FLAGS") == list(FLAGS)
    assert set(constant(page, "UNITS")) <= set(LOAD_UNITS)
    offered = page[page.index('<select id="sort">') : page.index("</select>")]
    assert set(re.findall(r'value="(\w+)"', offered)) == set(SORTS)
    assert offered.index("status") < offered.index("margin")  # the worst first, unless told


async def test_the_dashboard_asks_nobody_else(home: House) -> None:
    answer = await home.http.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    links = re.findall(r"(?:src|href|url\()\s*=?\s*[\"']?(https?:)?//", answer.text)
    assert links == []
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_every_answer_forbids_guessing(home: House) -> None:
    for path in ("/", "/healthz", "/metrics", "/api/v1/components", "/nowhere"):
        assert (await home.http.get(path)).headers["x-content-type-options"] == "nosniff"


async def test_a_listener_is_told_that_it_missed_something(home: House) -> None:
    text = EventStream(Context(home.service)).text(0)
    assert await anext(text) == b"retry: 2000\n\n"
    assert b"event: missed" in await anext(text)
    await text.aclose()


async def test_a_silent_stream_beats(home: House) -> None:
    last_id = home.service.news.events.last_id
    text = EventStream(Context(home.service), heartbeat_s=0.01).text(last_id)
    await anext(text)
    assert await anext(text) == b": nothing new\n\n"
    assert await anext(text) == b": nothing new\n\n"
    home.service.news.events.added([("limit", PRESS, T0_NS, {})])
    news = [await anext(text) for _ in range(3)]
    assert any(b"event: limit" in line for line in news)
    await text.aclose()


@pytest.mark.parametrize("last", ["-1", "x", str(2**63)])
async def test_an_event_number_that_is_none_is_refused(home: House, last: str) -> None:
    assert (await home.get("events", **{"Last-Event-ID": last})).status_code == 422


@asynccontextmanager
async def served(home: House) -> AsyncIterator[httpx.AsyncClient]:
    """The service behind a real socket, for answers that do not end."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application(home.service), log_config=None, lifespan="off")
    config.timeout_graceful_shutdown = 5
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]  # leave pytest's
    serving = asyncio.create_task(server.serve([listener]))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1"
    try:
        async with httpx.AsyncClient(base_url=url) as client:
            yield client
    finally:
        server.should_exit = True
        await asyncio.wait_for(serving, 5)


async def test_a_live_stream_tells_news_and_ends_with_the_service(home: House) -> None:
    async with served(home) as client, client.stream("GET", "/events") as answer:
        lines = answer.aiter_lines()
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert await anext(lines) == "retry: 2000"
        await home.inspect(length=0.05)
        kinds: set[str] = set()
        while not kinds >= {"event: inspection", "event: limit"}:
            line = await anext(lines)
            kinds |= {line} if line.startswith("event:") else set()
        home.service.news.events.close()
        rest = [line async for line in lines]
        assert "event: missed" not in rest


@pytest.mark.parametrize("by_header", [True, False])
async def test_a_listener_resumes_where_it_left_off(home: House, *, by_header: bool) -> None:
    events = home.service.news.events
    events.added([("limit", PRESS, T0_NS, {"crack_length": float(i)}) for i in range(3)])
    first = str(events.last_id - 2)
    path = "/events" if by_header else f"/events?last_event_id={first}"
    headers = {"Last-Event-ID": first} if by_header else {}
    async with served(home) as client, client.stream("GET", path, headers=headers) as answer:
        told = [line async for line in _until(answer.aiter_lines(), f"id: {events.last_id}", 3)]
    assert [line for line in told if line.startswith("id:")] == [
        f"id: {events.last_id - 1}",
        f"id: {events.last_id}",
    ]
    data = json.loads(told[-1].removeprefix("data: "))
    assert data == {
        "kind": "limit",
        "component": PRESS,
        "time": "2026-01-01T00:00:00Z",
        "crack_length": 2.0,
    }


async def _until(lines: AsyncIterator[str], last: str, more: int) -> AsyncIterator[str]:
    """Lines up to the one that says `last`, and a few behind it."""
    left = more
    async for line in lines:
        yield line
        left -= line == last or left < more
        if left == 0:
            return
