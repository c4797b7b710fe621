"""Messages that were refused, kept for a look and another try; bounded in number and size."""

from __future__ import annotations

import sqlite3
from collections.abc import MutableSequence, Sequence
from copy import copy
from typing import NamedTuple
from zlib import crc32

import msgspec

from storage.errors import CorruptError, MissingError
from storage.journal.database import Database, Row, typed
from storage.journal.entry import DeadLetter
from storage.space import space

PAYLOAD_BYTES = 1 << 20  # a longer payload is cut
TOTAL_BYTES = 1 << 30  # the oldest make room
DISK_PART, FREE_PART = 20, 4  # of the disk, and of what they take and is free, they take no more
LEAST_BYTES = 64 << 10  # whatever the disk: a few sentences
NO_ID = 2**63 - 1  # no letter has this number


class _Body(msgspec.Struct, frozen=True, array_like=True, gc=False):
    letter: DeadLetter
    payload_size: int


class KeptLetter(NamedTuple):
    """A dead letter as it is kept."""

    id: int
    letter: DeadLetter
    payload_size: int  # [byte] as it came; the kept payload is shorter if it was cut

    @property
    def cut(self) -> bool:
        """Whether the payload is incomplete, so that it cannot be submitted again."""
        return self.payload_size > len(self.letter.payload)

    @property
    def as_it_came(self) -> DeadLetter:
        """The letter for another store, which shall know what it lacks."""
        size = self.payload_size if self.cut else 0
        return msgspec.structs.replace(self.letter, cut_from=size)


class Census(NamedTuple):
    """How much is kept."""

    letters: int
    size: int  # [byte]
    dropped: int  # letters that made room for newer ones


