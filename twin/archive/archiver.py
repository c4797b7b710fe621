"""Flushes and checkpoints: when, in which order, and what if the disk does not obey."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

import structlog

from storage.errors import CorruptError, MissingError, StorageError, UnavailableError
from storage.journal.catalogue import Checkpoint
from storage.store import Store
from twin.archive.checkpoint import carried, metadata, tensors
from twin.archive.recorder import BLOCK, Recorder
from twin.belief.fleet import Clock, Fleet
from twin.belief.record import RecordRow
from twin.disk_writing import DiskWriter
from twin.metrics import Metrics
from twin.settings import StorageTable

DAY_NS = 86_400 * 10**9
RETRY_S = 5.0  # longest wait until a disk that did not obey is tried again
AGAIN_S = 0.02  # until a reading that was overtaken is tried again

T = TypeVar("T")

log = structlog.get_logger()


def replacement(store: Store, durable: Sequence[Checkpoint]) -> Fleet | None:
    """The state that the oldest checkpoint holds: that is all there is once lines have gone.

    It is read back, and with it the rows that it goes on from. Raises CorruptError, MissingError,
    ValueError.
    """
    if not durable:
        return None
    oldest = min(durable, key=lambda kept: kept.offset)
    state = carried(*store.checkpoints.read(oldest.name, oldest.sha256))
    for group, rows in state.recorded.items():
        start = rows // BLOCK * BLOCK
        if rows > start:
            store.trajectories.block(group, start)
        if rows and store.trajectories.committed(group) < rows:
            raise MissingError(f"the trajectory has fewer rows than checkpoint {oldest.name}")
    return state


class Archiver:
    """Owns the archive's thread: the trajectory and the checkpoints."""

    def __init__(self, settings: StorageTable, store: Store, metrics: Metrics) -> None:
        self._settings = settings
        self._store = store
        self._recorder = Recorder(store.trajectories, {})  # of nothing, until it begins
        self._metrics = metrics
        metrics.checkpoint_every.set(settings.checkpoint_every_s)
        metrics.flush_every.set(settings.flush_every_s)
        self._thread = ThreadPoolExecutor(1, "archive")
        self._began = time.monotonic(), time.time_ns()
        self._flushed_at = self._checked_at = time.monotonic()
        self._busy = asyncio.Lock()
        self._room = asyncio.Event()
        self._room.set()
        self.disk = DiskWriter("archive", store.directory)
        self.is_halted = False  # what is on disk is ahead of what is in memory: write nothing
        self.is_pruning = True  # retention may let go of journal lines
        self._checkpointed = -1  # offset of the last checkpoint
        self._exchanges = 0  # odd while the trajectory is exchanged

    def begin(self, recorder: Recorder, kept: Sequence[Checkpoint]) -> None:
        """Go on from what is on disk: the trajectory, and checkpoints of who ran before."""
        self._recorder = recorder
        if kept:
            self._metrics.checkpoint_time.set(max(c.created_ns for c in kept) / 1e9)

    @property
    def is_available(self) -> bool:
        """Whether the archive could be written to when it was tried last."""
        return self.disk.is_available

    @is_available.setter
    def is_available(self, whether: bool) -> None:
        self.disk.is_available = whether

    @property
    def tail(self) -> Sequence[RecordRow]:
        """Record rows that are not on disk yet."""
        return self._recorder.tail

    async def recorded(self, ask: Callable[..., Awaitable[T]], *args: object) -> T:
        """What is answered from the trajectory, and the rows that are not on disk yet.

        They are one thing: where the trajectory was exchanged meanwhile, it is asked again. `ask`
        gets both before its `args`.
        """
        while True:
            exchanges = self._exchanges
            if exchanges % 2 == 0:
                tail = self._recorder.tail  # before the disk is read, so that no row is missing
                try:
                    found = await ask(self._store.trajectories, tail, *args)
                except (StorageError, ValueError, IndexError):
                    if exchanges == self._exchanges:
                        raise
                else:
                    if exchanges == self._exchanges:
                        return found
            await asyncio.sleep(AGAIN_S)

    def add(self, rows: Sequence[RecordRow]) -> None:
        """Append record rows."""
        self._recorder.add(rows)

    @asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """Nothing is written meanwhile."""
        async with self._busy:
            yield

    @asynccontextmanager
    async def exchanging(self) -> AsyncIterator[None]:
        """The trajectory is exchanged meanwhile; who reads it asks again."""
        self._exchanges += 1
        try:
            yield
        finally:
            self._exchanges += 1

    def exchange(self, recorder: Recorder, offset: int) -> None:
        """Go on with another trajectory, of which there is a checkpoint at that offset."""
        self._recorder = recorder
        self._checkpointed = offset
        self.is_halted = False
        self._room.set()

    async def has_room(self, size: int) -> None:
        """Wait until the rows that wait for the disk take less than `size` bytes."""
        while self._recorder.tail_bytes >= size:
            self._room.clear()
            await self._room.wait()

    async def keep(self, fleet: Fleet | None, clock: Clock, journal_thread: Executor) -> None:
        """Flush or checkpoint if it is time to; without a fleet there is nothing to checkpoint."""
        now, s = time.monotonic(), self._settings
        waiting = self._recorder.waiting
        every_s = s.checkpoint_every_s if self.is_available else min(s.checkpoint_every_s, RETRY_S)
        if fleet is not None and now - self._checked_at >= every_s:
            await self._guarded(self._checkpoint(fleet, clock, journal_thread))
        elif waiting >= s.flush_rows or (waiting and now - self._flushed_at >= s.flush_every_s):
            await self._guarded(self._flush(journal_thread))

    async def close(self, fleet: Fleet | None, clock: Clock, journal_thread: Executor) -> None:
        """Write everything once more, as far as the disk obeys."""
        if not self.is_halted and fleet is not None:
            await self._guarded(self._checkpoint(fleet, clock, journal_thread))
        elif not self.is_halted and self._recorder.waiting:
            await self._guarded(self._flush(journal_thread))
        self._thread.shutdown(wait=True)

    async def _guarded(self, work: Awaitable[None]) -> None:
        async with self._busy:
            try:
                await work
            except (UnavailableError, CorruptError) as exc:  # not what was written just now
                self.disk.refused(exc, self._recorder.waiting)
                return
        self.disk.obeyed()
        self._room.set()

    async def _flush(self, journal_thread: Executor) -> None:
        self._flushed_at = time.monotonic()
        loop = asyncio.get_running_loop()
        rows = await loop.run_in_executor(self._thread, self._recorder.flush)
        catalogue = self._store.journal.catalogue
        for group, count in rows.items():
            await loop.run_in_executor(journal_thread, catalogue.put_array, group, count)
        self._metrics.flush_time.set(time.time())

    async def _checkpoint(self, fleet: Fleet, clock: Clock, journal_thread: Executor) -> None:
        """First the rows that the fleet has given, then the fleet, then the word of it."""
        self._checked_at = time.monotonic()
        if self._recorder.waiting:
            await self._flush(journal_thread)
        if fleet.offset != self._checkpointed:
            loop = asyncio.get_running_loop()
            entry = await loop.run_in_executor(self._thread, self._write, fleet, clock)
            await loop.run_in_executor(journal_thread, self._recorded, entry)
            await self._pruned(journal_thread)
            self._checkpointed = fleet.offset
        self._metrics.checkpoint_time.set(time.time())

    def _write(self, fleet: Fleet, clock: Clock) -> Checkpoint:
        name = f"{fleet.offset:020d}"
        file = self._store.checkpoints.write(name, tensors(fleet), metadata(fleet, clock))
        self._store.checkpoints.read(name, file.sha256)  # before older ones go for its sake
        now_ns = time.time_ns()
        rows = fleet.recorded
        return Checkpoint(name, fleet.offset, rows, file.sha256, file.size, now_ns, durable=True)

    def _recorded(self, entry: Checkpoint) -> None:
        """Say that a checkpoint is there, and let go of old ones."""
        self._store.journal.catalogue.put_checkpoint(entry)
        self._store.keep_checkpoints(self._settings.checkpoints_kept)

    async def _pruned(self, journal_thread: Executor) -> None:
        """Let go of journal lines past their time, a bounded number a turn."""
        if self._settings.retention_days is None or not self.is_pruning:
            return
        loop, journal = asyncio.get_running_loop(), self._store.journal
        kept = await loop.run_in_executor(journal_thread, journal.catalogue.checkpoints)
        durable = [checkpoint for checkpoint in kept if checkpoint.durable]
        try:
            state = await loop.run_in_executor(self._thread, replacement, self._store, durable)
        except (CorruptError, MissingError, ValueError) as exc:
            log.error("retention_waits", reason=f"what replaces the lines is not whole: {exc}")
            return
        if state is None:
            return
        looks = [checkpoint.created_ns for checkpoint in durable]
        horizon_ns = self._horizon_ns(state.watermark_ns, looks)
        while True:
            before = await loop.run_in_executor(
                journal_thread, journal.older, horizon_ns, state.watermark_ns + DAY_NS
            )
            if not await loop.run_in_executor(journal_thread, journal.prune, before):
                return

    def _horizon_ns(self, watermark_ns: int, looks: Sequence[int]) -> int:
        """The event time before which lines may go.

        How far time has come is told by the sources, and nobody who disagrees is overruled: not
        this clock now, nor when it was looked at before, nor how long the service has run since.
        """
        run_ns = round((time.monotonic() - self._began[0]) * 1e9)
        latest_ns = min(watermark_ns, time.time_ns(), self._began[1] + run_ns, *looks)
        return latest_ns - round((self._settings.retention_days or 0.0) * DAY_NS)
