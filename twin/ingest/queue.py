"""A bounded queue of lines that is filled and emptied in batches."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence

from sensors.observation import Series, Spectrum
from twin.belief.segments import Line

BYTES = 64 << 20  # of samples and cycles that may wait: a count of lines alone bounds no memory


class LineQueue:
    """What is durable and waits for stepping; `put` waits while it is full.

    It is full once either bound is reached, so that at most one more `put` goes beyond it. What was
    taken last is in hand until more is taken, or `done` says that it is stepped.
    """

    def __init__(self, capacity: int, capacity_bytes: int = BYTES) -> None:
        self._capacity, self._capacity_bytes = capacity, capacity_bytes
        self._lines: list[Line] = []
        self._bytes = 0
        self._in_hand = 0
        self._came: deque[tuple[float, int]] = deque()  # monotonic time, lines not yet stepped
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def bytes(self) -> int:
        """Of samples and cycles that wait."""
        return self._bytes

    @property
    def unstepped(self) -> int:
        """Lines that wait, and those in hand."""
        return len(self._lines) + self._in_hand

    @property
    def waited_s(self) -> float:
        """How long the oldest line that is not stepped has waited [s]."""
        return time.monotonic() - self._came[0][0] if self._came else 0.0

    def done(self, count: int | None = None) -> None:
        """What was taken last is stepped, or the first so many lines of it."""
        left = self._in_hand if count is None else min(count, self._in_hand)
        self._in_hand -= left
        while left:
            since, lines = self._came.popleft()
            taken = min(lines, left)
            left -= taken
            if lines > taken:
                self._came.appendleft((since, lines - taken))

    async def put(self, lines: Sequence[Line]) -> None:
        """Append `lines`, once there is room."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._is_full)
            self._lines.extend(lines)
            self._bytes += sum(map(size, lines))
            if lines:
                self._came.append((time.monotonic(), len(lines)))
            self._changed.notify_all()

    async def take(self, limit: int) -> list[Line]:
        """Everything that waits, at most `limit`; waits for the first."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._lines))
            self.done()
            taken, self._lines = self._lines[:limit], self._lines[limit:]
            self._in_hand = len(taken)
            self._bytes -= sum(map(size, taken))
            self._changed.notify_all()
            return taken

    @property
    def _is_full(self) -> bool:
        return len(self._lines) >= self._capacity or self._bytes >= self._capacity_bytes


def size(line: Line) -> int:
    """The bytes of what may be long in a line."""
    what = line.what
    if isinstance(what, Series):
        return len(what.tension) + len(what.shear)
    return len(what.cycles) if isinstance(what, Spectrum) else 0
