"""MQTT 5 control packets: the few that are read and written by the thousand.

OASIS, MQTT Version 5.0 (2019): section 1.5 data types, 2.1 fixed header, 3.x the packets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from struct import Struct
from types import MappingProxyType
from typing import Self

import msgspec

CONNECT, CONNACK, PUBLISH, PUBACK = 0x10, 0x20, 0x30, 0x40
PINGREQ, PINGRESP, DISCONNECT = 0xC0, 0xD0, 0xE0
LARGEST = 268_435_455  # bytes after the fixed header (1.5.5)

NO_PROPERTIES: Mapping[str, str] = MappingProxyType({})

# What a message may say beside its topic and payload: nobody needs more, and all of it is held.
MOST_PROPERTIES, MOST_PROPERTY_BYTES = 64, 16_384  # user properties; all properties [bytes]
_GLIMPSE, _GLIMPSED = 4096, 256  # bytes of more that are looked at; characters kept of a text there

_PAIR = 128  # bytes that a pair of texts takes beside their characters
_REMEMBERED = 128  # longest property block worth remembering [bytes]
_ACK = Struct("!BBH")
_U16 = Struct("!H")
_U32 = Struct("!I")

# Widths of the properties that are not text (2.2.2.2).
_FIXED = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4),
}
_VARINT, _CONTENT_TYPE, _USER = 0x0B, 0x03, 0x26


class PacketError(ValueError):
    """Bytes that are not MQTT 5."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """One application message.

    `token` is opaque: it names the delivery to `MqttSource.acknowledge`. What is to be
    published needs none.
    """

    topic: str
    payload: bytes
    content_type: str = ""  # empty if none was stated
    properties: Mapping[str, str] = NO_PROPERTIES  # the user properties; do not change
    token: int = 0
    excess: int = 0  # bytes of its properties if they are too many: only some are here then
    held: int = 0  # bytes that it takes while it waits, about


def varint(value: int) -> bytes:
    """A variable byte integer (1.5.5).

    Raises PacketError for a value that it cannot hold.
    """
    if not 0 <= value <= LARGEST:
        raise PacketError(f"{value} is not a length between 0 and {LARGEST} bytes")
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint_at(data: bytes, at: int) -> tuple[int, int]:
    """The variable byte integer at `at`, and where it ends; IndexError if it is cut off."""
    value = 0
    for i in range(4):
        byte = data[at + i]
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, at + i + 1
    raise PacketError(f"a length of more than 4 bytes: {data[at : at + 4].hex()}")


def _text(data: bytes, at: int) -> tuple[bytes, int]:
    end = at + 2 + _U16.unpack_from(data, at)[0]
    if end > len(data):
        raise PacketError(f"a string of {end - at - 2} bytes in a block of {len(data)}")
    return data[at + 2 : end], end


def _utf8(data: bytes) -> str:
    # A bad byte must not stop the stream: the message is refused later, by its topic or field.
    return data.decode("utf-8", "replace")


def numbers(block: bytes) -> dict[int, int]:
    """The numeric properties of a property block, by identifier."""
    return _Properties().scanned(block).numbers


class _Properties:
    """What a property block says, as far as it was read."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}
        self.content_type = ""
        self.user: dict[str, str] = {}
        self.has_room = True  # False where there are more user properties

    def scanned(self, block: bytes) -> Self:
        """Read on through a block; raises PacketError, IndexError or struct.error."""
        at = pairs = 0
        while at < len(block):
            kind, at = block[at], at + 1
            if kind in _FIXED:
                self.numbers[kind] = int.from_bytes(block[at : at + _FIXED[kind]], "big")
                at += _FIXED[kind]
            elif kind == _VARINT:
                self.numbers[kind], at = varint_at(block, at)
            else:  # text, binary data, or a pair of texts
                value, at = _text(block, at)
                if kind == _CONTENT_TYPE:
                    self.content_type = _utf8(value)
                elif kind == _USER:
                    if pairs == MOST_PROPERTIES:
                        self.has_room = False
                        return self
                    second, at = _text(block, at)
                    self.user[_utf8(value)] = _utf8(second)
                    pairs += 1
        return self

    def shortened(self) -> tuple[str, Mapping[str, str]]:
        """Content type and user properties, each text cut."""
        user = {key[:_GLIMPSED]: value[:_GLIMPSED] for key, value in self.user.items()}
        return self.content_type[:_GLIMPSED], MappingProxyType(user)


