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

from sensors.errors import BrokerError, Failure, complaint
from sensors.mqtt.backoff import Patience, cancelled
from sensors.mqtt.client import Client, closed, opened
from sensors.mqtt.connection import REFUSED, TAKEN_OVER
from sensors.mqtt.packets import Message
from sensors.mqtt.session import UPTIME, Session, Unwatched, uptime
from sensors.mqtt.settings import BRIEF, MqttSettings, taken_over, tls_context, unsteady
from sensors.mqtt.window import InflightWindow

_IF_NEW = SubscribeOptions.RETAIN_SEND_IF_NEW_SUB  # a reconnect shall not repeat them


class MqttSource:
    """Messages of some topics, in batches, over reconnects.

    Memory is bounded by not reading the socket while too much is unacknowledged, whether
    it waits here or was handed out; so every message must be acknowledged some day.

    `on_change` is called with None when a connection stands, and with the reason when one
    is lost, refused or cannot be made; the next attempt follows by itself.

    `wide` is a filter that stands for all of `filters` and shows what is published beside them.
    It is used where the broker grants it, and `filters` where not, or where it hangs up on it.
    `beside` are filters of topics that nobody should publish to, at QoS 0; whether they are
    granted does not matter.

    `session` is told what became of the session that the broker keeps for us.
    """

    def __init__(
        self,
        settings: MqttSettings,
        filters: Sequence[str],
        *,
        wide: str | None = None,
        beside: Sequence[str] = (),
        on_change: Callable[[BrokerError | None], None] = lambda _: None,
        session: Session | None = None,
    ) -> None:
        self._settings, self._filters, self._on_change = settings, tuple(filters), on_change
        self._session: Session = session or Unwatched()
        self._is_sign_fatal = False  # some brokers hang up on who asks for what is theirs
        self._wide, self._beside = wide, tuple(beside)
        self._is_wide_fatal = False  # some brokers hang up on who asks for too much
        self._window = InflightWindow(settings.max_inflight_messages, settings.max_inflight_bytes)
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._client: Client | None = None
        self._patience = Patience(*settings.backoff_s)
        self._since = 0.0  # when the connection that stands was made, on the loop's clock
        self._trouble: BrokerError | None = None  # the last
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

    @property
    def trouble(self) -> str | None:
        """What went wrong last, until a connection has stood for a while since."""
        return str(self._trouble) if self._trouble and not self._has_lasted else None

    @property
    def steady(self) -> bool:
        """False while connections are lost again and again, soon after they were made."""
        return self._patience.brief < BRIEF or self._has_lasted

    @property
    def _has_lasted(self) -> bool:
        lasted_s = asyncio.get_running_loop().time() - self._since if self.connected else 0.0
        return lasted_s >= self._patience.steady_s

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
        self._window.release(len(messages), sum(message.held for message in messages))
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
            self._since, before = math.inf, self.connections
            error = await self._connection()
            ended = asyncio.get_running_loop().time()
            pause_s = self._patience.after(
                ended - self._since if self.connections > before else 0.0
            )
            self._trouble = unsteady(error, self._settings, self._patience)
            self.failures += 1
            self._on_change(self._trouble)
            await asyncio.sleep(pause_s)

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
            code = _code(exc.rc) if isinstance(exc, aiomqtt.MqttCodeError) else 0
            if code == TAKEN_OVER:
                return taken_over(self._settings)
            why: Failure = "refused" if code >= REFUSED else "unreachable"
            return BrokerError(f"{address}: no connection: {complaint(exc)}", why)
        try:
            self.connections += 1
            self.connected, self._since = True, asyncio.get_running_loop().time()
            self._session.connected(is_kept=client.is_kept, expiry_s=client.expiry_s)
            self._on_change(None)
            await self._subscription(client)
            return BrokerError(f"{address}: the broker ended the connection")
        except aiomqtt.MqttError as exc:
            if isinstance(exc, aiomqtt.MqttCodeError) and _code(exc.rc) == TAKEN_OVER:
                return taken_over(self._settings)
            return BrokerError(f"{address}: connection lost: {exc}")
        except BrokerError as exc:
            return exc
        finally:
            if self.connected:
                self._session.ended()
            self.connected = False
            self._client = None
            self._ready.clear()
            await closed(client)

    async def _new_client(self) -> Client:
        context = await asyncio.to_thread(tls_context, self._settings)
        return Client(
            self._settings,
            context,
            self._window,
            self._generation,
            self._arrived.set,
            self._signed,
        )

    def _signed(self, message: Message, is_retained: bool) -> None:
        if (up_s := uptime(message.topic, message.payload)) is not None:
            self._session.signed(up_s, is_new=is_retained)

    async def _subscription(self, client: Client) -> None:
        """Subscribe, and hold until the connection ends.

        Redelivered messages may come before the confirmation, and have to be consumed for
        it to come at all: so it has no time limit, and nobody waits for it.
        """
        subscribing = asyncio.ensure_future(self._subscribed(client))
        lost = asyncio.ensure_future(client.lost())
        signing: asyncio.Future[None] | None = None
        try:
            await asyncio.wait({subscribing, lost}, return_when=asyncio.FIRST_COMPLETED)
            if subscribing.done():
                subscribing.result()
                self._ready.set()
                signing = asyncio.ensure_future(self._sign(client))
            await lost
        finally:
            tasks = {subscribing, lost, *([signing] if signing else [])}
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            if signing is not None and not signing.cancelled():
                signing.exception()  # seen: it is the connection's, and told as that

    async def _subscribed(self, client: Client) -> None:
        """Subscribe to all that there is if we may, else to what is meant for us."""
        if self._wide is not None and not self._is_wide_fatal:
            self._is_wide_fatal = True  # should this connection end before the answer
            wide = [(self._wide, SubscribeOptions(qos=1, retainHandling=_IF_NEW))]
            beside = [(f, SubscribeOptions(qos=0, retainHandling=_IF_NEW)) for f in self._beside]
            reasons = await client.subscribe([*wide, *beside], timeout=math.inf)
            self._is_wide_fatal = False
            if _code(reasons[0]) < REFUSED:
                client.forget(self._filters)  # of an earlier release's session: all came twice
                return
        narrow = [(f, SubscribeOptions(qos=1, retainHandling=_IF_NEW)) for f in self._filters]
        self._check(await client.subscribe(narrow, timeout=math.inf))
        self._is_wide_fatal = False  # it may have been chance: the next connection tries again

    async def _sign(self, client: Client) -> None:
        """Subscribe to what shows whether our subscriptions were kept."""
        is_signed = False
        if not self._is_sign_fatal:
            self._is_sign_fatal = True  # should this connection end before the answer
            sign = [(UPTIME, SubscribeOptions(qos=0, retainHandling=_IF_NEW))]
            is_signed = _code((await client.subscribe(sign, timeout=math.inf))[0]) < REFUSED
        self._is_sign_fatal = False  # or it was chance: the next connection tries again
        self._session.subscribed(is_signed=is_signed)

    def _check(self, reasons: Sequence[object]) -> None:
        for topic, reason in zip(self._filters, reasons, strict=True):
            if _code(reason) >= REFUSED:
                where = self._settings.address
                raise BrokerError(
                    f"{where}: subscription to {topic!r} refused: {reason}", "refused"
                )


def _code(reason: object) -> int:
    """The number of a reason code, however it is wrapped."""
    code = reason.value if isinstance(reason, ReasonCode) else reason
    return code if isinstance(code, int) else 0
