"""A task that tries again and again: how long it pauses, and how it ends."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator


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


async def cancelled(task: asyncio.Task[None]) -> None:
    """Cancel `task` and wait for its end; raises what it had failed with."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
