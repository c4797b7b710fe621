"""Whether a file that is open is still where it was: what was removed takes writes for ever.

A file that somebody deletes, moves or replaces, or whose disk is unmounted, stays open for whoever
has it open, and all that is written to it is gone in the end. So each commit looks first.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from storage.durable import disk, put_in_place
from storage.errors import UnavailableError

RESCUED = ".rescued"  # the suffix of a copy of what was removed

_Identity = tuple[int, int]


class OpenedFiles:
    """Where the files of a journal were when it was opened."""

    def __init__(self, path: Path, *, has_log: bool) -> None:
        self._path = path
        self._directory = _identity(path.parent)
        files = (path, path.with_name(path.name + "-wal"))[: 1 + has_log]
        self._files = {file: identity for file in files if (identity := _identity(file))}
        self._saved = False

    def require(self, connection: sqlite3.Connection) -> None:
        """Raises UnavailableError, with what to do, unless the files are where they were."""
        gone = next((f for f, was in self._files.items() if _identity(f) != was), None)
        if gone is None:
            return
        if _identity(self._path.parent) != self._directory:
            raise UnavailableError(
                f"{self._path.parent} is not the directory any more that was opened, it was moved "
                "or its disk is not mounted: put it back and the service goes on by itself; "
                "nothing is acknowledged meanwhile"
            )
        rescued = self._path.with_name(self._path.name + RESCUED)
        if not self._saved:
            with disk():
                _save(connection, rescued)
            self._saved = True
        raise UnavailableError(
            f"{gone} was removed or replaced while it was in use; nothing is acknowledged any "
            f"more. All that was is in {rescued}: stop the service, remove {self._path.name}-wal, "
            f"move {rescued.name} to {self._path.name}, and start again"
        )


def _identity(path: Path) -> _Identity | None:
    with suppress(OSError):
        found = os.stat(path)
        return found.st_dev, found.st_ino
    return None


def _save(connection: sqlite3.Connection, to: Path) -> None:
    """Copy what a connection sees into a file that was not there."""
    aside = to.with_name(to.name + ".aside")
    aside.unlink(missing_ok=True)
    copy = sqlite3.connect(aside, isolation_level=None)
    try:
        connection.backup(copy)
    finally:
        copy.close()
    put_in_place(aside, to)
