"""Stepping: lines become what is believed, those of all components in turn, whatever one takes.

What comes is folded in the order of the journal, in goes of bounded work. Components whose lines
take long are stepped by themselves, in turns, in a thread of their own (`laggards`): the others
overtake them. Once a laggard has nothing left it goes on with the others. As long as there is one,
what is believed is the state at no single line of the journal: what a checkpoint may hold is put
together from what each is believed to be as it passes the same line (`level`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

from sensors.observation import Snapshot
from storage.errors import UnavailableError
from twin.belief.fleet import EMPTY, Clock, Fleet
from twin.belief.fold import Folded, concluded, late, walked
from twin.belief.record import RecordRow
from twin.belief.segments import Line, Note, Segment, planned
from twin.component import Component
from twin.ingest.queue import BYTES, LineQueue
from twin.pace import Pace
from twin.publish.changes import StateChanges
from twin.stepping.laggards import Laggard, PendingRows, alone, chosen, joined, others, part
from twin.stepping.level import Level

TICK_S = 0.02  # least time between two folds: under load a fold takes more lines, not more time
LINES_AT_ONCE = 20_000  # that are looked at together to see whose take long
LINES_WAITING = 200_000  # of laggards, beyond which nothing overtakes them
SHARE = 8  # registrations up to this part of the fleet together: each fold copies the fleet
BYTES_WAITING = 256 << 20  # of record rows, for a disk that does not obey, and for laggards

T = TypeVar("T")


class Stepped(NamedTuple):
    """What a go has given."""

    rows: list[RecordRow]  # that are whole now
    notes: list[Note]
    lines: Sequence[Line]
    late: int  # of them, from behind the watermark
    snapshots: Sequence[Snapshot]
    seconds: float


class _Go(NamedTuple):
    """What a fold of those that are no laggards has given."""

    result: Folded
    late: int
    laggards: dict[str, Laggard]
    parts: dict[str, list[Segment]]  # for the laggards


class Stepping:
    """Owns what is believed, and the threads in which it becomes that."""

    def __init__(
        self, queue: LineQueue, clock: Clock, told: StateChanges, on: Callable[[Stepped], None]
    ) -> None:
        self.fleet: Fleet = EMPTY
        self.folding = asyncio.Lock()  # held while the fleet is exchanged for another one
        self.laggards: dict[str, Laggard] = {}
        self.room: Callable[[int], Awaitable[None]] = _always
        self.thread = ThreadPoolExecutor(1, "stepping")
        self._behind = ThreadPoolExecutor(1, "laggards")
        self._queue = queue
        self.clock = clock
        self._told = told
        self._on = on
        self._rows = PendingRows()
        self._pace = Pace(LINES_AT_ONCE)
        self._advanced = asyncio.Condition()
        self._lagging = asyncio.Event()
        self._level: Level | None = None  # that is not whole yet
        self._whole: Fleet | None = None  # the last level that was
        self._is_stopping = False

    @property
    def unstepped(self) -> int:
        """Lines that are durable and not believed."""
        return self._queue.unstepped + sum(each.lines for each in self.laggards.values())

    @property
    def waited_s(self) -> float:
        """How long the oldest of them has waited [s]."""
        behind = (laggard.waited_s for laggard in self.laggards.values())
        return max([self._queue.waited_s, *behind])

    @property
    def settled(self) -> Fleet | None:
        """The latest state that is known at one offset for all; None until laggards reach one."""
        return self._whole if self.laggards else self.fleet

    def offset_of(self, name: str) -> int:
        """Up to where in the journal a component knows what happened."""
        laggard = self.laggards.get(name)
        return self.fleet.offset if laggard is None else laggard.offset

    async def until(self, offset: int, names: Collection[str] | None = None) -> None:
        """Wait until some components, or all, know the journal up to `offset`."""

        def is_there() -> bool:
            known = [self.offset_of(name) for name in (self.laggards if names is None else names)]
            return min([self.fleet.offset, *known]) >= offset

        async with self._advanced:
            await self._advanced.wait_for(is_there)

    @asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """Nothing is folded meanwhile, and nobody is behind.

        Raises UnavailableError once the service stops.
        """
        while True:
            async with self._advanced:
                await self._advanced.wait_for(lambda: self._is_stopping or not self.laggards)
            if self._is_stopping:
                raise UnavailableError("the service is stopping")
            async with self.folding:
                if not self.laggards:
                    yield
                    return

    async def begin(self, fleet: Fleet) -> None:
        """Go on from a fleet; who waited for an offset that it knows is told."""
        self.fleet = fleet
        self._level = self._whole = None
        await self._tell()

    async def stop(self) -> None:
        """Keep nobody waiting any more for all to be equally far."""
        self._is_stopping = True
        await self._tell()

    def close(self) -> None:
        """Let go of the threads, once what they do is done."""
        for thread in (self.thread, self._behind):
            thread.shutdown(wait=True)

    async def run(self) -> None:
        """Fold what comes, for ever."""
        while True:
            async with self._advanced:
                await self._advanced.wait_for(self._has_room)
            lines = await self._queue.take(LINES_AT_ONCE)
            began = time.perf_counter()
            slow = await self._in(self.thread, chosen, self.fleet, lines, set(self.laggards))
            while lines:
                some = _portion(lines, slow, self._pace.lines, len(self.fleet.members) // SHARE)
                await self._go(some, slow)
                await self.room(BYTES_WAITING)
                lines = lines[len(some) :]
            await asyncio.sleep(max(0.0, TICK_S - (time.perf_counter() - began)))

    async def catch_up(self) -> None:
        """Fold what waits of the laggards, one after the other, for ever."""
        while True:
            await self._lagging.wait()
            for laggard in list(self.laggards.values()):
                await self._turn(laggard)

    def _has_room(self) -> bool:
        laggards = self.laggards.values()
        return (
            self._rows.bytes < BYTES_WAITING
            and sum(each.lines for each in laggards) < LINES_WAITING
            and sum(each.bytes for each in laggards) < BYTES
        )

    async def _go(self, lines: Sequence[Line], slow: Collection[str]) -> None:
        """Fold lines for all but laggards, among which those are that are `slow`."""
        async with self.folding:
            began = time.perf_counter()
            go = await self._in(self.thread, self._folded, self.fleet, lines, slow)
            self.fleet, self.laggards = go.result.fleet, go.laggards
            for name, segments in go.parts.items():
                self.laggards[name].give(segments, self.fleet.offset)
            self._queue.done(len(lines))
            seconds = time.perf_counter() - began
            folded = sum(line.component not in slow for line in lines)
            if 2 * folded >= len(lines):  # else it was not they who took the time
                self._pace.took(folded, seconds)
            rows = self._rows.add(go.result.rows, self.laggards)
            snapshots = [line.what for line in lines if isinstance(line.what, Snapshot)]
            self._on(Stepped(rows, go.result.notes, lines, go.late, snapshots, seconds))
            if self.laggards:
                self._level = self._level or Level(self.fleet, self.laggards)
                self._lagging.set()
        await self._tell()

    def _folded(self, fleet: Fleet, lines: Sequence[Line], slow: Collection[str]) -> _Go:
        plan = planned(fleet, lines, self.clock)
        behind = late(fleet, lines)
        apart = {name for name in slow if name in fleet.places} | self.laggards.keys()
        laggards = {name: self.laggards.get(name) or alone(fleet, name) for name in apart}
        result = walked(fleet, others(plan.segments, apart))
        seen = [line for line in lines if line.component not in apart]
        result = concluded(plan, result, len(lines))
        news = self._told.states(result.fleet, seen)
        result = result._replace(notes=[*_notes(plan.segments, result, apart), *news])
        parts = {name: list(part(name, plan.segments)) for name in apart}
        return _Go(result, behind, laggards, parts)

    async def _turn(self, laggard: Laggard) -> None:
        """Fold a bounded part of what waits of a laggard; it is none any more once nothing does."""
        began = time.perf_counter()
        segments = laggard.next()
        alone = await self._in(self._behind, walked, laggard.fleet, segments)
        laggard.did(segments, alone.fleet)
        async with self.folding:
            self.fleet, news = await self._in(self.thread, self._joined, self.fleet, laggard)
            rows = self._rows.fill(laggard.name, alone.rows)
            if self._level is not None and self._level.is_met(laggard):
                await self._in(self.thread, self._level.take, laggard)
            if laggard.is_done:
                del self.laggards[laggard.name]
            seconds = time.perf_counter() - began
            self._on(Stepped(rows, [*alone.notes, *news], (), 0, (), seconds))
            if self._level is not None and self._level.is_whole:
                self._whole, self._level = self._level.fleet, None
            if not self.laggards:
                self._whole = self._level = None
                self._lagging.clear()
        await self._tell()

    def _joined(self, fleet: Fleet, laggard: Laggard) -> tuple[Fleet, list[Note]]:
        fleet = joined(fleet, laggard)
        return fleet, list(self._told.of(fleet, {laggard.name}))

    async def _tell(self) -> None:
        async with self._advanced:
            self._advanced.notify_all()

    async def _in(self, thread: Executor, f: Callable[..., T], *args: object) -> T:
        try:
            doing = asyncio.get_running_loop().run_in_executor(thread, f, *args)
        except RuntimeError as exc:  # the thread takes no more
            raise UnavailableError("the service is stopping") from exc
        return await doing


async def _always(_: int) -> None:
    """There is room."""


def _portion(lines: list[Line], slow: Collection[str], most: int, registrations: int) -> list[Line]:
    """The first lines, so many of them of components that are not slow.

    Where it begins with more registrations, up to so many of those.
    """
    first = next(
        (i for i, each in enumerate(lines) if not isinstance(each.what, Component)), len(lines)
    )
    left = max(most, min(first, registrations))
    for i, line in enumerate(lines):
        if line.component not in slow:
            left -= 1
            if left < 0:
                return lines[:i]
    return lines


def _notes(segments: Sequence[Segment], result: Folded, apart: Collection[str]) -> list[Note]:
    """What is told of clocks, and of those that were folded; laggards tell of themselves."""
    if not apart:
        return result.notes
    told = [note for each in segments for note in each.notes]
    return told + [note for note in result.notes if note.component not in apart]
