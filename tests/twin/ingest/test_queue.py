"""The queue to stepping is bounded, and loses nothing."""

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.twin.fakes import PRESS, house
from tests.twin.fleets import spectrum
from twin.belief.fold import walked
from twin.ingest.queue import LineQueue
from twin.stepping import stepping


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


async def test_what_is_taken_counts_as_waiting_until_it_is_stepped() -> None:
    """A fold of minutes had emptied the queue, and every gauge was calm."""
    queue = LineQueue(10)
    await queue.put([spectrum(0), spectrum(1)])
    await asyncio.sleep(0.02)
    await queue.put([spectrum(2)])
    await queue.take(1)
    assert (queue.unstepped, len(queue)) == (3, 2)
    assert queue.waited_s >= 0.02
    queue.done()
    assert queue.unstepped == 2
    assert queue.waited_s >= 0.02
    await queue.take(5)
    assert queue.waited_s >= 0.0
    queue.done()
    assert (queue.unstepped, queue.waited_s) == (0, 0.0)


async def test_a_fold_that_never_ends_is_seen_in_the_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path) as home:
        await home.register(PRESS)
        begun, on = threading.Event(), threading.Event()

        def slow(*args: Any) -> Any:
            begun.set()
            on.wait(30)
            return walked(*args)

        monkeypatch.setattr(stepping, "walked", slow)
        load = asyncio.create_task(home.load())
        await asyncio.to_thread(begun.wait, 30)
        await asyncio.sleep(0.05)
        page = (await home.http.get("/metrics")).text
        on.set()
        await load
        assert 'twin_queue_depth{queue="stepping"} 1.0' in page
        found = re.search(r"^twin_unstepped_age_seconds (\S+)$", page, re.MULTILINE)
        assert found is not None
        assert float(found[1]) >= 0.05
