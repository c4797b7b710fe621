"""What a twin takes of disk and memory, measured with the code that runs.

`python -m tests.benchmarks.service.sizing` prints the table of docs/reliability.md; `--parts` and
`--lines` say how much is measured. Timings depend on the machine, bytes hardly do.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from sensors.observation import Series, Spectrum
from storage.journal.entry import DeadLetter, Entry
from storage.journal.journal import Journal
from storage.store import JOURNAL, Store
from tests.benchmarks.report import Figure, table
from tests.benchmarks.service.publishing import SPAWN
from twin.archive.checkpoint import metadata, tensors
from twin.archive.in_time import InTime
from twin.archive.recorder import BLOCK, Recorder
from twin.belief.fleet import EMPTY, Clock, Fleet
from twin.belief.fold import folded
from twin.belief.lines import observed
from twin.belief.segments import Line
from twin.component import Component, Registration
from twin.kinds.crack_fields import GROUP
from twin.serving import prepare

T0 = 1_700_000_000 * 10**9
CLOCK = Clock(record_every_ns=60 * 10**9, lateness_ns=5 * 10**9)
KINDS: dict[str, dict[str, Any]] = {
    "Paris": {"geometry": {"kind": "edge_crack", "W": 0.06}},
    "Wheeler": {
        "geometry": {"kind": "edge_crack", "W": 0.06},
        "retardation": {
            "kind": "wheeler",
            "gamma": 1.5,
            "yield_stress": 350e6,
            "zone": "irwin_plane_stress",
        },
    },
    "plate": {"geometry": {"kind": "plate", "W": 0.04}},
}


def sizing(parts: int, lines: int) -> Iterator[Figure]:
    """All of it."""
    yield from _disk(lines)
    yield from _beliefs(parts)
    for name in KINDS:
        count = parts if name != "plate" else max(2, parts // 50)
        more = _apart(_memory_of_parts, name, count)
        yield Figure("memory", f"a part, {name}", more / count, "B")
    yield Figure(
        "memory", "a stream (part, source, boot)", _apart(_memory_of_streams, lines) / lines, "B"
    )
    yield Figure(
        "memory",
        f"twin rebuild sorts {lines:,} lines",
        _apart(_memory_of_sorting, lines) / 1e6,
        "MB",
    )
    yield from _beside(lines)


def _name(i: int) -> str:
    return f"plant/part-{i:06d}"


def _spectrum(i: int, cycles: int, part: int = 0) -> Entry:
    rows = np.tile([8e7, 5e7, 10.0], (cycles, 1)) * (1 + np.arange(cycles)[:, None] / 1e3)
    return observed(
        Spectrum(
            component=_name(part),
            source="daq-1",
            boot=1,
            seq=i,
            t_ns=T0 + i * 10**9,
            quantity="stress",
            cycles=rows.astype("<f8").tobytes(),
        )
    )


def _series(i: int, samples: int) -> Entry:
    stress = 6e7 + 2e7 * np.sin(np.arange(samples) / 7)
    return observed(
        Series(
            component=_name(0),
            source="daq-1",
            boot=1,
            seq=i,
            t_ns=T0 + i * 10**9,
            quantity="stress",
            rate_hz=100.0,
            tension=stress.astype("<f8").tobytes(),
        )
    )


def _disk(lines: int) -> Iterator[Figure]:
    """The journal, by what a line holds and how many share a commit."""
    shapes: list[tuple[str, Callable[[int], Entry], int]] = [
        ("a spectrum of 1 cycle, 100 lines a commit", lambda i: _spectrum(i, 1), 100),
        ("the same, 1 line a commit", lambda i: _spectrum(i, 1), 1),
        ("a spectrum of 20 cycles, 100 lines a commit", lambda i: _spectrum(i, 20), 100),
        ("100 samples, 100 lines a commit", lambda i: _series(i, 100), 100),
    ]
    for what, make, commit in shapes:
        count = lines if commit > 1 else lines // 20
        with TemporaryDirectory() as directory:
            path = Path(directory) / JOURNAL
            with Journal(path) as journal:
                for at in range(0, count, commit):
                    journal.append([make(i) for i in range(at, at + commit)], now_ns=T0)
            yield Figure("disk", f"line: {what}", path.stat().st_size / count, "B")
    with TemporaryDirectory() as directory:
        path = Path(directory) / JOURNAL
        letter = DeadLetter(T0, "twin/v1/plant/press/load", "json", "it ends at byte 1", b"x" * 300)
        with Journal(path) as journal:
            for _ in range(20):
                journal.append((), [letter] * 100, now_ns=T0)
        yield Figure("disk", "refused message of 300 B", path.stat().st_size / 2000, "B")


def _fleet(kind: str, count: int) -> Fleet:
    crack = {
        "law": {"kind": "paris", "C": 9.7e-30, "m": 3.0},
        "crack_length": 0.005,
        "crack_limit": 0.018,
        **KINDS[kind],
    }
    registration = Registration.model_validate({"crack": crack})
    made = [
        Line(
            _name(i),
            Component(name=_name(i), revision=1, registered_by="api", registration=registration),
        )
        for i in range(count)
    ]
    return folded(EMPTY, made, CLOCK).fleet


def _beliefs(parts: int) -> Iterator[Figure]:
    """Checkpoints, and the trajectory with whole blocks of rows that differ."""
    for kind in KINDS:
        count = parts if kind != "plate" else max(2, parts // 50)
        fleet = _fleet(kind, count)
        with TemporaryDirectory() as directory, Store(Path(directory) / "data") as store:
            file = store.checkpoints.write("x", tensors(fleet), metadata(fleet, CLOCK))
        yield Figure("disk", f"checkpoint, a part, {kind}", file.size / count, "B")
    with TemporaryDirectory() as directory, Store(Path(directory) / "data") as store:
        fleet, recorder = _fleet("Paris", parts), Recorder(store.trajectories, {GROUP: 0})
        for row in range(BLOCK + 2):
            at_ns = T0 + row * CLOCK.record_every_ns
            loads = [_loaded(i, row, at_ns) for i in range(parts)]
            result = folded(fleet, loads, CLOCK)
            fleet = result.fleet
            recorder.add(result.rows)
        recorder.flush_blocks()
        size = _size(Path(directory) / "data" / "trajectories.zarr")
        rows = store.trajectories.committed(GROUP)
        what = "trajectory, a row of a part whose every value has moved"
        yield Figure("disk", what, size / rows / parts, "B")


def _loaded(part: int, row: int, t_ns: int) -> Line:
    cycles = np.array([[6e7 + 1e3 * ((part * 7919 + row) % 9973), 5e7, 30.0]])
    what = Spectrum(
        component=_name(part),
        source="daq-1",
        boot=1,
        seq=row,
        t_ns=t_ns,
        quantity="stress",
        cycles=cycles.astype("<f8").tobytes(),
    )
    return Line(what.component, what)


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def _apart(measure: Callable[..., float], *arguments: object) -> float:
    """What something takes of the memory of a process of its own [byte]."""
    with SPAWN.Pool(1) as pool:
        return float(pool.apply(measure, arguments))


def _held(make: Callable[[], object]) -> float:
    gc.collect()
    before = _resident()
    made = make()
    gc.collect()
    found = _resident() - before
    del made
    return float(found)


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def _memory_of_parts(kind: str, count: int) -> float:
    prepare()
    _fleet(kind, 2)  # what is loaded and compiled once
    return _held(lambda: _fleet(kind, count))


def _memory_of_streams(count: int) -> float:
    with TemporaryDirectory() as directory, Journal(Path(directory) / JOURNAL) as journal:
        journal.append([_spectrum(0, 1)], now_ns=T0)

        def streams() -> None:
            for at in range(1, count, 500):
                entries = [_spectrum(0, 1, part) for part in range(at, min(at + 500, count))]
                journal.append(entries, now_ns=T0)

        return _held(streams)


def _memory_of_sorting(count: int) -> float:
    with TemporaryDirectory() as directory, Journal(Path(directory) / JOURNAL) as journal:
        for at in range(0, count, 1000):
            journal.append([_spectrum(i, 1) for i in range(at, at + 1000)], now_ns=T0)
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the peak is that from here on
        before = _resident()
        lines = InTime(journal, pace_ns=CLOCK.record_every_ns, max_jump_ns=CLOCK.max_jump_ns)
        for _ in lines.learn(journal.end):
            pass
        for _ in lines.taken(2**62):
            pass
        return float(_peak() - before)


def _peak() -> int:
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024


def _beside(lines: int) -> Iterator[Figure]:
    """How long a commit of 20 lines takes, alone and beside a backup of the store."""
    with TemporaryDirectory() as place:
        directory = Path(place)
        with Store(directory / "data") as store:
            at = 0
            for at in range(0, lines, 1000):
                store.journal.append([_series(i, 100) for i in range(at, at + 1000)], now_ns=T0)
            alone, at = _commits(store, at + 1000, lambda took: took > 10.0)
            code = [sys.executable, "-m", "twin.commands.cli", "backup", str(directory / "copy")]
            began = time.perf_counter()
            process = subprocess.Popen(
                [*code, "--data-dir", str(directory / "data")], stdout=subprocess.DEVNULL
            )
            beside, at = _commits(store, at, lambda _: process.poll() is not None)
            took = time.perf_counter() - began
            assert process.returncode == 0
        size = _size(directory / "copy")
        yield Figure("backup", f"of {size / 1e6:,.0f} MB", size / 1e6 / took, "MB/s")
        for what, times in (("alone", alone), ("beside a backup", beside)):
            for share in (50, 99):
                value = float(np.percentile(times, share)) * 1e3
                yield Figure("commit", f"of 20 lines, {what}, p{share}", value, "ms")


def _commits(
    store: Store, at: int, is_enough: Callable[[float], bool]
) -> tuple[Sequence[float], int]:
    """Commit 20 lines fifty times a second, and now and then fold the log; how long each took."""
    found, began = list[float](), time.perf_counter()
    while not is_enough(time.perf_counter() - began) or len(found) < 20:
        entries = [_series(i, 100) for i in range(at, at + 20)]
        start = time.perf_counter()
        store.journal.append(entries, now_ns=T0)
        found.append(time.perf_counter() - start)
        at += 20
        if len(found) % 50 == 0:
            store.journal.checkpoint_wal()
        time.sleep(0.02)
    return found, at


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=int, default=2000)
    parser.add_argument("--lines", type=int, default=100_000)
    chosen = parser.parse_args()
    prepare()
    sys.stdout.write(table(list(sizing(chosen.parts, chosen.lines))) + "\n")


if __name__ == "__main__":
    main()
