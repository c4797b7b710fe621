"""Keys that come again: whether they say the same as what is here."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

from storage.errors import CorruptError, StorageError
from storage.journal.commits import COLUMNS, checked
from storage.journal.database import Database, Row
from storage.journal.digests import RUN, Digests, KeyDigest
from storage.journal.entry import Entry
from storage.journal.sequences import Outcome

BACK_BYTES = 32 << 20  # how much is read at a time to remember what older entries said
BACK_TOTAL = 1 << 30  # and in all, for one batch


class Repeats:
    """Compares what comes again with what is here, of which it remembers digests."""

    def __init__(self, database: Database, end: int) -> None:
        self._database = database
        self._digests = Digests(end)

    def add(self, entries: Sequence[Entry]) -> None:
        """Remember what was appended."""
        self._digests.add(entries)

    def compared(
        self, entries: Sequence[Entry], outcomes: Sequence[Outcome]
    ) -> tuple[list[Outcome], dict[int, Entry]]:
        """The outcomes with duplicates held against what is here, and that where it differs.

        Raises nothing: the batch is durable. What cannot be compared is too late to be judged.
        """
        result = list(outcomes)
        repeated = [i for i, outcome in enumerate(outcomes) if outcome is Outcome.DUPLICATE]
        if not repeated:
            return result, {}
        suspects: dict[int, int] = {}
        known = self._known([entries[i] for i in repeated])
        for i, found in zip(repeated, known, strict=True):
            if found is None:
                result[i] = Outcome.BEHIND
            elif found.digest != crc32(entries[i].body):
                result[i] = Outcome.CONFLICT
                suspects[i] = found.offset
        return result, self._entries(suspects)

    def _known(self, entries: Sequence[Entry]) -> list[KeyDigest | None]:
        """What is remembered of keys, after reading as much of the journal as that takes."""
        found = self._digests.find(entries)
        size = 0
        while None in found and not self._digests.is_full and size < BACK_TOTAL:
            try:
                before, length = self._before()
            except StorageError:  # damaged, or out of reach just now: `verify` tells which
                break
            if not before:
                break
            self._digests.add_before(before)
            size += length
            missing = [i for i, known in enumerate(found) if known is None]
            again = self._digests.find([entries[i] for i in missing])
            for i, known in zip(missing, again, strict=True):
                found[i] = known
        return found

    def _before(self) -> tuple[list[Entry], int]:
        """The piece of the journal that ends where the digests begin, and its size [byte]."""
        stop = self._digests.start
        rows: list[Row] = []
        size = 0
        sql = f"SELECT {COLUMNS} FROM commits WHERE first < ? ORDER BY first DESC"
        with self._database.cursor(sql, (stop,)) as cursor:
            for row in cursor:
                rows.append(row)
                size += len(row[4])
                if size > BACK_BYTES or stop - row[0] >= RUN:
                    break
        parts = [checked(row, self._database.path) for row in reversed(rows)]
        entries = [entry for _, part in parts for entry in part]
        if parts and parts[0][0] + len(entries) != stop:
            raise CorruptError(f"{self._database.path}: entries before {stop} are lost")
        return entries, size

    def _entries(self, places: dict[int, int]) -> dict[int, Entry]:
        """The entries at some offsets, as far as they can be read."""
        found: dict[int, Entry] = {}
        first, entries = 0, list[Entry]()
        for i, offset in sorted(places.items(), key=lambda item: item[1]):
            if not first <= offset < first + len(entries):
                try:
                    first, entries = self._commit(offset)
                except StorageError:  # dropped by retention, damaged, or out of reach
                    continue
            if offset < first + len(entries):
                found[i] = entries[offset - first]
        return found

    def _commit(self, offset: int) -> tuple[int, list[Entry]]:
        """The commit that holds an offset."""
        sql = f"SELECT {COLUMNS} FROM commits WHERE first <= ? ORDER BY first DESC LIMIT 1"
        rows = self._database.rows(sql, (offset,))
        return checked(rows[0], self._database.path) if rows else (offset, [])
