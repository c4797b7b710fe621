"""Rows on their way to Zarr: the tail in memory, and whole shards to disk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from storage.trajectories import Field, Trajectories
from twin.cohort import KIND
from twin.record import Columns, Row

BLOCK = 256  # rows of a shard

FIELDS = (
    Field("crack_length", "m", "believed crack length", "float64"),
    Field("crack_length_sd", "m", "standard deviation of the crack length", "float32"),
    Field("growth_rate", "m", "growth of the crack per cycle", "float32"),
    Field("cycles", "1", "load cycles counted", "float64"),
    Field("open_growth", "m", "growth if the open residue closed now", "float32"),
    Field("remaining_cycles", "1", "cycles left to the limit under the load so far", "float64"),
    Field("innovation", "m", "measured less believed length at the last inspection", "float32"),
    Field("last_evidence", "nanoseconds since 1970-01-01", "time of the last evidence", "int64", 0),
)


class Recorder:
    """Owns the open block of the trajectory; one thread adds, one flushes."""

    def __init__(self, trajectories: Trajectories, rows: int) -> None:
        trajectories.open_group(KIND, FIELDS)
        self._trajectories = trajectories
        self._flushed = rows
        self._tail: list[Row] = []

    @property
    def tail(self) -> Sequence[Row]:
        """The rows that are not on disk yet."""
        return tuple(self._tail)

    @property
    def tail_bytes(self) -> int:
        """What the tail takes in memory, about."""
        tail = self.tail  # as of now: a flush may empty it meanwhile
        return len(tail) * sum(
            column.nbytes for row in tail[-1:] for column in row.columns.values()
        )

    @property
    def rows(self) -> int:
        """Rows given so far, on disk or not."""
        return self._flushed + len(self._tail)

    @property
    def flushed(self) -> int:
        """Rows on disk."""
        return self._flushed

    def add(self, rows: Sequence[Row]) -> None:
        """Append rows to the tail."""
        self._tail.extend(rows)

    def flush(self, until: int | None = None) -> int:
        """Write the tail (up to row `until`) shard by shard; the rows on disk afterwards."""
        end = self.rows if until is None else min(until, self.rows)
        while self._flushed < end:
            start = self._flushed // BLOCK * BLOCK
            count = min(start + BLOCK, end) - self._flushed
            self._write(start, self._tail[:count])
            self._flushed += count
            del self._tail[:count]  # in place: the loop may be appending just now
        return self._flushed

    def _write(self, start: int, rows: Sequence[Row]) -> None:
        members = rows[-1].members
        times = np.array([row.t_ns for row in rows], np.int64)
        columns = {f.name: _stacked(rows, f, len(members)) for f in FIELDS}
        if self._flushed > start:
            old_times, old = self._trajectories.block(KIND, start)
            keep = self._flushed - start
            times = np.concatenate([old_times[:keep], times])
            columns = {
                f.name: np.concatenate([_widened(old[f.name][:keep], f, len(members)), new])
                for f, new in ((f, columns[f.name]) for f in FIELDS)
            }
        self._trajectories.write(KIND, start, times, members, columns)


def _stacked(rows: Sequence[Row], field: Field, n: int) -> NDArray[np.generic]:
    block = np.full((len(rows), n), field.fill, field.dtype)
    for i, row in enumerate(rows):
        values = row.columns[field.name]
        block[i, : len(values)] = values
    return block


def _widened(block: NDArray[np.generic], field: Field, n: int) -> NDArray[np.generic]:
    wide = np.full((len(block), n), field.fill, field.dtype)
    wide[:, : block.shape[1]] = block
    return wide


def tail_history(rows: Sequence[Row], component: str, fields: Sequence[str]) -> Columns:
    """The columns of one component in rows of the tail; `time` first [ns]."""
    if not rows or component not in rows[-1].members:
        return {name: np.empty(0) for name in ("time", *fields)}
    at = rows[-1].members.index(component)  # the order of members only ever grows
    found = [row for row in rows if at < len(row.members)]
    columns: Columns = {"time": np.array([row.t_ns for row in found], np.int64)}
    columns.update({name: np.array([row.columns[name][at] for row in found]) for name in fields})
    return columns
