"""aiomqtt's client with a fast, bounded way in.

paho calls `recv` three times a packet, and aiomqtt makes a task for each message; both
dominate the cost of a small one. Here the socket is read in large pieces, PUBLISH packets
are cut out of them directly, and everything else is handed to paho byte by byte as before.
"""

# Over 300 lines: what replaces parts of aiomqtt's client is one class, bound to its internals.

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from sensors.errors import complaint
from sensors.mqtt.framing import Framing
from sensors.mqtt.packets import PUBACK, PUBLISH, Message, PacketError, acknowledgements, message
from sensors.mqtt.session import SYSTEM
from sensors.mqtt.settings import MqttSettings
from sensors.mqtt.window import InflightWindow

PIECE = 262_144  # bytes read from the socket at once
RETAIN = 0x01  # of a PUBLISH packet's first byte: it was retained before we subscribed (3.3.1.3)
TURN = 256  # packets handled before the loop gets its turn


class QuietSocket(ssl.SSLSocket):
    """A TLS socket that does not stay open after a failed handshake."""

    def do_handshake(self, block: bool = False) -> None:
        """Shake hands, or close."""
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


# What paho logs when a connection ends, the source reports as a BrokerError already.
_QUIET = logging.getLogger("sensors.mqtt.source.paho")
_QUIET.setLevel(logging.CRITICAL)


