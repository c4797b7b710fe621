"""Components whose evidence came late are caught up, beside the running service.

The journal is folded once more in event-time order, in a thread that rests as long as it works.
What arrives meanwhile follows in ever shorter steps; the last one is taken while no line is folded,
and then, in one transaction, the catalogue says that this order counts from now on. Until then the
old one does, whatever ends; what is left of an order that never counted is removed.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np
import structlog

from storage.errors import StorageError, UnavailableError
from storage.journal.catalogue import Checkpoint, Order
from storage.store import Store
from twin.archive.archiver import Archiver
from twin.archive.checkpoint import metadata, tensors
from twin.archive.recorder import Recorder
from twin.archive.refolding import Refold
from twin.belief.cohort import TROUBLE
from twin.belief.fleet import Fleet
from twin.belief.segments import Note
from twin.errors import TwinError
from twin.news import News
from twin.settings import IngestTable
from twin.stepping.stepping import Stepping
from twin.threads import Threads

LOOK_S = 0.25  # how often it is looked whether somebody is behind
SHARE = 10  # a time of catching up is followed by so many times its length without
ROUNDS = 12  # steps after which the service brings more than can be caught up
FEW_LINES = 2_000  # that are taken while the others wait
MARGIN = 2  # times the lateness, from the latest time: lines that are left to the next step
PATIENCE = 3  # steps after which they are not: there are too many
LONGEST_REST_S = 1.0
RETRY_S = 1.0

log = structlog.get_logger()


class StoppedError(Exception):
    """The service stops: nothing was changed."""


class Backfill:
    """Owns the thread in which the journal is folded once more."""

    def __init__(
        self,
        settings: IngestTable,
        store: Store,
        stepping: Stepping,
        archiver: Archiver,
        threads: Threads,
        news: News,
    ) -> None:
        self._settings, self._store, self._threads, self._news = settings, store, threads, news
        self._stepping, self._archiver = stepping, archiver
        self._thread = ThreadPoolExecutor(1, "backfill")
        self._stopping = threading.Event()
        self._behind = 0  # observations, when it was looked last
        self._since = self._changed = self._ended = time.monotonic()
        self._took_s = 0.0
        self._is_first = True
        self._swap: asyncio.Task[None] | None = None
        self._hopeless: set[str] = set()  # components that were told not to be caught up

    async def run(self) -> None:
        """Catch up for ever, whenever it is time to."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self._is_due() and (self.is_possible or self._given_up()):
                await self._catch_up()

    async def close(self) -> None:
        """Stop folding, and let go of the thread; what was not finished is begun again."""
        self._stopping.set()
        if self._swap is not None:
            await asyncio.gather(self._swap, return_exceptions=True)
        await asyncio.to_thread(self._thread.shutdown, wait=True, cancel_futures=True)

    def _is_due(self) -> bool:
        """Whether somebody is behind, and it has been quiet, or has not been for too long."""
        settings, now = self._settings, time.monotonic()
        behind = sum(self._stepping.fleet.behind.values())
        if behind != self._behind:
            self._since = now if not self._behind else self._since
            self._behind, self._changed = behind, now
        if not behind:
            return False
        pause_s = max(settings.backfill_every_s, SHARE * self._took_s)
        if not self._is_first and now - self._ended < pause_s:
            return False
        is_quiet = now - self._changed >= settings.backfill_quiet_s
        return is_quiet or now - self._since >= settings.backfill_every_s

    @property
    def is_possible(self) -> bool:
        """Whether the journal has its beginning."""
        return not self._store.journal.start

    def _given_up(self) -> bool:
        """Tell once that nobody can be caught up."""
        start, behind = self._store.journal.start, self._stepping.fleet.behind
        if behind.keys() - self._hopeless:
            log.error("backfill_impossible", journal_begins_at=start, components=len(behind))
            self._news.metrics.backfills.labels("impossible").inc()
            self._tell(behind.keys() - self._hopeless, "impossible")
            self._hopeless = set(behind)
        return False

    async def _catch_up(self) -> None:
        began, waiting = time.monotonic(), dict(self._stepping.fleet.behind)
        log.info("backfill_started", **_numbers(waiting))
        self._archiver.is_pruning = False
        outcome = "failed"
        try:
            outcome = await self._caught_up(waiting)
        except (StorageError, TwinError, *TROUBLE) as exc:
            if self._archiver.is_halted:  # the new order counts
                raise
            log.error("backfill_failed", reason=f"{type(exc).__name__}: {exc}")
            with suppress(UnavailableError):  # it goes at the next start
                await self._off_loop(self._store.discard)
        finally:
            self._archiver.is_pruning = True
            self._ended, self._is_first = time.monotonic(), False
            self._took_s = self._ended - began
        self._news.metrics.backfills.labels(outcome).inc()
        seconds = round(self._took_s, 3)
        log.info("backfill_ended", outcome=outcome, seconds=seconds, **_numbers(waiting))

    async def _caught_up(self, waiting: dict[str, int]) -> str:
        order = await self._threads.journal(self._store.journal.catalogue.order)
        generation = order.generation + 1 if order else 1
        refold = await self._off_loop(self._begun, generation)
        for i in range(ROUNDS):
            margin_ns = MARGIN * self._stepping.clock.lateness_ns if i < PATIENCE else 0
            until = self._stepping.fleet.offset
            left = await self._off_loop(refold.advance, until, margin_ns)
            if self._stepping.fleet.offset - until + left <= FEW_LINES:
                self._swap = asyncio.create_task(self._swapped(refold, generation, waiting))
                await asyncio.shield(self._swap)  # half of it must not be left to others
                return "done"
        await self._off_loop(self._store.discard)
        return "outrun"

    def _begun(self, generation: int) -> Refold:
        aside = self._store.aside(generation)
        return Refold(self._store.journal, aside, self._stepping.clock, rest=self._rest)

    async def _swapped(self, refold: Refold, generation: int, waiting: dict[str, int]) -> None:
        """Let the new order count, while no line is folded and nothing is written."""
        stepping, archiver = self._stepping, self._archiver
        async with stepping.still(), archiver.still():
            before = stepping.fleet
            await self._off_loop(refold.finish, before.offset)
            checkpoint = await self._off_loop(self._kept, refold.fleet, generation)
            await self._counted(refold.order(generation), checkpoint)
            async with archiver.exchanging():
                await self._settled(generation)
                recorder = await self._off_loop(
                    Recorder, self._store.trajectories, refold.fleet.recorded
                )
                archiver.exchange(recorder, refold.fleet.offset)
                stepping.fleet = refold.fleet
        with suppress(UnavailableError):
            await self._threads.journal(self._store.keep_checkpoints, 1)
        self._news.tell(_passed(before, refold.fleet))
        self._news.states(stepping.fleet, {*waiting, *_moved(before, refold.fleet)})
        self._tell(waiting, "caught_up")

    async def _counted(self, order: Order, checkpoint: Checkpoint) -> None:
        """Let the order count; from then on the archiver's trajectory is that of the past."""
        self._archiver.is_halted = True
        try:
            await self._threads.journal(self._store.journal.catalogue.put_order, order, checkpoint)
        except UnavailableError:  # nothing has happened
            self._archiver.is_halted = False
            raise

    async def _settled(self, generation: int) -> None:
        """The catalogue has spoken: the trajectory follows as soon as the disk obeys."""
        while True:
            try:
                await self._off_loop(self._store.settle, generation)
            except UnavailableError as exc:
                log.error("archive_unavailable", reason=str(exc))
                if self._stopping.is_set():  # it is done at the next start
                    raise
                await asyncio.sleep(RETRY_S)
            else:
                return

    def _kept(self, fleet: Fleet, generation: int) -> Checkpoint:
        name = f"{fleet.offset:020d}-{generation}"  # another file than that of the old order
        page = metadata(fleet, self._stepping.clock)
        file = self._store.checkpoints.write(name, tensors(fleet), page)
        rows, now_ns = fleet.recorded, time.time_ns()
        return Checkpoint(name, fleet.offset, rows, file.sha256, file.size, now_ns, durable=True)

    def _rest(self, took_s: float) -> None:
        """Leave the machine to the others as long as it was used."""
        if self._stopping.wait(min(took_s, LONGEST_REST_S)):
            raise StoppedError

    def _tell(self, names: Iterable[str], state: str) -> None:
        watermark_ns = self._stepping.fleet.watermark_ns
        data: dict[str, float | str | int] = {"state": state}
        self._news.tell([Note("backfill", name, watermark_ns, data) for name in names])

    async def _off_loop(self, f: Any, *args: object) -> Any:  # noqa: ANN401  as the function
        return await asyncio.get_running_loop().run_in_executor(self._thread, f, *args)


