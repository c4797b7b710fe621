"""The images in the journal and what was read from them, found by looking through it once."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from sensors.observation import ImageFinding, Snapshot, observation
from storage.journal.entry import Entry
from storage.journal.journal import Journal
from storage.journal.passing import Gap, passing_over
from twin.belief.lines import OBSERVATION, told

KEPT = 1000  # images of a component that are listed, the newest
SLICE = 5000  # lines of the journal that are looked through in one go
_TAGS = (b"snapshot", b"readout")


class Picture(NamedTuple):
    """An image, and what was read from it, if it has been read."""

    snapshot: Snapshot
    readout: ImageFinding | None


class ImageIndex:
    """The newest images of every component."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._offset = 0
        self._found: dict[str, deque[Snapshot]] = {}
        self._read: dict[str, dict[tuple[str, int, int], ImageFinding]] = {}
        self._all: dict[str, set[int]] = {}  # the beginnings of the hashes of all their images

    def look(self) -> bool:
        """Look through the next slice, in any thread but one at a time; whether that was all."""
        start, gaps = self._journal.start, list[Gap]()
        self._offset = max(self._offset, start)
        stop = min(self._offset + SLICE, self._journal.end)  # what comes meanwhile is for next time
        found = passing_over(self._journal, self._offset, stop, gaps.append, beside=True)
        for first, entries in found:
            for entry in entries:
                if entry.kind == OBSERVATION and any(tag in entry.body[:16] for tag in _TAGS):
                    self._add(entry)
            self._offset = first + len(entries)
        if start != self._journal.start:
            return False  # retention dropped what was about to be read
        for gap in gaps:
            told(self._journal, gap)
        self._offset = max(self._offset, stop)  # what is damaged, at last
        return self._offset >= self._journal.end

    def _add(self, entry: Entry) -> None:
        what = observation(entry.body)
        read = self._read.setdefault(entry.component, {})
        if isinstance(what, ImageFinding):
            read[what.image_source, what.image_boot, what.image_seq] = what
            while len(read) > KEPT:
                del read[next(iter(read))]
        elif isinstance(what, Snapshot):
            self._found.setdefault(entry.component, deque(maxlen=KEPT)).append(what)
            self._all.setdefault(entry.component, set()).add(_beginning(what.sha256))

    def has(self, component: str, sha256: str) -> bool:
        """Whether an image is one of the component's, as far as was looked."""
        return _beginning(sha256) in self._all.get(component, ())

    def of(self, component: str) -> list[Picture]:
        """The newest images of a component, newest first."""
        read = self._read.get(component, {})
        return [
            Picture(s, read.get((s.source, s.boot, s.seq)))
            for s in reversed(self._found.get(component, ()))
        ]


def _beginning(sha256: str) -> int:
    """64 bits of a hash: nobody meets another image of the service by them."""
    return int(sha256[:16], 16)
