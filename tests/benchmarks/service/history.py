"""(j): the history of one component, by the API and by zarr alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import zarr

from storage.store import Store
from storage.trajectories.layout import TICKS
from tests.benchmarks.report import Figure, at_least, middle
from tests.benchmarks.service.broker import quiet_broker
from tests.benchmarks.service.ingest import Size
from tests.benchmarks.service.process import Arrangement, Hall
from tests.benchmarks.service.publishing import SPAWN
from tests.benchmarks.service.queries import Answers
from tests.benchmarks.service.traffic import T0_NS, name
from twin.api.history import Selection, history
from twin.archive.rebuild import _checkpoint
from twin.archive.recovery import recovered
from twin.belief.fleet import Clock
from twin.kinds.crack_fields import FIELDS, GROUP

FIELD = FIELDS[0]
PARTS = 100
MINUTE_NS = 60 * 10**9


def histories(directory: Path, ticks: int, size: Size) -> Iterator[Figure]:
    """One field of one component over all ticks."""
    data = directory / "data"
    with quiet_broker(directory) as broker:
        arrangement = Arrangement(data, broker.port, "twin/v1", PARTS)
        with Hall(arrangement):
            pass  # it leaves a checkpoint that holds the registrations
        wrote = _recorded(data, ticks)
        with Hall(arrangement) as hall, Answers(hall.url) as client:
            rounds = _rounds(client, data, wrote, size)
    raw, http = (middle(column) for column in zip(*rounds, strict=True))
    alone = _in_process(data, ticks, size)
    what = f"history of one component over {ticks:,} ticks"
    yardstick = "raw zarr read: {:.0f} ms"
    yield Figure(
        "j",
        f"{what}, as JSON by HTTP",
        http * 1e3,
        "ms",
        yardstick.format(raw * 1e3),
        raw / http,
        *at_least(0.5, raw / http),
    )
    yield Figure(
        "j",
        f"{what}, as arrays",
        alone[1] * 1e3,
        "ms",
        yardstick.format(alone[0] * 1e3),
        alone[0] / alone[1],
    )


def _rounds(
    client: Answers, data: Path, wrote: np.ndarray, size: Size
) -> list[tuple[float, float]]:
    path = f"/api/v1/components/{name(7)}/history?fields={FIELD.name}&limit={len(wrote)}"
    return [_round(client, path, data, wrote) for _ in range(size.repeats)]


def _recorded(data: Path, ticks: int) -> np.ndarray:
    """Fill a trajectory; the values of the component that is asked for."""
    rng = np.random.default_rng(5)
    members = [name(i) for i in range(PARTS)]
    kept = []
    clock = Clock(MINUTE_NS, 5 * 10**9)
    with Store(data) as store:
        fleet = recovered(store, clock).fleet
        store.trajectories.open_group(GROUP, FIELDS)
        for start in range(0, ticks, TICKS):
            rows = min(TICKS, ticks - start)
            times = T0_NS + (start + np.arange(rows, dtype=np.int64)) * MINUTE_NS
            values = 0.001 + rng.random((rows, PARTS)) * 1e-6
            columns = {f.name: np.zeros(values.shape, f.dtype) for f in FIELDS}
            columns[FIELD.name] = values
            store.trajectories.write(GROUP, start, times, members, columns)
            kept.append(values[:, 7])
        _checkpoint(store, replace(fleet, rows=ticks, recorded_ns=int(times[-1])), clock)
    return np.concatenate(kept)


def _round(client: Answers, path: str, data: Path, wrote: np.ndarray) -> tuple[float, float]:
    """Seconds of a raw read and of an answer, which have to agree."""
    began = time.perf_counter()
    read = raw(data)
    between = time.perf_counter()
    body = client.body(path)
    ended = time.perf_counter()
    assert np.array_equal(read, wrote)
    assert json.loads(body)["columns"][FIELD.name] == wrote.tolist()
    return between - began, ended - between


def raw(data: Path) -> np.ndarray:
    """The same column by zarr and nothing else."""
    array = zarr.open_array(data / "trajectories.zarr" / GROUP / FIELD.name, mode="r")
    return np.asarray(array[:, 7])


def _in_process(data: Path, ticks: int, size: Size) -> tuple[float, float]:
    """Medians of a raw read and of `history`, in a process of their own."""
    near, far = SPAWN.Pipe()
    process = SPAWN.Process(target=_read, args=(far, data, ticks, size.repeats))
    process.start()
    found: tuple[float, float] = near.recv()
    process.join()
    return found


def _read(pipe: Connection, data: Path, ticks: int, repeats: int) -> None:
    wanted = Selection(name(7), (FIELD.name,), limit=ticks)
    took: tuple[list[float], list[float]] = ([], [])
    with Store(data) as store:
        history(store.trajectories, (), wanted._replace(limit=1))
        for _ in range(repeats):
            began = time.perf_counter()
            raw(data)
            between = time.perf_counter()
            history(store.trajectories, (), wanted)
            took[0].append(between - began)
            took[1].append(time.perf_counter() - between)
    pipe.send((middle(took[0]), middle(took[1])))
