"""The queue to stepping is bounded, and loses nothing."""

from __future__ import annotations

import asyncio

from tests.twin.fleets import spectrum
from twin.queues import LineQueue


async def test_lines_leave_in_the_order_in_which_they_came() -> None:
    queue = LineQueue(10)
    lines = [spectrum(i) for i in range(5)]
    await queue.put(lines[:2])
    await queue.put(lines[2:])
    assert await queue.take(3) + await queue.take(3) == lines


async def test_a_full_queue_waits_until_there_is_room() -> None:
    queue = LineQueue(2)
    await queue.put([spectrum(0), spectrum(1)])
    waiting = asyncio.create_task(queue.put([spectrum(2)]))
    await asyncio.sleep(0)
    assert not waiting.done()
    await queue.take(1)
    await asyncio.wait_for(waiting, 5)
    assert len(queue) == 2
