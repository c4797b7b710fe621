"""A copy of the journal as of one moment, beside a service that goes on writing to it.

A log is only added to: most of it is copied in short transactions, which hold nothing up. A last
one, the moment of the copy, takes what has been added meanwhile and the small tables with it.
"""

# Over 300 lines: the phases of one copy share its cursor and its promises.

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from storage.errors import CorruptError, UnavailableError
from storage.journal.catalogue import Checkpoint, LatestRegistration, Order
from storage.journal.commits import COLUMNS, commit_crc
from storage.journal.database import Row, create, inserted, translated
from storage.journal.letter_numbers import Numbering, numbering
from storage.journal.letter_rows import LETTER, whole_letter
from storage.journal.log_mending import settled_log
from storage.journal.looking import looking
from storage.journal.seal import SUFFIX, Seal, SealFile

PORTION = 4 << 20  # bytes of rows that are held in memory, beside one row
_PAGES = ("page_count", "freelist_count", "page_size")
_SMALL = ("streams", "marks", "catalogue")

T = TypeVar("T")


class Moment(NamedTuple):
    """What the journal says of the rest of the store, at the moment of the copy."""

    start: int
    end: int
    letters: int
    committed_ns: int  # when its last commit was made, 0 before the first
    checkpoints: list[Checkpoint]
    rows: dict[str, int]  # of each group of the trajectory
    components: set[str]
    generation: int  # of the order that counts


