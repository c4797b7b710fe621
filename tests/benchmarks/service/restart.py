"""(g): back after a restart with a million observations behind the checkpoint."""

from __future__ import annotations

import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from sensors.payload.decode import decode
from storage.journal.entry import Entry
from storage.store import Store
from tests.benchmarks.report import Figure
from tests.benchmarks.service.broker import quiet_broker
from tests.benchmarks.service.ingest import Size
from tests.benchmarks.service.process import Arrangement, Hall
from tests.benchmarks.service.publishing import SPAWN
from tests.benchmarks.service.traffic import Plan, messages
from twin.archive.recovery import recovered
from twin.belief.fleet import Clock
from twin.belief.lines import observed
from twin.serving import prepare
from twin.settings import settings

ROOT = "twin/v1"
COMMIT = 2_000  # observations of a commit, as under full ingest
PORTION = 20_000


def restart(directory: Path, count: int, _: Size, parts: int = 10_000) -> Iterator[Figure]:
    """From opening the store to the fleet as it was."""
    with (
        quiet_broker(directory) as broker,
        Hall(Arrangement(directory / "data", broker.port, ROOT, parts)),
    ):
        pass  # it leaves a checkpoint that holds the registrations
    with Store(directory / "data") as store:
        for entries in _portions(parts, count):
            for i in range(0, len(entries), COMMIT):
                store.journal.append(entries[i : i + COMMIT], now_ns=time.time_ns())
    near, far = SPAWN.Pipe()
    process = SPAWN.Process(target=_recover, args=(far, directory / "data"))
    process.start()
    opened, folded, replayed, damage = near.recv()
    process.join()
    assert (replayed, damage) == (count, [])
    what = f"restart with {count:,} observations of {parts:,} components behind the checkpoint"
    yield Figure("g", what, opened + folded, "s", f"opening the store: {opened:.2f} s")
    yield Figure("g", "observations folded again", count / folded, "1/s")


def _portions(parts: int, count: int) -> Iterator[list[Entry]]:
    for boot, first in enumerate(range(0, count, PORTION)):
        plan = Plan(ROOT, parts, min(PORTION, count - first), boot)
        yield [
            observed(decode(m.topic, m.payload, m.content_type, m.properties))
            for m in messages(plan)
        ]


def _recover(pipe: Connection, directory: Path) -> None:
    prepare()
    s = settings(storage={"directory": directory})
    clock = Clock(
        record_every_ns=round(s.storage.record_every_s * 1e9),
        lateness_ns=round(s.ingest.lateness_s * 1e9),
    )
    began = time.perf_counter()
    with Store(directory) as store:
        opened = time.perf_counter()
        found = recovered(store, clock)
        pipe.send((opened - began, time.perf_counter() - opened, found.replayed, found.damage))
