"""All of a damaged journal that is whole, row by row, by the checksums of the rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from storage.errors import CorruptError
from storage.journal.carving import Cell, Pages
from storage.journal.catalogue import Checkpoint, LatestRegistration, Order
from storage.journal.commits import commit_crc, decoded
from storage.journal.entry import Entry
from storage.journal.forgetting import Key
from storage.journal.letter_numbers import numbering
from storage.journal.letter_rows import KeptLetter, letter_crc, letter_of
from storage.journal.looking import looking
from storage.journal.sequences import StreamMark, unsealed

BOUNDS_PAGE = 2  # the first table that is made: one row, which says where the journal begins


class LostLetters(NamedTuple):
    """Refused messages that cannot be read."""

    numbers: list[int]
    unknown: int  # at most so many more, where not even their numbers can be read


@dataclass
class Salvaged:
    """What can be read of a journal; rows are read again when they are asked for."""

    path: Path
    start: int = 0  # as the journal said, 0 where it does not say any more
    components: dict[str, LatestRegistration] = field(default_factory=dict)  # the latest of each
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    order: Order | None = None

    def __post_init__(self) -> None:
        self._pages = Pages(self.path)
        self._commits: dict[int, tuple[int, Cell]] = {}  # how many entries, by the first offset
        self._letters: dict[int, Cell] = {}
        self._streams: dict[int, list[Key]] = {}
        self._sealed: list[tuple[int, bytes]] = []
        for cell, number, values in self._pages.rows():
            self._take(cell, number, values)
        bounds = self._pages.first_row(BOUNDS_PAGE)
        if len(bounds) == 3 and isinstance(bounds[1], int) and bounds[1] in self._commits:
            self.start = bounds[1]

    def close(self) -> None:
        """Let go of the file."""
        self._pages.close()

    @property
    def end(self) -> int:
        """The offset behind the last line that can be read."""
        return max((first + count for first, (count, _) in self._commits.items()), default=0)

    def gaps(self, end: int) -> list[tuple[int, int]]:
        """The lines before `end` that cannot be read, as first offsets and those behind them."""
        found, at = [], self.start
        for first in sorted(self._commits):
            if first > at:
                found.append((at, first))
            at = max(at, first + self._commits[first][0])
        return found + ([(at, end)] if end > at else [])

    def commits(self) -> Iterator[tuple[int, int, list[Entry]]]:
        """First offset, time of the commit and entries of all that is whole, in their order."""
        at = self.start
        for first in sorted(self._commits):
            count, cell = self._commits[first]
            found = self._pages.row(cell)
            if first < at or found is None:
                continue
            _, _, committed_ns, _, blob = found[1]
            yield first, committed_ns, decoded(blob)
            at = first + count

    def marks(self) -> dict[Key, StreamMark]:
        """What each stream had delivered, as far as that is whole."""
        newest: dict[Key, tuple[int, StreamMark]] = {}
        for number, data in self._sealed:
            for key in self._streams.get(number, ()):  # a number may have been used again
                try:
                    mark, last = unsealed(key, data)
                except (CorruptError, msgspec.DecodeError):
                    continue
                if key not in newest or newest[key][0] <= last:
                    newest[key] = last, mark
        return {key: mark for key, (_, mark) in newest.items()}

    def letters(self) -> Iterator[KeptLetter]:
        """The refused messages that are whole, in their order."""
        for number in sorted(self._letters):
            found = self._pages.row(self._letters[number])
            if found is not None:
                yield letter_of(number, found[1][4])

    def letters_lost(self, end: int) -> LostLetters:
        """The refused messages that are not whole; `end` is the number of the last, by the seal."""
        whole = self._letters.keys()
        listed, last = _listed(self.path)
        if last is not None:
            return LostLetters(sorted({*listed, *range(last + 1, end + 1)} - whole), 0)
        lost = sorted(set(listed) - whole)
        return LostLetters(lost, max(0, max(end, *whole, 0) - len(whole) - len(lost)))

    def _take(self, cell: Cell, number: int, values: tuple[Any, ...]) -> None:
        kinds = tuple(type(value) for value in values)
        if not cell.is_index and kinds == (type(None), int, int, int, bytes):
            _, count, committed_ns, crc, blob = values
            if crc == commit_crc(number, count, committed_ns, blob) and len(decoded(blob)) == count:
                self._commits[number] = (count, cell)
        elif not cell.is_index and kinds[3:] == (int, bytes):
            if values[3] == letter_crc(number, values[4]):
                self._letters[number] = cell  # its body says what the rest of the row has to be
        elif not cell.is_index and kinds == (type(None), str, str, int):
            self._streams.setdefault(number, []).append((values[1], values[2], values[3]))
        elif not cell.is_index and kinds == (type(None), bytes):
            self._sealed.append((number, values[1]))
        elif cell.is_index and kinds == (str, str, int, bytes):
            kind, name, crc, body = values
            if crc == crc32(body, crc32(f"{kind}\0{name}".encode())):
                self._catalogued(kind, name, body)

    def _catalogued(self, kind: str, name: str, body: bytes) -> None:
        """A row of the catalogue, which may be an older one, on a page that is not in use."""
        try:
            if kind == "component":
                component = msgspec.msgpack.decode(body, type=LatestRegistration)
                if name not in self.components or self.components[name].offset < component.offset:
                    self.components[name] = component
            elif kind == "checkpoint":
                self.checkpoints[name] = msgspec.msgpack.decode(body, type=Checkpoint)
            elif kind == "order":
                order = msgspec.msgpack.decode(body, type=Order)
                if self.order is None or self.order.generation < order.generation:
                    self.order = order
        except msgspec.DecodeError:
            return


def _listed(path: Path) -> tuple[list[int], int | None]:
    """The numbers of all refused messages, and of the last that was ever kept.

    None where the tree or the count of them is damaged, so that there may have been more.
    """
    try:
        with closing(looking(path)) as opened:
            listed = [row[0] for row in opened.execute("SELECT id FROM letters")]
            counted = numbering(lambda sql: opened.execute(sql).fetchall())
            said = opened.execute("PRAGMA integrity_check(letters)").fetchall()
    except sqlite3.Error:
        return [], None
    is_whole = counted.damage is None and not any(text.startswith("***") for (text,) in said)
    return listed, counted.last if is_whole else None
