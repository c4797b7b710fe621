"""What is damaged, set aside: it is kept for whoever can still read it, and in nobody's way."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from storage.durable import disk, make_directory, sync_directory

QUARANTINE = "quarantine"  # the directory, within that of the data


def set_aside(path: Path, data: Path) -> Path:
    """Move a file or a directory of the store at `data`; where it lies now."""
    with disk():
        to = _place(path, data)
        path.rename(to)
        sync_directory(path.parent)
        sync_directory(to.parent)
    return to


def copied_aside(path: Path, data: Path) -> Path:
    """Copy a file of the store at `data`, which is about to be mended; where the copy lies."""
    with disk():
        to = _place(path, data)
        shutil.copy2(path, to)
        sync_directory(to.parent)
    return to


def _place(path: Path, data: Path) -> Path:
    directory = data / QUARANTINE
    make_directory(directory, data)
    return directory / f"{path.name}.{time.time_ns()}"
