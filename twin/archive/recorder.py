"""Rows on their way to Zarr: the tail in memory, and whole shards to disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from storage.errors import MissingError, UnavailableError
from storage.trajectories.layout import TICKS, Field
from storage.trajectories.trajectories import Trajectories
from twin.belief.record import RecordRow
from twin.kinds.catalogue import fields_of, groups
from twin.kinds.crack_fields import GROUP
from twin.kinds.kind import Columns

BLOCK = TICKS  # rows of a shard
FLUSH_ROWS = 4 * BLOCK  # rows that a long fold keeps in memory


class Recorder:
    """Owns the open blocks of the trajectory, a group for each sort of belief.

    A group begins with the first row that has something of it. One thread adds, one flushes.
    """

    def __init__(self, trajectories: Trajectories, rows: Mapping[str, int]) -> None:
        self._trajectories = trajectories
        self._groups = {name: _Group(trajectories, name, n) for name, n in rows.items()}

    @property
    def tail(self) -> Sequence[RecordRow]:
        """The rows that are not on disk yet, in some group: each is written by itself."""
        return max((group.tail for group in list(self._groups.values())), key=len, default=())

    @property
    def tail_bytes(self) -> int:
        """What the tail takes in memory, about."""
        tail = self.tail  # as of now: a flush may empty it meanwhile
        return len(tail) * (tail[-1].nbytes if tail else 0)

    @property
    def waiting(self) -> int:
        """Rows that are not on disk yet, of the group that has most."""
        return len(self.tail)

    @property
    def rows(self) -> int:
        """Rows of cracks given so far, on disk or not."""
        return self._groups[GROUP].rows

    @property
    def flushed(self) -> int:
        """Rows of cracks on disk."""
        return self._groups[GROUP].flushed

    @property
    def cut(self) -> list[str]:
        """Why rows on disk were let go, a sentence each."""
        return [why for group in self._groups.values() for why in group.cut]

    def add(self, rows: Sequence[RecordRow]) -> None:
        """Append rows to the tail."""
        for row in rows:
            for name in row.groups.keys() - self._groups:
                self._groups[name] = _Group(self._trajectories, name, 0)
        for name, group in self._groups.items():
            group.add([row for row in rows if name in row.groups])

    def flush(self, until: int | None = None) -> dict[str, int]:
        """Write the tail (up to row `until` of cracks); the rows of each group on disk then."""
        return {
            name: group.flush(until if name == GROUP else None)
            for name, group in list(self._groups.items())
        }

    def flush_blocks(self) -> None:
        """Write the tail as far as it fills shards: no part of a block that is on disk already."""
        for group in list(self._groups.values()):
            group.flush(group.rows // BLOCK * BLOCK)

    def settle(self, members: Sequence[str]) -> None:
        """Let go of what is on disk and does not follow from the journal, all of which was added.

        There are more rows than it gives, or other ones, where they were recorded at another
        interval, or where the journal is an older one, put back from a copy.
        """
        for name in groups().keys() & {*self._trajectories.groups()} - self._groups.keys():
            self._groups[name] = _Group(self._trajectories, name, 0)
        for group in self._groups.values():
            group.settle(members)


class _Group:
    """Owns the open block of one group of the trajectory; one thread adds, one flushes."""

    def __init__(self, trajectories: Trajectories, name: str, rows: int) -> None:
        self._trajectories = trajectories
        self._name, self._fields = name, fields_of(name)
        self._flushed = rows
        self._tail: list[RecordRow] = []
        self._is_open = False
        self._to_cut: tuple[int, int] | None = None  # rows and components that stay on disk
        self.cut: list[str] = []  # why rows on disk were let go, a sentence each
        with suppress(UnavailableError):  # a full disk can be read: it is for the flush to say so
            self._open()

    @property
    def tail(self) -> Sequence[RecordRow]:
        """The rows that are not on disk yet."""
        return tuple(self._tail)

    @property
    def rows(self) -> int:
        """Rows given so far, on disk or not."""
        return self._flushed + len(self._tail)

    @property
    def _which(self) -> str:
        return "" if self._name == GROUP else f" of {self._name}"

    @property
    def flushed(self) -> int:
        """Rows on disk."""
        return self._flushed

    def add(self, rows: Sequence[RecordRow]) -> None:
        """Append rows to the tail."""
        self._tail.extend(rows)

    def flush(self, until: int | None = None) -> int:
        """Write the tail (up to row `until`) shard by shard; the rows on disk afterwards."""
        self._open()
        end = self.rows if until is None else min(until, self.rows)
        while self._flushed < end:
            start = self._flushed // BLOCK * BLOCK
            count = min(start + BLOCK, end) - self._flushed
            self._write(start, self._tail[:count])
            self._flushed += count
            del self._tail[:count]  # in place: the loop may be appending just now
        return self._flushed

    def settle(self, members: Sequence[str]) -> None:
        """Let go of what is on disk and does not follow from the journal."""
        with suppress(UnavailableError):  # nobody is told of them, and a flush tries again
            self._fit(self._tail, members, is_all=True)

    def _open(self) -> None:
        if not self._is_open:
            self._trajectories.open_group(self._name, self._fields)
            self._is_open = True
        if self._to_cut is not None:
            self._trajectories.truncate(self._name, *self._to_cut)
            self._to_cut = None

    def _fit(self, rows: Sequence[RecordRow], members: Sequence[str], *, is_all: bool) -> None:
        """Cut the trajectory where rows that follow those on disk say otherwise than it does."""
        try:
            ahead = self._trajectories.times(self._name)[self._flushed :]
            known = self._trajectories.members(self._name)
        except MissingError:
            return
        new = np.array([row.t_ns for row in rows[: len(ahead)]], np.int64)
        shared = _shared(known, members)
        wanted = len(known) if is_all else min(len(known), len(members))
        is_other = shared < wanted or not np.array_equal(ahead[: len(new)], new)
        if not is_other and not (is_all and len(ahead) > len(new)):
            return
        gives = "others" if is_other else f"{self._flushed + len(new)}"
        self.cut.append(
            f"the trajectory{self._which} had {self._flushed + len(ahead)} rows, the journal gives "
            f"{gives}: those from {self._flushed} on were recorded at another "
            "storage.record_every_s or from another journal; they are cut, and recorded anew from "
            "this one"
        )
        self._to_cut = (self._flushed, shared)
        self._trajectories.truncate(self._name, *self._to_cut)
        self._to_cut = None

    def _write(self, start: int, rows: Sequence[RecordRow]) -> None:
        members = rows[-1].members
        self._fit(rows, members, is_all=False)
        times = np.array([row.t_ns for row in rows], np.int64)
        columns = {f.name: _stacked(self._name, rows, f, len(members)) for f in self._fields}
        if self._flushed > start:
            old_times, old = self._trajectories.block(self._name, start)
            keep = self._flushed - start
            times = np.concatenate([old_times[:keep], times])
            columns = {
                f.name: np.concatenate([_widened(old[f.name][:keep], f, len(members)), new])
                for f, new in ((f, columns[f.name]) for f in self._fields)
            }
        self._trajectories.write(self._name, start, times, members, columns)


def _shared(known: Sequence[str], members: Sequence[str]) -> int:
    """How many components stand first in both."""
    if known == members[: len(known)]:
        return len(known)
    pairs = zip(known, members, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _stacked(group: str, rows: Sequence[RecordRow], field: Field, n: int) -> NDArray[np.generic]:
    block = np.full((len(rows), n), field.fill, field.dtype)
    for i, row in enumerate(rows):
        values = row.groups[group][field.name]
        block[i, : len(values)] = values
    return block


def _widened(block: NDArray[np.generic], field: Field, n: int) -> NDArray[np.generic]:
    wide = np.full((len(block), n), field.fill, field.dtype)
    wide[:, : block.shape[1]] = block
    return wide


def tail_history(
    rows: Sequence[RecordRow], component: str, fields: Sequence[str], group: str = GROUP
) -> Columns:
    """The columns of one component in rows of the tail; `time` first [ns]."""
    some = [row for row in rows if group in row.groups]
    if not some or component not in some[-1].members:
        return {name: np.empty(0) for name in ("time", *fields)}
    at = some[-1].members.index(component)  # the order of members only ever grows
    found = [row for row in some if at < len(row.members)]
    columns: Columns = {"time": np.array([row.t_ns for row in found], np.int64)}
    for name in fields:
        columns[name] = np.array([row.groups[group][name][at] for row in found])
    return columns
