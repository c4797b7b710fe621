"""Messages that were refused, kept for a look and another try; bounded in number and size.

A damaged row is named by its number and hides no other: nothing beside its body is believed of it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Generator, MutableSequence, Sequence
from contextlib import closing, suppress
from copy import copy
from typing import NamedTuple

from storage.errors import CorruptError, MissingError, UnavailableError
from storage.journal.database import Database, Row, typed
from storage.journal.entry import DeadLetter
from storage.journal.letter_numbers import Numbering, numbering
from storage.journal.letter_rows import (
    LETTER,
    REASON,
    SIZE,
    KeptLetter,
    body_of,
    has_reason,
    letter_crc,
    whole_letter,
)
from storage.space import space

TOTAL_BYTES = 1 << 30  # the oldest make room
DISK_PART, FREE_PART = 20, 4  # of the disk, and of what they take and is free, they take no more
LEAST_BYTES = 64 << 10  # whatever the disk: a few sentences
NO_ID = 2**63 - 1  # no letter has this number


class Census(NamedTuple):
    """How much is kept."""

    letters: int
    size: int  # [byte]
    dropped: int  # letters that made room for newer ones
    last: int  # the number of the last letter that was ever kept, 0 before the first


class DeadLetters:
    """The newest dead letters, in the journal's file."""

    def __init__(
        self, database: Database, *, kept: int = 100_000, total_bytes: int = TOTAL_BYTES
    ) -> None:
        self._database = database
        self._kept = kept
        self._total_bytes = total_bytes
        self._words: set[str] = set()  # reasons that a whole letter has
        (letters,) = database.rows("SELECT count(*) FROM letters")[0]
        (dropped,) = typed(database.rows("SELECT letters_dropped FROM bounds")[0], int)
        self.numbering = numbering(database.rows)
        self.census = Census(letters, self._size(), dropped, self.numbering.last)

    def read_by(self, database: Database) -> DeadLetters:
        """The same letters by another connection, to be listed in any thread; not their census."""
        view = copy(self)
        view._database = database
        return view

    def __len__(self) -> int:
        return self.census.letters

    @property
    def last(self) -> int:
        """The number of the last letter that was ever kept, 0 before the first."""
        return self.census.last

    def number_behind(self, last: int, *, is_look: bool) -> None:
        """Let new letters have numbers above `last`, and count from there on disk too if it can."""
        self.census = self.census._replace(last=max(self.census.last, last))
        if not is_look:
            with suppress(UnavailableError), self._database.transaction() as connection:
                Numbering(self.census.last).write(connection)

    def insert(self, connection: sqlite3.Connection, letters: Sequence[DeadLetter]) -> Census:
        """Add letters within a transaction; the census that holds once it is committed.

        First the oldest make room, those among the new ones that find none are dropped as well:
        so the file never grows beyond the bound.
        """
        most = self._most_bytes()
        bodies, sizes = [body_of(letter, most) for letter in letters], 0
        fit = len(bodies)
        while fit and len(bodies) - fit < self._kept and sizes + len(bodies[fit - 1]) <= most:
            fit -= 1
            sizes += len(bodies[fit])
        room = (self._kept - (len(bodies) - fit), most - sizes)
        kept, size, dropped, last = self._bounded(connection, *room)
        if dropped + fit != self.census.dropped:
            connection.execute("UPDATE bounds SET letters_dropped = ?", (dropped + fit,))
        for at in range(fit, len(bodies)):
            i, body = last + 1 + at, bodies[at]
            row = (i, letters[at].reason, len(body), letter_crc(i, body), body)
            connection.execute("INSERT INTO letters VALUES (?, ?, ?, ?, ?)", row)
        last += len(bodies) if fit < len(bodies) else 0
        return Census(kept + len(bodies) - fit, size + sizes, dropped + fit, last)

    def _most_bytes(self) -> int:
        """What letters may take, by the disk as it is now."""
        try:
            found = space(self._database.path.parent)
        except OSError:  # whoever writes next says what is wrong with the disk
            return self._total_bytes
        spare = (self.census.size + found.free) // FREE_PART
        return min(self._total_bytes, max(LEAST_BYTES, min(found.size // DISK_PART, spare)))

    def get(self, id: int) -> KeptLetter:  # noqa: A002  the column's and the API's name
        """One letter; raises MissingError, CorruptError."""
        for _, row in self._walk(LETTER, id - 1, id + 1):
            return whole_letter(id, row)
        raise MissingError(f"there is no dead letter {id}")

    def remove(self, id: int) -> None:  # noqa: A002  the column's and the API's name
        """Forget a letter, once it was submitted again; raises MissingError."""
        with self._database.transaction() as connection:
            found = connection.execute(f"SELECT {SIZE} FROM letters WHERE id = ?", (id,)).fetchone()
            if found is None:
                raise MissingError(f"there is no dead letter {id}")
            connection.execute("DELETE FROM letters WHERE id = ?", (id,))
        self.census = self.census._replace(
            letters=self.census.letters - 1, size=self.census.size - found[0]
        )

    def problems(self) -> list[str]:
        """The letters that are not those that were written."""
        found = []
        for number, row in self._walk(LETTER, -NO_ID):
            try:
                whole_letter(number, row)
            except CorruptError as exc:
                found.append(str(exc))
        return found

    def _size(self) -> int:
        """The bytes of all bodies."""
        try:
            rows = self._database.rows(f"SELECT coalesce(sum({SIZE}), 0) FROM letters")
        except CorruptError:
            return sum(row[0] for _, row in self._walk(SIZE, -NO_ID) if row)
        return int(rows[0][0])

    def _bounded(self, connection: sqlite3.Connection, most: int, most_bytes: int) -> Census:
        """Drop the oldest until no more are left than there is room for."""
        letters, size, dropped, last = self.census
        doomed = []
        with closing(self._walk(SIZE, -NO_ID)) as walk:
            for number, row in walk:
                if letters <= most and size <= most_bytes:
                    break
                doomed.append((number,))
                letters, size, dropped = letters - 1, size - (row[0] if row else 0), dropped + 1
        connection.executemany("DELETE FROM letters WHERE id = ?", doomed)
        return Census(letters, size, dropped, last)

    def reasons(self) -> dict[str, int]:
        """How many letters are kept of each reason, the commonest first.

        Of a reason that no whole letter has, as damage makes one of another, none are counted.
        """
        counts: Counter[bytes | None]
        try:
            sql = f"SELECT {REASON}, count(*) FROM letters GROUP BY 1"
            counts = Counter(dict(self._database.rows(sql)))
        except CorruptError:
            counts = Counter(row[0] for _, row in self._walk(REASON, -NO_ID) if row)
        words = {data.decode(errors="replace"): count for data, count in counts.items() if data}
        found = {word: count for word, count in words.items() if self._is_reason(word)}
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def _is_reason(self, word: str) -> bool:
        if word not in self._words:
            with closing(self._walk(LETTER, which=("reason = ?", (word,)))) as walk:
                if any(has_reason(number, row, word) for number, row in walk):
                    self._words.add(word)
        return word in self._words

    def list(
        self,
        limit: int = 100,
        after: int = 0,
        before: int = NO_ID,
        *,
        reason: str | None = None,
        newest_first: bool = False,
        most_bytes: int = TOTAL_BYTES,
        damaged: MutableSequence[int] | None = None,
    ) -> list[KeptLetter]:
        """At most `limit` letters with after < id < before, oldest first unless told otherwise.

        Damaged ones are left out; their numbers are added to `damaged`, whatever their reason.

        Fewer where their bodies would be larger than `most_bytes` in all, but never none.
        """
        found, size, looked = [], 0, 0
        which = None if reason is None else self._may_have(reason)
        with closing(
            self._walk(LETTER, after, before, newest_first=newest_first, which=which)
        ) as walk:
            for number, row in walk:
                size += len(row[3]) if row and isinstance(row[3], bytes) else 0
                if looked and size > most_bytes:
                    break
                try:
                    kept = whole_letter(number, row)
                except CorruptError:
                    if damaged is not None:
                        damaged.append(number)
                else:
                    if reason is not None and kept.letter.reason != reason:
                        continue
                    found.append(kept)
                looked += 1
                if looked == limit:
                    break
        return found

    def _may_have(self, reason: str) -> tuple[str, tuple[str, ...]]:
        """Which rows may be letters of a reason: those that have it, and those whose is unknown."""
        words = tuple(self._words)
        known = ", ".join("?" * len(words))
        which = f"(reason = ? OR typeof(reason) <> 'text' OR reason NOT IN ({known}))"
        return which, (reason, *words)

    def _walk(
        self,
        columns: str,
        after: int = 0,
        before: int = NO_ID,
        *,
        newest_first: bool = False,
        which: tuple[str, tuple[str, ...]] | None = None,
    ) -> Generator[tuple[int, Row | None]]:
        """Number and columns of each letter, None for those of a row that SQLite cannot read.

        From the first such row on, those come as well that `which` leaves out.
        """
        order = "DESC" if newest_first else "ASC"
        span = "FROM letters WHERE id > ? AND id < ?"
        while True:
            filter_, named = ("", ()) if which is None else (f"AND {which[0]}", which[1])
            sql = f"SELECT id, {columns} {span} {filter_} ORDER BY id {order}"
            try:
                with self._database.cursor(sql, (after, before, *named)) as rows:
                    for number, *row in rows:
                        after, before = (after, number) if newest_first else (number, before)
                        yield number, tuple(row)
                return
            except CorruptError:
                sql = f"SELECT id {span} ORDER BY id {order} LIMIT 1"  # reads no columns
                ids = self._database.rows(sql, (after, before))
                if not ids:
                    raise
            number, which = ids[0][0], None
            after, before = (after, number) if newest_first else (number, before)
            yield number, self._alone(columns, number)

    def _alone(self, columns: str, number: int) -> Row | None:
        try:
            rows = self._database.rows(f"SELECT {columns} FROM letters WHERE id = ?", (number,))
        except CorruptError:
            return None
        return rows[0] if rows else None
