"""The table of speeds: `python -m tests.benchmarks.speed [--only a,b] [--quick] [--json]`.

Each figure stands beside a yardstick that the same run measured on the same machine. Publisher,
broker, service and client are processes of their own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from tests.benchmarks import asking, history, ingest, residence, restart, stepping
from tests.benchmarks.figures import Figure, document, table
from tests.benchmarks.ingest import QUICK, Bench, Size, with_bench

ITEMS = "abcdefghij"
Measure = Callable[[Bench, Size], Iterator[Figure]]

FEW, MANY = 1_000, 10_000  # components

# What shares one service: its number of components, and the items in their order.
BENCHES: tuple[tuple[int, dict[str, Measure]], ...] = (
    (MANY, {"f": residence.memory, "a": ingest.small, "i": asking.scrape, "h": residence.flush}),
    (FEW, {"a": ingest.small, "b": ingest.large, "d": asking.states}),
)


def figures(wanted: str, size: Size) -> Iterator[Figure]:
    """Everything that is wanted, as it is found."""
    for parts, measures in BENCHES:
        chosen = [measure for item, measure in measures.items() if item in wanted]
        if chosen:
            with _directory() as directory:
                yield from with_bench(directory, parts, lambda b: _all(chosen, b, size))
    if "c" in wanted:
        with _directory() as directory:
            yield from with_bench(directory, FEW, lambda b: ingest.latency(b, directory, size))
    if "e" in wanted:
        yield from stepping.stepping(MANY, size)
    quick = size is QUICK
    if "g" in wanted:
        with _directory() as directory:
            yield from restart.restart(directory, MANY, 50_000 if quick else 1_000_000)
    if "j" in wanted:
        with _directory() as directory:
            yield from history.histories(directory, 10_000 if quick else 100_000, size)


def _all(measures: list[Measure], bench: Bench, size: Size) -> Iterator[Figure]:
    return chain.from_iterable(measure(bench, size) for measure in measures)


class _directory(tempfile.TemporaryDirectory[str]):
    def __enter__(self) -> Path:
        return Path(super().__enter__())
