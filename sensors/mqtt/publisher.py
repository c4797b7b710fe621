"""A publisher that keeps many messages on their way, and sends again what was not taken.

A plain asyncio protocol rather than aiomqtt: a flood of small messages costs a few
microseconds each, which simulation and replay need to be faster than what they feed.
"""

# Over 300 lines: one connection's protocol, and who keeps it alive.

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import NamedTuple, Self

from paho.mqtt.packettypes import PacketTypes

from sensors.errors import BrokerError, Failure, complaint
from sensors.mqtt.backoff import Patience, cancelled
from sensors.mqtt.connection import (
    MAXIMUM_PACKET_SIZE,
    RECEIVE_MAXIMUM,
    REFUSED,
    SERVER_KEEP_ALIVE,
    Connection,
    reason,
)
from sensors.mqtt.packets import (
    DISCONNECT,
    LARGEST,
    NO_PROPERTIES,
    PINGREQ,
    Message,
    PacketError,
    connect,
    publish,
)
from sensors.mqtt.settings import MqttSettings, taken_over, tls_context, unsteady

PIECE = 65_536  # bytes gathered before they are written
PATIENCE_S = 10.0  # for the broker's first answer
FAREWELL_S = 1.0  # for the last bytes to leave


class _Sent(NamedTuple):
    packet: bytes
    answer: asyncio.Future[int] | None  # the reason code, where somebody waits for it


