"""Rows read from the pages of a damaged journal, without SQLite: each says itself that it is whole.

A page is understood by itself, wherever it lies in its tree, so that a damaged one takes none of
the others along; what the log holds of a page goes before what the file holds. The rows that matter
carry a CRC-32, which tells those that are as they were written from all else that a page may hold.
Format: https://www.sqlite.org/fileformat2.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from storage.durable import disk
from storage.journal.log_mending import read_log

_TABLE_LEAF, _INDEX_INTERIOR, _INDEX_LEAF = 0x0D, 0x02, 0x0A
_SIZES = {1 << power for power in range(9, 17)}
_LARGEST = 1 << 31  # bytes of a row

Values = tuple[Any, ...]


class Cell(NamedTuple):
    """Where a row lies, so that it can be read again."""

    page: int
    at: int
    is_index: bool


class Pages:
    """The pages of a journal and of its log, whatever is wrong with them."""

    def __init__(self, path: Path) -> None:
        """Open the file, which may be gone; raises UnavailableError."""
        with disk():
            self._file = path.open("rb") if path.exists() else None
            self._length = path.stat().st_size if path.exists() else 0
        head = self._raw(0, 100)
        size = int.from_bytes(head[16:18], "big")
        size = 65536 if size == 1 else size
        log = read_log(path.with_name(path.name + "-wal"))
        self.size = log.page_size if log else size if size in _SIZES else 4096
        self._log = log.pages if log else {}
        self._usable = self.size - (head[20] if len(head) > 20 and head[20] < 32 else 0)
        self.count = (
            max(-(-self._length // self.size), *self._log, 0)
            if self._log
            else -(-self._length // self.size)
        )

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()

    def rows(self) -> Iterator[tuple[Cell, int, Values]]:
        """Every row that can be understood: where it lies, its number, and its values."""
        for page in range(1, self.count + 1):
            data = self._page(page)
            for cell in _cells(page, data):
                found = self._row(cell, data)
                if found is not None:
                    yield cell, *found

    def row(self, cell: Cell) -> tuple[int, Values] | None:
        """The number and the values of one row."""
        return self._row(cell, self._page(cell.page))

    def first_row(self, page: int) -> Values:
        """The values of the only row of a small table, or none."""
        cells = _cells(page, self._page(page))
        found = self._row(cells[0], self._page(page)) if cells else None
        return () if found is None else found[1]

    def _row(self, cell: Cell, data: bytes) -> tuple[int, Values] | None:
        try:
            at = cell.at + (4 if cell.is_index and data[_header(cell.page)] == 2 else 0)
            size, at = _varint(data, at)
            number = 0
            if not cell.is_index:
                number, at = _varint(data, at)
            if size > _LARGEST:
                return None
            return number, _values(self._payload(data, at, size, is_index=cell.is_index))
        except (IndexError, ValueError):
            return None

    def _payload(self, data: bytes, at: int, size: int, *, is_index: bool) -> bytes:
        """The bytes of a row, with those on its overflow pages; raises ValueError."""
        usable = self._usable
        most = (usable - 12) * 64 // 255 - 23 if is_index else usable - 35
        if size <= most:
            return data[at : at + size]
        least = (usable - 12) * 32 // 255 - 23
        local = least + (size - least) % (usable - 4)
        local = local if local <= most else least
        parts, left = [data[at : at + local]], size - local
        following = int.from_bytes(data[at + local : at + local + 4], "big")
        while left > 0:
            if not 1 < following <= self.count:
                raise ValueError(f"page {following} is none")
            page = self._page(following)
            parts.append(page[4 : 4 + min(left, usable - 4)])
            left -= usable - 4
            following = int.from_bytes(page[:4], "big")
        return b"".join(parts)

    def _page(self, number: int) -> bytes:
        found = self._log.get(number)
        return self._raw((number - 1) * self.size, self.size) if found is None else found

    def _raw(self, at: int, size: int) -> bytes:
        if self._file is None:
            return b""
        with disk():
            self._file.seek(at)
            return self._file.read(size)


def _header(page: int) -> int:
    return 100 if page == 1 else 0


def _cells(page: int, data: bytes) -> list[Cell]:
    """The rows that a page points to."""
    at = _header(page)
    if len(data) < at + 12 or data[at] not in (_TABLE_LEAF, _INDEX_INTERIOR, _INDEX_LEAF):
        return []
    is_index = data[at] != _TABLE_LEAF
    count = int.from_bytes(data[at + 3 : at + 5], "big")
    first = at + (12 if data[at] == _INDEX_INTERIOR else 8)
    count = min(count, (len(data) - first) // 2)
    places = [int.from_bytes(data[first + 2 * i : first + 2 * i + 2], "big") for i in range(count)]
    return [Cell(page, place, is_index) for place in places if 0 < place < len(data)]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for i in range(8):
        byte = data[at + i]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + i + 1
    return value << 8 | data[at + 8], at + 9


def _values(record: bytes) -> Values:
    """The values of a record; raises ValueError, IndexError."""
    end, at = _varint(record, 0)
    kinds = []
    while at < end:
        kind, at = _varint(record, at)
        kinds.append(kind)
    values = list[Any]()
    at = end
    for kind in kinds:
        value, at = _value(record, kind, at)
        values.append(value)
    if at != len(record):
        raise ValueError("the record is longer or shorter than it says")
    return tuple(values)


def _value(record: bytes, kind: int, at: int) -> tuple[Any, int]:
    if kind in (0, 8, 9):
        return (None, 0, 1)[(0, 8, 9).index(kind)], at
    if kind < 7:
        size = (1, 2, 3, 4, 6, 8)[kind - 1]
        return int.from_bytes(record[at : at + size], "big", signed=True), at + size
    if kind < 12:
        raise ValueError(f"{kind} is not a kind that we write")
    size = (kind - 12) // 2
    data = record[at : at + size]
    if kind % 2:
        with suppress(UnicodeDecodeError):  # else it is no text, whatever the record says
            return data.decode(), at + size
    return data, at + size
