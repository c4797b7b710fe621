"""A stream of bytes, cut into control packets."""

from __future__ import annotations

from sensors.mqtt.packets import PacketError, varint_at


class Framing:
    """The bytes of one connection, cut into packets."""

    def __init__(self, limit: int) -> None:
        self._limit = limit  # [bytes] of one packet
        self._pieces: list[bytes] = []  # of a packet that is not complete yet
        self._size = 0
        self._needed = 0
        self.data = b""
        self.at = 0

    def feed(self, piece: bytes) -> None:
        """Append what the socket gave, joining only when a packet can be complete."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size >= self._needed:
            self.data, self.at = self.data[self.at :] + b"".join(self._pieces), 0
            self._pieces, self._size, self._needed = [], 0, 0

    def complete(self) -> tuple[int, int] | None:
        """Where the body of the next packet starts and ends; None until it is whole.

        Raises PacketError for a packet above the limit.
        """
        data, at = self.data, self.at
        if len(data) > at + 1 and (length := data[at + 1]) < 128:
            body, stop = at + 2, at + 2 + length
        else:
            found = _span(data, at)
            if found is None:
                return None
            body, stop = found
            if stop - at > self._limit:
                raise PacketError(f"a packet of {stop - at} bytes, more than {self._limit}")
        if stop > len(data):
            self._needed = stop - len(data)
            return None
        return body, stop


def _span(data: bytes, at: int) -> tuple[int, int] | None:
    """Start of the body and end of the packet at `at`; None if the header is cut off."""
    try:
        length, body = varint_at(data, at + 1)
    except IndexError:
        return None
    return body, body + length
