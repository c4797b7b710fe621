"""The publisher's end of one connection: what the broker answers."""

from __future__ import annotations

import asyncio
import struct
from typing import Protocol, cast

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from sensors.errors import BrokerError, Failure, complaint
from sensors.mqtt.framing import Framing
from sensors.mqtt.packets import CONNACK, DISCONNECT, PUBACK, PacketError, numbers, varint_at

REFUSED = 0x80  # reason codes from here on are refusals
TAKEN_OVER = 0x8E
SERVER_KEEP_ALIVE, RECEIVE_MAXIMUM, MAXIMUM_PACKET_SIZE = 0x13, 0x21, 0x27
_ANSWER = 65_536  # bytes; no answer to a publisher comes near


def reason(packet: int, code: int) -> str:
    """What a reason code means, in words."""
    try:
        return f"{ReasonCode(packet, identifier=code)} (0x{code:02x})"
    except KeyError:
        return f"reason 0x{code:02x}"


class Acknowledged(Protocol):
    """What is told of each PUBACK."""

    def __call__(self, mid: int, code: int, /) -> None:
        """The broker has taken, or refused, message `mid`."""


class Connection(asyncio.Protocol):
    """One connection; `ended` is set when it is over, with what is known of the reason."""

    def __init__(self, acknowledged: Acknowledged) -> None:
        loop = asyncio.get_running_loop()
        self.accepted: asyncio.Future[dict[int, int]] = loop.create_future()
        self.ended: asyncio.Future[str] = loop.create_future()
        self.taken_over = False  # by another client of the same name
        self.heard = False  # anything, since this was last set to False
        self._acknowledged = acknowledged
        self._framing = Framing(_ANSWER)
        self._reason = "the broker closed the connection"
        self._failure: Failure = "lost"
        self._transport: asyncio.Transport | None = None

    @property
    def opened(self) -> bool:
        """Whether there ever was a connection."""
        return self._transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._end(complaint(exc) if exc else self._reason)

    def write(self, data: bytes) -> None:
        """Send, or forget it where nobody listens."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Close once everything is written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self, why: str) -> None:
        """Close now."""
        self._reason = why
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Cut answers out of the stream."""
        self.heard = True
        self._framing.feed(data)
        try:
            self._cut()
        except (PacketError, IndexError, struct.error) as exc:
            self.abort(f"malformed packet: {exc}")

    def _cut(self) -> None:
        framing, acknowledged = self._framing, self._acknowledged
        while (where := framing.complete()) is not None:
            (body, stop), data, first = where, framing.data, framing.data[framing.at]
            framing.at = stop
            if first == PUBACK:
                code = data[body + 2] if stop > body + 2 else 0
                acknowledged(data[body] << 8 | data[body + 1], code)
            elif first == CONNACK:
                self._answered(data[body:stop])
            elif first == DISCONNECT:
                code = data[body] if stop > body else 0
                self.taken_over = code == TAKEN_OVER
                self.abort(f"disconnected: {reason(PacketTypes.DISCONNECT, code)}")

    def _answered(self, body: bytes) -> None:
        code = body[1]
        if code >= REFUSED:
            self._failure = "refused"
            self.abort(f"refused: {reason(PacketTypes.CONNACK, code)}")
            return
        length, at = varint_at(body, 2)
        if not self.accepted.done():
            self.accepted.set_result(numbers(body[at : at + length]))

    def _end(self, why: str) -> None:
        if not self.ended.done():
            self.ended.set_result(why)
        if not self.accepted.done():
            self.accepted.set_exception(BrokerError(why, self._failure))
            self.accepted.exception()  # seen, should nobody wait for it any more
