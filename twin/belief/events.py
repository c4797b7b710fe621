"""The last events, numbered, so that a listener can resume where it left off."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

KINDS = {
    "registered": "A component was registered, changed, or brought back.",
    "retired": "It was retired: what was retained of it over MQTT is taken back.",
    "state": "Its length, status or remaining life moved; over MQTT the retained topic `state`.",
    "inspection": "A measured length was believed.",
    "late": "An inspection older than the latest one, or than a fracture, was kept and not used.",
    "clipped": "A measured length that no crack there can have became the nearest possible one.",
    "jump": "A sequence number far above the last of its stream.",
    "surprise": "A length that jumps was held, confirmed, dropped or superseded (`outcome`).",
    "limit": "The crack (or what `belief` names) reached its limit, or the part broke: once, until "
    "it is repaired.",
    "fractured": "The part broke: once for each break.",
    "ended": "Of what `belief` names, beside the crack, nothing is left: once.",
    "quality": "Samples that no gauge can mean were set aside, or a channel is stuck or clipped.",
    "implausible": "An observation that could not be applied was left out.",
    "life_unknown": "The remaining life could not be computed.",
    "outside": "The law or the geometry is not known to hold for what is seen.",
    "ahead": "A source's clock is far ahead of the others', and is not believed.",
    "backfill": "Evidence is far behind, is being put in its place, or has been (`state`).",
    "conflict": "A key (source, boot, seq) came again with other content.",
    "session": "The broker has not kept what it held for the service (`why`); of no component, and "
    "not over MQTT.",
    "missed": "The stream alone: events before this one are gone.",
}

Value: TypeAlias = float | str | int | Sequence[str] | Mapping[str, Any] | None  # of what is told

PAGE = 200  # events that a listener gets at a time


class Event(NamedTuple):
    """Something that happened to a component."""

    id: int
    kind: str
    component: str
    t_ns: int
    data: Mapping[str, Value]


class Events:
    """A ring of events with any number of listeners; a slow one misses what falls out.

    Numbers start at the wall clock's microseconds, so that they grow over restarts and a
    listener that resumes after one is told that it missed something.
    """

    def __init__(self, first_id: int, capacity: int = 10_000) -> None:
        self._ring: deque[Event] = deque(maxlen=capacity)
        self._next = first_id
        self._news = asyncio.Event()
        self._closed = False

    @property
    def last_id(self) -> int:
        """The number of the latest event."""
        return self._next - 1

    def added(self, happenings: Iterable[tuple[str, str, int, Mapping[str, Value]]]) -> list[Event]:
        """Number and keep what happened, wake the listeners, and give the new events."""
        first = self._next
        new = [Event(first + i, *happening) for i, happening in enumerate(happenings)]
        if new:
            self._next += len(new)
            self._ring.extend(new)
            self._news.set()
            self._news = asyncio.Event()
        return new

    def close(self) -> None:
        """End all listeners."""
        self._closed = True
        self._news.set()

    def since(self, after_id: int, most: int | None = None) -> tuple[list[Event], bool]:
        """The events after a number, the first `most` of them, and whether some before are gone.

        Only those are looked at: many listeners ask this each time that something happens.
        """
        new = min(max(0, self.last_id - after_id), len(self._ring))
        count = new if most is None else min(new, most)
        first = len(self._ring) - new
        kept = [self._ring[first + i] for i in range(count)]
        oldest = self._ring[0].id if self._ring else self._next
        return kept, after_id + 1 < oldest

    async def pages(self, after_id: int) -> AsyncIterator[list[Event]]:
        """Every event after a number, for ever, some at a time; `missed` where some are gone.

        A number that no event has yet, of a clock that was ahead, counts as the last one's.
        """
        if after_id > self.last_id:
            after_id = self.last_id
            yield [Event(after_id, "missed", "", 0, {})]
        while not self._closed:
            news = self._news
            kept, missed = self.since(after_id, PAGE)
            if missed:
                yield [Event(after_id, "missed", "", 0, {})]
            if kept:
                after_id = kept[-1].id
                yield kept
            else:
                after_id = self.last_id
                await news.wait()

    async def stream(self, after_id: int) -> AsyncIterator[Event]:
        """The same, one by one."""
        async for page in self.pages(after_id):
            for event in page:
                yield event
