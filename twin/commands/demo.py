"""Broker, simulated plant and service, all in one: what a newcomer runs first."""

# Over 300 lines: broker, plant and service wait for each other, and for one signal.

from __future__ import annotations

import asyncio
import contextlib
import heapq
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sensors.mqtt.broker import EmbeddedBroker
from sensors.simulation.plant import Plant, PlantSettings, fleet, generation
from sensors.simulation.plates import SimulatedPlate, in_turn, numbered
from sensors.timed import Registration, Renewal, Timed
from storage.store import Store
from twin.archive.remedies import remedied
from twin.belief.fleet import Fleet
from twin.belief.fleet_file import registrations
from twin.commands.playback import LAST_WORDS_S, RENEW_AFTER_S, batches
from twin.commands.playing import Destination, played
from twin.component import Component
from twin.errors import SettingsError
from twin.service import Service
from twin.serving import prepare, running
from twin.settings import settings

LINE_S = 1.0  # time between two live lines
PLATE_WATCHED_S = 240.0  # of watching, until a plate is broken
PLATE_SHOWN_S = 60.0  # of watching it then, until a fresh one takes its place
PLATE_LIFE = 2.5e6  # cycles until then
SHIFTS_S, SHIFT = 5.0, 30  # event time between two messages of a plate, messages of a shift
CHANGEOVER_S = 5.0  # of watching, from a fresh plate's registration to its first load
FLUSH_S = 10.0  # between two flushes: who opens the history wants to see some
MARKER = "demo"  # a file that says whose data these are

