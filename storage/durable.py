"""Files that are either wholly there or not at all, also after a power cut."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.errors import UnavailableError, complaint

ASIDE = ".aside"  # the suffix of a file that is not yet complete


@contextmanager
def disk() -> Iterator[None]:
    """Turns what the operating system complains about into UnavailableError."""
    try:
        yield
    except OSError as exc:
        raise UnavailableError(f"the disk reports an error: {complaint(exc)}") from exc


def make_directory(path: Path, home: Path | None = None) -> None:
    """Create a directory and those above it, and make their names durable.

    With a `home`, which something in use lies in, only as long as that is there: what was moved
    away while it was in use is not begun anew in its old place. Raises OSError.
    """
    if home is not None and not home.exists():
        raise FileNotFoundError(errno.ENOENT, "it was moved or removed while in use", str(home))
    missing = [p for p in (path, *path.parents) if not p.exists()]
    for directory in reversed(missing):
        directory.mkdir(exist_ok=True)
        sync_directory(directory.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    _sync(path, os.O_DIRECTORY)


def sync_file(path: Path) -> None:
    """Make the content of a file durable."""
    _sync(path)


def put_in_place(aside: Path, path: Path) -> None:
    """Let a file that somebody else has written beside `path` take its place, durably."""
    _sync(aside)
    aside.replace(path)
    sync_directory(path.parent)


def _sync(path: Path, flags: int = 0) -> None:
    descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_aside(path: Path, data: bytes | memoryview) -> Path:
    """Write and fsync `data` beside `path`; it takes its place by `os.replace`."""
    aside = path.with_name(path.name + ASIDE)
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    return aside


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """Replace a file in one step: aside, fsync, rename, fsync of the directory."""
    write_aside(path, data).replace(path)
    sync_directory(path.parent)


def prepare(files: Mapping[Path, bytes], home: Path) -> dict[Path, Path]:
    """Write and fsync several files beside their places, if `home` is there; where each lies.

    A disk that fills up on the way leaves nothing behind.
    """
    asides: dict[Path, Path] = {}
    try:
        for path, data in files.items():
            make_directory(path.parent, home)
            asides[path] = write_aside(path, data)
    except OSError:
        for aside in asides.values():
            aside.unlink(missing_ok=True)
        raise
    return asides


def swap(asides: Mapping[Path, Path], paths: Iterable[Path]) -> None:
    """Let prepared files take their places, and make that durable."""
    directories: dict[Path, None] = {}  # in order, the last one last
    for path in paths:
        asides[path].replace(path)
        directories.pop(path.parent, None)
        directories[path.parent] = None
    for directory in directories:
        sync_directory(directory)


def remove_leftovers(directory: Path) -> int:
    """Remove what a crash left half-written, in a directory and all below it; how much that was.

    Nobody reads it: where the disk refuses, it goes at another start.
    """
    removed = 0
    for path in list(directory.rglob(f"*{ASIDE}")):
        with suppress(OSError):
            path.unlink()
            removed += 1
    return removed
