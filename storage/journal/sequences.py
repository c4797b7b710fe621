"""What each stream has delivered: duplicates refused exactly, gaps counted.

A stream is one (component, source, boot), whose messages count up by one. Its mark is the highest
number seen and the intervals below it that are still missing. A number above the mark is new; one
below it is new only inside a hole. A stream may begin in the middle and out of order, so that the
`LEAD` numbers before its first message are admitted as well, without being counted as missing.

A number that is more than `JUMP` above the last is a number gone wrong rather than so many messages
lost: what it jumps over is a hole as any other, so that what comes after all is taken, but its
numbers are counted neither as missing nor as filled.

Where a component has very many streams some are forgotten: see `storage.journal.forgetting`.
"""

# Over 300 lines: the verdict on a number and the marks that it follows from are one rule.

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple
from zlib import crc32

import msgspec

from storage.errors import CorruptError
from storage.journal.entry import Entry
from storage.journal.forgetting import FORGOTTEN, Births, Crowds, Key, group_of

HOLES = 64  # the most intervals that are remembered for a stream; the lowest is forgotten first
JUMP = 1_000_000  # numbers that one message may leave out and have them counted as missing
LEAD = 1024  # numbers before the first message of a stream that are still admitted


class Outcome(StrEnum):
    """What became of an entry."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"  # it is here already
    CONFLICT = "conflict"  # its key is here already, with other content
    BEHIND = "behind"  # so late that nobody remembers whether it is here, or with what content


class StreamMark(NamedTuple):
    """What is known of one stream."""

    first: int  # the number of the message that came first
    high: int  # the highest number seen
    floor: int  # below it nothing is remembered
    holes: tuple[tuple[int, int], ...] = ()  # missing (from, to), both inclusive, ascending
    jumped: tuple[tuple[int, int], ...] = ()  # parts of it that were jumped over, not counted
    latest_ns: int = 0  # event time of its latest message, where it may be forgotten
    since_ns: int = 0  # what is not later may have come before the stream was forgotten

    @property
    def missing(self) -> int:
        """How many numbers count as missing."""
        spans = ((max(low, self.first), high) for low, high in self.holes)
        return sum(b - a + 1 for a, b in spans if a <= b and not _within(self.jumped, a))


class SequenceVerdict(NamedTuple):
    """What becomes of a message and of its stream's mark."""

    outcome: Outcome
    mark: StreamMark
    missing: int = 0  # numbers newly noticed to be missing
    filled: int = 0  # numbers that had been counted as missing and came after all
    jumped: int = 0  # numbers left out at once, too many to be missing


class Jump(NamedTuple):
    """A number far above the last of its stream."""

    component: str
    source: str
    boot: int
    t_ns: int
    last: int  # number before it
    seq: int


class Judgement(NamedTuple):
    """The verdicts on a batch."""

    outcomes: list[Outcome]
    accepted: list[Entry]
    touched: dict[Key, StreamMark]
    last: dict[Key, int]  # the place of each stream's last entry among those accepted
    missing: int
    filled: int
    jumps: Sequence[Jump] = ()
    births: Births | None = None
    gone: frozenset[Key] = frozenset()  # streams that are forgotten


def beginning(seq: int) -> StreamMark:
    """The mark of a stream whose first message has number `seq`."""
    floor = max(0, seq - LEAD)
    return StreamMark(seq, seq, floor, ((floor, seq - 1),) if seq > floor else ())


def verdict(mark: StreamMark, seq: int) -> SequenceVerdict:
    """What a message with number `seq` means to a stream."""
    if seq == mark.high + 1:
        return SequenceVerdict(Outcome.ACCEPTED, mark._replace(high=seq))
    if seq > mark.high:
        hole, left_out = (mark.high + 1, seq - 1), seq - mark.high - 1
        is_jump = left_out > JUMP
        after = mark._replace(high=seq, jumped=(*mark.jumped, hole) if is_jump else mark.jumped)
        missed = _bounded(after, (*mark.holes, hole))
        if is_jump:
            return SequenceVerdict(Outcome.ACCEPTED, missed, jumped=left_out)
        return SequenceVerdict(Outcome.ACCEPTED, missed, missing=left_out)
    return _late(mark, seq)


def _within(spans: tuple[tuple[int, int], ...], seq: int) -> bool:
    return any(low <= seq <= high for low, high in spans)