_SAID = """\
twin demo: {parts} parts and two plates, all of them simulated
  time        runs {speed:g} times as fast as the clock, and ahead of it: a day passes in {day}
  faults      made on purpose: sensors fall silent, lose, repeat, delay and damage messages, so that
              gaps, late and refused messages (twin dead-letters list) are what you should see
  parts       cracks grow to their limits within minutes; a worn-out part is retired, a fresh one
              with the next number takes its place
  data        {data}
  broker      mqtt://127.0.0.1:{broker_port} ({broker_kind})
  dashboard   {url}/
  API         {url}/docs
  metrics     {url}/metrics
  try         curl {url}/api/v1/components/{first}/state
  a path      {url}/api/v1/components/{plate}/crack
  stop        Ctrl-C"""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What `twin demo` was asked for."""

    duration_s: float | None
    parts: int
    speed: float
    port: int
    data_dir: Path | None
    seed: int


async def demo(options: DemoOptions) -> None:
    """Run until the duration is over, or SIGINT or SIGTERM."""
    console = Console()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with directory(options.data_dir, console) as where:
        async with EmbeddedBroker() as broker:
            prepare()
            with remedied(where), Store(where) as store:
                async with _service(options, store, broker.port) as (service, url):
                    await _play(options, service, url, broker, console, stop)


@contextlib.contextmanager
def directory(wanted: Path | None, console: Console) -> Iterator[Path]:
    """Where the data go: a directory that stays, or one that goes when the demo stops.

    Raises SettingsError for one that holds the data of a twin that is no demo.
    """
    if wanted is None:
        with tempfile.TemporaryDirectory(prefix="twin-demo-") as temporary:
            yield Path(temporary)
            console.print(f"deleting {temporary}, this demo's data", soft_wrap=True)
        return
    if (wanted / "journal.sqlite").exists() and not (wanted / MARKER).exists():
        raise SettingsError(
            f"{wanted} holds the data of a twin that is no demo, and simulated parts have no place "
            "among them: name another directory (--data-dir)"
        )
    wanted.mkdir(parents=True, exist_ok=True)
    (wanted / MARKER).write_text("Simulated, by twin demo.\n", encoding="utf-8")
    yield wanted
    console.print(f"kept {wanted}, this demo's data", soft_wrap=True)


@asynccontextmanager
async def _service(
    options: DemoOptions, store: Store, broker_port: int
) -> AsyncIterator[tuple[Service, str]]:
    """The service; event times run ahead of the clock, so that check is off."""
    chosen = settings(
        mqtt={"port": broker_port},
        http={"port": options.port},
        ingest={"max_ahead_s": None},
        storage={
            "directory": store.directory,
            "record_every_s": max(1.0, options.speed / 4),
            "flush_every_s": FLUSH_S,
        },
    )
    async with running(chosen, store) as (service, url):
        yield service, url


async def _play(
    options: DemoOptions,
    service: Service,
    url: str,
    broker: EmbeddedBroker,
    console: Console,
    stop: asyncio.Event,
) -> None:
    await service.ready.wait()
    past = await _retired(service, console)
    chosen = PlantSettings(
        parts=options.parts,
        seed=options.seed,
        speed=options.speed,
        boot=int(time.time()),
        renew_after_s=RENEW_AFTER_S,
        generation=past,
    )
    plates = _plates(options)
    first = [numbered(plate, past).registration() for plate in plates]
    await _register(service, [*fleet(chosen), *first])
    _greet(console, options, service, url, broker, plate=first[0]["name"])
    stage = Destination.of(f"127.0.0.1:{broker.port}", None, None, service.settings.mqtt.root)
    renewals: asyncio.Queue[Renewal] = asyncio.Queue()
    messages = _messages(service, chosen, plates, renewals.put_nowait)
    playing = asyncio.create_task(
        played(stage, messages, speed=options.speed, duration_s=options.duration_s, progress=_quiet)
    )
    watching = asyncio.create_task(_watch(service, console))
    renewing = asyncio.create_task(_renew(service, console, renewals))
    waiting = asyncio.create_task(_ended(stop, options.duration_s))
    tasks = {playing, watching, renewing, waiting}
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if not task.done():
            task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
    console.print(f"\nstopped after {service.fleet.offset} journal lines")


def _messages(
    service: Service,
    chosen: PlantSettings,
    plates: list[SimulatedPlate],
    renewed: Callable[[Renewal], None],
) -> Iterator[Timed]:
    """What plant and plates send from now on, or from where the last demo has got to."""
    start_ns = max(time.time_ns(), service.fleet.watermark_ns)
    in_turns = (
        in_turn(
            plate,
            start_ns,
            lasts_s=(PLATE_WATCHED_S + PLATE_SHOWN_S) * chosen.speed,
            pause_s=CHANGEOVER_S * chosen.speed,
            renewed=renewed,
            generation=chosen.generation,
            boot=chosen.boot,
            root=chosen.root,
        )
        for plate in plates
    )
    return heapq.merge(
        Plant(chosen).messages(start_ns, renewed), *in_turns, key=lambda timed: timed.t_ns
    )


async def _retired(service: Service, console: Console) -> int:
    """Retire the parts of a demo before; how many have been in one place, at most."""
    components = service.fleet.components
    past = generation(components)
    old = [c for c in components.values() if generation([c.name]) and not c.retired]
    if old:
        await service.register([_retirement(component) for component in old])
        console.print(f"{len(old)} parts of the last demo are retired, fresh ones take their place")
    return past


async def _renew(service: Service, console: Console, renewals: asyncio.Queue[Renewal]) -> None:
    """Register what takes the place of what is worn out, and retire that a little later."""
    async with asyncio.TaskGroup() as tasks:
        async for batch in batches(renewals):
            await _register(service, [renewal.fresh for renewal in batch])
            tasks.create_task(_retire(service, console, batch), name="retire")


async def _retire(service: Service, console: Console, batch: list[Renewal]) -> None:
    await asyncio.sleep(LAST_WORDS_S)
    await service.register([_retirement(service.fleet.components[r.old]) for r in batch])
    for old, fresh in batch:
        console.print(f"{old} is worn out and retired; {fresh['name']} takes its place")


def _retirement(component: Component) -> Component:
    change = {"revision": component.revision + 1, "retired": True, "registered_by": "api"}
    return component.model_copy(update=change)


def _plates(options: DemoOptions) -> list[SimulatedPlate]:
    """Two plates in mixed mode, whose cracks curve and come to an end while one watches."""
    life_s = PLATE_WATCHED_S * options.speed
    return [
        SimulatedPlate(
            f"plant-a/plate-{i + 1}",
            shears=shears,
            shift=SHIFT,
            cycles=max(1, round(PLATE_LIFE * SHIFTS_S / life_s)),
            every_s=SHIFTS_S,
        )
        for i, shears in enumerate(((0.5, 0.2, 0.7, -0.1, 0.4), (-0.6, -0.3, 0.1, -0.5)))
    ]


async def _ended(stop: asyncio.Event, duration_s: float | None) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), duration_s)


def _quiet(_: int) -> None:
    """The live line says enough."""


async def _register(service: Service, tables: list[Registration]) -> None:
    wanted = registrations(tables, "the simulated plant")
    new = [
        Component(name=name, revision=1, registered_by="api", registration=registration)
        for name, registration in wanted.items()
        if name not in service.fleet.components
    ]
    if new:
        await service.register(new)


def _greet(
    console: Console,
    options: DemoOptions,
    service: Service,
    url: str,
    broker: EmbeddedBroker,
    *,
    plate: str,
) -> None:
    active = (c.name for c in service.fleet.components.values() if not c.retired)
    kept = "kept" if options.data_dir else "deleted when the demo stops; --data-dir DIR keeps them"
    said = _SAID.format(
        parts=options.parts,
        speed=options.speed,
        day=_duration(86_400.0 / options.speed),
        data=f"{service.store.directory} ({kept})",
        broker_port=broker.port,
        broker_kind=broker.kind,
        url=url,
        first=next(active),
        plate=plate,
    )
    console.print(said, soft_wrap=True, highlight=False, markup=False)


def _duration(seconds: float) -> str:
    """A time for people."""
    for unit, size in (("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} seconds"


async def _watch(service: Service, console: Console) -> None:
    with Live(console=console, refresh_per_second=2, transient=False) as live:
        while True:
            live.update(Text(line(service.fleet)))
            await asyncio.sleep(LINE_S)


def line(fleet: Fleet) -> str:
    """The fleet in one line: how many lines, and the crack that is nearest to its limit."""
    worst = (0.0, "", 0.0, 0.0)
    for cohort in fleet.cohorts.values():
        view = cohort.view()
        limits = cohort.state.a_limit.numpy()
        for i, name in enumerate(cohort.members):
            if not name or fleet.components[name].retired:
                continue
            length = float(view.crack_length[i])
            worst = max(worst, (length / float(limits[i]), name, length, float(limits[i])))
    share, name, length, limit = worst
    if not name:
        return f"{fleet.offset:>8} observations"
    return (
        f"{fleet.offset:>8} observations · nearest to its limit: {name} "
        f"{length * 1e3:.2f} of {limit * 1e3:.0f} mm ({share:.0%})"
    )
