"""What each stream has delivered: duplicates refused exactly, gaps counted.

A stream is one (component, source, boot), whose messages count up by one. Its mark is the highest
number seen and the intervals below it that are still missing. A number above the mark is new; one
below it is new only inside a hole. A stream may begin in the middle and out of order, so that the
`LEAD` numbers before its first message are admitted as well, without being counted as missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple
from zlib import crc32

import msgspec

from storage.entry import Entry
from storage.errors import CorruptError

HOLES = 64  # the most intervals that are remembered for a stream; the lowest is forgotten first
LEAD = 1024  # numbers before the first message of a stream that are still admitted

Key = tuple[str, str, int]  # component, source, boot


class Outcome(StrEnum):
    """What became of an entry."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"  # it is here already
    CONFLICT = "conflict"  # its key is here already, with other content
    BEHIND = "behind"  # so late that nobody remembers whether it is here, or with what content


class Mark(NamedTuple):
    """What is known of one stream."""

    first: int  # the number of the message that came first
    high: int  # the highest number seen
    floor: int  # below it nothing is remembered
    holes: tuple[tuple[int, int], ...] = ()  # missing (from, to), both inclusive, ascending


class Verdict(NamedTuple):
    """What becomes of a message and of its stream's mark."""

    outcome: Outcome
    mark: Mark
    missing: int = 0  # numbers newly noticed to be missing
    filled: int = 0  # numbers that had been counted as missing and came after all


class Judgement(NamedTuple):
    """The verdicts on a batch."""

    outcomes: list[Outcome]
    accepted: list[Entry]
    touched: dict[Key, Mark]
    last: dict[Key, int]  # the place of each stream's last entry among those accepted
    missing: int
    filled: int


def beginning(seq: int) -> Mark:
    """The mark of a stream whose first message has number `seq`."""
    floor = max(0, seq - LEAD)
    return Mark(seq, seq, floor, ((floor, seq - 1),) if seq > floor else ())


def verdict(mark: Mark, seq: int) -> Verdict:
    """What a message with number `seq` means to a stream."""
    if seq == mark.high + 1:
        return Verdict(Outcome.ACCEPTED, mark._replace(high=seq))
    if seq > mark.high:
        missed = _bounded(mark._replace(high=seq), (*mark.holes, (mark.high + 1, seq - 1)))
        return Verdict(Outcome.ACCEPTED, missed, missing=seq - mark.high - 1)
    return _late(mark, seq)


def _late(mark: Mark, seq: int) -> Verdict:
    for i, (low, high) in enumerate(mark.holes):
        if low <= seq <= high:
            rest = tuple(hole for hole in ((low, seq - 1), (seq + 1, high)) if hole[0] <= hole[1])
            filled = _bounded(mark, mark.holes[:i] + rest + mark.holes[i + 1 :])
            return Verdict(Outcome.ACCEPTED, filled, filled=int(seq > mark.first))
    return Verdict(Outcome.BEHIND if seq < mark.floor else Outcome.DUPLICATE, mark)


def _bounded(mark: Mark, holes: tuple[tuple[int, int], ...]) -> Mark:
    if len(holes) <= HOLES:
        return mark._replace(holes=holes)
    forgotten = holes[-HOLES - 1]
    return mark._replace(holes=holes[-HOLES:], floor=forgotten[1] + 1)


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(tuple[Mark, int])


def _seal(key: Key, body: bytes) -> bytes:
    return crc32(f"{key[0]}\0{key[1]}\0{key[2]}".encode(), crc32(body)).to_bytes(4, "little")


def sealed(key: Key, mark: Mark, last: int) -> bytes:
    """The bytes of a mark and of the offset of its stream's last entry.

    They end with a checksum that also covers the key.
    """
    body = _encode((mark, last))
    return body + _seal(key, body)


def unsealed(key: Key, data: bytes) -> tuple[Mark, int]:
    """The mark and the offset; raises CorruptError if the bytes are not those of `sealed`."""
    body = data[:-4]
    if data[-4:] != _seal(key, body):
        raise CorruptError(f"the mark of stream {key} does not match its checksum")
    return _decoder.decode(body)


class Marks:
    """The marks of all streams, in memory; they advance only after the commit."""

    def __init__(self, rows: Iterable[tuple[int, str, str, int, bytes]] = ()) -> None:
        """Take over `(stream, component, source, boot, sealed mark)` of every stream."""
        self._marks: dict[Key, Mark] = {}
        self._streams: dict[Key, int] = {}
        self.end = 0  # behind the last entry of all streams, as of opening
        for stream, component, source, boot, data in rows:
            key = (component, source, boot)
            self._marks[key], last = unsealed(key, data)
            self.end = max(self.end, last + 1)
            self._streams[key] = stream

    def __len__(self) -> int:
        return len(self._marks)

    def get(self, key: Key) -> Mark | None:
        """The mark of a stream, or None before its first message."""
        return self._marks.get(key)

    def of(self, component: str) -> list[tuple[tuple[str, int], Mark]]:
        """Source, boot and mark of every stream of a component, in their order; in any thread."""
        known = list(self._marks.items())  # at once: another thread adds to them
        return sorted((key[1:], mark) for key, mark in known if key[0] == component)

    def judgement(self, entries: Sequence[Entry]) -> Judgement:
        """Who is new, first come, first served; changes nothing."""
        outcomes: list[Outcome] = []
        accepted: list[Entry] = []
        touched: dict[Key, Mark] = {}
        last: dict[Key, int] = {}
        missing = filled = 0
        for entry in entries:
            key = (entry.component, entry.source, entry.boot)
            mark = touched.get(key) or self._marks.get(key)
            if mark is None:
                found = Verdict(Outcome.ACCEPTED, beginning(entry.seq))
            else:
                found = verdict(mark, entry.seq)
            outcomes.append(found.outcome)
            if found.outcome is Outcome.ACCEPTED:
                last[key] = len(accepted)
                accepted.append(entry)
                touched[key] = found.mark
                missing += found.missing
                filled += found.filled
        return Judgement(outcomes, accepted, touched, last, missing, filled)

    def following(self, entries: Sequence[Entry]) -> Judgement:
        """All of them taken, as they were once, and the marks after them; changes nothing."""
        touched: dict[Key, Mark] = {}
        last: dict[Key, int] = {}
        for i, entry in enumerate(entries):
            key = (entry.component, entry.source, entry.boot)
            mark = touched.get(key) or self._marks.get(key)
            touched[key] = beginning(entry.seq) if mark is None else verdict(mark, entry.seq).mark
            last[key] = i
        outcomes = [Outcome.ACCEPTED] * len(entries)
        return Judgement(outcomes, list(entries), touched, last, 0, 0)

    def numbered(self, touched: Iterable[Key]) -> dict[Key, int]:
        """The row of each stream; new streams get the next ones. Changes nothing."""
        numbers: dict[Key, int] = {}
        fresh = len(self._streams) + 1
        for key in touched:
            number = self._streams.get(key)
            if number is None:
                number, fresh = fresh, fresh + 1
            numbers[key] = number
        return numbers

    def advance(self, touched: dict[Key, Mark], numbers: dict[Key, int]) -> None:
        """Take over what was committed."""
        self._marks.update(touched)
        self._streams.update(numbers)
