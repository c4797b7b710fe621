"""A bounded queue of lines that is filled and emptied in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from twin.fold import Line


class LineQueue:
    """What is durable and waits for stepping; `put` waits while it is full."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._lines: list[Line] = []
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        return len(self._lines)

    async def put(self, lines: Sequence[Line]) -> None:
        """Append `lines`, once there is room."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._lines) < self._capacity)
            self._lines.extend(lines)
            self._changed.notify_all()

    async def take(self, limit: int) -> list[Line]:
        """Everything that waits, at most `limit`; waits for the first."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._lines))
            taken, self._lines = self._lines[:limit], self._lines[limit:]
            self._changed.notify_all()
            return taken
