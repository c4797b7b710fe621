"""A sensor whose clock is ahead is refused; a host whose clock is behind refuses nobody."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from sensors.mqtt.packets import Message
from sensors.mqtt.source import MqttSource
from tests.twin.fakes import PRESS, House, house
from twin.ingest import intake
from twin.ingest.own_clock import FleetTime, HeldError, OwnClock

HOUR_NS = 3600 * 10**9
SHAFT = "plant/shaft-1"


class Wall:
    """A wall clock that can be set; it goes on by itself."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.off_ns, real = 0, time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: real() + self.off_ns)


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    return Wall(monkeypatch)


class Feed:
    """A broker's messages, handed over when they are sent."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[list[Message]] = asyncio.Queue()
        self.acknowledged: list[Message] = []
        self.connected, self.trouble = True, None

    def send(self, *messages: Message) -> None:
        self._queue.put_nowait(list(messages))

    async def batches(self) -> AsyncIterator[list[Message]]:
        while True:
            yield await self._queue.get()

    def acknowledge(self, messages: Sequence[Message]) -> None:
        self.acknowledged += messages


def message(seq: int, t_ns: int, component: str = PRESS, source: str = "daq") -> Message:
    body: dict[str, Any] = {"source": source, "boot": 1, "seq": seq, "t_ns": t_ns, "unit": "MPa"}
    body["cycles"] = [[100.0, 50.0, 10]]
    return Message(f"twin/v1/{component}/load", json.dumps(body).encode(), "application/json")


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.01)


async def fed(home: House, feed: Feed) -> asyncio.Task[None]:
    return asyncio.create_task(home.service.intake.run(cast(MqttSource, feed)))


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_host_whose_clock_is_an_hour_behind_holds_everything_and_names_it(
    tmp_path: Path, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "HOLD_S", 0.05)
    async with house(tmp_path / "data") as home:
        await home.register(PRESS, SHAFT)
        feed, now_ns = Feed(), time.time_ns()
        wall.off_ns = -HOUR_NS
        reading = await fed(home, feed)
        feed.send(*(message(i, now_ns + i, c) for i in range(3) for c in (PRESS, SHAFT)))
        await until(lambda: home.service.intake.clock_trouble is not None)
        page = (await home.http.get("/readyz")).json()
        assert (page["ready"], page["checks"]["clock"]) == (False, False)
        assert "this host's clock is 3600 s behind" in page["clock_trouble"]
        assert feed.acknowledged == []
        assert len(home.service.store.journal.dead_letters) == 0
        wall.off_ns = 0  # NTP
        await until(lambda: len(feed.acknowledged) == 6)
        assert home.service.intake.clock_trouble is None
        assert len(home.service.store.journal.dead_letters) == 0
        assert (await home.http.get("/readyz")).status_code == 200
        await ended(reading)


async def test_a_sensor_whose_clock_is_ahead_is_refused_while_another_agrees(
    tmp_path: Path,
) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS, SHAFT)
        feed, now_ns = Feed(), time.time_ns()
        reading = await fed(home, feed)
        feed.send(message(0, now_ns, SHAFT))
        feed.send(message(0, now_ns + HOUR_NS))
        await until(lambda: len(feed.acknowledged) == 2)
        (kept,) = home.service.store.journal.dead_letters.list()
        assert (kept.letter.reason, home.service.intake.clock_trouble) == ("ahead", None)
        await ended(reading)


async def test_what_was_held_is_refused_once_somebody_agrees_with_this_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "HOLD_S", 0.05)
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        feed, now_ns = Feed(), time.time_ns()
        reading = await fed(home, feed)
        feed.send(*(message(i, now_ns + HOUR_NS) for i in range(3)))
        await until(lambda: home.service.intake.clock_trouble is not None)
        for i in range(2):
            feed.send(message(i, time.time_ns(), source="other"))
            await asyncio.sleep(0.6)
        await until(lambda: len(feed.acknowledged) == 5)
        assert len(home.service.store.journal.dead_letters) == 3
        assert home.service.intake.clock_trouble is None
        await ended(reading)


async def test_a_stray_beside_who_agrees_with_this_clock_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came with the proof was judged twice: the second time its strays were no news."""
    monkeypatch.setattr(intake, "HOLD_S", 3600.0)
    strays = [Message(f"twin/v1/plant/{name}/loads", b"{}", "") for name in ("s-1", "s-2")]
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        feed, now_ns = Feed(), time.time_ns()
        reading = await fed(home, feed)
        feed.send(*(message(i, now_ns + HOUR_NS) for i in range(3)))
        await until(lambda: home.service.intake.clock_trouble is not None)
        for i in range(2):
            await asyncio.sleep(0.6)
            feed.send(message(i, time.time_ns(), source="other"), strays[i])
        await until(lambda: len(feed.acknowledged) == 7)
        reasons = [kept.letter.reason for kept in home.service.store.journal.dead_letters.list()]
        assert sorted(reasons) == ["ahead", "ahead", "ahead", "topic", "topic"]
        await ended(reading)


@pytest.mark.parametrize(("sources", "is_held"), [(4, False), (5, True), (6, True)])
def test_this_clock_is_in_doubt_where_more_than_half_are_ahead(
    sources: int, *, is_held: bool
) -> None:
    own = OwnClock(lambda: FleetTime(0, 9, 20), 60 * 10**9)
    for i in range(sources):
        own.ahead((PRESS, f"daq-{i}"))
    if is_held:
        with pytest.raises(HeldError, match=f"that of {sources} sources"):
            own.require_believed(time.time_ns() + HOUR_NS)
    else:
        own.require_believed(time.time_ns() + HOUR_NS)


def agree(own: OwnClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two messages a second apart, when they were made."""
    real, now_ns = time.monotonic_ns, time.time_ns()
    own.on_time((PRESS, "other"), now_ns - 10**9)
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic_ns", lambda: real() + 10**9)
        own.on_time((PRESS, "other"), now_ns)


def test_what_is_made_up_for_passes_a_wrong_clock_by_and_does_not_agree_with_it() -> None:
    """An hour of the past in a moment, then the present: this clock is an hour behind."""
    own, now_ns = OwnClock(lambda: FleetTime(0, 1, 1), 60 * 10**9), time.time_ns()
    for minute in range(-60, 1):
        own.on_time((PRESS, "daq"), now_ns + minute * 60 * 10**9)
    for _ in range(3):
        own.ahead((PRESS, "daq"))
    with pytest.raises(HeldError, match="the only source"):
        own.require_believed(now_ns + HOUR_NS)


def test_a_watermark_ahead_of_this_clock_says_that_it_was_set_back(
    wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = OwnClock(lambda: FleetTime(time.time_ns() + HOUR_NS, 9, 20), 60 * 10**9)
    agree(own, monkeypatch)
    own.ahead((PRESS, "daq"))
    own.require_believed(time.time_ns() + HOUR_NS)  # not set since somebody agreed
    wall.off_ns = -HOUR_NS
    with pytest.raises(HeldError):
        own.require_believed(time.time_ns() + HOUR_NS)
