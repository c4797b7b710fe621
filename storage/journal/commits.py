"""Rows of the table of commits: what one group commit wrote, with its checksum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from zlib import crc32

import msgspec

from storage.errors import CorruptError
from storage.journal.database import Row, typed
from storage.journal.entry import Entry

ROW_BYTES = 16 << 20  # a commit larger than this is cut into several rows
COLUMNS = "first, count, committed_ns, crc32, blob"
FORM = (int, int, int, int, bytes)

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(list[Entry])


def commit_rows(accepted: Sequence[Entry], first: int, now_ns: int) -> Iterator[Row]:
    """The rows of a commit, of which `first` is the offset of its first entry."""
    start = size = 0
    for i, entry in enumerate(accepted):
        if i > start and size + len(entry.body) > ROW_BYTES:
            yield _commit_row(accepted[start:i], first + start, now_ns)
            start, size = i, 0
        size += len(entry.body)
    if accepted:
        yield _commit_row(accepted[start:], first + start, now_ns)


def _commit_row(entries: Sequence[Entry], first: int, now_ns: int) -> Row:
    blob = _encode(entries)
    return first, len(entries), now_ns, commit_crc(first, len(entries), now_ns, blob), blob


def commit_crc(first: int, count: int, committed_ns: int, blob: bytes) -> int:
    """The checksum of a row."""
    return crc32(blob, crc32(f"{first} {count} {committed_ns}".encode()))


def decoded(blob: bytes) -> list[Entry]:
    """The entries of a row that is as it was written."""
    return _decoder.decode(blob)


def checked(row: Row, path: Path) -> tuple[int, list[Entry]]:
    """The first offset and the entries of a row; CorruptError if it is not as it was written."""
    first, count, committed_ns, crc, blob = typed(row, *FORM)
    if crc != commit_crc(first, count, committed_ns, blob):
        raise CorruptError(
            f"{path}: entries {first} to {first + count - 1} do not match their checksum"
        )
    return first, _decoder.decode(blob)
