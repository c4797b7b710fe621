"""Reading a journal where nothing can be written: on a disk that is full, or read-only.

SQLite wants to write even to read, an index of its log beside the file. Without a log the file
alone is all there is to know; with one, a connection that lets nobody else in holds the index in
memory. Nobody else is there: the directory is locked.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

# What says that writing is the trouble; a file that somebody else has locked is not among it.
WRITING = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
}


def is_about_writing(exc: BaseException) -> bool:
    """Whether reading may go well where this was raised."""
    cause = exc.__cause__ or exc
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF in WRITING


def reading(path: Path) -> sqlite3.Connection:
    """A connection that only reads; raises sqlite3.Error."""
    log = path.with_name(path.name + "-wal")
    has_log = log.exists() and log.stat().st_size > 0
    uri = f"file:{quote(str(path.absolute()))}" + ("" if has_log else "?immutable=1")
    opened = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    try:
        if has_log:
            opened.execute("PRAGMA locking_mode=EXCLUSIVE")
        opened.execute("PRAGMA cache_size=-16000")  # KiB
        opened.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error:
        opened.close()
        if not has_log:
            raise
        # read-only with a log: it can be read where its index was left beside it
        opened = sqlite3.connect(
            f"{uri}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
    return opened
