"""The images in the journal and what was read from them, found by looking through it once."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from sensors.observation import Readout, Snapshot, observation
from storage.entry import Entry
from storage.journal import Journal
from twin.lines import OBSERVATION

KEPT = 1000  # images of a component that are listed, the newest
SLICE = 5000  # lines of the journal that are looked through in one go: it has one thread
_TAGS = (b"snapshot", b"readout")


class Picture(NamedTuple):
    """An image, and what was read from it, if it has been read."""

    snapshot: Snapshot
    readout: Readout | None


class Album:
    """The newest images of every component."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._offset = 0
        self._found: dict[str, deque[Snapshot]] = {}
        self._read: dict[str, dict[tuple[str, int, int], Readout]] = {}
        self._all: dict[str, set[int]] = {}  # the beginnings of the hashes of all their images

    def look(self) -> bool:
        """Look through the next slice, in the journal's thread; whether that was all."""
        self._offset = max(self._offset, self._journal.start)
        stop = self._offset + SLICE
        for first, entries in self._journal.read(self._offset, stop):
            for entry in entries:
                if entry.kind == OBSERVATION and any(tag in entry.body[:16] for tag in _TAGS):
                    self._add(entry)
            self._offset = first + len(entries)
        return self._offset >= self._journal.end

    def _add(self, entry: Entry) -> None:
        what = observation(entry.body)
        read = self._read.setdefault(entry.component, {})
        if isinstance(what, Readout):
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
