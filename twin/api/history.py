"""The history of one component: rows on disk, then those in memory, none missing or doubled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from storage.errors import MissingError
from storage.trajectories.trajectories import Trajectories
from twin.archive.recorder import tail_history
from twin.belief.record import RecordRow
from twin.kinds.catalogue import fields_of
from twin.kinds.crack_fields import FIELDS, GROUP

NAMES = tuple(field.name for field in FIELDS)
FOREVER_NS = 2**63 - 1

Arrays = dict[str, NDArray[Any]]


class Selection(NamedTuple):
    """Which rows: from ≤ time < to, every so many, at most so many."""

    component: str
    fields: tuple[str, ...] = NAMES
    t_from_ns: int = 0
    t_to_ns: int = FOREVER_NS
    every: int = 1
    limit: int = 10_000
    group: str = GROUP

    @property
    def units(self) -> dict[str, str]:
        """Of every field that there is."""
        return {field.name: field.units for field in fields_of(self.group)}


class Slice(NamedTuple):
    """Columns (rows,) with `time` [ns] first, and where the next page begins."""

    columns: Arrays
    next_ns: int | None

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.columns["time"])


def history(trajectories: Trajectories, tail: Sequence[RecordRow], wanted: Selection) -> Slice:
    """The rows of a selection; `tail` has to be taken before this is called.

    What was flushed since is in both places, and is left out of the tail. So are the rows from
    before the component was registered, which are fill. Raises CorruptError, which names the file.
    """
    name, every = wanted.component, wanted.every
    first_field = fields_of(wanted.group)[0].name  # a number wherever there is a belief
    fields = tuple(dict.fromkeys((first_field, *wanted.fields)))
    committed = _times(trajectories, name, wanted.group)
    recent = _fresh(tail_history(tail, name, fields, wanted.group), committed, wanted.group)
    times = np.concatenate([committed, recent["time"]])
    first, last = np.searchsorted(times, [wanted.t_from_ns, wanted.t_to_ns]).tolist()
    stop = min(last, first + every * wanted.limit)
    split = min(stop, len(committed))
    old = _on_disk(trajectories, wanted, fields, times[first:split])
    start = first if first >= split else split + (first - split) % every
    new = slice(max(0, start - len(committed)), max(0, stop - len(committed)), every)
    joined = {field: np.concatenate([old[field], recent[field][new]]) for field in recent}
    known = ~np.isnan(joined[first_field])
    page = {field: joined[field][known] for field in ("time", *wanted.fields)}
    return Slice(page, int(times[stop]) if stop < last else None)


def last_row(
    trajectories: Trajectories,
    tail: Sequence[RecordRow],
    name: str,
    at_ns: int,
    group: str = GROUP,
) -> Arrays:
    """The last row at or before an instant; columns of one entry, or of none."""
    committed = _times(trajectories, name, group)
    recent = _fresh(tail_history(tail, name, (), group), committed, group)
    times = np.concatenate([committed, recent["time"]])
    row = int(np.searchsorted(times, at_ns, side="right")) - 1
    if row < 0:
        return {}
    names = tuple(field.name for field in fields_of(group))
    wanted = Selection(name, names, t_from_ns=int(times[row]), limit=1, group=group)
    found = history(trajectories, tail, wanted)
    return found.columns if len(found.columns["time"]) else {}


def _times(trajectories: Trajectories, name: str, group: str) -> NDArray[np.int64]:
    """The times of all rows on disk; none if the component was registered after the last flush."""
    try:
        return trajectories.read(group, name, (), limit=FOREVER_NS)["time"]
    except MissingError:
        return np.empty(0, np.int64)


def _fresh(recent: Arrays, committed: NDArray[np.int64], group: str) -> Arrays:
    """The rows of the tail that are not on disk, in the precision that they will have there."""
    dtypes = {"time": "int64", **{field.name: field.dtype for field in fields_of(group)}}
    fresh = recent["time"] > (committed[-1] if len(committed) else -1)
    return {field: values[fresh].astype(dtypes[field]) for field, values in recent.items()}


def _on_disk(
    trajectories: Trajectories,
    wanted: Selection,
    fields: tuple[str, ...],
    times: NDArray[np.int64],
) -> Arrays:
    """The selected rows among those of `times`."""
    if not len(times):
        dtypes = {field.name: field.dtype for field in fields_of(wanted.group)}
        return {"time": np.empty(0, np.int64), **{f: np.empty(0, dtypes[f]) for f in fields}}
    return trajectories.read(
        wanted.group,
        wanted.component,
        fields,
        int(times[0]),
        int(times[-1]) + 1,
        every=wanted.every,
        limit=wanted.limit,
    )
