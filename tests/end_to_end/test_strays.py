"""What is published to topics that match nothing is refused aloud; what the twin says is not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sensors.mqtt.packets import Message
from sensors.mqtt.publisher import Publisher
from sensors.mqtt.settings import MqttSettings
from sensors.mqtt.source import MqttSource
from storage.store import Store
from tests.brokers import Broker
from tests.twin.fakes import PRESS, REGISTRATION
from twin.component import Component, parsed
from twin.service import Service
from twin.serving import running
from twin.settings import settings

LIMIT_S = 20.0
BODY = {
    "source": "daq-3",
    "boot": 1,
    "seq": 1,
    "time": "2026-01-01T10:00:00Z",
    "unit": "MPa",
    "cycles": [[100.0, 50.0, 10]],
}
STRAYS = (
    "twin/v1/plant-a/press-1/loads",
    "twin/v1/press-1/load",
    "twin/v1/plant-a/press-1/load/extra",
    "twin/v1",
    "twin/v2/plant-a/press-1/load",
    "twin/plant-a/press-1/load",
    "Twin/v1/plant-a/press-1/load",
)


async def until(claim: Callable[[], Any]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not claim():  # noqa: ASYNC110  the service tells nobody
            await asyncio.sleep(0.01)


@asynccontextmanager
async def service(directory: Path, port: int, **mqtt: Any) -> AsyncIterator[Service]:
    """A service of one part at a broker."""
    table = {"port": port, "client_id": "twin-under-test", **mqtt}
    chosen = settings(storage={"directory": directory}, mqtt=table, http={"port": 0})
    with Store(directory) as store:
        async with running(chosen, store) as (it, _):
            await asyncio.wait_for(it.ready.wait(), LIMIT_S)
            await until(lambda: it.source is not None and it.source.connected)
            assert it.source is not None
            await asyncio.wait_for(it.source.ready(), LIMIT_S)
            if not it.fleet.components:
                registration = parsed(REGISTRATION)
                part = Component(
                    name=PRESS, revision=1, registered_by="api", registration=registration
                )
                await it.register([part])
            yield it


async def publish(port: int, *messages: Message) -> None:
    async with Publisher(MqttSettings(port=port, client_id="logger")) as publisher:
        assert await publisher.flood(messages) == len(messages)


def message(topic: str, **changes: Any) -> Message:
    return Message(topic, json.dumps(BODY | changes).encode(), "application/json")


def value(it: Service, name: str, **labels: str) -> float:
    return it.metrics.registry.get_sample_value(name, labels) or 0.0


def letters(it: Service) -> list[tuple[str, str]]:
    kept = it.store.journal.dead_letters.list()
    return [(k.letter.topic, k.letter.sentence) for k in kept]


async def test_every_message_that_matches_nothing_becomes_one_dead_letter(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        async with service(tmp_path / "data", broker.port) as it:
            strays = [message(topic) for topic in STRAYS]
            await publish(broker.port, *strays, message(f"twin/v1/{PRESS}/load"))
            await until(lambda: it.fleet.offset == 2)
            await until(lambda: len(it.store.journal.dead_letters) >= len(STRAYS))
            assert sorted(topic for topic, _ in letters(it)) == sorted(STRAYS)
            assert value(it, "twin_dead_letters_total", reason="topic") == len(STRAYS)
            right = f"publish to twin/v1/{PRESS}/load"
            says = dict(letters(it))
            assert all(right in says[STRAYS[i]] for i in (0, 4, 5, 6))
            # the load counted once, and what the twin said of it came back and was let be
            outcomes = "twin_observations_total"
            assert value(it, outcomes, kind="load", outcome="accepted") == 1
            assert value(it, outcomes, kind="load", outcome="duplicate") == 0


async def test_another_version_that_lives_beside_is_told_of_once_for_each_topic(
    tmp_path: Path,
) -> None:
    with Broker(tmp_path) as broker:
        async with service(tmp_path / "data", broker.port) as it:
            beside = [message(f"twin/v2/{PRESS}/load", seq=seq) for seq in range(50)]
            state = message(f"twin/v2/{PRESS}/state")
            last = message("twin/v1/plant-a/press-1/end")
            await publish(broker.port, *beside, state, last)
            await until(lambda: "end" in str(letters(it)))
            assert [topic for topic, _ in letters(it)] == [beside[0].topic, last.topic]


async def test_a_broker_that_lets_us_see_our_own_topics_only_still_serves_us(
    tmp_path: Path,
) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite twin/v1/+/+/load\ntopic write twin/v1/#\n")
    with Broker(tmp_path, extra=f"acl_file {acl}") as broker:
        async with service(tmp_path / "data", broker.port) as it:
            await publish(broker.port, message(STRAYS[0]), message(f"twin/v1/{PRESS}/load"))
            await until(lambda: it.fleet.offset == 2)
            assert letters(it) == []


async def test_the_watch_can_be_switched_off(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        async with service(tmp_path / "data", broker.port, watch_topics=False) as it:
            await publish(broker.port, message(STRAYS[0]), message(f"twin/v1/{PRESS}/load"))
            await until(lambda: it.fleet.offset == 2)
            assert letters(it) == []


async def test_a_session_of_an_earlier_release_gets_nothing_twice(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        old = MqttSettings(port=broker.port, client_id="twin-under-test")
        async with MqttSource(old, ["twin/v1/+/+/load"]) as source:
            await asyncio.wait_for(source.ready(), LIMIT_S)
        async with service(tmp_path / "data", broker.port) as it:
            loads = [message(f"twin/v1/{PRESS}/load", seq=seq) for seq in range(100)]
            await publish(broker.port, *loads)
            await until(lambda: it.fleet.offset == 101)
            again = value(it, "twin_observations_total", kind="load", outcome="duplicate")
            assert again <= 1  # what was published while the old subscription was being given up
