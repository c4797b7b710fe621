"""The threads in which a service works beside its loop, as one value."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeVar

from storage.errors import UnavailableError

QUERIES = 2  # threads in which what clients ask for is read

T = TypeVar("T")


class Threads:
    """Owns the threads; whoever waits for one does not hold up the others."""

    def __init__(self) -> None:
        self.journalling = ThreadPoolExecutor(1, "journal")
        self.judging = ThreadPoolExecutor(1, "judging")  # what comes in waits for no client
        self._upkeep = ThreadPoolExecutor(1, "upkeep")  # of the log, and the page of metrics
        self._queries = ThreadPoolExecutor(QUERIES, "queries")
        self._foresight = ThreadPoolExecutor(1, "foresight")  # seconds each: no query waits behind
        self._trials = ThreadPoolExecutor(1, "trials")  # no registration waits for forecasts

    async def query(self, function: Callable[..., T], *args: object) -> T:
        """Run a blocking question off the loop."""
        return await on(self._queries, function, *args)

    async def maintain(self, function: Callable[..., T], *args: object) -> T:
        """Run something that the service itself, or who watches it, needs done in time."""
        return await on(self._upkeep, function, *args)

    async def journal(self, function: Callable[..., T], *args: object) -> T:
        """Run a question to the journal in its thread."""
        return await on(self.journalling, function, *args)

    async def judge(self, function: Callable[..., T], *args: object) -> T:
        """Judge what has come in."""
        return await on(self.judging, function, *args)

    async def foresee(self, function: Callable[..., T], *args: object) -> T:
        """Run a forecast, which may take seconds, after those before it.

        Raises UnavailableError if the service stops before its turn.
        """
        return await _unless_stopping(self._foresight, function, *args)

    async def try_out(self, function: Callable[..., T], *args: object) -> T:
        """Run a trial of a registration; raises UnavailableError as `foresee` does."""
        return await _unless_stopping(self._trials, function, *args)

    async def give_up(self) -> None:
        """End what takes seconds, once its turn in hand is done."""
        for thread in (self._foresight, self._trials):
            await asyncio.to_thread(thread.shutdown, wait=True, cancel_futures=True)

    def close(self) -> None:
        """Let go of the others, once what they do is done."""
        for thread in (self.journalling, self._queries, self.judging, self._upkeep):
            thread.shutdown(wait=True)


async def on(thread: Executor, function: Callable[..., T], *args: object) -> T:
    """Run something in a thread; raises UnavailableError once that takes no more."""
    try:
        doing = asyncio.get_running_loop().run_in_executor(thread, function, *args)
    except RuntimeError as exc:  # the thread takes no more
        raise UnavailableError("the service is stopping") from exc
    return await doing


async def _unless_stopping(thread: Executor, function: Callable[..., T], *args: object) -> T:
    try:
        return await on(thread, function, *args)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise  # it is who asked that was cancelled
        raise UnavailableError("the service is stopping") from None
