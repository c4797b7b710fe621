"""(a), (b), (c): from publish to durable and stepped."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from tests.benchmarks.report import Figure, at_least, at_most, middle
from tests.benchmarks.service.broker import quiet_broker
from tests.benchmarks.service.process import Arrangement, Commits, Hall
from tests.benchmarks.service.publishing import Publication
from tests.benchmarks.service.readers import Reader, Reading, bare, plain
from tests.benchmarks.service.traffic import SAMPLES, Kind, Plan

FULL_YARDSTICK = 15_000.0  # messages a second, for which (b) asks in full
FULL_SAMPLES = 5e6
FSYNCS = 300
ENTRY = 300  # bytes that a small observation takes in the journal, about


class Size(NamedTuple):
    """How much is measured."""

    messages: int = 50_000  # half as many for aiomqtt, which takes its time
    large: int = 10_000  # messages of a thousand samples
    paced_s: float = 4.0
    repeats: int = 3


QUICK = Size(8_000, 1_000, 1.0, 1)


class Bench:
    """One broker, one service, and plans that never repeat a key."""

    def __init__(self, port: int, hall: Hall, root: str, parts: int, directory: Path) -> None:
        self.port, self.hall, self.root, self.parts = port, hall, root, parts
        self.directory = directory  # on the disk of the journal
        self._boot = 0

    def plan(
        self, count: int, root: str, kind: Kind = "spectrum", rate: float | None = None
    ) -> Plan:
        """A plan under a boot of its own."""
        self._boot += 1
        return Plan(root, self.parts, count, self._boot, kind, rate)

    def counted(self, reader: Reader, count: int, kind: Kind = "spectrum") -> float:
        """Messages a second of a reader that only counts."""
        plan = self.plan(count, "yardstick/v1", kind)
        topics = f"{plan.root}/+/+/load"
        with (
            Publication(self.port, plan) as publication,
            Reading(reader, self.port, topics, count) as reading,
        ):
            publication.start()
            ended = float(reading.arrivals()[-1])
            return count / (ended - publication.published().began)

    def stepped(self, count: int, kind: Kind = "spectrum") -> float:
        """Messages a second of the service, durable and stepped."""
        offset = self.hall.end() + count
        with Publication(self.port, self.plan(count, self.root, kind)) as publication:
            publication.start()
            ended = self.hall.stepped(offset)
            return count / (ended - publication.published().began)


class Rates(NamedTuple):
    """Medians of what was found [messages/s]."""

    stepped: float
    plain: float
    bare: float


def rates(bench: Bench, size: Size) -> Rates:
    """All three in turn, so that a busy neighbour meets each of them."""
    rounds = [
        Rates(
            bench.stepped(size.messages),
            bench.counted(plain, size.messages // 2),
            bench.counted(bare, size.messages),
        )
        for _ in range(size.repeats)
    ]
    return Rates(*(middle(column) for column in zip(*rounds, strict=True)))


def small(bench: Bench, size: Size, item: str = "a", of: str = "components") -> Iterator[Figure]:
    """(a) for one fleet."""
    found = rates(bench, size)
    ratio = found.stepped / found.plain
    what = f"200-byte messages durable and stepped, {bench.parts:,} {of}"
    unit = "messages/s"
    yield Figure(
        item,
        what,
        found.stepped,
        unit,
        f"aiomqtt counting: {found.plain:,.0f}",
        ratio,
        *at_least(0.8, ratio),
    )
    yield Figure(
        item,
        what,
        found.stepped,
        unit,
        f"bare parser counting: {found.bare:,.0f}",
        found.stepped / found.bare,
    )


def large(bench: Bench, size: Size) -> Iterator[Figure]:
    """(b), in both forms."""
    kinds: tuple[Kind, ...] = ("msgpack", "json")
    rounds = [
        (bench.counted(plain, size.messages // 2), *(bench.stepped(size.large, k) for k in kinds))
        for _ in range(size.repeats)
    ]
    yardstick, *found = (middle(column) for column in zip(*rounds, strict=True))
    wanted = FULL_SAMPLES * min(1.0, yardstick / FULL_YARDSTICK)
    for kind, messages in zip(kinds, found, strict=True):
        samples = messages * SAMPLES
        target, met = at_least(1.0, samples / wanted)
        yield Figure(
            "b",
            f"samples, {SAMPLES} in a message of {kind}",
            samples,
            "samples/s",
            f"in proportion to {yardstick:,.0f} messages/s: {wanted:,.0f}",
            samples / wanted,
            target,
            met,
        )


class Delays(NamedTuple):
    """p50 and p99 [s]."""

    p50: float
    p99: float


def delays(seconds: np.ndarray) -> Delays:
    """The two quantiles."""
    return Delays(*np.quantile(seconds, [0.5, 0.99]).tolist())


def fsyncs(directory: Path, size: int, count: int = FSYNCS) -> Delays:
    """One append of `size` bytes with its fdatasync."""
    file = os.open(directory / "fsync", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    data, took = os.urandom(size), np.empty(count)
    try:
        for i in range(count):
            began = time.perf_counter()
            os.write(file, data)
            os.fdatasync(file)
            took[i] = time.perf_counter() - began
    finally:
        os.close(file)
    return delays(took)


class Waits(NamedTuple):
    """What one round of (c) finds."""

    durable: Delays  # from the publisher's socket to the commit
    disk: Delays  # one fsync of as many bytes as a commit held
    carried: Delays  # from the publisher's socket to a reader that only counts


def waits(bench: Bench, rate: float, size: Size) -> Waits:
    """Publish at a rate, to the service and then to a bare parser."""
    count = int(rate * size.paced_s)
    first = bench.hall.end()
    bench.hall.commits()
    with Publication(bench.port, bench.plan(count, bench.root, rate=rate)) as publication:
        publication.start()
        sent = publication.published().sent
        bench.hall.stepped(first + count)
    commits = bench.hall.commits()
    ours = delays(_committed(commits, first, count) - sent)
    held = count / len(commits.end) * ENTRY
    return Waits(ours, fsyncs(bench.directory, int(held)), _carried(bench, count, rate))


def _committed(commits: Commits, first: int, count: int) -> np.ndarray:
    """When each of `count` observations from offset `first` on was durable."""
    order = np.searchsorted(commits.end, np.arange(first, first + count), side="right")
    return np.asarray(commits.time)[order]


def _carried(bench: Bench, count: int, rate: float) -> Delays:
    plan = bench.plan(count, "yardstick/v1", rate=rate)
    with (
        Publication(bench.port, plan) as publication,
        Reading(bare, bench.port, f"{plan.root}/+/+/load", count) as reading,
    ):
        publication.start()
        sent = publication.published().sent
        return delays(reading.arrivals() - sent)


def latency(bench: Bench, size: Size) -> Iterator[Figure]:
    """(c) at half of what the service can."""
    rate = bench.stepped(size.messages) / 2
    rounds = [waits(bench, rate, size) for _ in range(size.repeats)]
    for i, name in enumerate(Delays._fields):
        ours, disk, carried = (
            middle(column[i] for column in columns) for columns in zip(*rounds, strict=True)
        )
        what = f"publish to durable at {rate:,.0f} messages/s, {name}"
        target = at_most(8.0, ours / disk) if name == "p99" else ("stated", None)
        yardsticks = {
            f"fdatasync of a commit's bytes: {disk * 1e3:.2f} ms": (ours / disk, *target),
            f"publish to a bare parser: {carried * 1e3:.2f} ms": (ours / carried, "stated", None),
        }
        for yardstick, judged in yardsticks.items():
            yield Figure("c", what, ours * 1e3, "ms", yardstick, *judged)


@contextmanager
def started(parts: int, *, uncertain: bool = False) -> Iterator[Bench]:
    """A fresh broker and a fresh service with some components, in a directory of their own."""
    root = f"speed-{parts}/v1"
    with (
        TemporaryDirectory() as name,
        quiet_broker(Path(name)) as broker,
        Hall(Arrangement(Path(name) / "data", broker.port, root, parts, uncertain)) as hall,
    ):
        yield Bench(broker.port, hall, root, parts, Path(name))