def _late(mark: StreamMark, seq: int) -> SequenceVerdict:
    for i, (low, high) in enumerate(mark.holes):
        if low <= seq <= high:
            rest = tuple(hole for hole in ((low, seq - 1), (seq + 1, high)) if hole[0] <= hole[1])
            filled = _bounded(mark, mark.holes[:i] + rest + mark.holes[i + 1 :])
            counts = seq > mark.first and not _within(mark.jumped, seq)
            return SequenceVerdict(Outcome.ACCEPTED, filled, filled=int(counts))
    return SequenceVerdict(Outcome.BEHIND if seq < mark.floor else Outcome.DUPLICATE, mark)


def _bounded(mark: StreamMark, holes: tuple[tuple[int, int], ...]) -> StreamMark:
    floor = mark.floor if len(holes) <= HOLES else holes[-HOLES - 1][1] + 1
    kept = holes[-HOLES:]
    jumped = tuple(
        (low, high) for low, high in mark.jumped if any(a <= high and low <= b for a, b in kept)
    )
    return mark._replace(holes=kept, floor=floor, jumped=jumped)


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(tuple[StreamMark, int])
_FIELDS_BEFORE = 4  # of a mark: earlier releases read those, and know of no jumps, nor forget


def _seal(key: Key, body: bytes) -> bytes:
    return crc32(f"{key[0]}\0{key[1]}\0{key[2]}".encode(), crc32(body)).to_bytes(4, "little")


def sealed(key: Key, mark: StreamMark, last: int) -> bytes:
    """The bytes of a mark and of the offset of its stream's last entry.

    They end with a checksum that also covers the key.
    """
    fields = mark if any(mark[_FIELDS_BEFORE:]) else mark[:_FIELDS_BEFORE]
    body = _encode((fields, last))
    return body + _seal(key, body)


def unsealed(key: Key, data: bytes) -> tuple[StreamMark, int]:
    """The mark and the offset; raises CorruptError if the bytes are not those of `sealed`."""
    body = data[:-4]
    if data[-4:] != _seal(key, body):
        raise CorruptError(f"the mark of stream {key} does not match its checksum")
    mark, last = _decoder.decode(body)
    if not mark.jumped:  # an earlier release counted what was jumped over; nobody else shall pay
        wide = tuple((low, high) for low, high in mark.holes if high - low >= JUMP)
        mark = mark._replace(jumped=wide)
    return mark, last


class Sequences:
    """The marks of all streams, in memory; they advance only after the commit."""

    def __init__(self, rows: Iterable[tuple[int, str, str, int, bytes]] = ()) -> None:
        """Take over `(stream, component, source, boot, sealed mark)` of every stream."""
        self._marks: dict[Key, StreamMark] = {}
        self._streams: dict[Key, int] = {}
        self.end = 0  # behind the last entry of all streams, as of opening
        for stream, component, source, boot, data in rows:
            key = (component, source, boot)
            self._marks[key], last = unsealed(key, data)
            self.end = max(self.end, last + 1)
            self._streams[key] = stream
        self._crowds: Crowds | None = None  # counted when the first stream is new

    def __len__(self) -> int:
        return len(self._marks)

    def get(self, key: Key) -> StreamMark | None:
        """The mark of a stream, or None before its first message."""
        return self._marks.get(key)

    def of(self, component: str) -> list[tuple[tuple[str, int], StreamMark]]:
        """Source, boot and mark of every stream of a component, in their order; in any thread."""
        known = list(self._marks.items())  # at once: another thread adds to them
        return sorted(
            (key[1:], mark)
            for key, mark in known
            if key[0] == component and not key[1].startswith(FORGOTTEN)
        )

    def may_have(self, entry: Entry) -> bool:
        """Whether an entry may be of a stream that is forgotten, or was once."""
        key = (entry.component, entry.source, entry.boot)
        mark, group = self._marks.get(key), group_of(key)
        before = self._marks.get(group) if mark is None and group is not None else None
        since_ns = max(mark.since_ns if mark else 0, before.latest_ns if before else 0)
        return bool(since_ns) and entry.t_ns <= since_ns

    def judgement(self, entries: Sequence[Entry]) -> Judgement:
        """Who is new, first come, first served; changes nothing."""
        return _Judge(self._marks, self._counted()).judgement(entries)

    def _counted(self) -> Crowds:
        if self._crowds is None:
            self._crowds = Crowds(self._marks, lambda key: self._marks[key].latest_ns)
        return self._crowds

    def following(self, entries: Sequence[Entry]) -> Judgement:
        """All of them taken, as they were once, and the marks after them; changes nothing."""
        touched: dict[Key, StreamMark] = {}
        last: dict[Key, int] = {}
        for i, entry in enumerate(entries):
            key = (entry.component, entry.source, entry.boot)
            mark = touched.get(key) or self._marks.get(key)
            touched[key] = beginning(entry.seq) if mark is None else verdict(mark, entry.seq).mark
            last[key] = i
        outcomes = [Outcome.ACCEPTED] * len(entries)
        return Judgement(outcomes, list(entries), touched, last, 0, 0)

    def numbered(
        self, touched: Iterable[Key], gone: frozenset[Key] = frozenset()
    ) -> dict[Key, int]:
        """The row of each stream; new ones get those of the `gone`, then the next ones.

        Changes nothing.
        """
        numbers: dict[Key, int] = {}
        free = sorted((self._streams[key] for key in gone), reverse=True)
        fresh = len(self._streams) + 1
        for key in touched:
            number = self._streams.get(key)
            if number is None and free:
                number = free.pop()
            elif number is None:
                number, fresh = fresh, fresh + 1
            numbers[key] = number
        return numbers

    def advance(
        self,
        touched: dict[Key, StreamMark],
        numbers: dict[Key, int],
        judgement: Judgement | None = None,
    ) -> None:
        """Take over what was committed."""
        for key in judgement.gone if judgement is not None else ():
            del self._marks[key], self._streams[key]
        self._marks.update(touched)
        self._streams.update(numbers)
        if judgement is None or judgement.births is None:
            self._crowds = None
        elif self._crowds is not None:
            self._crowds.take(judgement.births)


