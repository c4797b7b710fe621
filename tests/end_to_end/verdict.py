"""Whether a data directory holds what was sent, once, and what follows from it, to the bit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.crack_path.stepper import PathState
from storage.journal.entry import Entry
from storage.store import Store
from tests.end_to_end.traffic import Key, Traffic, key
from twin.archive.checkpoint import metadata, tensors
from twin.archive.recovery import Recovered, recovered
from twin.belief.fleet import EMPTY, Clock, Fleet
from twin.belief.fold import Folded, folded
from twin.belief.lines import OBSERVATION, lines
from twin.belief.record import RecordRow
from twin.kinds.crack_fields import FIELDS, GROUP

SHOWN = 5  # offending keys that a sentence names


class Findings(NamedTuple):
    """What a look at a stopped service's directory has shown."""

    faults: list[str]  # sentences; empty if all is well
    observations: int
    rows: int  # record rows of the fold
    committed: int  # of these, on disk
    replayed: int  # lines behind the checkpoint
    damage: list[str]
    segments: int  # that the cracks of plates have
    lines: int


Kept = Callable[[Sequence[Entry], Store], list[str]]  # faults of what is kept


def findings(directory: Path, traffic: Traffic, clock: Clock) -> Findings:
    """Hold what is on disk against what was sent and against one uninterrupted fold."""
    return found(directory, clock, lambda entries, _: _kept_once(entries, traffic.sent))


def found(directory: Path, clock: Clock, kept: Kept) -> Findings:
    """The same, where `kept` says what is wrong with the lines and what is beside them."""
    with Store(directory) as store:
        entries = [entry for _, batch in store.journal.read(0) for entry in batch]
        whole = folded(EMPTY, lines(entries), clock)
        restarted = recovered(store, clock)
        faults = [
            *kept(entries, store),
            *_same_state(restarted.fleet, whole.fleet, clock),
            *_same_rows(store, restarted, whole),
            *store.verify(),
        ]
        committed = store.trajectories.committed(GROUP)
    observations = sum(entry.kind == OBSERVATION for entry in entries)
    return Findings(
        faults=faults,
        observations=observations,
        rows=len(whole.rows),
        committed=committed,
        replayed=restarted.replayed,
        damage=restarted.damage,
        segments=_segments(whole.fleet),
        lines=len(entries),
    )


def entries_of(directory: Path) -> list[Entry]:
    """The lines of a journal that nobody uses."""
    with Store(directory) as store:
        return [entry for _, batch in store.journal.read(0) for entry in batch]


def _kept_once(entries: Sequence[Entry], sent: dict[Key, Entry]) -> list[str]:
    kept = [entry for entry in entries if entry.kind == OBSERVATION]
    counts = Counter(key(entry) for entry in kept)
    altered = [key(e) for e in kept if key(e) in sent and sent[key(e)] != e]
    return [
        *_told("were sent and are not in the journal", sent.keys() - counts.keys()),
        *_told("are in the journal and were never sent", counts.keys() - sent.keys()),
        *_told("are in the journal more than once", {k for k, n in counts.items() if n > 1}),
        *_told("are not what was sent", set(altered)),
    ]


def _segments(fleet: Fleet) -> int:
    states = [cohort.state for cohort in fleet.cohorts.values()]
    return sum(int((s.front.nodes - 1).sum()) for s in states if isinstance(s, PathState))


def _told(sentence: str, keys: set[Key]) -> list[str]:
    some = ", ".join(map(str, islice(sorted(keys), SHOWN)))
    return [f"{len(keys)} observations {sentence}: {some}"] if keys else []


def _same_state(found: Fleet, expected: Fleet, clock: Clock) -> list[str]:
    """Every tensor bit for bit, and everything beside the tensors."""
    ours, theirs = tensors(found), tensors(expected)
    faults = [f"cohort leaf {name} is in one fold only" for name in ours.keys() ^ theirs.keys()]
    faults += [
        f"{name} is not that of one uninterrupted fold"
        for name in ours.keys() & theirs.keys()
        if not _is_same(ours[name], theirs[name])
    ]
    if metadata(found, clock) != metadata(expected, clock):
        faults.append("offset, rows, watermark or members are not those of one fold")
    return faults


def _same_rows(store: Store, restarted: Recovered, whole: Folded) -> list[str]:
    """The rows on disk, and those that a restart goes on with, against one fold's."""
    committed = store.trajectories.committed(GROUP)
    members = store.trajectories.members(GROUP)
    faults = []
    if committed > len(whole.rows):
        faults.append(f"{committed} rows are on disk, one fold gives {len(whole.rows)}")
    if restarted.recorder.rows != len(whole.rows):
        faults.append(f"a restart knows {restarted.recorder.rows} rows, not {len(whole.rows)}")
    on_disk = whole.rows[:committed]
    for i, name in enumerate(members):
        found = store.trajectories.read(GROUP, name, [f.name for f in FIELDS], limit=10**9)
        if found["time"].tolist() != [row.t_ns for row in on_disk]:
            faults.append(f"the times of {name} on disk are not those of one fold")
        faults += [
            f"{field.name} of {name} on disk is not that of one fold"
            for field in FIELDS
            if not _is_same(found[field.name], _column(on_disk, name, i, field.name, field.dtype))
        ]
    tail = whole.rows[restarted.recorder.flushed :]
    if not all(map(_is_same_row, restarted.recorder.tail, tail)):
        faults.append("the rows that a restart has in memory are not those of one fold")
    return faults


def _column(rows: Sequence[RecordRow], name: str, i: int, field: str, dtype: str) -> NDArray[Any]:
    """A component's column of one fold; what was before its registration is the fill value."""
    fill = 0 if dtype == "int64" else np.nan
    values = [row.columns[field][i] if i < len(row.members) else fill for row in rows]
    assert all(row.members[i] == name for row in rows if i < len(row.members))
    return np.array(values, dtype)


def _is_same_row(one: RecordRow, other: RecordRow) -> bool:
    return (one.t_ns, one.members) == (other.t_ns, other.members) and all(
        _is_same(one.columns[field.name], other.columns[field.name]) for field in FIELDS
    )


def _is_same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Equal in every bit, one NaN like another."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.dtype.kind != "f":
        return bool(np.array_equal(one, other))
    known = ~np.isnan(one)
    same = np.isnan(one) == np.isnan(other)
    return bool(same.all()) and one[known].tobytes() == other[known].tobytes()
