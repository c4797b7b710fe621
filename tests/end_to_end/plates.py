"""Plates in mixed mode that the running service follows over a restart, loaded as they grow.

Every message holds about as many cycles as let the crack grow by `GROWTH`, as the service
believes: so that a whole life, whose last millimetres take few cycles, is seen evenly.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sensors.observation import Series, Spectrum
from sensors.payload.encode import load_message, spectrum_message
from sensors.simulation.plates import SimulatedPlate
from sensors.timed import Timed
from storage.store import Store
from tests.brokers import Broker
from tests.end_to_end.mixed_mode import Floats, Load, within
from twin.belief.fleet import Clock
from twin.commands.client import ask
from twin.commands.playing import Destination, played
from twin.service import Service
from twin.serving import running
from twin.settings import settings

START_NS, SECOND_NS = 1_790_000_000 * 10**9, 10**9
GROWTH = 0.12e-3  # of a message, about [m]
SHIFT = 6  # messages of one direction
FIRST, MOST = 10_000, 20_000  # cycles of the first message; of a series
ROUNDS = 200  # at most, of a message to every plate
ON = 1e8  # cycles of a load that lasts
CLOCK = Clock(record_every_ns=SECOND_NS, lateness_ns=0)


@dataclass(slots=True)
class Life:
    """A plate on its way: what it was sent, and what the service made of it."""

    plate: SimulatedPlate
    loads: list[Load] = field(default_factory=list)
    lengths: list[float] = field(default_factory=list)  # after each load [m]
    counted: list[float] = field(default_factory=list)  # cycles, as the service counts them
    rate: float = 0.0  # of the last load [m/cycle]
    status: str = "new"
    path: Floats = field(default_factory=lambda: np.empty((0, 2)))  # before it broke [m]

    @property
    def is_over(self) -> bool:
        """Whether it is at its limit or beyond."""
        return self.status in ("limit", "fractured")

    def message(self) -> Timed:
        """The next load: as many cycles as let the crack grow a little."""
        plate, number = self.plate, len(self.loads)
        ratio = plate.shears[number // SHIFT % len(plate.shears)]
        cycles = max(1, round(GROWTH / self.rate)) if self.rate else FIRST
        cycles = min(cycles, MOST) if plate.sampled else cycles
        self.loads.append((plate.stress, ratio * plate.stress, float(cycles)))
        t_ns = START_NS + number * SECOND_NS
        key: dict[str, Any] = {"component": plate.name, "source": "daq-1", "boot": 1, "seq": number}
        if not plate.sampled:
            table = np.array([[plate.stress, 0.5 * plate.stress, cycles]], "<f8").tobytes()
            spectrum = Spectrum(
                **key, t_ns=t_ns + SECOND_NS, quantity="stress", cycles=table, shear_ratio=ratio
            )
            return Timed(t_ns, spectrum_message(spectrum, form="msgpack"))
        tension = np.tile([0.0, plate.stress], cycles)
        series = Series(
            **key,
            t_ns=t_ns,
            quantity="stress",
            rate_hz=float(len(tension)),
            tension=tension.astype("<f8").tobytes(),
            shear=(ratio * tension).astype("<f8").tobytes(),
        )
        return Timed(t_ns, load_message(series, form="msgpack"))

    def seen(self, state: dict[str, Any], crack: dict[str, Any]) -> None:
        """Take in what the service says."""
        self.status, self.rate = state["status"], state["growth_rate"]
        self.lengths.append(state["crack_length"])
        self.counted.append(state["cycles"])
        if not state["fractured"]:
            self.path = np.array(crack["path"][0])

    def at(self, length: float) -> int | None:
        """The first load after which the crack was so long [m], and not through."""
        found = (i for i, a in enumerate(self.lengths) if a >= length)
        number = next(found, None)
        broken = number is not None and self.lengths[number] > 0.95 * self.plate.width
        return None if broken else number

    def path_to(self, length: float) -> Floats:
        """The nodes (m, 2) [m] of its path within a length [m]."""
        return within(self.path, length)

    def lasting(self) -> list[Load]:
        """The loads, the last one going on until any crack is at its end."""
        return [*self.loads, (*self.loads[-1][:2], ON)]

    def turned(self) -> list[Load]:
        """The same with growth [m] in the place of cycles."""
        growth = np.diff([self.plate.crack, *self.lengths, 2.0 * self.plate.width])
        loads = zip(self.lasting(), growth, strict=True)
        return [(tension, shear, float(way)) for (tension, shear, _), way in loads]


@asynccontextmanager
async def service(
    directory: Path, broker: Broker
) -> AsyncIterator[tuple[Service, str, Destination]]:
    """The running service over a directory."""
    chosen = settings(
        mqtt={"port": broker.port},
        http={"port": 0},
        ingest={"max_ahead_s": None, "lateness_s": 0.0},
        storage={"directory": directory / "data", "record_every_s": 1.0},
    )
    with Store(directory / "data") as store:
        async with running(chosen, store) as (it, url):
            await it.ready.wait()
            yield it, url, Destination.of(f"127.0.0.1:{broker.port}", url, None, chosen.mqtt.root)


async def lived(directory: Path, plates: Sequence[SimulatedPlate], restart: int) -> list[Life]:
    """The lives of plates; the service stops and starts again before round `restart`."""
    lives = [Life(plate) for plate in plates]
    (directory / "broker").mkdir()
    with Broker(directory / "broker") as broker:
        async with service(directory, broker) as (it, url, stage):
            tables = [plate.registration() for plate in plates]
            await asyncio.to_thread(stage.register, tables)
            await _rounds(lives, it, url, stage, restart)
        async with service(directory, broker) as (it, url, stage):
            await _rounds(lives, it, url, stage, ROUNDS)
    return lives


async def _rounds(lives: list[Life], it: Service, url: str, stage: Destination, until: int) -> None:
    """A message to every plate that is not at its end, round by round."""
    while going := [life for life in lives if not life.is_over and len(life.loads) < until]:
        await played(stage, [life.message() for life in going], speed=0.0, progress=lambda _: None)
        await asyncio.wait_for(it.until(len(lives) + sum(len(x.loads) for x in lives)), 60)
        for life in going:
            about = f"/api/v1/components/{life.plate.name}"
            state, crack = [
                await asyncio.to_thread(ask, url, f"{about}/{what}") for what in ("state", "crack")
            ]
            life.seen(state, crack)
