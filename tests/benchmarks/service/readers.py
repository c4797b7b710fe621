"""Two yardsticks: readers that do nothing but count, each a process of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from typing import Any, Self, cast

import aiomqtt
import numpy as np
from numpy.typing import NDArray

from sensors.mqtt.packets import connect
from tests.benchmarks.service.publishing import SPAWN

Reader = Callable[[Connection, int, str, int], Coroutine[Any, Any, None]]


class Reading:
    """A reader that has subscribed."""

    def __init__(self, reader: Reader, port: int, topics: str, count: int) -> None:
        self._pipe, far = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_read, args=(reader, far, port, topics, count))

    def __enter__(self) -> Self:
        self._process.start()
        self._pipe.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def arrivals(self) -> NDArray[np.float64]:
        """Wait for the last message; when each was counted, or the last alone."""
        found: NDArray[np.float64] = self._pipe.recv()
        return found


def _read(reader: Reader, pipe: Connection, port: int, topics: str, count: int) -> None:
    asyncio.run(reader(pipe, port, topics, count))


async def plain(pipe: Connection, port: int, topics: str, count: int) -> None:
    """A plain aiomqtt client that counts; paho acknowledges by itself."""
    v5 = aiomqtt.ProtocolVersion.V5
    async with aiomqtt.Client("127.0.0.1", port, identifier="plain", protocol=v5) as client:
        await client.subscribe(topics, qos=1)
        pipe.send(None)
        seen = 0
        async for _ in client.messages:
            seen += 1
            if seen == count:
                break
        pipe.send(np.array([time.perf_counter()]))


async def bare(pipe: Connection, port: int, topics: str, count: int) -> None:
    """A protocol of our own that cuts packets, acknowledges and counts."""
    loop = asyncio.get_running_loop()
    counter = Counter(topics, count, loop)
    await loop.create_connection(lambda: counter, "127.0.0.1", port)
    await counter.subscribed
    pipe.send(None)
    await counter.done
    times, counts = zip(*counter.pieces, strict=True)
    pipe.send(np.repeat(np.array(times), counts))


class Counter(asyncio.Protocol):
    """As little of MQTT 5 as counts QoS 1 messages."""

    def __init__(self, topics: str, count: int, loop: asyncio.AbstractEventLoop) -> None:
        self.subscribed: asyncio.Future[None] = loop.create_future()
        self.done: asyncio.Future[None] = loop.create_future()
        self.pieces: list[tuple[float, int]] = []  # when how many messages were counted
        self._topics, self._left = topics.encode(), count
        self._rest = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(connect("bare", None, None, 60))

    def data_received(self, data: bytes) -> None:
        data, at, acks = self._rest + data, 0, []
        end = len(data)
        while end - at >= 5:
            first, length, body = data[at], data[at + 1], at + 2
            shift = 7
            while data[body - 1] > 127:  # the next byte of the length
                length = length & ((1 << shift) - 1) | data[body] << shift
                shift, body = shift + 7, body + 1
            if body + length > end:
                break
            if first >> 4 == 3:
                mid = body + 2 + (data[body] << 8 | data[body + 1])
                acks.append(data[mid : mid + 2])
            else:
                self._answered(first)
            at = body + length
        self._rest = data[at:]
        if acks:
            self._transport.write(b"".join([b"\x40\x02" + mid for mid in acks]))
            self._left -= len(acks)
            self.pieces.append((time.perf_counter(), len(acks)))
            if self._left <= 0 and not self.done.done():
                self.done.set_result(None)

    def _answered(self, first: int) -> None:
        if first == 0x20:  # CONNACK
            topic = len(self._topics).to_bytes(2, "big") + self._topics + b"\x01"
            body = b"\x00\x01\x00" + topic
            self._transport.write(bytes((0x82, len(body))) + body)
        elif first == 0x90 and not self.subscribed.done():  # SUBACK
            self.subscribed.set_result(None)
