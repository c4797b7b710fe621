"""Broker, simulated plant and service, all in one: what a newcomer runs first."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sensors.broker import EmbeddedBroker
from sensors.plant import Plant, PlantSettings, fleet
from sensors.plates import Plate
from sensors.plates import messages as plates_messages
from sensors.timed import Registration
from storage.store import Store
from twin.component import Component
from twin.fleet import Fleet
from twin.fleet_file import registrations
from twin.playing import Stage, played
from twin.service import Service
from twin.serving import prepare, running
from twin.settings import settings

LINE_S = 1.0  # time between two live lines
PLATE_WATCHED_S = 240.0  # of watching, until a plate is broken
PLATE_LIFE = 2.5e6  # cycles until then
SHIFTS_S, SHIFT = 5.0, 30  # event time between two messages of a plate, messages of a shift


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
    with _directory(options) as directory:
        async with EmbeddedBroker() as broker:
            prepare()
            with Store(directory) as store:
                async with _service(options, store, broker.port) as (service, url):
                    await _play(options, service, url, broker, console, stop)


@contextlib.contextmanager
def _directory(options: DemoOptions):  # type: ignore[no-untyped-def]  # noqa: ANN202
    if options.data_dir is not None:
        yield options.data_dir
        return
    with tempfile.TemporaryDirectory(prefix="twin-demo-") as directory:
        yield Path(directory)


@asynccontextmanager
async def _service(
    options: DemoOptions, store: Store, broker_port: int
) -> AsyncIterator[tuple[Service, str]]:
    """The service; event times run ahead of the clock, so that check is off."""
    chosen = settings(
        mqtt={"port": broker_port},
        http={"port": options.port},
        ingest={"max_ahead_s": None},
        storage={"directory": store.directory, "record_every_s": max(1.0, options.speed / 4)},
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
    chosen = PlantSettings(
        parts=options.parts, seed=options.seed, speed=options.speed, boot=int(time.time())
    )
    await service.ready.wait()
    plates = _plates(options)
    await _register(service, [*fleet(chosen), *(plate.registration() for plate in plates)])
    _greet(console, options, service, url, broker)
    stage = Stage.of(f"127.0.0.1:{broker.port}", None, None, service.settings.mqtt.root)
    start_ns = max(time.time_ns(), service.fleet.watermark_ns)
    root = service.settings.mqtt.root
    messages = heapq.merge(
        Plant(chosen).messages(start_ns),
        *(plates_messages(plate, start_ns, boot=chosen.boot, root=root) for plate in plates),
        key=lambda timed: timed.t_ns,
    )
    playing = asyncio.create_task(
        played(stage, messages, speed=options.speed, duration_s=options.duration_s, progress=_quiet)
    )
    watching = asyncio.create_task(_watch(service, console))
    waiting = asyncio.create_task(_ended(stop, options.duration_s))
    await asyncio.wait({playing, watching, waiting}, return_when=asyncio.FIRST_COMPLETED)
    for task in (playing, watching, waiting):
        if not task.done():
            task.cancel()
    results = await asyncio.gather(playing, watching, waiting, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
    console.print(f"\nstopped after {service.fleet.offset} journal lines")


def _plates(options: DemoOptions) -> list[Plate]:
    """Two plates in mixed mode, whose cracks curve and come to an end while one watches."""
    life_s = PLATE_WATCHED_S * options.speed
    return [
        Plate(
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
    console: Console, options: DemoOptions, service: Service, url: str, broker: EmbeddedBroker
) -> None:
    first = service.fleet.members[0]
    console.print(f"twin demo: {options.parts} parts, {options.speed:g} event seconds a second")
    console.print(f"  broker      mqtt://127.0.0.1:{broker.port} ({broker.kind})")
    console.print(f"  dashboard   {url}/")
    console.print(f"  API         {url}/docs")
    console.print(f"  metrics     {url}/metrics")
    console.print(f"  data        {service.store.directory}")
    console.print(f"  try         curl {url}/api/v1/components/{first}/state", soft_wrap=True)
    console.print(f"  a path      {url}/api/v1/components/plant-a/plate-1/crack", soft_wrap=True)


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
            length = float(view.crack_length[i])
            worst = max(worst, (length / float(limits[i]), name, length, float(limits[i])))
    share, name, length, limit = worst
    return (
        f"{fleet.offset:>8} observations · nearest to its limit: {name} "
        f"{length * 1e3:.2f} of {limit * 1e3:.0f} mm ({share:.0%})"
    )
