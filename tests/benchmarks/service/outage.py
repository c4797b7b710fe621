"""How much the broker of a deployment holds for a twin that is away, and whether it gives it back.

    python -m tests.benchmarks.service.outage   # deploy/mosquitto.conf, to its limit
    python -m tests.benchmarks.service.outage --least 1500 --most 1500
    python -m tests.benchmarks.service.outage --part 16   # limits 16 times smaller

A mosquitto with the shipped files (TLS, users, access list, persistence) is filled while the twin
is away, until it drops the first message and some beyond; then the twin comes back and takes all of
it. Printed: what was queued, the broker's memory for each, and how often the broker ended a
connection meanwhile. Loads of 350 to 720 bytes reach the limits on bytes and on messages nearly
together, where the memory is the largest. It takes minutes, and as much memory as the broker may.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from sensors.errors import BrokerError
from sensors.mqtt.packets import Message
from sensors.mqtt.publisher import Publisher
from sensors.mqtt.settings import MqttSettings
from sensors.mqtt.source import MqttSource
from sensors.topics import Topics
from tests.conftest import tool
from tests.deploy.test_broker import DEPLOY, Broker, prepared

BEYOND = 1000  # messages after the first that is dropped
PORTION = 5000  # messages between two looks at the broker's log
PARTS = 500
LIMITS = ("max_queued_messages", "max_queued_bytes", "memory_limit")
DROPPED = "Outgoing messages are being dropped"
PATIENCE_S = 900.0
QUIET_S = 10.0  # without a message: nothing more comes


class Measured(NamedTuple):
    """What one filling and emptying gave."""

    sent: int
    delivered: int
    payload: float  # [byte] mean
    each: float  # [byte] of the broker's memory for one message
    full: int  # [byte] that the broker counts with a full queue; `memory_limit` bounds that
    resident: int  # [byte] of its process at most
    state: int  # [byte] of its state on disk at most
    cuts_of_sensors: int  # connections that the broker ended
    cuts: int  # the same, while the twin took back what was queued
    took_s: float  # to empty it

    def __str__(self) -> str:
        return (
            f"sent {self.sent:,} of {self.payload:.0f} bytes on average until some were dropped; "
            f"delivered {self.delivered:,} in {self.took_s:.0f} s\n"
            f"a message takes {self.each:.0f} bytes of memory; the broker counted "
            f"{self.full / 2**20:.0f} MiB, its process had {self.resident / 2**20:.0f} MiB, its "
            f"state on disk {self.state / 2**20:.0f} MiB\n"
            f"the broker ended {self.cuts_of_sensors} connections of the sensors and {self.cuts} "
            "of the twin"
        )


def smaller(part: int) -> dict[str, str]:
    """The shipped limits, so many times smaller, of a broker that tells of its memory at once."""
    text = (DEPLOY / "mosquitto.conf").read_text()
    limits = {}
    for name in LIMITS:
        shipped = re.search(rf"^{name} (\d+)$", text, re.MULTILINE)
        assert shipped is not None, name
        limits[name] = str(int(shipped[1]) // part)
    return limits | {"sys_interval": "1"}


async def measured(
    directory: Path, least: int, most: int, changes: Mapping[str, str], count: int | None = None
) -> Measured:
    """Fill the shipped broker with loads of so many bytes, and empty it."""
    told = directory / "told"  # as it happens: what goes to its standard output waits
    broker = Broker(tool("mosquitto"), prepared(directory), {"log_dest": f"file {told}", **changes})
    try:
        async with _twin(broker, []) as twin:
            await twin.ready()
        before = await _counted(broker)
        peaks = [0, 0]
        watching = asyncio.create_task(_watch(broker, peaks))
        sent, cuts_of_sensors = await _filled(broker, told, least, most, count)
        full = await _counted(broker)
        cuts: list[BrokerError] = []
        began = time.monotonic()
        delivered, last = await _emptied(broker, cuts)
        watching.cancel()
    finally:
        broker.stop()
    each = (full - before) / max(1, delivered)
    mean = (least + most) / 2
    took_s = last - began
    return Measured(
        sent=sent,
        delivered=delivered,
        payload=mean,
        each=each,
        full=full,
        resident=peaks[0],
        state=peaks[1],
        cuts_of_sensors=cuts_of_sensors,
        cuts=len(cuts),
        took_s=took_s,
    )


async def _filled(
    broker: Broker, told: Path, least: int, most: int, count: int | None
) -> tuple[int, int]:
    """Publish until the broker drops some, and some beyond; how many, and how often it cut us."""
    sent, cuts = 0, list[BrokerError]()
    mqtt = _settings(broker, "plant-a")
    loads = _loads(least, most)
    async with Publisher(
        mqtt, window=2000, on_change=lambda e: cuts.append(e) if e else None
    ) as site:
        async with asyncio.timeout(PATIENCE_S):
            while sent < count if count is not None else not _drops(told):
                sent += await site.flood([next(loads) for _ in range(PORTION)])
            sent += await site.flood([next(loads) for _ in range(BEYOND)])
    return sent, len(cuts)


def _drops(told: Path) -> bool:
    """Whether the broker says that it drops messages."""
    return DROPPED in told.read_text()


async def _emptied(broker: Broker, cuts: list[BrokerError]) -> tuple[int, float]:
    """Take all that is queued; how much, and when the last came."""
    delivered, last = 0, time.monotonic()
    with suppress(TimeoutError):
        async with _twin(broker, cuts) as twin, asyncio.timeout(QUIET_S) as patience:
            async for batch in twin.batches():
                delivered += len(batch)
                twin.acknowledge(batch)
                last = time.monotonic()
                patience.reschedule(asyncio.get_running_loop().time() + QUIET_S)
    return delivered, last


def _twin(broker: Broker, cuts: list[BrokerError]) -> MqttSource:
    """As the service connects."""
    topics = Topics()
    return MqttSource(
        _settings(broker, "twin"),
        topics.subscriptions,
        wide=topics.everything,
        beside=topics.beside,
        on_change=lambda error: cuts.append(error) if error else None,
    )


def _settings(broker: Broker, user: str) -> MqttSettings:
    return MqttSettings(
        port=broker.port,
        client_id=user,
        username=user,
        password=f"{user}-password",
        tls_ca=broker.directory / "broker.crt",
    )


def _loads(least: int, most: int) -> Iterator[Message]:
    chance, text = random.Random(0), b"7" * most
    number = 0
    while True:
        topic = Topics().load(f"plant-a/press-{number % PARTS:03d}")
        yield Message(topic, text[: chance.randint(least, most)], "application/json")
        number += 1


async def _counted(broker: Broker) -> int:
    """The memory [byte] that the broker says it has, which is that of up to a second ago."""
    found: list[int] = []
    mqtt = replace(_settings(broker, "viewer"), session_expiry_s=0)  # what was is not asked
    topic = "$SYS/broker/heap/current"
    heard = asyncio.Event()

    def listened(message: Message, is_retained: bool) -> None:
        if message.topic == topic and not is_retained:
            found.append(int(message.payload))
            heard.set()

    async with MqttSource(mqtt, [topic]) as source:
        source._signed = listened  # type: ignore[method-assign]  # the broker's own topics
        await asyncio.wait_for(heard.wait(), 60.0)
    return found[-1]


async def _watch(broker: Broker, peaks: list[int]) -> None:
    """Note the most that the process, and its state on disk, have had."""
    while True:
        peaks[:] = map(max, peaks, _sizes(broker))
        await asyncio.sleep(0.1)


def _sizes(broker: Broker) -> tuple[int, int]:
    resident = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{broker.process.pid}/status").read_text())
    state = broker.directory / "state" / "mosquitto.db"
    size = state.stat().st_size if state.exists() else 0
    return int(resident[1]) << 10 if resident else 0, size


def main() -> None:
    """Measure once, and print."""
    parser = argparse.ArgumentParser(description="What the shipped broker holds, and gives back.")
    parser.add_argument("--least", type=int, default=350, help="bytes of the smallest load")
    parser.add_argument("--most", type=int, default=720, help="bytes of the largest load")
    parser.add_argument("--count", type=int, help="messages; to the broker's limit if not given")
    parser.add_argument("--part", type=int, default=1, help="limits so many times smaller")
    parser.add_argument("--set", action="append", default=[], help="key=value of mosquitto.conf")
    chosen = parser.parse_args()
    changes = smaller(chosen.part) | dict(pair.split("=", 1) for pair in chosen.set)
    with tempfile.TemporaryDirectory() as place:
        found = asyncio.run(measured(Path(place), chosen.least, chosen.most, changes, chosen.count))
    print(found)


if __name__ == "__main__":
    main()
