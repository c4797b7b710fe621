"""The service under measurement: the real one, in a process of its own, and a few questions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from storage.entry import DeadLetter, Entry
from storage.journal import Appended, Journal
from storage.store import Store
from tests.benchmarks.publishing import SPAWN
from tests.benchmarks.traffic import components
from twin import logs
from twin.service import Service
from twin.serving import prepare, running
from twin.settings import Settings, settings


class Arrangement(NamedTuple):
    """How a service is set up."""

    directory: Path
    port: int  # of the broker
    root: str
    parts: int


class Commits(NamedTuple):
    """What the journal has done since it was last asked."""

    end: Any  # (k,) offset behind each commit
    time: Any  # (k,) when it was durable
    seconds: Any  # (k,) how long it took


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

    def _asked(self, *command: object) -> Any:
        self._pipe.send(command)
        return self._pipe.recv()


def _run(pipe: Connection, arrangement: Arrangement) -> None:
    logs.configure()
    prepare()
    asyncio.run(_served(pipe, arrangement))


async def _served(pipe: Connection, a: Arrangement) -> None:
    with Store(a.directory) as store:
        log = _timed(store.journal)
        async with running(_settings(a), store) as (service, url):
            await service.ready.wait()
            await service.register(components(a.parts))
            assert service.source is not None
            await service.source.ready()
            pipe.send(url)
            await _answer(pipe, service, log)


def _settings(a: Arrangement) -> Settings:
    return settings(
        mqtt={"port": a.port, "root": a.root, "client_id": a.root.replace("/", "-")},
        http={"port": 0},
        storage={"directory": a.directory},
        ingest={"max_ahead_s": None},
    )


async def _answer(pipe: Connection, service: Service, log: list[tuple[int, float, float]]) -> None:
    """Answer questions until told to stop."""
    loop = asyncio.get_running_loop()

    async def end() -> int:
        return service.fleet.offset

    async def stepped(offset: int) -> float:
        await service.until(offset)
        return time.perf_counter()

    async def commits() -> list[Any]:
        taken = log.copy()
        log.clear()
        return [np.array(column) for column in zip(*taken, strict=True)]

    questions: dict[str, Callable[..., Awaitable[Any]]] = {
        "end": end,
        "stepped": stepped,
        "commits": commits,
    }
    while True:
        name, *arguments = await loop.run_in_executor(None, pipe.recv)
        if name == "stop":
            return
        pipe.send(await questions[name](*arguments))


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
