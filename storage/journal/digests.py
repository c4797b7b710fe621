"""What the latest entries said, in sixteen bytes each: so that a key is told from its repetition.

A key that comes again with the same content is a duplicate; with other content it is a conflict,
most often an instrument that restarted and did not raise its boot. Digests are kept in memory
only, of the latest `LIMIT` entries: they follow from the journal, which is read again where one is
needed that is not here. Keys are hashed to 64 bits and contents to 32; what a digest suspects is
held against the entry itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import count
from typing import NamedTuple
from zlib import crc32

import numpy as np

from storage.journal.entry import Entry

LIMIT = 1 << 20  # entries that are remembered: 16 MB, and some seconds to read them again
RUN = 1 << 16  # entries that are sorted together
_ODD = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio: no two numbers of a stream collide
_MASK = (1 << 64) - 1


class KeyDigest(NamedTuple):
    """What is remembered of a key."""

    digest: int  # CRC-32 of the body
    offset: int  # where the entry stands in the journal


class _Run(NamedTuple):
    """Entries of a contiguous piece of the journal, sorted by the hash of their key."""

    first: int
    stop: int
    keys: np.ndarray  # (n,) uint64
    digests: np.ndarray  # (n,) uint32
    places: np.ndarray  # (n,) uint32, offsets from `first`


class Digests:
    """The digests of the entries from `start` to before `end`."""

    def __init__(self, end: int, *, limit: int = LIMIT, run: int = RUN) -> None:
        self.start = self.end = end
        self._limit, self._run = limit, run
        self._streams: dict[tuple[str, str, int], int] = {}  # the hash of each stream
        self._tail: dict[int, tuple[int, int]] = {}  # the newest, not sorted yet
        self._runs: list[_Run] = []  # the newest last

    @property
    def is_full(self) -> bool:
        """Whether older entries are not remembered even if the journal has them."""
        return self.end - self.start >= self._limit

    def add(self, entries: Sequence[Entry]) -> None:
        """Remember what was appended behind `end`."""
        for key, offset, entry in zip(self._keys(entries), count(self.end), entries, strict=False):
            self._tail[key] = (crc32(entry.body), offset)
        self.end += len(entries)
        if len(self._tail) >= self._run:
            at = self._runs[-1].stop if self._runs else self.start
            self._runs.append(_sorted(at, self.end, self._tail))
            self._tail = {}
            while len(self._runs) > 1 and self.is_full:
                self.start = self._runs.pop(0).stop

    def add_before(self, entries: Sequence[Entry]) -> None:
        """Remember what stands before `start`."""
        keys = np.fromiter(self._keys(entries), np.uint64, len(entries))
        digests = np.fromiter((crc32(e.body) for e in entries), np.uint32, len(entries))
        order = np.argsort(keys)
        first = self.start - len(entries)
        places = order.astype(np.uint32)
        self._runs.insert(0, _Run(first, self.start, keys[order], digests[order], places))
        self.start = first

    def find(self, entries: Iterable[Entry]) -> list[KeyDigest | None]:
        """What is remembered of the key of each entry."""
        keys = list(self._keys(entries))
        found = self._searched(set(keys))
        return [found.get(key) for key in keys]

    def _searched(self, wanted: set[int]) -> dict[int, KeyDigest]:
        found = {key: KeyDigest(*self._tail[key]) for key in wanted if key in self._tail}
        rest = np.array([key for key in wanted if key not in found], np.uint64)
        for run in reversed(self._runs):
            if not len(rest):
                break
            at = np.minimum(np.searchsorted(run.keys, rest), len(run.keys) - 1)
            here = run.keys[at] == rest
            for key, i in zip(rest[here].tolist(), at[here].tolist(), strict=True):
                place = run.first + int(run.places[i])
                found[key] = KeyDigest(int(run.digests[i]), place)
            rest = rest[~here]
        return found

    def _keys(self, entries: Iterable[Entry]) -> Iterator[int]:
        """The hash of each entry's key."""
        known = self._streams
        for entry in entries:
            stream = (entry.component, entry.source, entry.boot)
            hashed = known.get(stream) or self._stream(stream)
            yield (hashed + entry.seq * _ODD) & _MASK

    def _stream(self, stream: tuple[str, str, int]) -> int:
        if len(self._streams) >= self._run:  # an inspection by HTTP is a stream of its own
            self._streams.clear()
        text = f"{stream[0]}\0{stream[1]}\0{stream[2]}"
        hashed = int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
        self._streams[stream] = hashed
        return hashed


def _sorted(first: int, stop: int, found: dict[int, tuple[int, int]]) -> _Run:
    keys = np.fromiter(found, np.uint64, len(found))
    order = np.argsort(keys)
    digests = np.fromiter((digest for digest, _ in found.values()), np.uint32, len(found))
    places = np.fromiter((place - first for _, place in found.values()), np.uint32, len(found))
    return _Run(first, stop, keys[order], digests[order], places[order])
