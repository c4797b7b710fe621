import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sensors.errors import BrokerError
from sensors.mqtt.client import _session
from sensors.mqtt.packets import CONNACK, DISCONNECT, PUBLISH, Message, publish
from sensors.mqtt.publisher import Publisher
from sensors.mqtt.settings import MqttSettings
from sensors.mqtt.source import MqttSource
from tests.brokers import SUBSCRIBE, Broker, Certificate, FakeBroker, free_port

SECRET = "correct horse battery staple"
LIMIT_S = 10.0


class Log:
    """What the source said about its connection; None stands for a connection."""

    def __init__(self) -> None:
        self.entries: list[BrokerError | None] = []
        self._news = asyncio.Event()

    def __call__(self, error: BrokerError | None) -> None:
        self.entries.append(error)
        self._news.set()

    @property
    def errors(self) -> list[str]:
        return [str(error) for error in self.entries if error is not None]

    async def failures(self, n: int = 1) -> None:
        async with asyncio.timeout(LIMIT_S):
            while len(self.errors) < n:
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def log() -> Log:
    return Log()


def settings(port: int, **changes: Any) -> MqttSettings:
    quick = MqttSettings(port=port, client_id="source", backoff_s=(0.02, 0.2))
    return dataclasses.replace(quick, **changes)


@asynccontextmanager
async def ready(s: MqttSettings, log: Log | None = None) -> AsyncIterator[MqttSource]:
    async with MqttSource(s, ["t/#"], on_change=log or (lambda _: None)) as source:
        async with asyncio.timeout(LIMIT_S):
            await source.ready()
        yield source


@asynccontextmanager
async def publisher(port: int, **changes: Any) -> AsyncIterator[Publisher]:
    async with Publisher(settings(port, client_id="publisher", **changes)) as p:
        yield p


def numbered(numbers: Iterable[int]) -> list[Message]:
    return [Message(f"t/{i % 3}", str(i).encode()) for i in numbers]


def numbers(messages: Iterable[Message]) -> list[int]:
    return [int(m.payload) for m in messages]


async def taken(source: MqttSource, n: int, *, acknowledge: bool = True) -> list[Message]:
    """The next messages, at least `n`."""
    messages: list[Message] = []
    async with asyncio.timeout(LIMIT_S):
        async for batch in source.batches():
            messages += batch
            if acknowledge:
                source.acknowledge(batch)
            if len(messages) >= n:
                break
    return messages


async def until_all(source: MqttSource, wanted: set[int]) -> None:
    """Take until every number has been seen, however often."""
    async with asyncio.timeout(LIMIT_S):
        async for batch in source.batches():
            source.acknowledge(batch)
            wanted -= set(numbers(batch))
            if not wanted:
                return


