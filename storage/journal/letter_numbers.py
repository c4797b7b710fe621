"""Which number the next dead letter gets: no number is given twice, whatever is damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import NamedTuple

from storage.journal.database import Row


class Numbering(NamedTuple):
    """What the numbers of the letters and SQLite's count of them say together."""

    last: int  # the number of the last letter that was ever kept, 0 before the first
    damage: str | None = None  # what is wrong with the count

    def write(self, connection: sqlite3.Connection) -> None:
        """Count from here on, within a transaction."""
        connection.execute("DELETE FROM sqlite_sequence")
        connection.execute("INSERT INTO sqlite_sequence VALUES ('letters', ?)", (self.last,))


def numbering(rows: Callable[[str], list[Row]]) -> Numbering:
    """The numbering of the letters that `rows` asks for."""
    count = rows(
        "SELECT CAST(name AS BLOB), CASE typeof(seq) WHEN 'integer' THEN seq END "
        "FROM sqlite_sequence"
    )
    ((highest,),) = rows("SELECT coalesce(max(id), 0) FROM letters")
    said = [seq for name, seq in count if name == b"letters" and seq is not None]
    last = max(highest, *said, 0)
    if len(count) == len(said) <= 1 and last == sum(said):
        return Numbering(last)
    return Numbering(
        last,
        "the number of the last refused message is damaged; a start goes on behind the highest "
        "that it finds, and no message is lost by that",
    )
