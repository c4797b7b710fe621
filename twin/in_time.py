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

from storage.entry import Entry
from storage.journal import Journal
from twin.lines import COMPONENT
from twin.watermark import DERIVED, NEVER, Watching

LINES, BYTES = 20_000, 32 << 20  # of a portion
APART = 64  # lines that are rather read in vain than looked for
SLICE = 5000  # lines whose places are found in one go
Ints = NDArray[np.int64]


class InTime:
    """Takes the lines of a journal in the order of their times, step by step."""

    def __init__(self, journal: Journal, *, pace_ns: int, max_jump_ns: int) -> None:
        self._journal = journal
        self._watching = Watching(NEVER, pace_ns=pace_ns, max_jump_ns=max_jump_ns)
        self._times: Ints = np.zeros(0, np.int64)  # of the lines that are not taken [ns]
        self._offsets: Ints = np.zeros(0, np.int64)
        self._sizes: Ints = np.zeros(0, np.int64)  # [byte]
        self._heard = set[str]()  # components of which anything came yet
        self.known = 0  # lines whose places are known

    @property
    def latest_ns(self) -> int:
        """How far time has come."""
        return self._watching.watermark_ns

    @property
    def waiting(self) -> int:
        """Lines that are known and not taken."""
        return len(self._times)

    def learn(self, until: int) -> Iterator[int]:
        """Find the places of the lines before `until`; yields how many are known, now and then."""
        first, found = self.known, [np.zeros((0, 2), np.int64)]
        while self.known < until:
            stop = min(self.known + SLICE, until)
            entries = [e for _, part in self._journal.read(self.known, stop) for e in part]
            found.append(np.array([(self._place(e), len(e.body)) for e in entries], np.int64))
            self.known = stop
            yield stop
        times, sizes = np.concatenate(found).T
        self._times = np.concatenate([self._times, times])
        self._sizes = np.concatenate([self._sizes, sizes])
        self._offsets = np.concatenate([self._offsets, np.arange(first, self.known)])

    def taken(self, up_to_ns: int) -> Iterator[list[Entry]]:
        """The known lines with times up to `up_to_ns`, in portions; they are taken then."""
        now = self._times <= up_to_ns
        order = np.lexsort((self._offsets[now], self._times[now]))
        offsets, sizes = self._offsets[now][order], self._sizes[now][order]
        self._times, self._offsets, self._sizes = (
            column[~now] for column in (self._times, self._offsets, self._sizes)
        )
        volume = np.cumsum(sizes)
        start = 0
        while start < len(offsets):
            full = np.searchsorted(volume, (volume[start - 1] if start else 0) + BYTES, "right")
            end = min(max(int(full), start + 1), start + LINES)
            yield self._read(offsets[start:end])
            start = end

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
