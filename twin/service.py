"""The running twin: what waits for what."""

# Over 300 lines: who waits for whom is told in one place; what they do is elsewhere.

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress

import structlog

from sensors.errors import MalformedError
from sensors.mqtt.packets import Message
from sensors.mqtt.source import MqttSource
from sensors.observation import AnyObservation
from storage.errors import UnavailableError
from storage.journal.sequences import Outcome
from storage.store import Store
from twin.archive.archiver import Archiver
from twin.archive.recovery import Recovered, recovered
from twin.backfill import Backfill, StoppedError
from twin.belief.fleet import Fleet, clock_of
from twin.belief.fleet_file import fleet_file, tried
from twin.belief.fleet_file_drift import FleetFileDrift, told_without, wanted_by_file
from twin.belief.lines import made, observed, registration
from twin.belief.segments import Line
from twin.broker_session import BrokerSession
from twin.collecting import settle, uncollected
from twin.component import Component
from twin.disk_writing import DiskWriter
from twin.errors import BelatedError, ConflictError
from twin.ingest.committer import Committer
from twin.ingest.image_worker import ImageWorker, Journalling, known
from twin.ingest.inbox import inbox_of
from twin.ingest.intake import Intake
from twin.ingest.own_clock import FleetTime
from twin.ingest.queue import LineQueue
from twin.ingest.settling import settle_images
from twin.metrics import Metrics
from twin.news import News
from twin.settings import Settings
from twin.stepping.stepping import Stepped, Stepping
from twin.threads import Threads, on

WAL_EVERY_S, WAL_LINES = 0.2, 1_000  # how often the journal's log is looked at, and what is a lot
REFRESH_S, REFRESHED = 0.5, 1_000  # how often retained states are made new, and how many at most
REFRESHING = 0.05  # share of the time that this may take of stepping
LOOK_S = 5.0  # how often states that change by the clock alone are looked for
FAREWELL_S = 30.0  # for what was read to become durable, when the service stops
STEPPED_S = 2.0  # and stepped: what is not is in the journal, for the next start

log = structlog.get_logger()


