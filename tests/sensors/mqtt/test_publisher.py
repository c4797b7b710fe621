import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from sensors.errors import BrokerError
from sensors.mqtt.packets import CONNACK, Message, PacketError
from sensors.mqtt.publisher import Publisher
from sensors.mqtt.settings import MqttSettings
from tests.brokers import Broker, FakeBroker, puback
from tests.sensors.mqtt.test_source import LIMIT_S, Log, numbered, numbers, ready, taken


def settings(port: int, **changes: Any) -> MqttSettings:
    quick = MqttSettings(port=port, client_id="publisher", backoff_s=(0.02, 0.2))
    return dataclasses.replace(quick, **changes)


def greeting(*properties: int) -> bytes:
    return bytes((CONNACK, 3 + len(properties), 0, 0, len(properties), *properties))


@pytest.mark.parametrize(("code", "is_refused"), [(0x10, False), (0x7F, False), (0x80, True)])
async def test_a_message_is_refused_from_reason_0x80_on(code: int, is_refused: bool) -> None:
    async with (
        FakeBroker(answer=lambda mid: puback(mid, code)) as broker,
        Publisher(settings(broker.port)) as p,
    ):
        if is_refused:
            with pytest.raises(BrokerError, match="t/x: refused"):
                await p.publish("t/x", b"1")
        else:
            await p.publish("t/x", b"1")
        assert (p.acknowledged, p.refused) == ((0, 1) if is_refused else (1, 0))


@pytest.mark.parametrize(
    ("code", "words"), [(0x87, "Not authorized"), (0x97, "Quota exceeded"), (0xFE, "0xfe")]
)
async def test_a_refusal_is_put_in_words(code: int, words: str) -> None:
    async with (
        FakeBroker(answer=lambda mid: puback(mid, code)) as broker,
        Publisher(settings(broker.port)) as p,
    ):
        with pytest.raises(BrokerError, match=words):
            await p.publish("t/x", b"1")


async def test_a_flood_counts_what_was_refused() -> None:
    async with (
        FakeBroker(answer=lambda mid: puback(mid, 0x97 if mid % 4 == 0 else None)) as broker,
        Publisher(settings(broker.port), window=10) as p,
    ):
        assert await p.flood(numbered(range(100))) == 75
        assert (p.acknowledged, p.refused, p.pending) == (75, 25, 0)


async def test_what_was_not_acknowledged_is_sent_again_in_order() -> None:
    left = 5

    def answer(mid: int) -> bytes | None:
        nonlocal left
        left -= 1
        return None if left == -1 else puback(mid)  # takes five, cuts the connection once

    async with FakeBroker(answer=answer) as broker, Publisher(settings(broker.port)) as p:
        async with asyncio.timeout(LIMIT_S):
            assert await p.flood(numbered(range(20))) == 20
        assert p.connections == 2
    first, second = broker.received
    assert numbers(first[:5]) == [0, 1, 2, 3, 4]
    assert numbers(second) == list(range(numbers(second)[0], 20))
    assert numbers(second)[0] <= 5


async def test_no_more_are_on_their_way_than_the_broker_allows() -> None:
    async with (
        FakeBroker(greeting(0x21, 0, 3)) as broker,
        Publisher(settings(broker.port)) as p,
        asyncio.timeout(LIMIT_S),
    ):
        assert await p.flood(numbered(range(30))) == 30
        assert p.connections == 1
    assert broker.most == 3
    assert numbers(broker.received[0]) == list(range(30))


class Stingy(FakeBroker):
    """Answers nothing on the first connection, and then allows two messages at a time."""

    def __init__(self) -> None:
        super().__init__(answer=self._taken)

    def _taken(self, mid: int) -> bytes | None:
        if len(self.received) == 1:
            self.greeting, self.most = greeting(0x21, 0, 2), 0
            return None if mid == 10 else b""
        return puback(mid)


async def test_after_a_reconnect_the_allowance_holds_too() -> None:
    async with (
        Stingy() as broker,
        Publisher(settings(broker.port), window=10) as p,
        asyncio.timeout(LIMIT_S),
    ):
        assert await p.flood(numbered(range(10))) == 10
    assert broker.most == 2
    assert numbers(broker.received[1]) == list(range(10))


@pytest.mark.parametrize(("size", "is_refused"), [(90, False), (91, True)])
async def test_a_packet_larger_than_the_broker_takes_is_not_sent(
    size: int, is_refused: bool
) -> None:
    async with (
        FakeBroker(greeting(0x27, 0, 0, 0, 100)) as broker,  # the packet has 10 bytes more
        Publisher(settings(broker.port)) as p,
    ):
        if is_refused:
            with pytest.raises(PacketError, match="101 bytes, the broker takes 100"):
                await p.publish("t/x", bytes(size))
        else:
            await p.publish("t/x", bytes(size))
        await p.publish("t/x", b"it goes on")


async def test_a_broker_that_answers_no_ping_is_left() -> None:
    log = Log()
    async with (
        FakeBroker(pongs=False) as broker,
        Publisher(settings(broker.port, keepalive_s=1), on_change=log) as p,
    ):
        await log.failures()
        assert p.connections == 1
    assert "no answer within 1 s" in log.errors[0]


async def test_a_flood_goes_on_through_a_restart_of_the_broker(tmp_path: Path) -> None:
    log = Log()
    with Broker(tmp_path) as broker:
        async with (
            ready(dataclasses.replace(settings(broker.port), client_id="source")) as source,
            Publisher(settings(broker.port), on_change=log) as p,
        ):
            flood = asyncio.create_task(p.flood(numbered(range(20_000))))
            seen = set(numbers(await taken(source, 1000)))
            broker.stop()
            await log.failures()
            broker.start()
            async with asyncio.timeout(LIMIT_S):
                assert await flood == 20_000
                async for batch in source.batches():
                    source.acknowledge(batch)
                    seen |= set(numbers(batch))
                    if len(seen) == 20_000:
                        break


async def test_a_retained_message_waits_for_who_comes_later(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        async with Publisher(settings(broker.port)) as p:
            await p.publish("t/state", b"5", retain=True)
        async with ready(dataclasses.replace(settings(broker.port), client_id="late")) as source:
            assert await taken(source, 1) == [
                Message("t/state", b"5", token=1 << 18 | 1 << 2 | 1, held=13)
            ]
