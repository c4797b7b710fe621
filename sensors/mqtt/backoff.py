"""A task that tries again and again: how long it pauses, and how it ends."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator

STEADY = 2.0  # a connection that lasts twice the longest pause is no sign of trouble


def pauses(
    least_s: float, most_s: float, chance: Callable[[], float] = random.random
) -> Iterator[float]:
    """Pauses [s] that double up to `most_s`, each shortened at random by up to a half.

    The chance keeps a thousand clients of one restarted broker from returning together.
    """
    limit = least_s
    while True:
        yield limit * (1 - chance() / 2)
        limit = min(most_s, limit * 2)


class Patience:
    """How long to pause after each connection: longer and longer, until one has lasted.

    That a connection is made means little: two clients with one name throw each other out as
    often as they come back.
    """

    def __init__(
        self, least_s: float, most_s: float, chance: Callable[[], float] = random.random
    ) -> None:
        self._bounds, self._chance = (least_s, most_s), chance
        self._pauses = pauses(least_s, most_s, chance)
        self.steady_s = STEADY * most_s
        self.brief = 0  # connections in a row that were made and did not last

    def after(self, lasted_s: float) -> float:
        """The pause [s] after a connection that lasted so long, 0 if none was made."""
        if lasted_s >= self.steady_s:
            self._pauses = pauses(*self._bounds, self._chance)
            self.brief = 0
        self.brief += 0 < lasted_s < self.steady_s
        return next(self._pauses)


async def cancelled(task: asyncio.Task[None]) -> None:
    """Cancel `task` and wait for its end; raises what it had failed with."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
