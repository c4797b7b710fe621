"""Group commit: what arrives within a few milliseconds becomes durable together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial

from storage.errors import UnavailableError
from storage.journal.entry import DeadLetter, Entry
from storage.journal.journal import Appended, Journal
from storage.journal.sequences import Outcome
from twin.belief.segments import Line, Note
from twin.disk_writing import DiskWriter
from twin.ingest.conflicts import Refusal, conflicts, jumps, meant
from twin.ingest.queue import LineQueue
from twin.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Batch:
    """What one sender hands over together, and what to do once it is durable."""

    entries: Sequence[Entry] = ()
    lines: Sequence[Line] = ()  # of the entries, in their order
    dead: Sequence[DeadLetter] = ()
    letter: Callable[[int, Refusal], DeadLetter | None] = field(default=lambda _i, _why: None)
    # the dead letter of an entry whose key was used before, or may have been
    done: Callable[[Sequence[Outcome]], None] = field(default=lambda _: None)
    images: Mapping[int, bytes] = field(default_factory=dict)
    # by the entry that refers to each; they have to be on disk before it is


class Committer:
    """Owns the journal's thread; acknowledges only what is on disk."""

    def __init__(
        self,
        journal: Journal,
        thread: Executor,
        stepping: LineQueue,
        metrics: Metrics,
        disk: DiskWriter,
    ) -> None:
        self._journal = journal
        self._thread = thread
        self._stepping = stepping
        self._metrics = metrics
        self._parcels: asyncio.Queue[Batch] = asyncio.Queue(maxsize=256)
        self.disk = disk
        self.end = journal.end
        self.tell: Callable[[Sequence[Note]], None] = lambda _: None
        self.on_letters: Callable[[Sequence[DeadLetter]], None] = lambda _: None

    @property
    def is_available(self) -> bool:
        """Whether the journal could be written to when it was tried last."""
        return self.disk.is_available

    @is_available.setter
    def is_available(self, whether: bool) -> None:
        self.disk.is_available = whether

    async def send(self, parcel: Batch) -> None:
        """Queue a parcel; waits while the queue is full."""
        await self._parcels.put(parcel)

    async def outcomes(self, entries: Sequence[Entry], lines: Sequence[Line]) -> list[Outcome]:
        """Make entries durable and say what became of each."""
        future: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()

        def settle(outcomes: Sequence[Outcome]) -> None:
            if not future.done():  # whoever asked may have gone
                future.set_result(list(outcomes))

        await self.send(Batch(entries, lines, done=settle))
        return await future

    async def drain(self) -> None:
        """Wait until all that was sent is durable."""
        await self._parcels.join()

    async def probe(self) -> None:
        """See whether the disk takes anything, before there is something to commit."""
        try:
            await self._prove()
        except UnavailableError as exc:
            self.disk.refused(exc)

    async def _prove(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._journal.prove)

    async def run(self) -> None:
        """Commit for ever, from when the disk takes anything."""
        if not self.is_available:
            await self.disk.insist(self._prove)
        while True:
            parcels = [await self._parcels.get()]
            while not self._parcels.empty():
                parcels.append(self._parcels.get_nowait())
            await self._commit(parcels)
            for _ in parcels:
                self._parcels.task_done()

    async def _commit(self, parcels: Sequence[Batch]) -> None:
        entries = [entry for parcel in parcels for entry in parcel.entries]
        lines = [line for parcel in parcels for line in parcel.lines]
        dead = [letter for parcel in parcels for letter in parcel.dead]
        appended, seconds = await self._appended(entries, dead)
        receipt = meant(appended, entries)
        refused, letters = _refused(parcels, receipt)
        if letters:
            await self._appended((), letters)  # apart: what is appended already is not tried again
        self._metrics.committed(seconds, receipt, lines, dead + letters)
        self.on_letters(dead + letters)
        if notes := conflicts(refused):
            self._metrics.conflicts.inc(sum(1 for r in refused if r.is_conflict))
            self.tell(notes)
        if receipt.jumps:
            self.tell(jumps(receipt.jumps))
        await self._deliver(parcels, receipt.outcomes)

    async def _appended(
        self, entries: Sequence[Entry], dead: Sequence[DeadLetter]
    ) -> tuple[Appended, float]:
        """One group commit, tried until the disk obeys, and the seconds that it took."""
        loop = asyncio.get_running_loop()
        append = partial(self._journal.append, entries, dead)

        async def appended() -> tuple[Appended, float]:
            began = time.perf_counter()
            work = partial(append, now_ns=time.time_ns())
            return await loop.run_in_executor(self._thread, work), time.perf_counter() - began

        return await self.disk.insist(appended, len(entries) + len(dead))

    async def _deliver(self, parcels: Sequence[Batch], outcomes: Sequence[Outcome]) -> None:
        at, accepted = 0, list[Line]()
        for parcel in parcels:
            own = outcomes[at : at + len(parcel.entries)]
            at += len(parcel.entries)
            pairs = zip(parcel.lines, own, strict=True)
            accepted += [line for line, outcome in pairs if outcome is Outcome.ACCEPTED]
            parcel.done(own)
        if accepted:
            self.end += len(accepted)
            await self._stepping.put(accepted)


def _refused(parcels: Sequence[Batch], receipt: Appended) -> tuple[list[Refusal], list[DeadLetter]]:
    """The entries whose key was used before, or may have been, and their letters."""
    if not {Outcome.BEHIND, Outcome.CONFLICT} & set(receipt.outcomes):
        return [], []
    origins = [(parcel, i) for parcel in parcels for i in range(len(parcel.entries))]
    refused, letters = list[Refusal](), list[DeadLetter]()
    for at, ((parcel, i), outcome) in enumerate(zip(origins, receipt.outcomes, strict=True)):
        if outcome not in (Outcome.BEHIND, Outcome.CONFLICT):
            continue
        refusal = Refusal(parcel.entries[i], outcome, receipt.kept.get(at))
        if (letter := parcel.letter(i, refusal)) is not None:
            refused.append(refusal)
            letters.append(letter)
    return refused, letters
