"""What the routes share: the service, and what is kept between requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Annotated, Any, TypeVar, cast

from fastapi import Path

from sensors.topics import LEVEL_PATTERN
from twin.api.problems import ProblemError
from twin.api.shares import Shares, Turns
from twin.api.visit import visit_now
from twin.belief.overview import Views
from twin.component import Component
from twin.errors import UnknownError
from twin.service import Service
from twin.threads import QUERIES

PART = LEVEL_PATTERN
Site = Annotated[str, Path(pattern=f"^{PART}$", description="Site.")]
Name = Annotated[str, Path(pattern=f"^{PART}$", description="Component within its site.")]
PREFIX = "/api/v1"
PATH = f"{PREFIX}/components/{{site}}/{{component}}"
WAIT_S = 10.0  # how long a request waits for the disk

T = TypeVar("T")


class BoundedQueries:
    """Blocking questions off the loop: so many at once, clients in turn, their places shared.

    A place is held until the answer is sent, for until then what was found stays in memory.
    """

    def __init__(
        self,
        ask: Callable[..., Coroutine[Any, Any, Any]],
        *,
        at_once: int,
        places: int,
        what: str = "such questions",
    ) -> None:
        self._ask = ask  # of `Service`, in threads of its own
        self._turns = Turns(at_once)
        self._places = Shares(places, what)

    async def ask(self, function: Callable[..., T], *args: object) -> T:
        """The answer; raises OverloadedError if this client has too many places already."""
        with visit_now() as visit:
            visit.hold(self._places)
            async with self._turns.turn(visit.client):
                return cast(T, await self._ask(function, *args))


class Context:
    """The service as the routes see it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.views = Views()
        self.journal, self.images = service.store.journal, service.store.images
        self.events = service.news.events
        self.forecasts = BoundedQueries(
            service.threads.foresee, at_once=1, places=16, what="forecasts"
        )
        self.trials = BoundedQueries(service.threads.try_out, at_once=1, places=16, what="trials")
        self.lists = BoundedQueries(
            service.threads.query, at_once=1, places=64
        )  # light: no history is in its way
        self.reads = BoundedQueries(service.threads.query, at_once=QUERIES, places=32)
        self._changes: set[asyncio.Task[Any]] = set()

    def component(self, site: str, component: str) -> Component:
        """A registered component; raises UnknownError."""
        name = f"{site}/{component}"
        found = self.service.fleet.components.get(name)
        if found is None:
            raise UnknownError(f"component {name!r} is not registered")
        return found

    async def recorded(self, function: Callable[..., T], *args: object) -> T:
        """The answer of a function that reads the trajectory and the rows in memory."""
        ask = partial(self.reads.ask, function)
        return await self.service.archiver.recorded(ask, *args)

    async def done(self, change: Coroutine[Any, Any, T]) -> T:
        """The outcome of a change that goes on even if nobody waits for it any more.

        Cancelling it half-way would leave the committer with nobody to tell.
        Raises ProblemError (unavailable) where the journal cannot be written, or takes too long.
        """
        if not self.service.committer.is_available:
            change.close()
            why = self.service.committer.disk.trouble or "the journal cannot be written to"
            raise ProblemError("unavailable", why)
        task = asyncio.create_task(change)
        self._changes.add(task)
        task.add_done_callback(self._ended)
        await asyncio.wait({task}, timeout=WAIT_S)
        if not task.done():
            raise ProblemError(
                "unavailable", f"not durable after {WAIT_S} s: it may still become so, ask again"
            )
        return task.result()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """Let go of a change; what became of it nobody may wait to hear, who asks again does."""
        self._changes.discard(task)
        if not task.cancelled():
            task.exception()
