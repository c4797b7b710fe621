"""The journal in event-time order, a bounded part of it in memory.

A line's place is its event time; where its clock was not believed when it came, the watermark of
then: so it stays among its contemporaries, who deny it again. First registrations come before
everything, with their changes until anything was heard of the part; later changes when they were
made.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from storage.journal.entry import Entry
from storage.journal.journal import Journal
from twin.archive.sorting import Rows, Sorted
from twin.belief.lines import COMPONENT
from twin.belief.watermark import DERIVED, NEVER, Watching

LINES, BYTES = 20_000, 32 << 20  # of a portion
APART = 64  # lines that are rather read in vain than looked for
SLICE = 5000  # lines whose places are found in one go
Ints = NDArray[np.int64]


def _portion(sizes: Ints) -> int:
    """How many of these lines are read in one go."""
    full = int(np.searchsorted(np.cumsum(sizes[:LINES]), BYTES, "right"))
    return min(max(full, 1), LINES)


class InTime:
    """Takes the lines of a journal in the order of their times, step by step."""

    def __init__(self, journal: Journal, *, pace_ns: int, max_jump_ns: int) -> None:
        self._journal = journal
        self._watching = Watching(NEVER, pace_ns=pace_ns, max_jump_ns=max_jump_ns)
        self._sorted = Sorted(journal.path.parent)  # the lines that are not taken
        self._heard = set[str]()  # components of which anything came yet
        self.known = 0  # lines whose places are known

    @property
    def latest_ns(self) -> int:
        """How far time has come."""
        return self._watching.watermark_ns

    @property
    def waiting(self) -> int:
        """Lines that are known and not taken."""
        return len(self._sorted)

    def learn(self, until: int) -> Iterator[int]:
        """Find the places of the lines before `until`; yields how many are known, now and then."""
        while self.known < until:
            first, stop = self.known, min(self.known + SLICE, until)
            entries = [e for _, part in self._journal.read(first, stop) for e in part]
            rows = [(self._place(e), first + i, len(e.body)) for i, e in enumerate(entries)]
            self._sorted.add(np.array(rows, np.int64).reshape(-1, 3))
            self.known = stop
            yield stop

    def taken(self, up_to_ns: int) -> Iterator[list[Entry]]:
        """The known lines with times up to `up_to_ns`, in portions; they are taken then."""
        left: Rows = np.zeros((0, 3), np.int64)
        for rows in self._sorted.taken(up_to_ns):
            left = np.concatenate([left, rows])
            while (count := _portion(left[:, 2])) < len(left):  # the last one may go on
                yield self._read(left[:count, 1])
                left = left[count:]
        if len(left):
            yield self._read(left[:, 1])

    def _place(self, entry: Entry) -> int:
        if entry.kind == COMPONENT:
            return entry.t_ns if entry.component in self._heard else -1
        self._heard.add(entry.component)
        watching, source = self._watching, (entry.component, entry.source)
        if entry.source == DERIVED:
            believed = watching.derived(entry.t_ns)
        else:
            believed = watching.heard(source, entry.t_ns, evidence=False)
        return entry.t_ns if believed else watching.watermark_ns

    def _read(self, wanted: Ints) -> list[Entry]:
        """The lines at offsets, in the order in which these are given."""
        order = np.argsort(wanted)
        rising = wanted[order]
        breaks = np.flatnonzero(np.diff(rising) > APART) + 1
        found: dict[int, Entry] = {}
        for run in np.split(rising, breaks):
            needed = set(run.tolist())
            for first, entries in self._journal.read(int(run[0]), int(run[-1]) + 1):
                found |= {first + i: e for i, e in enumerate(entries) if first + i in needed}
        return [found[offset] for offset in wanted.tolist()]