async def test_messages_come_in_order_and_in_bounded_batches(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        async with (
            ready(settings(broker.port, max_batch=10)) as source,
            publisher(broker.port) as p,
        ):
            await p.flood(numbered(range(95)))
            seen: list[int] = []
            async for batch in source.batches():
                assert 1 <= len(batch) <= 10
                seen += numbers(batch)
                source.acknowledge(batch)
                if len(seen) == 95:
                    break
            assert seen == list(range(95))
            assert source.unacknowledged == 0


async def test_a_message_brings_its_content_type_and_properties(tmp_path: Path) -> None:
    properties = {"source": "microscope-1", "pixel_size": "1e-6"}
    with Broker(tmp_path) as broker:
        async with ready(settings(broker.port)) as source, publisher(broker.port) as p:
            await p.publish("t/x", b"PNG", content_type="image/png", properties=properties)
            await p.publish("t/y", b"", qos=0)
            image, empty = await taken(source, 2)
    assert (image.topic, image.payload, image.content_type) == ("t/x", b"PNG", "image/png")
    assert dict(image.properties) == properties
    assert (empty.topic, empty.payload, empty.content_type) == ("t/y", b"", "")
    assert not empty.properties


async def test_a_message_larger_than_any_buffer_arrives_whole(tmp_path: Path) -> None:
    image = bytes(range(256)) * 12_000
    with Broker(tmp_path) as broker:
        async with ready(settings(broker.port)) as source, publisher(broker.port) as p:
            await p.publish("t/image", image)
            await p.publish("t/after", b"1")
            messages = await taken(source, 2)
    assert [m.payload for m in messages] == [image, b"1"]


async def test_what_was_acknowledged_does_not_come_again_and_the_rest_does(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        async with publisher(broker.port) as p:
            async with ready(settings(broker.port)) as source:
                await p.flood(numbered(range(10)))
                first = await taken(source, 10, acknowledge=False)
                source.acknowledge(first[:6])
            await p.flood(numbered([10]))  # while nobody is there
            async with ready(settings(broker.port)) as source:
                assert numbers(await taken(source, 5)) == [6, 7, 8, 9, 10]
            await p.flood(numbered([11]))
            async with ready(settings(broker.port)) as source:
                assert numbers(await taken(source, 1)) == [11]


async def test_a_stopped_and_started_broker_loses_nothing(tmp_path: Path, log: Log) -> None:
    with Broker(tmp_path) as broker:
        async with ready(settings(broker.port), log) as source, publisher(broker.port) as p:
            await p.flood(numbered(range(100)))
            held = await taken(source, 100, acknowledge=False)
            source.acknowledge(held[:50])
            broker.stop()
            await log.failures()
            assert not source.connected
            more = asyncio.create_task(p.flood(numbered(range(100, 200))))
            broker.start()
            await until_all(source, set(range(50, 200)))
            assert await more == 100
            assert source.reconnects == 1
    assert log.entries[0] is None
    assert log.entries[-1] is None


async def test_a_token_of_an_earlier_connection_acknowledges_nothing(
    tmp_path: Path, log: Log
) -> None:
    with Broker(tmp_path) as broker:
        async with publisher(broker.port) as p:
            async with ready(settings(broker.port), log) as source:
                await p.flood(numbered(range(5)))
                old = await taken(source, 5, acknowledge=False)
                broker.stop()
                await log.failures()
                broker.start()
                again = await taken(source, 5, acknowledge=False)
                assert [m.token & 0x3FFFF for m in again] == [m.token & 0x3FFFF for m in old]
                assert source.unacknowledged == 10
                await source.ready()
                source.acknowledge(old)
                assert source.unacknowledged == 5
            async with ready(settings(broker.port)) as source:
                assert numbers(await taken(source, 5)) == [0, 1, 2, 3, 4]


async def test_a_killed_broker_that_forgot_us_is_subscribed_to_again(
    tmp_path: Path, log: Log
) -> None:
    with Broker(tmp_path) as broker:
        async with ready(settings(broker.port), log) as source:
            broker.kill()
            await log.failures()
            broker.start()
            async with asyncio.timeout(LIMIT_S):
                await source.ready()
            async with publisher(broker.port) as p:
                await p.flood(numbered(range(3)))
                assert numbers(await taken(source, 3)) == [0, 1, 2]


async def paused(source: MqttSource) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not source.paused:  # noqa: ASYNC110  the source says nothing when it pauses
            await asyncio.sleep(0)


async def test_a_stalled_consumer_holds_the_window_and_loses_nothing(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        narrow = settings(broker.port, max_inflight_messages=300, max_batch=70)
        async with ready(narrow) as source, publisher(broker.port) as p:
            await p.flood(numbered(range(5000)))
            await paused(source)
            assert source.unacknowledged == 300
            seen: list[int] = []
            async for batch in source.batches():
                assert source.unacknowledged <= 300
                seen += numbers(batch)
                source.acknowledge(batch)
                if len(seen) >= 5000:
                    break
            assert seen == list(range(5000))
            assert source.connections == 1


@pytest.mark.parametrize(("size", "held"), [(991, 11), (992, 10), (993, 10)])
async def test_the_window_is_bounded_in_bytes_too(tmp_path: Path, size: int, held: int) -> None:
    """A packet has 8 bytes more."""
    with Broker(tmp_path) as broker:
        narrow = settings(broker.port, max_inflight_bytes=10_000)
        async with ready(narrow) as source, publisher(broker.port) as p:
            await p.flood(Message("t/x", bytes(size)) for _ in range(50))
            await paused(source)
            assert source.unacknowledged == held
            assert len(await taken(source, 50)) == 50


async def test_a_broker_that_is_not_read_is_not_taken_for_dead(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        narrow = settings(broker.port, max_inflight_messages=5, keepalive_s=1)
        async with ready(narrow) as source, publisher(broker.port) as p:
            await p.flood(numbered(range(100)))
            await paused(source)
            await asyncio.sleep(3.2)  # the claim is about time: three times the keepalive
            assert source.connections == 1
            assert numbers(await taken(source, 100)) == list(range(100))
            assert source.connections == 1


async def test_a_full_window_waits_for_room_before_it_connects_again(log: Log) -> None:
    flood = [publish(m, i + 1, qos=1, retain=False) for i, m in enumerate(numbered(range(5)))]
    async with FakeBroker(bytes((CONNACK, 3, 0, 0, 0)) + b"".join(flood)) as broker:
        narrow = settings(broker.port, max_inflight_messages=5, keepalive_s=1)
        async with MqttSource(narrow, ["t/#"], on_change=log) as source:
            held = await taken(source, 5, acknowledge=False)
            broker.hang_up()
            await log.failures()  # noticed by the ping that cannot be sent
            await asyncio.sleep(0.2)  # many times the pause between two attempts
            assert len(broker.received) == 1
            source.acknowledge(held)
            assert numbers(await taken(source, 5)) == list(range(5))
            assert len(broker.received) == 2


async def test_an_absent_broker_is_reported_and_awaited(tmp_path: Path, log: Log) -> None:
    port = free_port()
    async with MqttSource(settings(port), ["t/#"], on_change=log) as source:
        await log.failures(2)
        assert source.connections == 0
        assert f"127.0.0.1:{port}" in log.errors[0]
        with Broker(tmp_path, port=port):
            async with asyncio.timeout(LIMIT_S):
                await source.ready()
    assert log.entries[-1] is None


async def test_a_wrong_password_is_reported_and_written_nowhere(
    tmp_path: Path, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Broker(tmp_path, credentials=("twin", "another")) as broker:
        wrong = settings(broker.port, username="twin", password=SECRET)
        async with (
            MqttSource(wrong, ["t/#"], on_change=log) as source,
            Publisher(dataclasses.replace(wrong, client_id="p"), on_change=log) as p,
        ):
            await log.failures(4)
            assert not source.connected
            assert not p.connected
    assert all("uthori" in error or "password" in error for error in log.errors), log.errors
    assert SECRET not in caplog.text + repr(wrong) + repr(log.errors) + repr(source)


async def test_the_right_password_over_tls_is_let_in(tmp_path: Path) -> None:
    certificate = Certificate(tmp_path)
    credentials = ("twin", SECRET)
    with Broker(tmp_path, credentials=credentials, certificate=certificate) as broker:
        s = settings(broker.port, username="twin", password=SECRET, tls_ca=certificate.certificate)
        async with ready(s) as source:
            async with Publisher(dataclasses.replace(s, client_id="p")) as p:
                await p.flood(Message("t/x", bytes(2000)) for _ in range(500))
            assert len(await taken(source, 500)) == 500


async def test_a_certificate_of_a_stranger_is_refused(tmp_path: Path, log: Log) -> None:
    (tmp_path / "other").mkdir()
    certificate, other = Certificate(tmp_path), Certificate(tmp_path / "other")
    with Broker(tmp_path, certificate=certificate) as broker:
        s = settings(broker.port, tls_ca=other.certificate)
        async with (
            MqttSource(s, ["t/#"], on_change=log),
            Publisher(dataclasses.replace(s, client_id="p"), on_change=log),
        ):
            await log.failures(2)
    assert all("certificate" in error for error in log.errors), log.errors


async def test_a_broker_that_hangs_up_is_reported_at_once(log: Log) -> None:
    async with (
        FakeBroker(greeting=b"") as broker,
        MqttSource(settings(broker.port), ["t/#"], on_change=log),
    ):
        await broker.reached()
        broker.hang_up()
        await log.failures()
    assert "closed before the broker answered" in log.errors[0]


async def test_a_broker_that_hangs_up_again_and_again_is_told_until_it_has_stopped(
    log: Log,
) -> None:
    async with FakeBroker() as broker:
        quick = settings(broker.port, backoff_s=(0.01, 0.05))
        async with MqttSource(quick, ["t/#"], on_change=log) as source:
            seen = []
            for n in range(1, 4):
                seen.append(source.steady)
                async with asyncio.timeout(LIMIT_S):
                    await source.ready()
                broker.hang_up()
                await log.failures(n)
            seen.append(source.steady)
            async with asyncio.timeout(LIMIT_S):
                await source.ready()
                seen.append(source.steady)  # a connection that stands is not one that lasts
                while not source.steady:  # noqa: ASYNC110  it is a matter of time
                    await asyncio.sleep(0.01)
    assert seen == [True, True, True, False, False]
    last = [entry for entry in log.entries if entry is not None][2]
    assert last.reason == "unsteady"
    assert "has the broker reached its memory limit" in str(last)


async def test_a_malformed_packet_ends_the_connection_with_a_sentence(log: Log) -> None:
    greeting = bytes((CONNACK, 3, 0, 0, 0)) + bytes((PUBLISH, 3, 0, 200, 65))
    async with (
        FakeBroker(greeting) as broker,
        MqttSource(settings(broker.port), ["t/#"], on_change=log),
    ):
        await log.failures(2)
    assert all("malformed packet" in error for error in log.errors), log.errors


@pytest.mark.parametrize(
    ("code", "words"), [(0x01, ""), (0x80, "Unspecified error"), (0x87, "Not authorized")]
)
async def test_a_subscription_is_refused_from_reason_0x80_on(
    code: int, words: str, log: Log
) -> None:
    async with (
        FakeBroker(granted=code) as broker,
        MqttSource(settings(broker.port), ["t/#"], on_change=log) as source,
    ):
        if words:
            await log.failures(2)
            assert f"'t/#' refused: {words}" in log.errors[0]
        else:
            async with asyncio.timeout(LIMIT_S):
                await source.ready()
            assert not log.errors


async def test_what_comes_along_with_the_confirmation_is_acknowledged_too() -> None:
    flood = [publish(m, i + 1, qos=1, retain=False) for i, m in enumerate(numbered(range(20)))]
    async with FakeBroker(bytes((CONNACK, 3, 0, 0, 0)) + b"".join(flood)) as broker:
        narrow = settings(broker.port, max_inflight_messages=5)
        async with MqttSource(narrow, ["t/#"]) as source:
            assert numbers(await taken(source, 20)) == list(range(20))
            await source.ready()
        await broker.left()
        assert broker.acknowledged == list(range(1, 21))


async def test_a_flood_leaves_turns_to_others() -> None:
    flood = b"".join(publish(m, 1, qos=0, retain=False) for m in numbered(range(3000)))
    sizes: list[int] = []
    async with (
        FakeBroker(bytes((CONNACK, 3, 0, 0, 0)) + flood) as broker,
        MqttSource(settings(broker.port, max_batch=5000), ["t/#"]) as source,
    ):
        async for batch in source.batches():
            sizes.append(len(batch))
            source.acknowledge(batch)
            if sum(sizes) == 3000:
                break
    assert max(sizes) <= 1000


async def test_two_sources_of_one_name_back_off_and_name_the_cause(tmp_path: Path) -> None:
    """This mosquitto cuts the older connection without a word, as brokers may."""
    first, second = Log(), Log()
    with Broker(tmp_path) as broker:
        s = settings(broker.port, backoff_s=(0.02, 1.0))
        async with (
            MqttSource(s, ["t/#"], on_change=first) as one,
            MqttSource(s, ["t/#"], on_change=second) as other,
        ):
            await asyncio.sleep(1.5)  # the claim is about time
            assert one.connections + other.connections <= 16  # 75 and more without a longer pause
            await first.failures(3)
            told = next(e for e in first.entries if e and e.reason in ("unsteady", "taken_over"))
            assert "second service run" in str(told)
            assert "'source'" in str(told)
            assert "'source'" in str(one.trouble)  # also while it is connected again


@pytest.mark.parametrize("client", ["source", "publisher"])
async def test_a_broker_that_tells_of_the_other_is_believed_at_once(client: str, log: Log) -> None:
    greeting = bytes((CONNACK, 3, 0, 0, 0, DISCONNECT, 1, 0x8E))
    async with FakeBroker(greeting) as broker:
        s = settings(broker.port, client_id="twin")
        one = MqttSource(s, ["t/#"], on_change=log) if client == "source" else None
        async with one or Publisher(s, on_change=log):
            await log.failures()
    error = next(entry for entry in log.entries if entry is not None)
    assert error.reason == "taken_over"
    assert "another client took over the session 'twin'" in str(error)


async def test_trouble_is_over_once_a_connection_has_lasted(tmp_path: Path, log: Log) -> None:
    with Broker(tmp_path) as broker:
        async with ready(settings(broker.port, backoff_s=(0.02, 0.1)), log) as source:
            assert source.trouble is None
            broker.stop()
            await log.failures()
            assert "connection" in str(source.trouble)
            broker.start()
            await asyncio.wait_for(source.ready(), LIMIT_S)
            assert "connection" in str(source.trouble)
            await asyncio.sleep(0.25)  # twice the longest pause
            assert source.trouble is None


async def test_two_publishers_of_one_name_name_the_cause(tmp_path: Path, log: Log) -> None:
    with Broker(tmp_path) as broker:
        s = settings(broker.port, client_id="twin-out")
        async with Publisher(s, on_change=log), Publisher(s):
            await log.failures(3)
    assert "'twin-out'" in log.errors[2]


class Choosy(FakeBroker):
    """Refuses the first subscription of each connection."""

    asked = 0

    def _reply(self, data: bytes, first: int, *rest: Any) -> bytes | None:
        if first == SUBSCRIBE:
            self.asked += 1
            self.granted = 0x87 if self.asked == 1 else 1
        return super()._reply(data, first, *rest)


async def test_a_wide_filter_that_is_refused_gives_way_to_the_narrow_ones(log: Log) -> None:
    async with (
        Choosy() as broker,
        MqttSource(settings(broker.port), ["t/x"], wide="t/#", on_change=log) as source,
    ):
        await asyncio.wait_for(source.ready(), LIMIT_S)
        assert (broker.asked, log.errors) == (2, [])


class Touchy(FakeBroker):
    """Hangs up on the first subscription, as some do on one that goes too far."""

    asked = 0

    def _reply(self, data: bytes, first: int, *rest: Any) -> bytes | None:
        self.asked += first == SUBSCRIBE
        if first == SUBSCRIBE and self.asked == 1:
            return None
        return super()._reply(data, first, *rest)


async def test_a_broker_that_hangs_up_on_a_wide_filter_is_asked_for_the_narrow_ones(
    log: Log,
) -> None:
    async with (
        Touchy() as broker,
        MqttSource(settings(broker.port), ["t/x"], wide="t/#", on_change=log) as source,
    ):
        await asyncio.wait_for(source.ready(), LIMIT_S)
        assert (broker.asked, len(log.errors), source.connections) == (2, 1, 2)


async def test_filters_beside_may_be_refused(log: Log) -> None:
    """A FakeBroker answers for one topic only, so that the rest is as good as refused."""
    async with (
        FakeBroker() as broker,
        MqttSource(settings(broker.port), ["t/x"], wide="t/#", beside=["u/#"], on_change=log) as s,
    ):
        await asyncio.wait_for(s.ready(), LIMIT_S)
        assert log.errors == []


def test_the_broker_is_told_how_much_may_be_on_its_way() -> None:
    told = _session(MqttSettings()).json()  # type: ignore[no-untyped-call]  # paho's
    assert (told["ReceiveMaximum"], told["MaximumPacketSize"]) == (20_000, 17 << 20)
    most = _session(MqttSettings(max_inflight_messages=10**6)).json()  # type: ignore[no-untyped-call]  # paho's
    assert most["ReceiveMaximum"] == 65_535
