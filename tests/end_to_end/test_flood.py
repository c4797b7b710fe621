"""Memory stays bounded while the disk crawls and the broker floods, and everything arrives."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sensors.mqtt.packets import Message
from sensors.mqtt.publisher import Publisher
from sensors.mqtt.settings import MqttSettings
from sensors.observation import Series
from sensors.payload.encode import load_message
from tests.brokers import Broker
from tests.end_to_end.disk import Disk
from tests.end_to_end.harness import Arrangement, Twin, subscribed
from tests.end_to_end.traffic import fleet
from twin.belief.segments import Line
from twin.ingest.queue import LineQueue

FLEET = fleet(200)[::5]  # one cohort, without retardation: stepping shall not be what is slow
MEBIBYTE = 1 << 20
IN_FLIGHT = MEBIBYTE  # what may be read from the broker and not yet durable
WAITING = 500  # observations that may be durable and not yet stepped
SAMPLES, COUNT = 1000, 6000  # of a message, 9 kB as MessagePack; of messages, 54 MB
GROWTH = 80 * MEBIBYTE  # measured: 33, and 205 without the bounds; copies and free lists included
CONFIG = f"in_flight_bytes = {IN_FLIGHT}\nqueue_observations = {WAITING}"
SPARING = "flush_every_s = 600.0\ncheckpoint_every_s = 600.0"
START_NS = time.time_ns() - 86_400 * 10**9


def series(seq: int, component: str = FLEET[0]["name"], samples: int = SAMPLES) -> Series:
    """Some samples of a wave."""
    wave = 60e6 + 25e6 * np.sin(np.arange(samples) / 7.0)  # [Pa]
    return Series(
        component=component,
        source="daq-1",
        boot=1,
        seq=seq,
        t_ns=START_NS + seq * 10**6,  # close together: no record tick passes meanwhile
        quantity="stress",
        rate_hz=100.0,
        tension=wave.astype("<f8").tobytes(),
    )


def messages(numbers: Sequence[int]) -> list[Message]:
    """The same for all components in turn, so that a step has something in common to do."""
    plain = [
        load_message(series(i // len(FLEET), FLEET[i % len(FLEET)]["name"]), form="msgpack")
        for i in numbers
    ]
    return [Message(m.topic, m.payload, m.content_type or "") for m in plain]


async def flood(port: int, numbers: Sequence[int]) -> None:
    """Publish as fast as the broker takes it."""
    async with Publisher(MqttSettings(port=port, client_id="flood")) as publisher:
        taken = await publisher.flood(messages(numbers))
    assert taken == len(numbers)


def test_memory_is_bounded_while_the_disk_crawls_and_the_broker_floods(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "disk")
    arrangement = Arrangement(storage=SPARING, ingest=CONFIG, environment=disk.environment)
    most = depth = 0.0

    def kept(twin: Twin, count: int) -> bool:
        nonlocal most, depth
        most = max(most, twin.memory())
        depth = max(depth, twin.metric('twin_queue_depth{queue="stepping"}'))
        return twin.journal_end() >= len(FLEET) + count

    (tmp_path / "broker").mkdir()
    with (
        Broker(tmp_path / "broker") as broker,
        Twin(tmp_path / "twin", broker.port, FLEET, arrangement) as twin,
    ):
        twin.start()
        twin.until(lambda: subscribed(broker), "subscribes")
        asyncio.run(flood(broker.port, range(200)))  # every path once, before memory is compared
        twin.until_kept(200)
        before = twin.memory()
        disk.crawl(0.2)
        asyncio.run(flood(broker.port, range(200, COUNT)))
        twin.until(lambda: kept(twin, COUNT // 4), "keeps a quarter, slowly")
        assert twin.journal_end() < COUNT, "the disk was not slow enough to show anything"
        disk.heal()
        twin.until(lambda: kept(twin, COUNT), "keeps everything")
        assert twin.readiness() == 200
    assert most - before < GROWTH
    assert depth <= 2 * (WAITING + IN_FLIGHT / (8 * SAMPLES))  # as much is in hand, being stepped


async def test_lines_wait_up_to_a_number_and_a_size() -> None:
    line = Line("a/b", series(0))
    for capacity, capacity_bytes in ((2, 10**9), (10**9, 16 * SAMPLES)):
        queue = LineQueue(capacity, capacity_bytes)
        await queue.put([line])
        await queue.put([line])  # below the bound until now
        third = asyncio.create_task(queue.put([line]))
        await asyncio.sleep(0)
        assert (len(queue), queue.bytes, third.done()) == (2, 16 * SAMPLES, False)
        assert await queue.take(1) == [line]
        await third
        assert (len(queue), queue.bytes) == (2, 16 * SAMPLES)
        assert len(await queue.take(10)) == 2
        assert (len(queue), queue.bytes) == (0, 0)
