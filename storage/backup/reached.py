"""How far the streams of a journal have come: what a backup of an earlier moment lacks."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from storage.errors import CorruptError, MissingError
from storage.journal.looking import looking
from storage.journal.sequences import unsealed

Stream = tuple[str, str, int]  # component, source, boot


def highest(journal: Path) -> dict[Stream, int]:
    """The highest number that each stream of a journal has delivered; what is damaged, none.

    Raises MissingError where there is no journal, CorruptError where it cannot be read.
    """
    if not journal.is_file():
        raise MissingError(f"there is no {journal}")
    found = {}
    try:
        with closing(looking(journal)) as opened:
            rows = opened.execute(
                "SELECT component, source, boot, mark FROM streams JOIN marks USING (stream)"
            )
            for component, source, boot, body in rows:
                with suppress(CorruptError):
                    stream = (component, source, boot)
                    found[stream] = unsealed(stream, body)[0].high
    except (sqlite3.Error, OSError) as exc:
        raise CorruptError(f"{journal} cannot be read: {exc}") from exc
    return found