class JournalCopy:
    """Reads the journal at `source`, which others may write to, and makes `to`."""

    def __init__(
        self, source: Path, to: Path, rest: Callable[[], None], *, is_in_use: bool
    ) -> None:
        """Begin with an empty copy; raises UnavailableError, CorruptError.

        A journal that is not in use has to stay so: its directory is locked.
        """
        self._source, self._to, self._rest, self._is_in_use = source, to, rest, is_in_use
        self.damage: list[str] = []  # rows that are damaged in the source, and copied as they are
        self._commits, self._letters = -1, 0  # first of the last commit, and the last letter
        self._identity = _identity(source)
        if not is_in_use and (said := _unsettled(source)):
            raise CorruptError(
                f"{'; '.join(said)}. Let twin serve start, which mends it, and make the backup then"
            )
        self._from = self._translating(lambda: _opened(source, is_in_use=is_in_use), source)
        try:
            create(to)
            self._into = self._translating(lambda: _written(to), to)
        except BaseException:
            self._from.close()
            raise

    def close(self) -> None:
        """Let go of both files; may be called twice."""
        self._from.close()
        self._into.close()

    @property
    def size(self) -> int:
        """Bytes that a copy takes, about."""
        pages = [self._from.execute(f"PRAGMA {name}").fetchone()[0] for name in _PAGES]
        return int((pages[0] - pages[1]) * pages[2])

    def follow(self) -> None:
        """Copy what there is by now, but for the last few megabytes."""
        while self._translating(self._portion, self._source):
            self._synced()
        while self._translating(self._portion_of_letters, self._source):
            self._synced()

    def settle(self, meanwhile: Callable[[Moment], T]) -> tuple[Moment, T]:
        """Bring the copy to one moment, and do something of which the catalogue says the same.

        May be called again, for a later moment.
        """
        _require_same(self._source, self._identity)
        return self._translating(lambda: self._settled(meanwhile), self._source)

    def _settled(self, meanwhile: Callable[[Moment], T]) -> tuple[Moment, T]:
        seal = self._seal()
        self._from.execute("BEGIN")
        try:
            self._from.execute("SELECT start FROM bounds").fetchone()  # now it stands still
            moment = self._moment()
            done = meanwhile(moment)
            while self._portion() or self._portion_of_letters():
                pass
            self._let_go()
            self._small_tables()
        finally:
            self._from.execute("COMMIT")
        self._synced()
        if seal is not None and moment.end < seal.end:
            raise CorruptError(
                f"{self._source}: lines {moment.end} to {seal.end - 1} were acknowledged and are "
                "gone; stop the service, and let twin check say what else is damaged"
            )
        return moment, done

    def _seal(self) -> Seal | None:
        """The seal of the source; what is wrong with it is damage, as the copy gets a good one."""
        file = SealFile(self._source.with_suffix(SUFFIX))
        seal, said = file.read()
        if seal is None and not said and self._named("sealed", object):
            said = [f"{file.path} is gone: whether all that was acknowledged is here is not known"]
        if seal is None or not self._is_in_use:  # else it may just be written
            self.damage += [text for text in said if text not in self.damage]
        return seal

    def sealed(self, moment: Moment) -> None:
        """Write the seal of the copy, which says how far it goes."""
        row = self._into.execute("SELECT crc32 FROM commits ORDER BY first DESC LIMIT 1").fetchone()
        seal, _ = SealFile(self._source.with_suffix(SUFFIX)).read()
        number = 1 if seal is None else seal.number
        with closing(SealFile(self._to.with_suffix(SUFFIX))) as file:
            file.write(Seal(number, moment.end, row[0] if row else -1, moment.letters))

    def generation(self) -> int:
        """The order that counts in the source by now."""
        return self._translating(self._generation, self._source)

    def _moment(self) -> Moment:
        (start,) = self._from.execute("SELECT start FROM bounds").fetchone()
        last = self._from.execute(
            "SELECT first + count, committed_ns FROM commits ORDER BY first DESC LIMIT 1"
        ).fetchone() or (start, 0)
        return Moment(
            start=start,
            end=last[0],
            letters=self._numbering().last,
            committed_ns=last[1],
            checkpoints=self._kind("checkpoint", Checkpoint),
            rows={name: rows for name, (rows,) in self._named("array", tuple[int])},
            components={kept.name for kept in self._kind("component", LatestRegistration)},
            generation=self._generation(),
        )

    def _generation(self) -> int:
        return max((order.generation for order in self._kind("order", Order)), default=0)

    def _kind(self, kind: str, form: type[T]) -> list[T]:
        return [value for _, value in self._named(kind, form)]

    def _named(self, kind: str, form: type[T]) -> list[tuple[str, T]]:
        rows = self._from.execute("SELECT name, body FROM catalogue WHERE kind = ?", (kind,))
        try:
            return [(name, msgspec.msgpack.decode(body, type=form)) for name, body in rows]
        except msgspec.MsgspecError as exc:
            raise CorruptError(f"{self._source}: a {kind} in the catalogue is damaged") from exc

    def _portion(self) -> bool:
        """Copy some commits; whether there may be more."""
        rows, is_all = _some(
            self._from.execute(
                f"SELECT {COLUMNS} FROM commits WHERE first > ? ORDER BY first", (self._commits,)
            )
        )
        for first, count, committed_ns, crc, blob in rows:
            if crc != commit_crc(first, count, committed_ns, blob):
                self.damage.append(
                    f"{self._source}: entries {first} to {first + count - 1} do not match their "
                    "checksum"
                )
        self._put("commits", rows)
        self._commits = rows[-1][0] if rows else self._commits
        return not is_all

    def _portion_of_letters(self) -> bool:
        """Copy some dead letters; whether there may be more."""
        try:
            rows, is_all = _some(
                self._from.execute(
                    f"SELECT id, {LETTER} FROM letters WHERE id > ? ORDER BY id", (self._letters,)
                )
            )
        except sqlite3.DatabaseError as exc:
            if not isinstance(translated(exc, self._source), CorruptError):
                raise
            rows, is_all = self._next_letter(exc), False
        self._put("letters", [self._as_found(row) for row in rows])
        self._letters = rows[-1][0] if rows else self._letters
        return not is_all

    def _next_letter(self, exc: sqlite3.DatabaseError) -> list[Row]:
        """The next letter alone, of whose row only the number may be readable."""
        where = "FROM letters WHERE id > ? ORDER BY id LIMIT 1"
        try:
            return self._from.execute(f"SELECT id, {LETTER} {where}", (self._letters,)).fetchall()
        except sqlite3.DatabaseError:
            ids = self._from.execute(f"SELECT id {where}", (self._letters,)).fetchall()
            if not ids:  # it is the table that is damaged
                raise exc from None
            return [(*ids[0], None, None, None, None)]

    def _as_found(self, row: Row) -> Row:
        """The row, with something that is no letter either where SQLite takes nothing else."""
        number, reason, size, crc, body = row
        try:
            return (number, whole_letter(number, row[1:]).letter.reason, size, crc, body)
        except CorruptError as exc:
            if str(exc) not in self.damage:
                self.damage.append(str(exc))
        text = (reason or b"").decode(errors="replace")
        return (number, text, size or 0, crc or 0, body or b"")

    def _numbering(self) -> Numbering:
        """The numbers of the letters; damage of their count is told, the copy gets a good one."""
        found = numbering(lambda sql: self._from.execute(sql).fetchall())
        if found.damage is not None and found.damage not in self.damage:
            self.damage.append(found.damage)
        return Numbering(found.last)

    def _let_go(self) -> None:
        """What retention, or another try, has removed from the source since it was copied."""
        (first,) = self._from.execute("SELECT coalesce(min(first), 0) FROM commits").fetchone()
        kept = [row[0] for row in self._from.execute("SELECT id FROM letters")]
        with self._writing():
            self._into.execute("DELETE FROM commits WHERE first < ?", (first,))
            self._into.execute("CREATE TEMP TABLE kept (id INTEGER PRIMARY KEY)")
            self._into.executemany("INSERT INTO kept VALUES (?)", [(i,) for i in kept])
            self._into.execute("DELETE FROM letters WHERE id NOT IN (SELECT id FROM kept)")
            self._into.execute("DROP TABLE kept")

    def _small_tables(self) -> None:
        with self._writing():
            bounds = self._from.execute("SELECT * FROM bounds").fetchone()
            self._into.execute("REPLACE INTO bounds VALUES (?, ?, ?)", bounds)
            self._numbering().write(self._into)
        for table in _SMALL:
            with self._writing():
                self._into.execute(f"DELETE FROM {table}")
            rows = self._from.execute(f"SELECT * FROM {table}")
            while portion := rows.fetchmany(4096):
                self._put(table, portion)

    def _put(self, table: str, rows: Sequence[Row]) -> None:
        with self._writing():
            inserted(self._into, f"INSERT INTO {table} VALUES", rows)

    def _writing(self) -> _Writing:
        return _Writing(self._into, self._to)

    def _synced(self) -> None:
        """Let what was written reach the disk before more is; then rest."""
        descriptor = os.open(self._to, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as exc:
            raise UnavailableError(f"{self._to} cannot be written: {exc.strerror}") from exc
        finally:
            os.close(descriptor)
        self._rest()

    def _translating(self, work: Callable[[], T], path: Path) -> T:
        try:
            return work()
        except sqlite3.Error as exc:
            raise translated(exc, path) or CorruptError(f"{path} is damaged: {exc}") from exc


class _Writing:
    """A transaction of the copy."""

    def __init__(self, into: sqlite3.Connection, path: Path) -> None:
        self._into, self._path = into, path

    def __enter__(self) -> None:
        self._into.execute("BEGIN")

    def __exit__(self, kind: type[BaseException] | None, exc: object, _: object) -> None:
        if kind is None:
            try:
                self._into.execute("COMMIT")
            except sqlite3.Error as error:
                raise translated(error, self._path) or error from error
            return
        with suppress(sqlite3.Error):
            self._into.execute("ROLLBACK")
        if isinstance(exc, sqlite3.Error):
            raise translated(exc, self._path) or exc from exc


def _unsettled(source: Path) -> list[str]:
    """What a start would have to mend in the log of a journal before all of it can be read."""
    seal, _ = SealFile(source.with_suffix(SUFFIX)).read()
    return settled_log(source, None if seal is None else seal.end, is_look=True)


def _opened(source: Path, *, is_in_use: bool) -> sqlite3.Connection:
    """A connection that only reads; it changes nothing."""
    if is_in_use:  # there is a log, though it may be empty just now
        uri = f"file:{quote(str(source.absolute()))}?mode=ro"
        opened = sqlite3.connect(uri, uri=True, isolation_level=None)
    else:
        opened = looking(source)
    opened.execute("PRAGMA busy_timeout=5000")
    opened.execute("PRAGMA cache_size=-4000")  # KiB
    return opened


def _written(to: Path) -> sqlite3.Connection:
    """A connection to a file that nobody needs until it is whole."""
    opened = sqlite3.connect(to, isolation_level=None)
    opened.execute("PRAGMA journal_mode=OFF")
    opened.execute("PRAGMA synchronous=OFF")
    opened.execute("PRAGMA cache_size=-8000")  # KiB
    return opened


def _some(rows: sqlite3.Cursor) -> tuple[list[Row], bool]:
    """Some megabytes of rows, and whether these were all."""
    found, size = list[Row](), 0
    with closing(rows):
        try:
            for row in rows:
                found.append(row)
                size += len(row[4] or b"")
                if size >= PORTION or len(found) >= 4096:
                    return found, False
        except sqlite3.DatabaseError:
            if not found:  # else those before the damage first
                raise
            return found, False
    return found, True


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _require_same(path: Path, identity: tuple[int, int]) -> None:
    """Raises UnavailableError where another file took the place of the one that is copied."""
    with suppress(OSError):
        if _identity(path) == identity:
            return
    raise UnavailableError(
        f"{path} was removed or exchanged, say by twin rebuild, while it was copied: try again"
    )