class Service:
    """Owns the current fleet, and everything that changes it."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.clock = clock_of(settings)
        self.metrics = Metrics()
        self.news = News(self.metrics)
        self.ready = asyncio.Event()  # set once what was believed is back
        self.is_stopping = False  # who computes for a client gives up
        self.damage: list[str] = []
        self.filed = FleetFileDrift()
        self.source: MqttSource | None = None
        self.session: BrokerSession | None = None  # what became of it, at the broker
        queue = LineQueue(settings.ingest.queue_observations)
        self.stepping = Stepping(queue, self.clock, self.news.changes, self._stepped)
        self.threads = Threads()
        self.archiver = Archiver(settings.storage, store, self.metrics)
        self.committer = Committer(
            store.journal,
            self.threads.journalling,
            queue,
            self.metrics,
            DiskWriter("journal", store.directory),
        )
        self.storing = DiskWriter("images", store.directory)
        self.inbox = inbox_of(
            settings,
            store,
            lambda name: self.fleet.components.get(name),
            lambda: _known_time(self.fleet),
        )
        self.intake = Intake(self.inbox, self.committer, self.storing, self.threads)
        hall = Journalling(lambda name: known(self.fleet, name), self.threads.journal, self.until)
        self.images = ImageWorker(store, self.committer, self.metrics, hall, self.inbox.limits)
        self.committer.tell = self.news.tell
        self.committer.on_letters = self.news.letters
        self.backfill = Backfill(
            settings.ingest, store, self.stepping, self.archiver, self.threads, self.news
        )

    @property
    def fleet(self) -> Fleet:
        """What is believed of every component."""
        return self.stepping.fleet

    @property
    def is_recovered(self) -> bool:
        """Whether what was believed before is back."""
        return self.ready.is_set()

    def waiting(self) -> dict[str, int]:
        """How much waits in each queue."""
        return {
            "stepping": self.stepping.unstepped,
            "recording": len(self.archiver.tail),
            "reading": self.images.waiting,
            "outbox": self.news.waiting,
        }

    async def recover(self) -> Recovered:
        """Bring back what was believed; then register what the fleet file adds."""
        began = time.perf_counter()
        found = await self._recovered()
        await self.stepping.begin(found.fleet)
        self.damage = found.damage
        self.store.journal.damage = self.damage  # what is met later is told with it
        for sentence in found.damage:
            log.error("damage_found", what=sentence)
        kept = await self.threads.journal(self.store.journal.catalogue.checkpoints)
        self.archiver.begin(found.recorder, kept)
        self.stepping.room = self.archiver.has_room
        log.info(
            "recovered",
            components=len(self.fleet.components),
            replayed=found.replayed,
            seconds=round(time.perf_counter() - began, 3),
        )
        return found

    async def _recovered(self) -> Recovered:
        """Fold what is to be folded, until that is done or a stop is asked for."""
        stopping = threading.Event()

        def progress(done: int, _: int) -> None:
            if stopping.is_set():
                log.info("recovery_stopped", lines=done)
                raise StoppedError

        folding = asyncio.ensure_future(
            on(self.stepping.thread, recovered, self.store, self.clock, progress)
        )
        try:
            return await asyncio.shield(folding)
        except asyncio.CancelledError:
            stopping.set()  # the store must not be closed under it
            await asyncio.gather(folding, return_exceptions=True)
            raise

    async def run(self, source: MqttSource | None) -> None:
        """Recover, then read, commit, step and keep until cancelled; then shut down in order."""
        await self.recover()
        await self.committer.probe()
        committing = asyncio.create_task(self.committer.run(), name="commit")
        stepping = asyncio.create_task(self.stepping.run(), name="step")
        lagging = asyncio.create_task(self.stepping.catch_up(), name="catch-up")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_watched(committing), name="watch-commit")
                tasks.create_task(_watched(stepping), name="watch-step")
                tasks.create_task(_watched(lagging), name="watch-catch-up")
                tasks.create_task(self._keep(), name="keep")
                tasks.create_task(self._checkpoint_wal(), name="checkpoint-wal")
                if self.news.begin(self.fleet):
                    tasks.create_task(self._refresh(), name="refresh")
                tasks.create_task(self.backfill.run(), name="backfill")
                if not self.committer.is_available:
                    self.ready.set()  # what is known can be asked for, whatever the disk takes
                await settle_images(self.store, self.threads.journal)
                await self._register_file()
                self.ready.set()
                if self.settings.ingest.read_images:
                    tasks.create_task(self.images.run(), name="read-images")
                if source is not None:
                    tasks.create_task(self.intake.run(source), name="read")
        finally:
            await self._finish(committing, (stepping, lagging))

    async def _finish(
        self, committing: asyncio.Task[None], stepping: Sequence[asyncio.Task[None]]
    ) -> None:
        """Make durable what was read, step what takes no time, flush and checkpoint."""
        self.ready.clear()  # from now on HTTP says 503
        self.is_stopping = True
        await self.stepping.stop()
        await self.backfill.close()
        if not committing.done() and self.committer.is_available:
            await _done_by(committing, self.committer.drain(), FAREWELL_S)
        is_sound = not any(task.done() for task in stepping)
        if is_sound:
            await _done_by(stepping[0], self.stepping.until(self.committer.end), STEPPED_S)
        for task in (committing, *stepping):
            task.cancel()
        await asyncio.gather(committing, *stepping, return_exceptions=True)
        if is_sound:
            await self.archiver.close(self.stepping.settled, self.clock, self.threads.journalling)
        self.news.events.close()
        await asyncio.to_thread(self.images.close)
        await self.threads.give_up()
        await asyncio.to_thread(self.stepping.close)  # what is in hand is as good as nothing
        self.threads.close()
        left = self.stepping.unstepped
        log.info("stopped", offset=self.fleet.offset, left_to_the_next_start=left)

    async def observe(self, observation: AnyObservation, within_s: float | None = None) -> Outcome:
        """Make one observation durable and wait until it is stepped.

        Raises BelatedError where what came before it takes longer; it has its turn all the same.
        """
        line = Line(observation.component, observation)
        outcome = (await self.committer.outcomes([observed(observation)], [line]))[0]
        end, name = self.committer.end, observation.component
        try:
            await asyncio.wait_for(self.stepping.until(end, [name]), within_s)
        except TimeoutError:
            if outcome is Outcome.ACCEPTED:
                raise BelatedError(
                    f"it is durable, and believed once {name} has been stepped by what came before "
                    f"it, which takes more than {within_s:g} s: do not send it again"
                ) from None
        return outcome

    async def register(self, components: Sequence[Component]) -> None:
        """Make registrations durable and wait until they count; raises ConflictError if beaten."""
        now_ns = time.time_ns()
        entries = [registration(component, now_ns) for component in components]
        lines = [Line(component.name, made(component, now_ns)) for component in components]
        outcomes = await self.committer.outcomes(entries, lines)
        await self.stepping.until(self.committer.end, ())
        beaten = [
            c.name for c, o in zip(components, outcomes, strict=True) if o != Outcome.ACCEPTED
        ]
        if beaten:
            raise ConflictError(f"{beaten[0]} was changed by somebody else first")

    async def resubmit(self, number: int) -> Outcome:
        """Judge a dead letter again; it is removed if it is taken now, or was taken before.

        Raises MissingError, and MalformedError if it is refused again.
        """
        found = await self.threads.journal(self.store.journal.dead_letters.get, number)
        kept = found.letter
        if found.cut:  # as it is it would take the key of what its sender still has
            raise MalformedError(
                "size",
                f"of dead letter {number} only {len(kept.payload)} of {found.payload_size} bytes "
                "are kept: let its sender send it again",
            )
        message = Message(kept.topic, kept.payload, kept.content_type, kept.properties)
        await self.threads.query(self.inbox.judged, message)  # a stray is told of once in a parcel
        parcel = await self.threads.query(self.inbox.parcel, [message], lambda: None)
        if parcel.dead:
            raise MalformedError(parcel.dead[0].reason, parcel.dead[0].sentence)
        parcel = await self.threads.query(self.inbox.stored, parcel)
        outcomes = await self.committer.outcomes(parcel.entries, parcel.lines)
        parcel.done(outcomes)
        outcome = outcomes[0]
        if outcome in (Outcome.ACCEPTED, Outcome.DUPLICATE):
            await self.threads.journal(self.store.journal.dead_letters.remove, number)
        return outcome

    async def until(self, offset: int) -> None:
        """Wait until every component knows the journal up to `offset`."""
        await self.stepping.until(offset)

    async def _register_file(self) -> None:
        """Register what the fleet file names and nobody has changed through the API since."""
        path = self.settings.fleet
        if path is None:
            told_without(self.fleet.components)
            return
        with uncollected():
            wanted = await asyncio.to_thread(fleet_file, path)
            self.filed = FleetFileDrift(wanted)
            self.filed.tell(self.fleet.components, str(path))
            known = self.fleet.components
            new = [c for n, r in wanted.items() if (c := wanted_by_file(known.get(n), n, r))]
            if new:
                await self.register(await self.threads.try_out(tried, new, str(path)))
                log.info("registered", components=len(new), file=str(path))
        settle(len(known) + len(new))

    def _stepped(self, go: Stepped) -> None:
        """Pass on what stepping has given."""
        self.archiver.add(go.rows)
        self.news.tell(go.notes)
        self.images.add(go.snapshots)
        self.metrics.late.inc(go.late)
        latest_ns = self.fleet.watermark_ns + self.clock.lateness_ns
        self.metrics.folded(go.seconds, time.time_ns(), latest_ns)

    async def _keep(self) -> None:
        looked = time.monotonic()
        while True:
            await asyncio.sleep(0.5)
            await self.archiver.keep(self.stepping.settled, self.clock, self.threads.journalling)
            self.news.sum_up(time.monotonic())
            if time.monotonic() - looked >= LOOK_S:
                looked = time.monotonic()
                self.news.grown_stale(self.fleet)

    async def _refresh(self) -> None:
        """Let what is retained follow what moved too little to be news."""
        took, moved = 0.0, self.news.changes.refreshed
        while True:
            await asyncio.sleep(max(REFRESH_S, took / REFRESHING))
            async with self.stepping.folding:
                began = time.perf_counter()
                pages = await on(self.stepping.thread, moved, self.fleet, REFRESHED)
                took = time.perf_counter() - began
            self.news.publish(pages)

    async def _checkpoint_wal(self) -> None:
        """Fold the journal's log into its file, so that no commit has to wait for that."""
        folded = self.committer.end
        while True:
            await asyncio.sleep(WAL_EVERY_S)
            if self.committer.end - folded >= WAL_LINES or self.store.journal.is_long:
                folded = self.committer.end
                with suppress(UnavailableError):  # a commit will say so, and try again
                    await self.threads.maintain(self.store.journal.checkpoint_wal)


def _known_time(fleet: Fleet) -> FleetTime:
    """What is known of time, to hold this host's clock against."""
    sources = max(len(fleet.clocks.near), len(fleet.clocks.before))
    components = sum(not component.retired for component in fleet.components.values())
    return FleetTime(fleet.watermark_ns, sources, components)


async def _watched(task: asyncio.Task[None]) -> None:
    """Fail when the task fails; outlive cancellation of the watcher."""
    await asyncio.shield(task)


async def _done_by(
    task: asyncio.Task[None], work: Coroutine[None, None, None], limit_s: float
) -> None:
    """Wait for what `task` does, while it lives and not for ever: what is missing comes again."""
    doing = asyncio.ensure_future(work)
    await asyncio.wait({doing, task}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
    doing.cancel()
