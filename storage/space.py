"""How much room a disk has: the bounds of what need not be kept for ever follow it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Space(NamedTuple):
    """A file system as we may use it."""

    free: int  # [byte]
    size: int  # [byte]
    is_read_only: bool


def space(path: Path) -> Space:
    """The room on the disk that holds `path`; raises OSError."""
    found = os.statvfs(path)
    free, size = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    return Space(free, size, bool(found.f_flag & os.ST_RDONLY))


def part(path: Path, divisor: int, most: int) -> int:
    """A part of the size of the disk that holds `path`, but not more than `most` bytes."""
    try:
        return min(most, space(path).size // divisor)
    except OSError:  # whoever writes next says what is wrong with the disk
        return most