class _Judge:
    """Judges one batch, entry by entry."""

    def __init__(self, marks: Mapping[Key, StreamMark], crowds: Crowds) -> None:
        self._marks = marks
        self._births = Births(crowds)
        self._gone: set[Key] = set()
        self._touched: dict[Key, StreamMark] = {}
        self._last: dict[Key, int] = {}

    def judgement(self, entries: Sequence[Entry]) -> Judgement:
        outcomes: list[Outcome] = []
        accepted: list[Entry] = []
        jumps: list[Jump] = []
        missing = filled = 0
        for entry in entries:
            key = (entry.component, entry.source, entry.boot)
            mark = self._mark(key)
            found = self._first(key, entry, len(accepted)) if mark is None else _next(mark, entry)
            outcomes.append(found.outcome)
            if found.outcome is Outcome.ACCEPTED:
                if mark is not None:
                    self._touched[key], self._last[key] = found.mark, len(accepted)
                accepted.append(entry)
                missing += found.missing
                filled += found.filled
                if found.jumped and mark is not None:
                    jumps.append(Jump(*key, entry.t_ns, mark.high, entry.seq))
        gone = frozenset(k for k in self._gone if k in self._marks and k not in self._touched)
        return Judgement(
            outcomes,
            accepted,
            self._touched,
            self._last,
            missing,
            filled,
            jumps,
            self._births,
            gone,
        )

    def _mark(self, key: Key) -> StreamMark | None:
        return self._touched.get(key) or (None if key in self._gone else self._marks.get(key))

    def _latest_ns(self, key: Key) -> int:
        mark = self._mark(key)
        return 0 if mark is None else mark.latest_ns

    def _first(self, key: Key, entry: Entry, place: int) -> SequenceVerdict:
        """What the first message of a stream means, or of one that was forgotten."""
        group = group_of(key)
        before = None if group is None else self._mark(group)
        since_ns = 0 if before is None else before.latest_ns
        mark = beginning(entry.seq)
        if before is not None and entry.t_ns <= since_ns:
            return SequenceVerdict(Outcome.BEHIND, mark)
        latest_ns = 0 if self._births.is_kept(group) else max(1, entry.t_ns)
        mark = mark._replace(latest_ns=latest_ns, since_ns=since_ns)
        self._touched[key], self._last[key] = mark, place
        self._gone.discard(key)
        victim = self._births.born(group, key, latest_ns, self._latest_ns)
        if victim is not None and group is not None:
            self._forget(victim, group, place)
        return SequenceVerdict(Outcome.ACCEPTED, mark)

    def _forget(self, key: Key, group: Key, place: int) -> None:
        latest_ns = self._latest_ns(key)
        self._touched.pop(key, None)
        self._last.pop(key, None)
        self._gone.add(key)
        before = self._mark(group) or StreamMark(0, 0, 0)
        self._touched[group] = before._replace(
            high=before.high + 1, latest_ns=max(before.latest_ns, latest_ns)
        )
        self._last[group] = place


def _next(mark: StreamMark, entry: Entry) -> SequenceVerdict:
    """What a message means to a stream that is known."""
    if mark.since_ns and entry.t_ns <= mark.since_ns:
        return SequenceVerdict(Outcome.BEHIND, mark)
    found = verdict(mark, entry.seq)
    if not mark.latest_ns or entry.t_ns <= mark.latest_ns or found.outcome is not Outcome.ACCEPTED:
        return found
    return found._replace(mark=found.mark._replace(latest_ns=entry.t_ns))
