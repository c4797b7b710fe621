"""The publisher: a process of its own, its messages made before the clock starts."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from multiprocessing.connection import Connection
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from sensors.mqtt.packets import Message
from sensors.mqtt.publisher import Publisher
from sensors.mqtt.settings import MqttSettings
from tests.benchmarks.service.traffic import Plan, messages

SPAWN = multiprocessing.get_context("spawn")


class Published(NamedTuple):
    """When messages were handed to the socket; `time.perf_counter`, which all processes share."""

    began: float
    sent: NDArray[np.float64]  # (count,) of each message if they were paced, else empty


class Publication:
    """One plan, ready to be published."""

    def __init__(self, port: int, plan: Plan) -> None:
        self._pipe, far = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_publish, args=(far, port, plan))

    def __enter__(self) -> Self:
        self._process.start()
        self._pipe.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.join(10)
        self._process.kill()

    def start(self) -> None:
        """Publish."""
        self._pipe.send(None)

    def published(self) -> Published:
        """Wait until the broker has taken everything."""
        began, sent = self._pipe.recv()
        return Published(began, sent)


def _publish(pipe: Connection, port: int, plan: Plan) -> None:
    asyncio.run(_published(pipe, port, plan))


async def _published(pipe: Connection, port: int, plan: Plan) -> None:
    made = messages(plan)
    settings = MqttSettings(port=port, client_id=f"{plan.root.replace('/', '-')}-publisher")
    async with Publisher(settings) as publisher:
        await publisher.publish(f"{plan.root}/warm", b"")
        pipe.send(None)
        pipe.recv()
        began = time.perf_counter()
        if plan.rate_hz is None:
            await publisher.flood(made)
            sent = np.empty(0)
        else:
            sent = await _paced(publisher, made, plan.rate_hz)
    pipe.send((began, sent))


async def _paced(publisher: Publisher, made: list[Message], rate_hz: float) -> NDArray[np.float64]:
    """Send at a rate, a millisecond's worth at a time; when each was handed over."""
    sent, done, began = np.empty(len(made)), 0, time.perf_counter()
    while done < len(made):
        now = time.perf_counter()
        due = min(int((now - began) * rate_hz) + 1, len(made))
        for i in range(done, due):
            sent[i] = time.perf_counter()
            await publisher.send(made[i])
        done = due
        await asyncio.sleep(0.001)
    await publisher.drain()
    return sent
