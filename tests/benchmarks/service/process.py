"""The service under measurement: the real one, in a process of its own, and a few questions."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from fastapi import FastAPI

from models import tree
from storage.journal.entry import DeadLetter, Entry
from storage.journal.journal import Appended, Journal
from storage.store import Store
from tests.benchmarks.service.parts import components
from tests.benchmarks.service.publishing import SPAWN
from twin import logs, serving
from twin.api.application import application
from twin.belief.record import row
from twin.component import Component
from twin.service import Service
from twin.serving import prepare, running
from twin.settings import Settings, settings

EMPTY = "/empty"  # a route that answers nothing, mounted beside the real ones
PULSE_S = 0.001  # between two beats of the loop's pulse
PAGE = os.sysconf("SC_PAGE_SIZE")


class Arrangement(NamedTuple):
    """How a service is set up."""

    directory: Path
    port: int  # of the broker
    root: str
    parts: int
    uncertain: bool = False


class Commits(NamedTuple):
    """What the journal has done since it was last asked."""

    end: Any  # (k,) offset behind each commit
    time: Any  # (k,) when it was durable
    seconds: Any  # (k,) how long it took


class Memory(NamedTuple):
    """What the process holds [bytes]."""

    before: int  # resident, before the components were registered
    after: int
    tensors: int  # of the state of all components


class Hall:
    """A running service with its components registered."""

    def __init__(self, arrangement: Arrangement) -> None:
        self._pipe, far = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_run, args=(far, arrangement))

    def __enter__(self) -> Self:
        self._process.start()
        self.url = self._pipe.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.send(("stop",))
        self._process.join(60)
        self._process.kill()

    @property
    def pid(self) -> int:
        """The process."""
        return int(self._process.pid or 0)

    def end(self) -> int:
        """The offset up to which the fleet is folded."""
        return int(self._asked("end"))

    def stepped(self, offset: int) -> float:
        """Wait until the fleet is folded up to `offset`; when it was."""
        return float(self._asked("stepped", offset))

    def commits(self) -> Commits:
        """The commits since the last such question."""
        return Commits(*self._asked("commits"))

    def memory(self) -> Memory:
        """What the components take."""
        return Memory(*self._asked("memory"))

    def gap(self, seconds: float) -> float:
        """The longest time that the loop kept a beat waiting, over some seconds [s]."""
        return float(self._asked("gap", seconds))

    def flushed(self, rows: int) -> tuple[float, float]:
        """The longest such time while `rows` record rows go to disk, and how long that took [s]."""
        gap, took = self._asked("flushed", rows)
        return gap, took

    def _asked(self, *command: object) -> Any:
        self._pipe.send(command)
        return self._pipe.recv()


def _run(pipe: Connection, arrangement: Arrangement) -> None:
    logs.configure(level=logging.WARNING)
    prepare()
    serving.application = _with_empty_route  # type: ignore[attr-defined]  # one route more
    asyncio.run(_served(pipe, arrangement))


def _with_empty_route(service: Service) -> FastAPI:
    app = application(service)

    @app.get(EMPTY)
    async def get_nothing() -> dict[str, bool]:
        return {}

    return app


async def _served(pipe: Connection, a: Arrangement) -> None:
    with Store(a.directory) as store:
        log = _timed(store.journal)
        async with running(_settings(a), store) as (service, url):
            await service.ready.wait()
            questions = Questions(service, log)
            await questions.register(components(a.parts, uncertain=a.uncertain))
            assert service.source is not None
            await service.source.ready()
            pipe.send(url)
            await _answer(pipe, questions)


def _settings(a: Arrangement) -> Settings:
    return settings(
        mqtt={"port": a.port, "root": a.root, "client_id": a.root.replace("/", "-")},
        http={"port": 0},
        storage={"directory": a.directory},
        ingest={"max_ahead_s": None},
    )


async def _answer(pipe: Connection, questions: Questions) -> None:
    """Answer until told to stop."""
    known: dict[str, Callable[..., Awaitable[Any]]] = {
        "end": questions.end,
        "stepped": questions.stepped,
        "commits": questions.commits,
        "memory": questions.memory,
        "gap": questions.gap,
        "flushed": questions.flushed,
    }
    loop = asyncio.get_running_loop()
    while True:
        name, *arguments = await loop.run_in_executor(None, pipe.recv)
        if name == "stop":
            return
        pipe.send(await known[name](*arguments))


class Questions:
    """What a running service is asked from outside."""

    def __init__(self, service: Service, log: list[tuple[int, float, float]]) -> None:
        self._service, self._log = service, log
        self._before = 0
        self._recorded_ns = time.time_ns()

    async def register(self, wanted: list[Component]) -> None:
        """Register components, a few to warm up with before memory is looked at."""
        known = self._service.fleet.components
        fresh = [c for c in wanted if c.name not in known]
        warm = len(wanted) // 20
        await self._service.register(fresh[:warm])
        self._before = _resident()
        await self._service.register(fresh[warm:])

    async def end(self) -> int:
        """See `Hall.end`."""
        return self._service.fleet.offset

    async def stepped(self, offset: int) -> float:
        """See `Hall.stepped`."""
        await self._service.until(offset)
        return time.perf_counter()

    async def commits(self) -> list[Any]:
        """See `Hall.commits`."""
        taken = self._log.copy()
        self._log.clear()
        return [np.array([entry[i] for entry in taken]) for i in range(3)]

    async def memory(self) -> Memory:
        """See `Hall.memory`."""
        cohorts = self._service.fleet.cohorts.values()
        held = [leaf for c in cohorts for _, leaf in tree.leaves((c.state, c.feed))]
        return Memory(self._before, _resident(), sum(leaf.nbytes for leaf in held))

    async def gap(self, seconds: float) -> float:
        """See `Hall.gap`."""
        pulse = asyncio.create_task(_pulse())
        await asyncio.sleep(seconds)
        return await _stopped(pulse)

    async def flushed(self, rows: int) -> tuple[float, float]:
        """See `Hall.flushed`."""
        service = self._service
        made = []
        for _ in range(rows):
            self._recorded_ns += service.clock.record_every_ns
            made.append(row(service.fleet, self._recorded_ns))
        pulse = asyncio.create_task(_pulse())
        began = time.perf_counter()
        service.archiver.add(made)
        while service.archiver.tail:  # noqa: ASYNC110  a benchmark may poll
            await asyncio.sleep(0.01)
        took = time.perf_counter() - began
        return await _stopped(pulse), took


async def _pulse() -> float:
    """The longest wait for a turn of the loop until cancelled, beyond the wait asked for [s]."""
    longest, last = 0.0, time.perf_counter()
    try:
        while True:
            await asyncio.sleep(PULSE_S)
            now = time.perf_counter()
            longest, last = max(longest, now - last - PULSE_S), now
    except asyncio.CancelledError:
        return longest


async def _stopped(pulse: asyncio.Task[float]) -> float:
    pulse.cancel()
    return await pulse


def _resident() -> int:
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * PAGE


def _timed(journal: Journal) -> list[tuple[int, float, float]]:
    """Note when each commit returns; the list grows as the journal does."""
    log: list[tuple[int, float, float]] = []
    append = journal.append

    def noted(
        entries: Sequence[Entry], dead_letters: Sequence[DeadLetter] = (), *, now_ns: int
    ) -> Appended:
        began = time.perf_counter()
        receipt = append(entries, dead_letters, now_ns=now_ns)
        now = time.perf_counter()
        log.append((journal.end, now, now - began))
        return receipt

    journal.append = noted  # type: ignore[method-assign]  # a stopwatch around the real one
    return log