class DeadLetters:
    """The newest dead letters, in the journal's file."""

    def __init__(
        self, database: Database, *, kept: int = 100_000, total_bytes: int = TOTAL_BYTES
    ) -> None:
        self._database = database
        self._kept = kept
        self._total_bytes = total_bytes
        rows = database.rows("SELECT count(*), coalesce(sum(size), 0) FROM letters")
        letters, size = typed(rows[0], int, int)
        (dropped,) = typed(database.rows("SELECT letters_dropped FROM bounds")[0], int)
        self.census = Census(letters, size, dropped)

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
        rows = self._database.rows("SELECT seq FROM sqlite_sequence")
        return typed(rows[0], int)[0] if rows else 0

    def insert(self, connection: sqlite3.Connection, letters: Sequence[DeadLetter]) -> Census:
        """Add letters within a transaction; the census that holds once it is committed.

        First the oldest make room, those among the new ones that find none are dropped as well:
        so the file never grows beyond the bound.
        """
        most = self._most_bytes()
        bodies, sizes = [_body(letter, most) for letter in letters], 0
        fit = len(bodies)
        while fit and len(bodies) - fit < self._kept and sizes + len(bodies[fit - 1]) <= most:
            fit -= 1
            sizes += len(bodies[fit])
        room = Census(self._kept - (len(bodies) - fit), most - sizes, 0)
        kept, size, dropped = self._bounded(connection, room)
        if dropped + fit != self.census.dropped:
            connection.execute("UPDATE bounds SET letters_dropped = ?", (dropped + fit,))
        sequence = connection.execute("SELECT seq FROM sqlite_sequence").fetchone()
        first = 1 + (sequence[0] if sequence else 0)
        for at in range(fit, len(bodies)):
            i, body = first + at, bodies[at]
            row = (i, letters[at].reason, len(body), _crc(i, body), body)
            connection.execute("INSERT INTO letters VALUES (?, ?, ?, ?, ?)", row)
        return Census(kept + len(bodies) - fit, size + sizes, dropped + fit)

    def _most_bytes(self) -> int:
        """What letters may take, by the disk as it is now."""
        try:
            found = space(self._database.path.parent)
        except OSError:  # whoever writes next says what is wrong with the disk
            return self._total_bytes
        spare = (self.census.size + found.free) // FREE_PART
        return min(self._total_bytes, max(LEAST_BYTES, min(found.size // DISK_PART, spare)))

    def get(self, id: int) -> KeptLetter:  # noqa: A002  the column's and the API's name
        """One letter; raises MissingError."""
        rows = self._database.rows("SELECT id, crc32, body FROM letters WHERE id = ?", (id,))
        if not rows:
            raise MissingError(f"there is no dead letter {id}")
        return _kept(rows[0])

    def remove(self, id: int) -> None:  # noqa: A002  the column's and the API's name
        """Forget a letter, once it was submitted again; raises MissingError."""
        with self._database.transaction() as connection:
            found = connection.execute("SELECT size FROM letters WHERE id = ?", (id,)).fetchone()
            if found is None:
                raise MissingError(f"there is no dead letter {id}")
            connection.execute("DELETE FROM letters WHERE id = ?", (id,))
        self.census = self.census._replace(
            letters=self.census.letters - 1, size=self.census.size - found[0]
        )

    def problems(self) -> list[str]:
        """The letters that are not those that were written."""
        found = []
        after = 0
        while ids := self._database.rows(
            "SELECT id FROM letters WHERE id > ? ORDER BY id LIMIT 1000", (after,)
        ):
            for (letter,) in ids:
                try:
                    self.get(letter)
                except CorruptError as exc:
                    found.append(str(exc))
            after = ids[-1][0]
        return found

    def _bounded(self, connection: sqlite3.Connection, room: Census) -> Census:
        """Drop the oldest until no more are left than there is room for."""
        letters, size, dropped = self.census
        doomed = []
        for letter, bytes_ in connection.execute("SELECT id, size FROM letters ORDER BY id"):
            if letters <= room.letters and size <= room.size:
                break
            doomed.append((letter,))
            letters, size, dropped = letters - 1, size - bytes_, dropped + 1
        connection.executemany("DELETE FROM letters WHERE id = ?", doomed)
        return Census(letters, size, dropped)

    def reasons(self) -> dict[str, int]:
        """How many letters are kept of each reason, the commonest first."""
        rows = self._database.rows(
            "SELECT reason, count(*) FROM letters GROUP BY reason ORDER BY count(*) DESC, reason"
        )
        return dict(typed(row, str, int) for row in rows)

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

        Damaged ones are left out; their numbers are added to `damaged`.

        Fewer where their bodies would be larger than `most_bytes` in all, but never none.
        """
        which = "id > ? AND id < ?" + ("" if reason is None else " AND reason = ?")
        order = "DESC" if newest_first else "ASC"
        named = () if reason is None else (reason,)
        sizes = self._database.rows(
            f"SELECT id, size FROM letters WHERE {which} ORDER BY id {order} LIMIT ?",
            (after, before, *named, limit),
        )
        size = 0
        ids: list[int] = []
        for letter, bytes_ in sizes:
            size += bytes_
            if ids and size > most_bytes:
                break
            ids.append(letter)
        if not ids:
            return []
        first, last = sorted((ids[0], ids[-1]))
        rows = self._database.rows(
            f"SELECT id, crc32, body FROM letters WHERE {which} ORDER BY id {order}",
            (first - 1, last + 1, *named),
        )
        found = []
        for row in rows:
            try:
                found.append(_kept(row))
            except CorruptError:
                if damaged is not None:
                    damaged.append(typed(row[:1], int)[0])
        return found


def _body(letter: DeadLetter, most: int) -> bytes:
    """A letter as it is kept: all of it, or its beginning if that would take much of `most`."""
    size, kept = max(len(letter.payload), letter.cut_from), min(PAYLOAD_BYTES, most // 4)
    if len(letter.payload) > kept:
        letter = msgspec.structs.replace(letter, payload=letter.payload[:kept])
    return msgspec.msgpack.encode(_Body(letter, size))


def _crc(letter: int, body: bytes) -> int:
    return crc32(body, crc32(str(letter).encode()))


def letter_of(number: int, body: bytes) -> KeptLetter:
    """What the body of a letter says, which is as it was written."""
    kept = msgspec.msgpack.decode(body, type=_Body)
    return KeptLetter(number, kept.letter, kept.payload_size)


def _kept(row: Row) -> KeptLetter:
    letter, crc, body = typed(row, int, int, bytes)
    if crc != _crc(letter, body):
        raise CorruptError(f"dead letter {letter} does not match its checksum")
    return letter_of(letter, body)