class Client(aiomqtt.Client):
    """An aiomqtt client that fills a window instead of a queue, and stops at its bounds."""

    def __init__(
        self,
        settings: MqttSettings,
        context: ssl.SSLContext | None,
        window: InflightWindow,
        generation: int,
        arrived: Callable[[], None],
        system: Callable[[Message, bool], None] = lambda message, is_retained: None,
    ) -> None:
        if context is not None:
            context.sslsocket_class = QuietSocket
        super().__init__(
            settings.host,
            settings.port,
            identifier=settings.client_id,
            username=settings.username,
            password=settings.password,
            keepalive=settings.keepalive_s,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=False,
            properties=_session(settings),
            tls_context=context,
            logger=_QUIET,
        )
        self._window, self._generation, self._arrived = window, generation, arrived
        self._system = system  # what the broker says of itself, and whether that is retained
        self.is_kept = False  # whether the broker had our session already
        self.expiry_s = settings.session_expiry_s  # how long it keeps that, once we are gone
        self._framing = Framing(settings.max_packet)
        self._paused = self._closed = False
        self._again: asyncio.Handle | None = None
        self._handed = b""  # of the packet that paho reads just now
        self._client.manual_ack_set(True)
        self._recv = self._client._sock_recv  # paho's own, which translates TLS's errors
        self._client._sock_recv = self._served  # type: ignore[method-assign, assignment]  # no hook for it

    @property
    def paused(self) -> bool:
        """Whether the window is full and the socket is left alone."""
        return self._paused

    async def lost(self) -> None:
        """Wait until the connection ends; raises what ended it."""
        await asyncio.shield(self._disconnected)

    def acknowledge(self, mids: list[int]) -> None:
        """Send the PUBACKs in one write."""
        if mids and not self._closed and self._client._sock is not None:
            self._client._packet_queue(PUBACK, acknowledgements(mids), 0, 1)

    def forget(self, filters: Sequence[str]) -> None:
        """Unsubscribe; whether the broker knew of it does not matter."""
        if not self._closed and self._client._sock is not None:
            self._client.unsubscribe(list(filters))

    def resume(self) -> None:
        """Read on if there is room again."""
        if self._paused and not self._window.full:
            self._paused = False
            self._client._ping_t = 0.0
            if (sock := self._client._sock) is not None:
                self._loop.add_reader(sock.fileno(), self._read)
                self._schedule()

    def stop_reading(self) -> None:
        """Take nothing in any more, so that nothing arrives while we leave."""
        self._pause()
        if self._again is not None:
            self._again.cancel()

    def close(self) -> None:
        """Close the socket whatever state it is in; aiomqtt leaves it open after a failure."""
        self._closed = True
        self.stop_reading()
        self._client._sock_close()
        if self._misc_task is not None:
            self._misc_task.cancel()
        if self._disconnected.done() and not self._disconnected.cancelled():
            self._disconnected.exception()  # seen: the loop shall not complain about it

    def _read(self) -> None:
        if self._again is not None:
            return  # packets are left over from the last turn
        try:
            piece = self._recv(PIECE)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self._fail(MQTTErrorCode.MQTT_ERR_CONN_LOST)
            return
        self._client._last_bytes_received = time.monotonic()
        self._framing.feed(piece)
        self._handle()

    def _handle(self) -> None:
        self._again = None
        before = len(self._window.queue)
        try:
            self._cut()
        except (PacketError, IndexError, struct.error) as exc:
            self._broken(f"malformed packet: {exc}")
        if len(self._window.queue) > before:
            self._arrived()

    def _cut(self) -> None:
        framing, window, generation = self._framing, self._window, self._generation
        for _ in range(TURN):
            if window.full:
                self._pause()
                return
            where = framing.complete()
            if where is None:
                return
            first, (body, stop) = framing.data[framing.at], where
            if first & 0xF0 == PUBLISH:
                arrived = message(framing.data, first, body, stop, generation)
                framing.at = stop
                if arrived.topic[:1] == SYSTEM:
                    self._system(arrived, bool(first & RETAIN))
                    continue
                window.queue.append(arrived)
                window.messages += 1
                window.bytes += arrived.held
            else:
                packet, framing.at = framing.data[framing.at : stop], stop
                self._hand_over(packet)
                if self._client._sock is None:
                    return
        self._schedule()

    def _schedule(self) -> None:
        if self._again is None:
            self._again = self._loop.call_soon(self._handle)

    def _pause(self) -> None:
        if not self._paused and (sock := self._client._sock) is not None:
            self._paused = True
            self._loop.remove_reader(sock.fileno())

    def _hand_over(self, packet: bytes) -> None:
        self._handed = packet
        rc = self._client._packet_read()
        if rc > 0:
            self._fail(rc)

    def _served(self, size: int) -> bytes:
        piece, self._handed = self._handed[:size], self._handed[size:]
        if not piece:
            raise BlockingIOError
        return piece

    def _fail(self, rc: MQTTErrorCode) -> None:
        self._client._loop_rc_handle(rc)

    def _broken(self, reason: str) -> None:
        waited_for = self._disconnected if self._connected.done() else self._connected
        if not waited_for.done():
            waited_for.set_exception(aiomqtt.MqttError(reason))
        self._client._sock_close()

    def _on_connect(
        self,
        client: paho.Client,
        userdata: Any,  # noqa: ANN401  paho's signature
        flags: paho.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if not self._connected.done():
            self.is_kept = bool(flags.session_present)
            # The broker's word goes before ours (3.2.2.3.2).
            self.expiry_s = getattr(properties, "SessionExpiryInterval", self.expiry_s)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: Any,  # noqa: ANN401  paho's signature
        flags: paho.DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if not self._connected.done():  # aiomqtt would wait for its whole timeout
            reason = f"closed before the broker answered: {reason_code}"
            self._connected.set_exception(aiomqtt.MqttError(reason))
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_socket_open(self, client: paho.Client, userdata: Any, sock: Any) -> None:  # noqa: ANN401  paho's signature
        # paho calls this in the thread that connects.
        self._loop.call_soon_threadsafe(self._opened, sock)

    def _opened(self, sock: Any) -> None:  # noqa: ANN401  plain, TLS or WebSocket
        if self._closed:  # given up while the thread was still connecting
            self._client._sock_close()
        elif sock.fileno() >= 0:
            self._loop.add_reader(sock.fileno(), self._read)
            self._misc_task = self._loop.create_task(self._misc_loop(), name="mqtt keepalive")

    def _on_socket_register_write(
        self,
        client: paho.Client,
        userdata: Any,  # noqa: ANN401  paho's signature
        sock: Any,  # noqa: ANN401  plain, TLS or WebSocket
    ) -> None:
        self._loop.call_soon_threadsafe(self._watch_writes, sock)

    def _watch_writes(self, sock: Any) -> None:  # noqa: ANN401  plain, TLS or WebSocket
        current = self._client._sock
        if current is not None and current is sock:  # else its number may be another's by now
            self._loop.add_writer(current.fileno(), self._write)

    def _write(self) -> None:
        try:
            self._client.loop_write()
        except OSError as exc:
            self._broken(complaint(exc))

    async def _misc_loop(self) -> None:
        # The broker's patience is one and a half times the keepalive.
        period = min(1.0, self._keepalive / 4) or 1.0
        while True:
            if self._paused:
                # The answer to our ping waits behind what we do not read: it is not missing.
                self._client._ping_t = 0.0
            if self._client.loop_misc() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return
            await asyncio.sleep(period)


def _session(settings: MqttSettings) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # untyped
    properties.SessionExpiryInterval = settings.session_expiry_s
    properties.MaximumPacketSize = settings.max_packet
    properties.ReceiveMaximum = min(settings.max_inflight_messages, 65_535)
    return properties


async def opened(client: Client) -> Client:
    """Connect; on failure leave nothing open behind."""
    disconnected = client._disconnected
    try:
        await client.__aenter__()
        if disconnected.done():  # already; aiomqtt has put a new future in its place
            disconnected.result()
            raise aiomqtt.MqttError("disconnected at once")
    except BaseException:
        client.close()
        raise
    if _is_cancelled():
        await closed(client)
    return client


async def closed(client: Client) -> None:
    """Say good-bye if the broker still listens, then close."""
    try:
        client.stop_reading()
        with contextlib.suppress(aiomqtt.MqttError):
            await client.__aexit__(None, None, None)
    finally:
        client.close()
    if _is_cancelled():
        raise asyncio.CancelledError


def _is_cancelled() -> bool:
    """Whether this task was cancelled, even if aiomqtt did not let it through.

    Before Python 3.12 `asyncio.wait_for`, which it uses, forgets a cancellation that comes in
    the same turn as the answer (python/cpython#86296).
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
