"""CPU time of the reading end for each QoS 1 message of 200 bytes, against a real mosquitto.

Each reader is a process of its own and so is the publisher, so that the reader's CPU time is
its own. Run as `python -m tests.benchmarks.service.mqtt_read [messages]`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiomqtt

from sensors.mqtt.packets import Message
from sensors.mqtt.publisher import Publisher
from sensors.mqtt.settings import MqttSettings
from sensors.mqtt.source import MqttSource
from tests.brokers import Broker

PAYLOAD = b"x" * 200
Reader = Callable[[int, int, Connection], Coroutine[Any, Any, None]]


async def ours(port: int, n: int, told: Connection) -> None:
    """The durable source, every batch acknowledged."""
    settings = MqttSettings(port=port, client_id="ours", session_expiry_s=0)
    async with MqttSource(settings, ["b/#"]) as source:
        await _ready(told, lambda: source.connected)
        seen, began, cpu = 0, 0.0, 0.0
        async for batch in source.batches():
            if not seen:
                began, cpu = time.perf_counter(), time.process_time()
            seen += len(batch)
            source.acknowledge(batch)
            if seen >= n:
                break
    told.send((time.perf_counter() - began, time.process_time() - cpu))


async def plain(port: int, n: int, told: Connection) -> None:
    """A plain aiomqtt client that only counts; paho acknowledges."""
    v5 = aiomqtt.ProtocolVersion.V5
    async with aiomqtt.Client("127.0.0.1", port, identifier="plain", protocol=v5) as client:
        await client.subscribe("b/#", qos=1)
        await _ready(told, lambda: True)
        seen, began, cpu = 0, 0.0, 0.0
        async for _ in client.messages:
            if not seen:
                began, cpu = time.perf_counter(), time.process_time()
            seen += 1
            if seen >= n:
                break
    told.send((time.perf_counter() - began, time.process_time() - cpu))


async def _ready(told: Connection, is_connected: Callable[[], bool]) -> None:
    while not is_connected():  # noqa: ASYNC110  a benchmark may poll
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)  # the subscription
    told.send(None)


def _read(reader: Reader, port: int, n: int, told: Connection) -> None:
    asyncio.run(reader(port, n, told))


async def _publish(port: int, n: int) -> float:
    began = time.process_time()
    async with Publisher(MqttSettings(port=port, client_id="publisher")) as publisher:
        await publisher.flood(Message(f"b/{i % 1000}", PAYLOAD) for i in range(n))
    return (time.process_time() - began) / n


def measured(reader: Reader, port: int, n: int) -> tuple[float, float, float]:
    """Messages a second, CPU time a message read [s], CPU time a message published [s]."""
    told, teller = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(
        target=_read, args=(reader, port, n, teller)
    )
    process.start()
    told.recv()
    published = asyncio.run(_publish(port, n))
    took, cpu = told.recv()
    process.join()
    return n / took, cpu / n, published


def main() -> None:
    """Print the table."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    with tempfile.TemporaryDirectory() as directory, Broker(Path(directory)) as broker:
        print(f"{'reader':<22}{'messages/s':>12}{'read µs':>10}{'publish µs':>12}")
        for name, reader in (("aiomqtt async for", plain), ("MqttSource", ours)) * 3:
            rate, cpu, published = measured(reader, broker.port, n)
            print(f"{name:<22}{rate:>12,.0f}{cpu * 1e6:>10.1f}{published * 1e6:>12.1f}")


if __name__ == "__main__":
    main()