class Publisher:
    """Messages to one broker, over reconnects.

    At QoS 1 a message is kept until the broker has taken or refused it, so nothing is lost
    while this object lives; after a reconnect some messages may arrive twice.
    """

    def __init__(
        self,
        settings: MqttSettings,
        *,
        window: int = 1000,
        on_change: Callable[[BrokerError | None], None] = lambda _: None,
    ) -> None:
        self._settings, self._window, self._on_change = settings, min(window, 60_000), on_change
        self._limit = 1  # of messages on their way: our window, or less if the broker says so
        self._largest = LARGEST  # packet that the broker takes [bytes]
        self._kept: dict[int, _Sent] = {}  # by message id, in the order of sending
        self._kept_bytes = 0
        self._again: deque[int] = deque()  # kept, but not sent on this connection yet
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._mid = 0
        self._room = asyncio.Event()
        self._ready = asyncio.Event()
        self._current: Connection | None = None
        self._patience = Patience(*settings.backoff_s)
        self._since = 0.0  # when the connection was made, on the loop's clock; 0 without one
        self._task: asyncio.Task[None] | None = None
        self.connections = 0
        self.acknowledged = 0
        self.refused = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._stay_connected(), name="mqtt publisher")
        self._task.add_done_callback(self._failed)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._task is not None:
            await cancelled(self._task)

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us."""
        return self._ready.is_set()

    @property
    def pending(self) -> int:
        """Messages that the broker has not answered yet."""
        return len(self._kept)

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        content_type: str = "",
        properties: Mapping[str, str] = NO_PROPERTIES,
    ) -> None:
        """Publish one message; at QoS 1 wait until the broker has it, at 0 until it is sent.

        Raises BrokerError if the broker refuses the message, PacketError (a ValueError) if
        it cannot be written as MQTT.
        """
        message = Message(topic, payload, content_type, properties)
        if qos == 0:
            await self._ready.wait()
            self._check()
            self._write(publish(message, 0, qos=0, retain=retain))
            return
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        await self._has_room()
        self._keep(message, retain, answer)
        if (code := await answer) >= REFUSED:
            raise BrokerError(f"{topic}: refused: {reason(PacketTypes.PUBACK, code)}")

    async def send(self, message: Message, *, retain: bool = False) -> None:
        """Send one message at QoS 1 as soon as the window has room; `drain` waits for the rest.

        A refusal is counted in `refused`.
        """
        if self._is_full:
            await self._has_room()
        self._keep(message, retain, None)

    async def flood(self, messages: Iterable[Message]) -> int:
        """Send them all at QoS 1, window by window; the number that the broker has taken."""
        before = self.acknowledged
        for message in messages:
            if self._is_full:
                await self._has_room()
            self._keep(message, False, None)
        await self.drain()
        return self.acknowledged - before

    async def drain(self) -> None:
        """Wait until the broker has answered everything."""
        while self._kept:
            self._check()
            self._room.clear()
            await self._room.wait()

    @property
    def _is_full(self) -> bool:
        return (
            len(self._kept) >= self._limit or self._kept_bytes >= self._settings.max_inflight_bytes
        )

    async def _has_room(self) -> None:
        await self._ready.wait()
        self._check()
        while self._is_full:
            self._room.clear()
            await self._room.wait()
            self._check()

    def _keep(self, message: Message, retain: bool, answer: asyncio.Future[int] | None) -> None:
        mid = self._mid % 65_535 + 1
        while mid in self._kept:
            mid = mid % 65_535 + 1
        packet = publish(message, mid, qos=1, retain=retain)
        if len(packet) > self._largest:
            size = len(packet)
            raise PacketError(f"{message.topic}: {size} bytes, the broker takes {self._largest}")
        self._mid = mid
        self._kept[mid] = _Sent(packet, answer)
        self._kept_bytes += len(packet)
        if self._current is None or self._again:
            self._again.append(mid)
        else:
            self._write(packet)

    def _write(self, packet: bytes) -> None:
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(packet)
        self._out_bytes += len(packet)
        if self._out_bytes >= PIECE:
            self._flush()

    def _flush(self) -> None:
        if self._out and self._current is not None:
            self._current.write(b"".join(self._out))
        self._out, self._out_bytes = [], 0

    def _answered(self, mid: int, code: int) -> None:
        sent = self._kept.pop(mid, None)
        if sent is None:
            return
        self._kept_bytes -= len(sent.packet)
        self.acknowledged += code < REFUSED
        self.refused += code >= REFUSED
        if sent.answer is not None and not sent.answer.done():
            sent.answer.set_result(code)
        if self._again:
            self._send_again()
        self._room.set()

    def _failed(self, task: asyncio.Task[None]) -> None:
        """Let nobody wait for an answer that cannot come any more."""
        for sent in self._kept.values():
            if sent.answer is not None:
                sent.answer.cancel()
        self._ready.set()
        self._room.set()

    def _check(self) -> None:
        if self._task is None or self._task.done():
            raise BrokerError(f"{self._settings.address}: the publisher is closed")

    def _send_again(self) -> None:
        """Send what is kept from earlier connections, never more at once than the limit."""
        while self._again and len(self._kept) - len(self._again) < self._limit:
            self._write(self._kept[self._again.popleft()].packet)

    async def _stay_connected(self) -> None:
        while True:
            self._since = 0.0
            try:
                await self._connection()
            except (OSError, BrokerError) as exc:  # TimeoutError is an OSError
                ended = asyncio.get_running_loop().time()
                pause_s = self._patience.after(ended - self._since if self._since else 0.0)
                self._on_change(unsteady(self._failure(exc), self._settings, self._patience))
                await asyncio.sleep(pause_s)

    def _failure(self, exc: OSError | BrokerError) -> BrokerError:
        """What ended a connection, or kept it from being made, in words."""
        if isinstance(exc, BrokerError) and exc.reason == "taken_over":
            return taken_over(self._settings)
        why = complaint(exc) or f"no answer within {PATIENCE_S:.0f} s"
        reason: Failure = "lost" if self._since else "unreachable"
        if isinstance(exc, BrokerError) and exc.reason == "refused":
            reason = "refused"
        return BrokerError(f"{self._settings.address}: {why}", reason)

    async def _connection(self) -> None:
        """Connect, and stay until it ends; raises what ended it."""
        s, loop = self._settings, asyncio.get_running_loop()
        context = await asyncio.to_thread(tls_context, s)
        connection = Connection(self._answered)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await loop.create_connection(lambda: connection, s.host, s.port, ssl=context)
                connection.write(connect(s.client_id, s.username, s.password, s.keepalive_s))
                terms = await connection.accepted
            self._begin(connection, terms)
            await self._stay(connection, terms.get(SERVER_KEEP_ALIVE, s.keepalive_s))
        finally:
            self._ready.clear()
            self._flush()
            self._current = None
            self._again = deque(self._kept)
            await _closed(connection)

    def _begin(self, connection: Connection, terms: Mapping[int, int]) -> None:
        self._current = connection
        self._limit = min(self._window, terms.get(RECEIVE_MAXIMUM, 65_535))
        self._largest = terms.get(MAXIMUM_PACKET_SIZE, LARGEST)
        self._since = asyncio.get_running_loop().time()
        self.connections += 1
        self._ready.set()
        self._send_again()
        self._room.set()
        self._on_change(None)

    async def _stay(self, connection: Connection, keepalive_s: int) -> None:
        """Ping when nothing was heard; give up when the ping is not answered."""
        period, asked = keepalive_s / 2 or None, False
        while not connection.ended.done():
            await asyncio.wait({connection.ended}, timeout=period)
            if connection.heard:
                asked = False
            elif asked:
                connection.abort(f"no answer within {keepalive_s} s")
            connection.heard = False
            if not asked:
                connection.write(bytes((PINGREQ, 0)))
                asked = True
        raise BrokerError(
            connection.ended.result(), "taken_over" if connection.taken_over else "lost"
        )


async def _closed(connection: Connection) -> None:
    if not connection.opened:
        return
    connection.write(bytes((DISCONNECT, 0)))
    connection.close()
    await asyncio.wait({connection.ended}, timeout=FAREWELL_S)
    connection.abort("closed")
