"""A refused message as a row of its table, and whether that is as it was written."""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

import msgspec

from storage.errors import CorruptError
from storage.journal.database import Row, typed
from storage.journal.entry import DeadLetter

PAYLOAD_BYTES = 1 << 20  # a longer payload is cut
LARGEST_BODY = 2 * PAYLOAD_BYTES  # with topic, sentence and properties; no row counts more

# SQLite gives any value in any column, and no row of a query behind a text that is not UTF-8.
REASON = "CASE typeof(reason) WHEN 'text' THEN CAST(reason AS BLOB) END"
SIZE = f"CAST(coalesce(min(max(size, 0), {LARGEST_BODY}), 0) AS INTEGER)"
LETTER = (
    f"{REASON}, CASE typeof(size) WHEN 'integer' THEN size END, "
    "CASE typeof(crc32) WHEN 'integer' THEN crc32 END, CASE typeof(body) WHEN 'blob' THEN body END"
)


class _Body(msgspec.Struct, frozen=True, array_like=True, gc=False):
    letter: DeadLetter
    payload_size: int


class KeptLetter(NamedTuple):
    """A dead letter as it is kept."""

    id: int
    letter: DeadLetter
    payload_size: int  # [byte] as it came; the kept payload is shorter if it was cut

    @property
    def cut(self) -> bool:
        """Whether the payload is incomplete, so that it cannot be submitted again."""
        return self.payload_size > len(self.letter.payload)

    @property
    def as_it_came(self) -> DeadLetter:
        """The letter for another store, which shall know what it lacks."""
        size = self.payload_size if self.cut else 0
        return msgspec.structs.replace(self.letter, cut_from=size)


def body_of(letter: DeadLetter, most: int) -> bytes:
    """A letter as it is kept: all of it, or its beginning if that would take much of `most`."""
    size, kept = max(len(letter.payload), letter.cut_from), min(PAYLOAD_BYTES, most // 4)
    if len(letter.payload) > kept:
        letter = msgspec.structs.replace(letter, payload=letter.payload[:kept])
    return msgspec.msgpack.encode(_Body(letter, size))


def letter_crc(letter: int, body: bytes) -> int:
    """The checksum of a row."""
    return crc32(body, crc32(str(letter).encode()))


def letter_of(number: int, body: bytes) -> KeptLetter:
    """What the body of a letter says, which is as it was written."""
    kept = msgspec.msgpack.decode(body, type=_Body)
    return KeptLetter(number, kept.letter, kept.payload_size)


def whole_letter(number: int, row: Row | None) -> KeptLetter:
    """The letter of a row, whose columns are those of `LETTER`; raises CorruptError.

    The checksum is of the body alone, which says what the reason and the size have to be.
    """
    try:
        reason, size, crc, body = typed(row or (), bytes, int, int, bytes)
        if crc == letter_crc(number, body) and size == len(body):
            kept = letter_of(number, body)
            if kept.letter.reason.encode() == reason:
                return kept
    except CorruptError:
        pass
    raise CorruptError(f"dead letter {number} is not as it was written")


def has_reason(number: int, row: Row | None, word: str) -> bool:
    """Whether it is the row of a whole letter that was refused for this reason."""
    try:
        return whole_letter(number, row).letter.reason == word
    except CorruptError:
        return False