def _described(block: bytes) -> tuple[str, Mapping[str, str], int]:
    """Content type, user properties, and the bytes of all of them where they are too many."""
    found = _Properties().scanned(block)
    if not found.has_room:
        return *found.shortened(), len(block)
    return found.content_type, MappingProxyType(found.user) if found.user else NO_PROPERTIES, 0


def _glimpsed(beginning: bytes, length: int) -> tuple[str, Mapping[str, str], int]:
    """The same of a block that is too long to be read: what its beginning says."""
    found = _Properties()
    with suppress(PacketError, IndexError, struct.error):  # it ends in the middle of something
        found.scanned(beginning)
    return *found.shortened(), length


_remembered = lru_cache(maxsize=1024)(_described)


def message(data: bytes, first: int, body: int, stop: int, generation: int) -> Message:
    """The PUBLISH packet `data[body:stop]` whose first byte is `first` (3.3), QoS 0 or 1.

    Raises PacketError, IndexError or struct.error for anything else.
    """
    at = body + 2 + (data[body] << 8 | data[body + 1])
    topic = data[body + 2 : at].decode("utf-8", "replace")
    qos = first >> 1 & 3
    delivery = generation << 18
    if qos == 1:
        delivery |= data[at] << 10 | data[at + 1] << 2 | 1
        at += 2
    elif qos:
        raise PacketError(f"a message of quality {qos} where at most 1 was subscribed")
    length, excess = data[at], 0
    if length == 0:
        payload_at, content_type, properties = at + 1, "", NO_PROPERTIES
    else:
        if length > 127:
            length, at = varint_at(data, at)
        else:
            at += 1
        payload_at = at + length
        if length > MOST_PROPERTY_BYTES:
            beginning = data[at : at + _GLIMPSE]
            content_type, properties, excess = _glimpsed(beginning, length)
        else:
            known = _remembered if length <= _REMEMBERED else _described
            content_type, properties, excess = known(data[at:payload_at])
    if payload_at > stop:
        raise PacketError(f"a header of {payload_at - body} bytes in {stop - body}")
    held = stop - body
    if properties:
        held += _PAIR * len(properties)
    return Message(topic, data[payload_at:stop], content_type, properties, delivery, excess, held)


def acknowledgements(mids: Iterable[int]) -> bytes:
    """One PUBACK for each message, back to back (3.4)."""
    pack = _ACK.pack
    return b"".join([pack(PUBACK, 2, mid) for mid in mids])


def _string(text: str) -> bytes:
    data = text.encode()
    if len(data) > 65_535:
        raise PacketError(f"{text[:40]!r}… has {len(data)} bytes, more than 65535")
    return _U16.pack(len(data)) + data


@lru_cache(maxsize=4096)
def _head(topic: str, content_type: str) -> tuple[bytes, bytes]:
    if not topic or "+" in topic or "#" in topic:
        raise PacketError(f"{topic!r} is not a topic to publish to")
    return _string(topic), b"\x03" + _string(content_type) if content_type else b""


def publish(message: Message, mid: int, *, qos: int, retain: bool) -> bytes:
    """A PUBLISH packet (3.3); `mid` is ignored at QoS 0."""
    topic, block = _head(message.topic, message.content_type)
    if message.properties:
        pairs = message.properties.items()
        block += b"".join(b"\x26" + _string(k) + _string(v) for k, v in pairs)
    number = _U16.pack(mid) if qos else b""
    head = topic + number + varint(len(block)) + block
    length = varint(len(head) + len(message.payload))
    return b"%c%b%b%b" % (PUBLISH | qos << 1 | retain, length, head, message.payload)


def connect(client_id: str, username: str | None, password: str | None, keepalive_s: int) -> bytes:
    """A CONNECT packet for a clean session (3.1)."""
    flags = 0x02 | (username is not None) << 7 | (password is not None) << 6
    body = _string("MQTT") + bytes((5, flags)) + _U16.pack(keepalive_s) + b"\x00"
    body += _string(client_id)
    body += b"".join(_string(secret) for secret in (username, password) if secret is not None)
    return bytes((CONNECT,)) + varint(len(body)) + body
