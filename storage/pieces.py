"""Copying beside a service that writes: a little at a time, on disk before the next.

What is written and not yet on disk is what the next fsync of anybody on that disk waits for; so
little of it is left at any moment, and who writes more rests in between. What is copied is not kept
in the cache of the operating system, so that what is read back comes from the disk.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from storage.durable import make_directory, sync_directory

PIECE = 1 << 20  # bytes that are copied at once
UNSYNCED_BYTES, UNSYNCED_FILES = 8 << 20, 128  # that wait for the disk at most
SHARE = 0.5  # of the time, in which copying rests

Rest = Callable[[], None]


class Throttle:
    """Rests for as long as the work took, and leaves others their turn."""

    def __init__(self, share: float = SHARE) -> None:
        self._rest = share / (1.0 - share)
        self._since = time.monotonic()

    def __call__(self) -> None:
        """To be called after a little work."""
        time.sleep(min(1.0, self._rest * (time.monotonic() - self._since)))
        self._since = time.monotonic()


class Copying:
    """Copies files into a directory; `finish` makes the last of them durable."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._waiting: list[Path] = []
        self._bytes = 0
        self.written: dict[Path, str] = {}  # SHA-256 of what was written, by the file

    def copy(self, source: Path | BinaryIO, to: Path) -> str:
        """Copy a file; the SHA-256 of its bytes. Raises OSError."""
        if isinstance(source, Path):
            with source.open("rb") as opened:
                return self.copy(opened, to)
        make_directory(to.parent)
        found = hashlib.sha256()
        with to.open("xb") as file:
            while data := source.read(PIECE):
                file.write(data)
                found.update(data)
                self._bytes += len(data)
                if self._bytes >= UNSYNCED_BYTES:
                    file.flush()
                    os.fdatasync(file.fileno())
                    self.finish()
        self._waiting.append(to)
        if len(self._waiting) >= UNSYNCED_FILES:
            self.finish()
        self.written[to] = found.hexdigest()
        return self.written[to]

    def put(self, data: bytes, to: Path) -> None:
        """Write a short file, which may be changed later."""
        make_directory(to.parent)
        with to.open("xb") as file:
            file.write(data)
        self._waiting.append(to)

    def finish(self) -> None:
        """Let everything reach the disk, and rest."""
        for path in self._waiting:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        self._waiting, self._bytes = [], 0
        self._rest()


def sync_tree(directory: Path) -> None:
    """Make the names in a directory and in all below it durable."""
    for path in sorted(directory.rglob("*"), reverse=True):
        if path.is_dir():
            sync_directory(path)
    sync_directory(directory)


def read_back(path: Path, rest: Rest = lambda: None) -> str:
    """The SHA-256 of a file, as far as possible from the disk and not from memory."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        forget(file)
        for data in _pieces(file):
            found.update(data)
            rest()
    return found.hexdigest()


def forget(file: BinaryIO) -> None:
    """Let the operating system drop what it remembers of a file that is on disk."""
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while data := file.read(8 * PIECE):
        yield data
