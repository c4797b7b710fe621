"""A service without a broker, in this process, over several lives."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from sensors.observation import Inspection
from storage.journal.sequences import Outcome
from storage.store import Store
from tests.end_to_end.traffic import fleet
from twin.belief.fleet_file import registrations
from twin.belief.lines import observed
from twin.belief.segments import Line
from twin.component import Component
from twin.service import Service
from twin.settings import Settings, settings

SECOND_NS = 10**9
START_NS = (time.time_ns() // SECOND_NS - 86_400) * SECOND_NS
FLEET = fleet(2)
NAME = FLEET[0]["name"]
LIVES = (100, 200, 300)  # inspections in each life; a shard is 256 rows


def inspection(seq: int) -> Inspection:
    """One of each second: a row each, without cycles that would take long to forecast."""
    return Inspection(
        component=NAME,
        source="ndt-1",
        boot=1,
        seq=seq,
        t_ns=START_NS + seq * SECOND_NS,
        crack_length=0.006 + 1e-6 * seq,
        crack_length_sd=0.0,
        method="eddy-current",
    )


def chosen(data: Path) -> Settings:
    """The settings of a service over a directory."""
    return settings(storage={"directory": data, "record_every_s": 1.0}, ingest={"lateness_s": 0.0})


@asynccontextmanager
async def running(data: Path) -> AsyncIterator[Service]:
    """A service from its recovery to its graceful stop."""
    with Store(data) as store:
        service = Service(chosen(data), store)
        work = asyncio.create_task(service.run(None))
        while not service.is_recovered and not work.done():  # noqa: ASYNC110  it tells nobody
            await asyncio.sleep(0.01)
        try:
            if not work.done():
                yield service
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work


async def register(service: Service) -> None:
    """Register the fleet."""
    wanted = registrations(FLEET, "the fleet").items()
    await service.register(
        [Component(name=n, revision=1, registered_by="file", registration=r) for n, r in wanted]
    )


async def observe(service: Service, numbers: Iterable[int]) -> list[Outcome]:
    """Let a service keep and step inspections."""
    found = [inspection(i) for i in numbers]
    lines = [Line(NAME, o) for o in found]
    outcomes = await service.committer.outcomes([observed(o) for o in found], lines)
    await service.until(service.committer.end)
    return outcomes


async def lived(data: Path) -> None:
    """Three lives, each with a checkpoint at its end."""
    first = 0
    for count in LIVES:
        async with running(data) as service:
            if not first:
                await register(service)
            await observe(service, range(first, first + count))
            first += count
