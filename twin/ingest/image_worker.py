"""Cracks read from images: one at a time, in a thread of its own, each once and for good.

What is read goes into the journal like anything that is observed, so that the state stays a fold
over it. Images that are in the journal without what was read from them are found when the service
starts, by the marks of the streams that readings are.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
import structlog

from models.crack_image.network import SegmentationNetwork
from models.crack_image.reader import CrackReader, Measurement, network_reader
from sensors.errors import MalformedError
from sensors.limits import Limits
from sensors.observation import AnyObservation, ImageFinding, Inspection, Snapshot, observation
from sensors.payload.image_file import pixels
from storage.errors import CorruptError, MissingError, StorageError, UnavailableError
from storage.journal.journal import Journal
from storage.journal.passing import passing_over
from storage.store import Store
from twin import networks
from twin.belief.cohort import TROUBLE
from twin.belief.fleet import Fleet
from twin.belief.lines import OBSERVATION, observed, told
from twin.belief.segments import Line
from twin.component import Component
from twin.ingest.committer import Committer
from twin.ingest.image_findings import NEVER_MEASURED, SOURCE, Measured, boot_of, derived, failed
from twin.metrics import Metrics

WEIGHTS = "crack-image"
WAITING = 10_000  # images that are remembered; more are found again in the journal
SLICE = 5000  # lines of the journal that are looked through in one go: it has one thread
PAUSE_S = 0.02  # between two slices
RETRY_S = 5.0  # until a disk that did not obey is tried again

# What numpy, scipy and torch raise over pictures: an image must never stop the service.
_UNREADABLE = (
    MalformedError, CorruptError, MissingError, MemoryError, *TROUBLE,
)  # fmt: skip

T = TypeVar("T")
log = structlog.get_logger()


class Target(NamedTuple):
    """What is known of a component when an image of it is judged."""

    component: Component
    last: Measured = NEVER_MEASURED


def known(fleet: Fleet, name: str) -> Target | None:
    """What a fleet knows of a component when an image of it is judged."""
    component, place = fleet.components.get(name), fleet.places.get(name)
    if component is None or place is None:
        return None if component is None else Target(component)
    state = fleet.cohorts[place.cohort].state
    leaves = state.measured, state.measured_sd, state.t_inspected_ns
    length, sd, t_ns = (leaf[place.row].item() for leaf in leaves)
    return Target(component, Measured(length, sd, int(t_ns)))


class Journalling(NamedTuple):
    """What the service does for whoever reads images."""

    known: Callable[[str], Target | None]  # of a component, by its name
    journal: Callable[..., Awaitable[Any]]  # runs a question in the journal's thread
    until: Callable[[int], Awaitable[None]]  # the journal is folded up to an offset


class NamedReader(NamedTuple):
    """A reader, and what it is called where its readings are kept."""

    name: str
    read: CrackReader


def default_reader() -> NamedReader:
    """The reader with the weights that come with the program.

    Raises ValueError, and StorageError where they cannot be read.
    """
    tensors, card = networks.default(WEIGHTS)
    network = SegmentationNetwork()
    try:
        network.load_state_dict(tensors)
    except RuntimeError as exc:
        raise ValueError(f"the weights {WEIGHTS} are not of this network: {exc}") from exc
    return NamedReader(f"{WEIGHTS} seed {card['seed']}", network_reader(network))


class ImageWorker:
    """Owns the thread in which images are read."""

    def __init__(
        self,
        store: Store,
        committer: Committer,
        metrics: Metrics,
        hall: Journalling,
        limits: Limits,
    ) -> None:
        self._store = store
        self._committer = committer
        self._metrics = metrics
        self._hall = hall
        self._limits = limits
        self._thread = ThreadPoolExecutor(1, "reading")
        self._pending: deque[Snapshot] = deque()
        self._arrived = asyncio.Event()
        self._missed = True  # images may be in the journal that are not pending

    def add(self, lines: Iterable[AnyObservation]) -> None:
        """Let images that have become durable be read, one after the other."""
        for snapshot in lines:
            if isinstance(snapshot, Snapshot) and snapshot.kind == "crack":
                self._queue(snapshot)

    def _queue(self, snapshot: Snapshot) -> None:
        if len(self._pending) >= WAITING:
            self._missed = True
        else:
            self._pending.append(snapshot)
        self._metrics.queue_depth.labels("reading").set(len(self._pending))
        self._arrived.set()

    @property
    def waiting(self) -> int:
        """Images that wait to be read."""
        return len(self._pending)

    async def run(self) -> None:
        """Read for ever: first what was left over, then what comes."""
        try:
            reader = await self._off_loop(default_reader)
        except (ValueError, StorageError) as exc:
            log.error("images_not_read", reason=str(exc))
            return
        while True:
            if self._missed:
                await self._look_back(reader)
            while self._pending:
                snapshot = self._pending.popleft()
                self._metrics.queue_depth.labels("reading").set(len(self._pending))
                await self._settle(snapshot, reader)
            self._arrived.clear()
            if not self._missed:
                await self._arrived.wait()

    def close(self) -> None:
        """Let go of the thread; what it has not read is read after the next start."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _look_back(self, reader: NamedReader) -> None:
        """Read every image of the journal that is not read."""
        self._missed = False
        if not len(self._store.images):
            return
        offset, end = 0, self._committer.end
        while offset < end:
            try:
                offset, unread = await self._hall.journal(_unread, self._store.journal, offset, end)
            except CorruptError as exc:  # those that come are read all the same
                log.error("images_not_looked_for", offset=offset, reason=str(exc))
                return
            for snapshot in unread:
                await self._settle(snapshot, reader)
            await asyncio.sleep(PAUSE_S)

    async def _settle(self, snapshot: Snapshot, reader: NamedReader) -> None:
        """Read an image, and make durable what was read; nothing if it is durable already."""
        if await self._hall.journal(_is_read, self._store.journal, snapshot):
            return
        known = self._hall.known(snapshot.component)
        if known is None:
            return
        began = time.perf_counter()
        found = await self._reading(snapshot, reader)
        known = self._hall.known(snapshot.component) or known
        readout, inspection = _made(snapshot, found, reader.name, known)
        await self._keep([readout] if inspection is None else [readout, inspection])
        self._tell(readout, time.perf_counter() - began)

    async def _keep(self, observations: Sequence[AnyObservation]) -> None:
        lines = [Line(o.component, o) for o in observations]
        await self._committer.outcomes([observed(o) for o in observations], lines)
        await self._hall.until(
            self._committer.end
        )  # the next image is judged by what this one said

    def _tell(self, readout: ImageFinding, seconds: float) -> None:
        self._metrics.images_read.labels(readout.outcome).inc()
        log.info(
            "image_read",
            component=readout.component,
            outcome=readout.outcome,
            why=readout.why,
            seconds=round(seconds, 3),
        )

    async def _reading(self, snapshot: Snapshot, reader: NamedReader) -> Measurement | str:
        """What the image shows, or the sentence why it cannot be read."""
        while True:
            try:
                return await self._off_loop(self._read, snapshot, reader.read)
            except UnavailableError as exc:
                log.warning("image_unavailable", reason=str(exc))
                await asyncio.sleep(RETRY_S)
            except _UNREADABLE as exc:
                return f"{exc}" or type(exc).__name__

    def _read(self, snapshot: Snapshot, read: CrackReader) -> Measurement:
        grey = pixels(self._store.images.get(snapshot.sha256), self._limits)
        return read(np.asarray(grey))

    async def _off_loop(self, f: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, f, *args)


