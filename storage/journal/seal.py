"""What was acknowledged last, in a file of its own beside the journal: what is gone can be told.

SQLite takes a log that was cut, damaged or removed for one that ends there, and the file goes on
from an earlier moment as if nothing had been. So each commit is followed, before anybody hears of
it, by a line here that says how far the journal goes. Two slots are written in turn, each with a
CRC-32, so that a torn one leaves the one before it.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from storage.durable import disk, sync_directory

SUFFIX = ".mark"
_SLOT = 4096  # bytes: a page each, so that no write touches both
_FORM = struct.Struct("<4sQqqqI")
_MAGIC = b"TwMk"


class Seal(NamedTuple):
    """How far the journal went when a commit was acknowledged."""

    number: int  # counts the commits that were sealed
    end: int  # the offset behind the last entry
    crc32: int  # of the last commit that held entries, -1 before the first
    letters: int  # the number of the last dead letter


class SealFile:
    """The file of the seal; one thread writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def read(self) -> tuple[Seal | None, list[str]]:
        """The newest seal, None before the first, and what is wrong with the file."""
        if not self.path.exists():
            return None, []
        with disk():
            data = self.path.read_bytes()
        if not any(data):  # made just before a power cut
            return None, []
        slots = [data[at : at + _FORM.size + 4] for at in (0, _SLOT)]
        found = [seal for slot in slots if (seal := _opened(slot)) is not None]
        if not found:
            return None, [f"{self.path} is damaged: neither of its two slots is as it was written"]
        damaged = len(data) != 2 * _SLOT or any(
            _opened(slot) is None and any(slot) for slot in slots
        )
        half = [f"one of the two slots of {self.path} is damaged: the next commit writes it again"]
        return max(found), half if damaged else []

    def write(self, seal: Seal) -> None:
        """Make a seal durable; raises UnavailableError."""
        with disk():
            if self._descriptor is None:
                self._descriptor = self._opened()
            body = _FORM.pack(_MAGIC, *seal[:2], *seal[2:], 0)
            os.pwrite(
                self._descriptor,
                body + crc32(body).to_bytes(4, "little"),
                seal.number % 2 * _SLOT,
            )
            os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _opened(self) -> int:
        """A descriptor of a file that has its size already: a seal only overwrites."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if os.fstat(descriptor).st_size != 2 * _SLOT:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, bytes(2 * _SLOT), 0)
                os.fsync(descriptor)
                sync_directory(self.path.parent)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def _opened(slot: bytes) -> Seal | None:
    body, crc = slot[: _FORM.size], slot[_FORM.size :]
    if len(slot) < _FORM.size + 4 or crc32(body).to_bytes(4, "little") != crc:
        return None
    magic, *fields, _ = _FORM.unpack(body)
    return Seal(*fields) if magic == _MAGIC else None