def _numbers(waiting: dict[str, int]) -> dict[str, int]:
    return {"components": len(waiting), "observations": sum(waiting.values())}


def _moved(before: Fleet, after: Fleet) -> set[str]:
    """Who is believed to be something else than by the lines in the order of arrival."""
    names = set[str]()
    for key, cohort in after.cohorts.items():
        old = before.cohorts.get(key)
        if old is None or old.members != cohort.members:
            names.update(cohort.members)
            continue
        pairs = zip(old.view(), cohort.view(), strict=True)
        differ = np.logical_or.reduce([one != other for one, other in pairs])
        names.update(cohort.members[i] for i in np.flatnonzero(differ))
    return names - {""}


def _passed(before: Fleet, after: Fleet) -> list[Note]:
    """Who is beyond the limit or broken now, and was not by the lines in the order of arrival."""
    notes = []
    for name, place in after.places.items():
        old, cohort = before.places.get(name), after.cohorts[place.cohort]
        if old is None:
            continue
        was, then = before.cohorts[old.cohort], old.row
        news = {
            "limit": cohort.limit_passed[place.row] & ~was.limit_passed[then],
            "fractured": cohort.state.fractured[place.row] & ~was.state.fractured[then],
        }
        length = float(cohort.state.length[place.row].mean())
        t_ns = int(cohort.state.t_ns[place.row])
        kinds = [kind for kind, is_new in news.items() if is_new]
        notes += [Note(kind, name, t_ns, {"crack_length": length}) for kind in kinds]
    return notes