def _made(
    snapshot: Snapshot, found: Measurement | str, reader: str, known: Target
) -> tuple[ImageFinding, Inspection | None]:
    """What is kept of a reading, and the inspection that it makes, if any."""
    if isinstance(found, str):
        return failed(snapshot, reader, found), None
    try:
        return derived(snapshot, found, reader, *known)
    except TROUBLE as exc:
        return failed(snapshot, reader, f"judging it raised {type(exc).__name__}: {exc}"), None


def _is_read(journal: Journal, snapshot: Snapshot) -> bool:
    return journal.mark(snapshot.component, SOURCE, boot_of(snapshot)) is not None


def _unread(journal: Journal, offset: int, end: int) -> tuple[int, list[Snapshot]]:
    """Where the next slice begins, and the crack images of this one that are not read."""
    offset = max(offset, journal.start)
    found: list[Snapshot] = []
    stop = min(offset + SLICE, end)
    for _, entries in passing_over(journal, offset, stop, partial(told, journal)):
        for entry in entries:
            if entry.kind == OBSERVATION and b"snapshot" in entry.body[:16]:
                try:
                    what = observation(entry.body)
                except msgspec.DecodeError:  # whoever folds says what is wrong with it
                    continue
                if isinstance(what, Snapshot) and what.kind == "crack":
                    found.append(what)
    return max(stop, offset + 1), [s for s in found if not _is_read(journal, s)]
