"""A session that was taken from the service at a real broker is told, and nothing else is."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from pathlib import Path

from sensors.mqtt.packets import CONNACK, CONNECT, DISCONNECT, connect, varint
from tests.brokers import Broker
from tests.end_to_end.test_strays import message, publish, service, until, value
from twin.broker_session import WHYS, Gone
from twin.service import Service

NAME = "twin-under-test"
LOAD = "twin/v1/plant-a/press-1/load"
OFTEN = "sys_interval 1"  # so that the broker soon says since when it runs


def intrude(port: int, *, expiry_s: int) -> None:
    """Connect under the service's name, begin the session anew, and go."""
    packet = connect(NAME, None, None, 60)
    lasts = b"\x05\x11" + expiry_s.to_bytes(4, "big")
    body = packet[2:].replace(b"\x00\x3c\x00", b"\x00\x3c" + lasts, 1)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as taken:
        taken.sendall(bytes((CONNECT,)) + varint(len(body)) + body)
        assert taken.recv(4)[0] == CONNACK
        taken.sendall(bytes((DISCONNECT, 0)))
        while taken.recv(1024):
            pass


def gone(it: Service) -> dict[str, float]:
    return {why: value(it, "twin_broker_sessions_gone_total", why=why) for why in WHYS}


def told(it: Service) -> list[str]:
    return [str(e.data["why"]) for e in it.news.events.since(0)[0] if e.kind == "session"]


async def signed(it: Service, port: int) -> None:
    """Wait until what the broker said by now has been heard."""
    await publish(port, message(LOAD, seq=it.committer.end + 1))
    end = it.committer.end
    await until(lambda: it.committer.end > end)


async def test_what_was_kept_is_not_missed(tmp_path: Path) -> None:
    """A first start, restarts of the service, and of a broker that writes its state."""
    with Broker(tmp_path, extra=OFTEN) as broker:
        for _ in range(3):
            async with service(tmp_path / "data", broker.port) as it:
                await signed(it, broker.port)
                await asyncio.sleep(1.5)
                assert told(it) == []
            broker.stop()
            broker.start()
        async with service(tmp_path / "data", broker.port) as it:
            broker.stop()
            broker.start()
            source = it.source
            assert source is not None
            await until(lambda: source.connections == 2)
            await signed(it, broker.port)
            await asyncio.sleep(1.5)
            assert told(it) == []
            assert set(gone(it).values()) == {0.0}


async def test_a_session_that_was_taken_while_the_service_was_away_is_told(tmp_path: Path) -> None:
    with Broker(tmp_path, extra=OFTEN) as broker:
        async with service(tmp_path / "data", broker.port):
            await asyncio.sleep(3.5)  # the broker's age counts in whole seconds
        await publish(broker.port, *(message(LOAD, seq=n) for n in range(1, 101)))
        for expiry_s, n in ((0, 1), (1000, 2)):  # nothing is left behind, or an empty session
            intrude(broker.port, expiry_s=expiry_s)
            async with service(tmp_path / "data", broker.port) as it:
                await until(partial(told, it))
                assert told(it) == ["lost"], n
                assert gone(it)["lost"] == 1.0
                assert it.session is not None
                assert "another client has connected under our" in str(it.session.trouble)
        async with service(tmp_path / "data", broker.port) as it:
            await asyncio.sleep(1.5)
            assert told(it) == []  # once


async def test_a_session_that_is_taken_from_a_service_that_runs_is_told(tmp_path: Path) -> None:
    with Broker(tmp_path, extra=OFTEN) as broker:
        async with service(tmp_path / "data", broker.port) as it:
            await asyncio.sleep(3.5)
            intrude(broker.port, expiry_s=0)
            await until(lambda: told(it))
            assert told(it) == ["lost"]


async def test_a_broker_that_was_begun_anew_is_told_as_that(tmp_path: Path) -> None:
    with Broker(tmp_path, extra=OFTEN) as broker:
        async with service(tmp_path / "data", broker.port):
            await asyncio.sleep(1.5)
        broker.stop()
        (tmp_path / "mosquitto.db").unlink()
        broker.start()
        async with service(tmp_path / "data", broker.port) as it:
            await until(lambda: told(it))
            assert told(it) == ["fresh"]
            assert gone(it)["lost"] == 0.0


async def test_what_is_about_the_service_has_no_topic(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        async with service(tmp_path / "data", broker.port) as it:
            outbox = it.news.outbox
            assert outbox is not None
            await until(lambda: outbox.waiting == 0)
            it.news.forgotten(Gone("fresh", "a trial", 1.0))
            assert outbox.waiting == 0
            assert told(it) == ["fresh"]
