"""The table of speeds: `python -m tests.benchmarks.speed [--only a,b] [--quick] [--json]`.

Each figure stands beside a yardstick that the same run measured on the same machine. Publisher,
broker, service and client are processes of their own. `--fsync-ms 3.8` lets every fsync, the
yardstick's as well, take so much longer: (c) on a disk without a cache.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.report import Figure, document, table
from tests.benchmarks.service import history, ingest, restart, stepping
from tests.benchmarks.service import memory as residence
from tests.benchmarks.service import queries as asking
from tests.benchmarks.service.ingest import QUICK, Bench, Size, started
from tests.end_to_end.disk import Disk

ITEMS = "abcdefghijk"
FEW, MANY = 1_000, 10_000  # components

Measure = Callable[[Bench, Size], Iterator[Figure]]

# What shares a service: its number of components, whether they are uncertain, and the items in
# their order.
BENCHES: tuple[tuple[int, bool, dict[str, Measure]], ...] = (
    (
        MANY,
        False,
        {"f": residence.memory, "a": ingest.small, "i": asking.scrape, "h": residence.flush},
    ),
    (FEW, False, {"a": ingest.small, "c": ingest.latency, "b": ingest.large, "d": asking.states}),
    (MANY, True, {"k": partial(ingest.small, item="k", of="uncertain components")}),
)


# What has a directory of its own: how much of it, and how much in a hurry.
ALONE: dict[str, tuple[Callable[[Path, int, Size], Iterator[Figure]], int, int]] = {
    "g": (restart.restart, 1_000_000, 50_000),
    "j": (history.histories, 100_000, 10_000),
}


def figures(wanted: str, size: Size) -> Iterator[Figure]:
    """Everything that is wanted, as it is found."""
    for parts, uncertain, measures in BENCHES:
        chosen = [measure for item, measure in measures.items() if item in wanted]
        if chosen:
            with started(parts, uncertain=uncertain) as bench:
                for measure in chosen:
                    yield from measure(bench, size)
    if "e" in wanted:
        yield from stepping.stepping(MANY, size)
    for item, (measure_in, many, few) in ALONE.items():
        if item in wanted:
            with TemporaryDirectory() as directory:
                yield from measure_in(Path(directory), few if size is QUICK else many, size)


def main() -> None:
    """Measure, and print the table."""
    wanted, size, as_json, fsync_s = _arguments()
    if fsync_s and "LD_PRELOAD" not in os.environ:
        sys.exit(_on_a_slower_disk(fsync_s))
    began, found = time.perf_counter(), []
    for figure in figures(wanted, size):
        found.append(figure)
        print(f"({figure.item}) {figure.what}: {figure.ratio}", file=sys.stderr)
    found.sort(key=lambda figure: figure.item)
    print(document(found) if as_json else table(found))
    print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr)


def _on_a_slower_disk(fsync_s: float) -> int:
    """The exit code of the same command, every fsync of which takes so much longer."""
    with TemporaryDirectory() as name:
        disk = Disk(Path(name) / "disk")
        disk.crawl(fsync_s)
        slow = {key: disk.environment[key] for key in ("LD_PRELOAD", "DISK_CRAWLS")}
        command = [sys.executable, "-m", "tests.benchmarks.speed", *sys.argv[1:]]
        return subprocess.run(command, env=os.environ | slow, check=False).returncode


def _arguments() -> tuple[str, Size, bool, float]:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.speed", description=__doc__)
    parser.add_argument("--only", default=ITEMS, help="letters, such as a,b")
    parser.add_argument("--quick", action="store_true", help="less of everything, once")
    parser.add_argument("--json", action="store_true", help="for scripts")
    parser.add_argument("--fsync-ms", type=float, default=0.0, help="that each fsync takes longer")
    given = parser.parse_args()
    size = QUICK if given.quick else Size()
    return given.only, size, given.json, 1e-3 * given.fsync_ms


if __name__ == "__main__":
    main()
