"""The running twin: what waits for what."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar, cast

import structlog

from sensors.errors import MalformedError
from sensors.limits import Limits
from sensors.mqtt.packets import Message
from sensors.mqtt.source import MqttSource
from sensors.observation import AnyObservation
from sensors.quality import NULL_CODES
from sensors.topics import Topics
from storage.errors import UnavailableError
from storage.journal.sequences import Outcome
from storage.store import Store
from twin.archive.archiver import Keeper
from twin.archive.backfill import Backfill, StoppedError
from twin.archive.recovery import Recovered, recovered
from twin.belief.events import Event, Events
from twin.belief.filed import Filed, told_without
from twin.belief.fleet import Fleet, clock_of
from twin.belief.fleet_file import fleet_file, tried
from twin.belief.fold import Line, Note
from twin.belief.lines import made, observed, registration
from twin.broker_session import BrokerSession, Gone
from twin.collecting import settle, uncollected
from twin.component import Component, Registration
from twin.errors import BelatedError, ConflictError
from twin.ingest.committer import Committer, Parcel
from twin.ingest.image_worker import Hall, ImageReading, known
from twin.ingest.inbox import Inbox
from twin.ingest.own_clock import HeldError, Known, OwnClock
from twin.ingest.queue import LineQueue
from twin.ingest.settling import settle_images
from twin.metrics import Metrics
from twin.obeying import Obeying
from twin.publish.changes import Told
from twin.publish.outbox import Outbox
from twin.settings import Settings
from twin.stepping.stepping import Stepped, Stepping
from twin.telling import Telling

FOLD_S, FOLD_LINES = 0.2, 1_000  # how often the journal's log is looked at, and what is a lot
REFRESH_S, REFRESHED = 0.5, 1_000  # how often retained states are made new, and how many at most
REFRESHING = 0.05  # share of the time that this may take of stepping
LOOK_S = 5.0  # how often states that change by the clock alone are looked for
HOLD_S = 1.0  # how often this host's clock is looked at again while it is in doubt
FAREWELL_S = 30.0  # for what was read to become durable, when the service stops
STEPPED_S = 2.0  # and stepped: what is not is in the journal, for the next start
QUERIES = 2  # threads in which what clients ask for is read

T = TypeVar("T")
log = structlog.get_logger()


class Service:
    """Owns the current fleet, and everything that changes it."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.clock = clock_of(settings)
        self.metrics = Metrics()
        self.events = Events(first_id=time.time_ns() // 1000)
        self.ready = asyncio.Event()  # set once what was believed is back
        self.is_stopping = False  # who computes for a client gives up
        self.damage: list[str] = []
        self.filed = Filed()
        self.keeper: Keeper
        self.source: MqttSource | None = None
        self.session: BrokerSession | None = None  # what became of it, at the broker
        self.outbox: Outbox | None = None
        queue = LineQueue(settings.ingest.queue_observations)
        self._told = Told()
        self.stepping = Stepping(queue, self.clock, self._told, self._stepped)
        self._journal_thread = ThreadPoolExecutor(1, "journal")
        self._judging = ThreadPoolExecutor(1, "judging")  # what comes in waits for no client
        self._upkeep = ThreadPoolExecutor(1, "upkeep")  # of the log, and the page of metrics
        self._queries = ThreadPoolExecutor(QUERIES, "queries")
        self._foresight = ThreadPoolExecutor(1, "foresight")  # seconds each: no query waits behind
        self._trials = ThreadPoolExecutor(1, "trials")  # no registration waits for forecasts
        self.committer = Committer(
            store.journal,
            self._journal_thread,
            queue,
            self.metrics,
            Obeying("journal", store.directory),
        )
        self.storing = Obeying("images", store.directory)
        self.clock_trouble: str | None = None  # why this host's clock is not believed
        self.inbox = _inbox(
            settings,
            store,
            lambda name: self.fleet.components.get(name),
            lambda: _known_time(self.fleet),
        )
        hall = Hall(lambda name: known(self.fleet, name), self.journal, self.until)
        self.images = ImageReading(store, self.committer, self.metrics, hall, self.inbox.limits)
        self.committer.tell = self.tell
        self.swaps = 0  # odd while the trajectory is exchanged
        self.backfill = Backfill(self)
        self._telling = Telling()
        self.committer.on_letters = self._telling.letters

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
            "recording": len(self.keeper.tail) if self.is_recovered else 0,
            "reading": self.images.waiting,
            "outbox": 0 if self.outbox is None else self.outbox.waiting,
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
        self.keeper = Keeper(self.settings.storage, self.store, found.recorder, self.metrics)
        kept = await self.journal(self.store.journal.catalogue.checkpoints)
        self.keeper.found(kept)
        self.stepping.room = self.keeper.has_room
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
            self._on(self.stepping.thread, recovered, self.store, self.clock, progress)
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
                tasks.create_task(self._fold_log(), name="fold-log")
                if self.outbox is not None:  # in case the broker was away when they changed
                    self.outbox.take_back(n for n, c in self.fleet.components.items() if c.retired)
                    states = self._told.at_start(self.fleet)
                    self.outbox.add(Event(0, *note) for note in states)
                    tasks.create_task(self._refresh(self.outbox), name="refresh")
                tasks.create_task(self.backfill.run(), name="backfill")
                if not self.committer.is_available:
                    self.ready.set()  # what is known can be asked for, whatever the disk takes
                await settle_images(self.store, self.journal)
                await self._register_file()
                self.ready.set()
                if self.settings.ingest.read_images:
                    tasks.create_task(self.images.run(), name="read-images")
                if source is not None:
                    tasks.create_task(self._read(source), name="read")
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
            await self.keeper.close(self.stepping.settled, self.clock, self._journal_thread)
        self.events.close()
        await asyncio.to_thread(self.images.close)
        for thread in (self._foresight, self._trials):
            await asyncio.to_thread(thread.shutdown, wait=True, cancel_futures=True)
        await asyncio.to_thread(self.stepping.close)  # what is in hand is as good as nothing
        for thread in (self._journal_thread, self._queries, self._judging, self._upkeep):
            thread.shutdown(wait=True)
        left = self.stepping.unstepped
        log.info("stopped", offset=self.fleet.offset, left_to_the_next_start=left)

    async def query(self, function: Callable[..., T], *args: object) -> T:
        """Run a blocking question off the loop."""
        return await self._on(self._queries, function, *args)

    async def maintain(self, function: Callable[..., T], *args: object) -> T:
        """Run something that the service itself, or who watches it, needs done in time."""
        return await self._on(self._upkeep, function, *args)

    async def foresee(self, function: Callable[..., T], *args: object) -> T:
        """Run a forecast, which may take seconds, after those before it.

        Raises UnavailableError if the service stops before its turn.
        """
        return await self._unless_stopping(self._foresight, function, *args)

    async def try_out(self, function: Callable[..., T], *args: object) -> T:
        """Run a trial of a registration; raises UnavailableError as `foresee` does."""
        return await self._unless_stopping(self._trials, function, *args)

    async def _unless_stopping(
        self, thread: ThreadPoolExecutor, function: Callable[..., T], *args: object
    ) -> T:
        try:
            return await self._on(thread, function, *args)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # it is who asked that was cancelled
            raise UnavailableError("the service is stopping") from None

    async def journal(self, function: Callable[..., T], *args: object) -> T:
        """Run a question to the journal in its thread."""
        return await self._on(self._journal_thread, function, *args)

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
        found = await self.journal(self.store.journal.dead_letters.get, number)
        kept = found.letter
        if found.cut:  # as it is it would take the key of what its sender still has
            raise MalformedError(
                "size",
                f"of dead letter {number} only {len(kept.payload)} of {found.payload_size} bytes "
                "are kept: let its sender send it again",
            )
        message = Message(kept.topic, kept.payload, kept.content_type, kept.properties)
        await self.query(self.inbox.judged, message)  # a stray is told of once in a parcel
        parcel = await self.query(self.inbox.parcel, [message], lambda: None)
        if parcel.dead:
            raise MalformedError(parcel.dead[0].reason, parcel.dead[0].sentence)
        parcel = await self.query(self.inbox.stored, parcel)
        outcomes = await self.committer.outcomes(parcel.entries, parcel.lines)
        parcel.done(outcomes)
        outcome = outcomes[0]
        if outcome in (Outcome.ACCEPTED, Outcome.DUPLICATE):
            await self.journal(self.store.journal.dead_letters.remove, number)
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
            self.filed = Filed(wanted)
            self.filed.tell(self.fleet.components, str(path))
            known = self.fleet.components
            new = [c for n, r in wanted.items() if (c := _from_file(known.get(n), n, r))]
            if new:
                await self.register(await self.try_out(tried, new, str(path)))
                log.info("registered", components=len(new), file=str(path))
        settle(len(known) + len(new))

    async def _read(self, source: MqttSource) -> None:
        """Judge what comes, batch by batch; all of it waits while our own clock is in doubt."""
        held: deque[tuple[list[Message], Parcel | None]] = deque()
        batches = aiter(source.batches())
        coming = asyncio.ensure_future(anext(batches, None))
        try:
            while True:
                await asyncio.wait({coming}, timeout=HOLD_S if held else None)
                if coming.done():
                    batch = coming.result()
                    if batch is None:
                        return
                    coming = asyncio.ensure_future(anext(batches, None))
                    # behind others it may say that our clock is right; it is judged once for all
                    held.append((batch, await self._judged(source, batch) if held else None))
                while held:
                    batch, parcel = held[0]
                    parcel = parcel or await self._judged(source, batch)
                    if parcel is None:
                        break
                    held.popleft()
                    if parcel.images:
                        parcel = await self.storing.insist(
                            partial(self._on, self._judging, self.inbox.stored, parcel),
                            len(parcel.images),
                        )
                    await self.committer.send(parcel)
        finally:
            coming.cancel()

    async def _judged(self, source: MqttSource, batch: list[Message]) -> Parcel | None:
        """The parcel of a batch, or None while our own clock is in doubt."""
        judge = partial(self.inbox.parcel, batch, lambda: source.acknowledge(batch), may_hold=True)
        try:
            is_heavy = self.inbox.is_heavy(batch)
            parcel = await self._on(self._judging, judge) if is_heavy else judge()
        except HeldError as exc:
            if self.clock_trouble is None:
                log.error("own_clock_behind", reason=str(exc))
            self.clock_trouble = str(exc)
            return None
        if self.clock_trouble is not None:
            log.info("own_clock_believed")
        self.clock_trouble = None
        return parcel

    def _stepped(self, go: Stepped) -> None:
        """Pass on what stepping has given."""
        self.keeper.add(go.rows)
        self.tell(go.notes)
        self.images.add(go.snapshots)
        self.metrics.late.inc(go.late)
        latest_ns = self.fleet.watermark_ns + self.clock.lateness_ns
        self.metrics.folded(go.seconds, time.time_ns(), latest_ns)

    @asynccontextmanager
    async def swapping(self) -> AsyncIterator[None]:
        """Readers of the trajectory that meet this ask again."""
        self.swaps += 1
        try:
            yield
        finally:
            self.swaps += 1

    def told(self, notes: Sequence[Note], names: Collection[str]) -> None:
        """Tell what has come to light, and the states of these components."""
        self.tell([*notes, *self._told.of(self.fleet, names)])

    def tell(self, notes: Sequence[Note]) -> None:
        """Count, log and pass on what is worth telling."""
        self.metrics.implausible.inc(sum(note.kind == "implausible" for note in notes))
        for note in notes:
            if note.kind == "quality":
                self.metrics.doubted(
                    str(note.data["reason"]), int(cast(int, note.data["set_aside"]))
                )
            if note.kind == "surprise":
                self.metrics.surprises.labels(str(note.data["outcome"])).inc()
            if note.kind == "ahead":
                log.warning("clock_ahead", component=note.component, **note.data)
            if note.kind == "life_unknown":
                self.metrics.lives_unknown.inc()
                log.error("remaining_life_unknown", component=note.component, **note.data)
        self._telling.notes(notes)
        events = self.events.added(notes)
        if self.outbox is not None:
            self.outbox.add(events)

    def forgotten(self, gone: Gone) -> None:
        """Count, log and tell that the broker has not kept our session."""
        self.metrics.sessions_gone.labels(gone.why).inc()
        say = log.warning if gone.why == "expired" else log.error
        say("broker_session_gone", why=gone.why, reason=gone.sentence)
        data = {"why": gone.why, "away_s": round(gone.away_s), "reason": gone.sentence}
        self.tell([Note("session", "", time.time_ns(), data)])

    async def _keep(self) -> None:
        looked = time.monotonic()
        while True:
            await asyncio.sleep(0.5)
            await self.keeper.keep(self.stepping.settled, self.clock, self._journal_thread)
            self._telling.sum_up(time.monotonic())
            if time.monotonic() - looked >= LOOK_S:
                looked = time.monotonic()
                self.tell(list(self._told.grown_stale(self.fleet)))

    async def _refresh(self, outbox: Outbox) -> None:
        """Let what is retained follow what moved too little to be news."""
        took = 0.0
        while True:
            await asyncio.sleep(max(REFRESH_S, took / REFRESHING))
            async with self.stepping.folding:
                began = time.perf_counter()
                pages = await self._on(
                    self.stepping.thread, self._told.refreshed, self.fleet, REFRESHED
                )
                took = time.perf_counter() - began
            outbox.add(Event(0, *page) for page in pages)

    async def _fold_log(self) -> None:
        """Fold the journal's log into its file, so that no commit has to wait for that."""
        folded = self.committer.end
        while True:
            await asyncio.sleep(FOLD_S)
            if self.committer.end - folded >= FOLD_LINES or self.store.journal.is_long:
                folded = self.committer.end
                with suppress(UnavailableError):  # a commit will say so, and try again
                    await self.maintain(self.store.journal.checkpoint_wal)

    async def _on(self, thread: ThreadPoolExecutor, f: Callable[..., T], *args: object) -> T:
        try:
            doing = asyncio.get_running_loop().run_in_executor(thread, f, *args)
        except RuntimeError as exc:  # the thread takes no more
            raise UnavailableError("the service is stopping") from exc
        return await doing


def _known_time(fleet: Fleet) -> Known:
    """What is known of time, to hold this host's clock against."""
    sources = max(len(fleet.clocks.near), len(fleet.clocks.before))
    components = sum(not component.retired for component in fleet.components.values())
    return Known(fleet.watermark_ns, sources, components)


def _inbox(
    settings: Settings,
    store: Store,
    component: Callable[[str], Component | None],
    known_time: Callable[[], Known],
) -> Inbox:
    s = settings.ingest

    def null_codes(name: str) -> Sequence[float]:
        known = component(name)
        return NULL_CODES if known is None else known.registration.plausible.null_codes

    max_ahead_ns = None if s.max_ahead_s is None else round(s.max_ahead_s * 1e9)
    return Inbox(
        topics=Topics(settings.mqtt.root),
        limits=Limits(
            message=s.max_message_bytes,
            samples=s.max_samples,
            image=s.max_image_bytes,
            pixels=s.max_image_pixels,
            earliest_ns=max(0, round(s.earliest.timestamp()) * 10**9),
            null_codes=null_codes,
        ),
        max_ahead_ns=max_ahead_ns,
        component=component,
        images=store.images,
        end=lambda: store.journal.end,
        own_clock=None if max_ahead_ns is None else OwnClock(known_time, max_ahead_ns),
    )


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


def _from_file(now: Component | None, name: str, wanted: Registration) -> Component | None:
    """The change that the fleet file asks for, if any."""
    if now is None:
        return Component(name=name, revision=1, registered_by="file", registration=wanted)
    if now.registration == wanted and not now.retired:
        return None
    if now.registered_by == "api":
        return None
    return Component(
        name=name, revision=now.revision + 1, registered_by="file", registration=wanted
    )
