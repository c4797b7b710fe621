"""A journal looked at: nothing is created, no log is checkpointed, nothing is changed.

To read a log SQLite makes an index of it beside the file; where there was none it is removed
afterwards. Without a log the file alone is all there is.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote


class Looking(sqlite3.Connection):
    """A connection that only reads, and leaves nothing behind."""

    leftover: Path | None = None  # the index, if it was not there before

    def close(self) -> None:
        """Let go."""
        super().close()
        if self.leftover is not None:
            self.leftover.unlink(missing_ok=True)


def looking(path: Path) -> Looking:
    """A connection to the journal at `path`; raises sqlite3.Error."""
    log, index = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))
    has_log = log.exists() and log.stat().st_size > 0
    existed = index.exists()
    mode = "mode=ro" if has_log else "immutable=1"
    uri = f"file:{quote(str(path.absolute()))}?{mode}"
    opened = sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, factory=Looking
    )
    if has_log and not existed:
        opened.leftover = index
    return opened
