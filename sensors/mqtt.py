"""The durable source: what the broker holds for us, until we say that we keep it.

A persistent MQTT 5 session with manual acknowledgement: a message that was not acknowledged
comes again after a reconnect or a restart. Duplicates are possible, loss is not.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Self

import aiomqtt
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from sensors.backoff import cancelled, pauses
from sensors.errors import BrokerError
from sensors.mqtt_client import Client, closed, opened
from sensors.mqtt_packets import Message
from sensors.mqtt_settings import MqttSettings, tls_context
from sensors.mqtt_window import Window

__all__ = ["Message", "MqttSettings", "MqttSource"]

REFUSED = 0x80  # reason codes from here on are refusals
_IF_NEW = SubscribeOptions.RETAIN_SEND_IF_NEW_SUB  # a reconnect shall not repeat them


class MqttSource:
    """Messages of some topics, in batches, over reconnects.

    Memory is bounded by not reading the socket while too much is unacknowledged, whether
    it waits here or was handed out; so every message must be acknowledged some day.

    `on_change` is called with None when a connection stands, and with the reason when one
    is lost, refused or cannot be made; the next attempt follows by itself.
    """

    def __init__(
        self,
        settings: MqttSettings,
        filters: Sequence[str],
        *,
        on_change: Callable[[BrokerError | None], None] = lambda _: None,
    ) -> None:
        self._settings, self._filters, self._on_change = settings, tuple(filters), on_change
        self._window = Window(settings.max_inflight_messages, settings.max_inflight_bytes)
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._client: Client | None = None
        self._pauses = pauses(*settings.backoff_s)
        self._generation = 0  # counts attempts: a token is good for one of them only
        self.connected = False
        self.connections = 0
        self.failures = 0  # connections lost, refused or not made

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._stay_connected(), name="mqtt source")
        self._task.add_done_callback(lambda _: self._arrived.set())
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
    def reconnects(self) -> int:
        """Connections after the first."""
        return max(0, self.connections - 1)

    @property
    def paused(self) -> bool:
        """Whether too much is unacknowledged to read on."""
        return self._window.full

    @property
    def waiting(self) -> int:
        """Messages read and not handed out yet."""
        return len(self._window.queue)

    @property
    def unacknowledged(self) -> int:
        """Messages read and not acknowledged yet, the waiting ones among them."""
        return self._window.messages

    async def ready(self) -> None:
        """Wait until a broker has confirmed the subscriptions."""
        await self._ready.wait()

    async def batches(self) -> AsyncIterator[list[Message]]:
        """Whatever has arrived, at most `max_batch` at a time, in the order of arrival."""
        while True:
            await self._arrived.wait()
            if self._task is not None and self._task.done():
                self._task.result()  # a defect of ours: do not wait for ever
                return
            yield self._batch()

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Let the broker forget these, in the order received, each once.

        Of a delivery on an earlier connection the broker knows nothing: it comes again.
        """
        generation = self._generation
        mids = [
            token >> 2 & 0xFFFF
            for token in (message.token for message in messages)
            if token & 3 and token >> 18 == generation
        ]
        self._window.release(len(messages), sum(len(message.payload) for message in messages))
        if self._client is not None:
            self._client.acknowledge(mids)
            self._client.resume()
        if not self._window.full:
            self._room.set()

    def _batch(self) -> list[Message]:
        queue, limit = self._window.queue, self._settings.max_batch
        if len(queue) > limit:
            batch = queue[:limit]
            del queue[:limit]
            return batch
        self._window.queue = []
        self._arrived.clear()
        return queue

    async def _stay_connected(self) -> None:
        while True:
            # A connection that may not be read could not even be confirmed.
            while self._window.full:
                self._room.clear()
                await self._room.wait()
            error = await self._connection()
            self.failures += 1
            self._on_change(error)
            await asyncio.sleep(next(self._pauses))

    async def _connection(self) -> BrokerError:
        """Connect, and return what ended it."""
        self._generation += 1
        address = self._settings.address
        try:
            # Messages come, and are acknowledged, before the confirmation is noticed here.
            self._client = client = await self._new_client()
            await opened(client)
        except (aiomqtt.MqttError, OSError) as exc:
            self._client = None
            return BrokerError(f"{address}: no connection: {exc}")
        try:
            self.connections += 1
            self.connected = True
            self._on_change(None)
            await self._subscription(client)
            return BrokerError(f"{address}: the broker ended the connection")
        except aiomqtt.MqttError as exc:
            return BrokerError(f"{address}: connection lost: {exc}")
        except BrokerError as exc:
            return exc
        finally:
            self.connected = False
            self._client = None
            self._ready.clear()
            await closed(client)

    async def _new_client(self) -> Client:
        context = await asyncio.to_thread(tls_context, self._settings)
        return Client(self._settings, context, self._window, self._generation, self._arrived.set)

    async def _subscription(self, client: Client) -> None:
        """Subscribe, and hold until the connection ends.

        Redelivered messages may come before the confirmation, and have to be consumed for
        it to come at all: so it has no time limit, and nobody waits for it.
        """
        wanted = [(f, SubscribeOptions(qos=1, retainHandling=_IF_NEW)) for f in self._filters]
        subscribing = asyncio.ensure_future(client.subscribe(wanted, timeout=math.inf))
        lost = asyncio.ensure_future(client.lost())
        try:
            await asyncio.wait({subscribing, lost}, return_when=asyncio.FIRST_COMPLETED)
            if subscribing.done():
                self._check(subscribing.result())
                self._pauses = pauses(*self._settings.backoff_s)
                self._ready.set()
            await lost
        finally:
            subscribing.cancel()
            lost.cancel()
            await asyncio.wait({subscribing, lost})

    def _check(self, reasons: Sequence[object]) -> None:
        for topic, reason in zip(self._filters, reasons, strict=True):
            code = reason.value if isinstance(reason, ReasonCode) else reason
            if isinstance(code, int) and code >= REFUSED:
                where = self._settings.address
                raise BrokerError(f"{where}: subscription to {topic!r} refused: {reason}")
