"""A retained state goes with its component, also if the broker was away just then."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import aiomqtt

from sensors.mqtt.packets import Message
from tests.brokers import Broker
from tests.end_to_end.test_strays import LIMIT_S, message, publish, service
from tests.twin.fakes import PRESS
from twin.service import Service

LOAD = f"twin/v1/{PRESS}/load"


async def retained(port: int) -> dict[str, bytes]:
    """What a newcomer is given of the twin's states."""
    found: dict[str, bytes] = {}
    v5 = aiomqtt.ProtocolVersion.V5
    async with aiomqtt.Client("127.0.0.1", port, protocol=v5) as client:
        await client.subscribe("twin/v1/+/+/state")
        await client.subscribe("end")
        await client.publish("end", b"")
        async for seen in client.messages:
            if seen.topic.value == "end":
                return found
            if seen.retain and isinstance(seen.payload, bytes):
                found[seen.topic.value] = seen.payload
    raise AssertionError("the broker hung up")


async def until_retained(port: int, claim: Callable[[dict[str, bytes]], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not claim(await retained(port)):  # noqa: ASYNC110  a broker tells nobody
            await asyncio.sleep(0.05)


def load(seq: int) -> Message:
    return message(LOAD, seq=seq, cycles=[[300.0, 200.0, 2000]])


def cycles(found: dict[str, bytes]) -> list[float]:
    return [json.loads(state)["cycles"] for state in found.values()]


async def change(it: Service, *, retired: bool) -> None:
    now = it.fleet.components[PRESS]
    await it.register([now.model_copy(update={"revision": now.revision + 1, "retired": retired})])


async def test_a_retired_component_leaves_no_state_and_has_one_again_when_it_is_back(
    tmp_path: Path,
) -> None:
    with Broker(tmp_path) as broker:
        async with service(tmp_path / "data", broker.port) as it:
            await until_retained(broker.port, lambda found: cycles(found) == [0.0])
            await publish(broker.port, load(1))
            await until_retained(broker.port, lambda found: cycles(found) == [2000.0])
            (state,) = (await retained(broker.port)).values()
            assert json.loads(state)["crack_length"] > 0.002
            await publish(broker.port, message(LOAD, seq=2, cycles=[[1.0, 1.0, 1]]))
            await until_retained(broker.port, lambda found: cycles(found) == [2001.0])
            await change(it, retired=True)
            await until_retained(broker.port, lambda found: not found)
            await change(it, retired=False)
            await until_retained(broker.port, lambda found: len(found) == 1)


async def test_a_component_that_was_retired_while_the_broker_was_away_leaves_no_state(
    tmp_path: Path,
) -> None:
    with Broker(tmp_path) as broker:
        async with service(tmp_path / "data", broker.port) as it:
            await publish(broker.port, load(1))
            await until_retained(broker.port, lambda found: len(found) == 1)
            broker.stop()
            await change(it, retired=True)
        broker.start()
        assert len(await retained(broker.port)) == 1
        async with service(tmp_path / "data", broker.port):
            await until_retained(broker.port, lambda found: not found)
