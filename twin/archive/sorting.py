"""Rows in the order of their times, of which a bounded part is in memory.

They are sorted in runs as they come; a full one is written to a file without a name, that is gone
with the process whatever happens, and all runs are merged block by block when rows are taken. Where
the disk takes nothing, runs stay in memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

RUN = 200_000  # rows that are sorted in memory
MERGED = 200_000  # rows of all runs that are in memory while they are merged
LEAST = 64  # of one run
_WIDTH = 3 * 8  # bytes of a row

Rows = NDArray[np.int64]  # (n, 3) time [ns], offset, size [byte]
_NONE: Rows = np.zeros((0, 3), np.int64)


@dataclass(slots=True)
class _Run:
    """Sorted rows, in memory or in the file, of which the first are taken."""

    rows: Rows  # all that are left of them, or those that were read
    start: int = 0  # of those in the file that are not read, in rows
    stop: int = 0

    def __len__(self) -> int:
        return len(self.rows) + self.stop - self.start


class Sorted:
    """Takes rows in, and gives them back in order of time and offset."""

    def __init__(self, directory: Path) -> None:
        """The file is on the disk of `directory`."""
        self._directory = directory
        self._file: int | None = None  # its descriptor
        self._written = 0  # rows in the file
        self._runs: list[_Run] = []
        self._fresh: list[Rows] = []
        self._count = 0  # of the fresh ones

    def __len__(self) -> int:
        return self._count + sum(map(len, self._runs))

    def add(self, rows: Rows) -> None:
        """Take rows in."""
        self._fresh.append(rows)
        self._count += len(rows)
        if self._count >= RUN:
            self._close_run()

    def taken(self, up_to: int) -> Iterator[Rows]:
        """The rows with times up to `up_to`, in order; each is taken as it is handed over."""
        if self._count:
            self._close_run(is_last=True)
        runs = list(self._runs)
        block = max(LEAST, MERGED // max(1, len(runs)))
        while runs := [run for run in runs if self._read(run, block, up_to)]:
            bound = self._bound(runs, up_to)
            yield _in_order([_split(run, bound) for run in runs])
        self._runs = [run for run in self._runs if len(run)]

    def _close_run(self, *, is_last: bool = False) -> None:
        rows = _in_order(self._fresh)
        self._fresh, self._count = [], 0
        if not is_last:
            with suppress(OSError):  # then it stays in memory
                self._runs.append(self._spilled(rows))
                return
        self._runs.append(_Run(rows))

    def _spilled(self, rows: Rows) -> _Run:
        if self._file is None:
            with TemporaryFile(dir=self._directory, buffering=0) as file:
                self._file = os.dup(file.fileno())
            finalize(self, os.close, self._file)
        data, at = memoryview(rows.tobytes()), self._written * _WIDTH
        while data:
            done = os.pwrite(self._file, data, at)
            data, at = data[done:], at + done
        run = _Run(_NONE, self._written, self._written + len(rows))
        self._written += len(rows)
        return run

    def _read(self, run: _Run, block: int, up_to: int) -> bool:
        """Have rows of a run in memory, if there are more; whether any of them is to be taken."""
        if not len(run.rows) and run.start < run.stop and self._file is not None:
            count = min(block, run.stop - run.start)
            data = bytearray(count * _WIDTH)
            if os.preadv(self._file, [data], run.start * _WIDTH) != len(data):
                raise OSError(f"a file of sorted lines on the disk of {self._directory} was cut")
            run.rows = np.frombuffer(data, np.int64).reshape(count, 3)
            run.start += count
        return bool(len(run.rows)) and int(run.rows[0, 0]) <= up_to

    def _bound(self, runs: Sequence[_Run], up_to: int) -> tuple[int, int]:
        """Time and offset up to which all rows are in memory, and wanted."""
        last = [(int(r.rows[-1, 0]), int(r.rows[-1, 1])) for r in runs if r.start < r.stop]
        return min([*last, (up_to, np.iinfo(np.int64).max)])


def _split(run: _Run, bound: tuple[int, int]) -> Rows:
    """Take the rows of a run up to a bound."""
    times, offsets = run.rows[:, 0], run.rows[:, 1]
    first = int(np.searchsorted(times, bound[0], "left"))
    same = int(np.searchsorted(times, bound[0], "right"))
    count = first + int(np.searchsorted(offsets[first:same], bound[1], "right"))
    found, run.rows = run.rows[:count], run.rows[count:]
    return found


def _in_order(parts: Sequence[Rows]) -> Rows:
    rows = np.concatenate([_NONE, *parts])
    return rows[np.lexsort((rows[:, 1], rows[:, 0]))]
