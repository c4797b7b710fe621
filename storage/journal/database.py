"""One SQLite file: opened durably, written in transactions, its complaints translated."""

# Over 300 lines: everything that says `sqlite3`, so that its complaints are translated once.

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from storage.durable import disk, sync_directory
from storage.errors import CorruptError, StorageError, UnavailableError
from storage.journal.looking import looking
from storage.journal.place import OpenedFiles
from storage.journal.readonly import is_about_writing, reading
from storage.journal.schema import APPLICATION_ID, TABLES, VERSION
from storage.journal.wal import lost_commits
from storage.space import part

LOG_PAGES = 8_000  # of 4 KiB: with some 32 MB `checkpoint_wal` lets the log begin again
LONGEST_LOG_PAGES = 32_000  # where nobody calls it, a commit does it, which takes a while
PAGE = 4096  # bytes
LOG_PART, LONGEST_LOG_PART = 64, 16  # of a small disk: what the log may take of it
PORTIONS = (256, 64, 16, 4, 1)  # rows that are inserted at a time
# Checked in full at every opening.
SMALL_TABLES = ("bounds", "streams", "marks", "catalogue", "sqlite_sequence")

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
# What SQLite says when the disk is full, broken, gone or in use by somebody else.
_UNAVAILABLE = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOLFS,
}

_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"

Row = tuple[Any, ...]


def typed(row: Row, *types: type) -> Row:
    """The row, if its values are of these types; SQLite takes any value in any column.

    Raises CorruptError for others.
    """
    if tuple(type(value) for value in row) != types:
        raise CorruptError(f"a row that begins with {str(row[:2])[:200]} is not as it was written")
    return row


def translated(exc: sqlite3.Error, path: Path) -> StorageError | None:
    """What a complaint of SQLite means to the caller; None if it is a defect of ours."""
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    if isinstance(exc, sqlite3.ProgrammingError) and "closed" in str(exc):
        return UnavailableError(f"{path} is not open any more")
    # Python's own complaint, which has no code, is about a text that is not UTF-8.
    undecodable = code == 0 and isinstance(exc, sqlite3.OperationalError)
    if code in _CORRUPT or undecodable:
        return CorruptError(f"{path} is damaged: {exc}")
    if code in _UNAVAILABLE:
        return UnavailableError(f"{path} cannot be written or read: {exc}")
    return None


class Database:
    """A connection that any thread may use, one at a time."""

    def __init__(self, path: Path, *, is_look: bool = False) -> None:
        """Open the file, create it if there is none; raises CorruptError, UnavailableError.

        With `is_look` nothing is created or changed, and a damaged log counts up to the damage.
        """
        self.path = path
        self._lock = threading.RLock()
        self._wal_lock = threading.Lock()  # taken before the other
        self.unwritable: UnavailableError | None = None  # why it is open for reading only
        self._readers: list[Reader] = []  # of this process, of the same file
        self._checkpointing: sqlite3.Connection | None
        if is_look:
            with self._translating():
                self._connection = self._checkpointing = _looked_at(path)
            return
        with disk():
            if not path.exists():
                create(path)
            lost = lost_commits(path.with_name(path.name + "-wal"))
        if lost > 1:
            raise CorruptError(f"the log of {path} is damaged, {lost} commits are beyond reach")
        with self._translating():
            self._connect()

    def _connect(self) -> None:
        """Open for reading and writing, or for reading alone where the disk takes nothing."""
        try:
            self._connection = connection(self.path)
            self._checkpointing = _checkpointing(self.path)
            self.unwritable = None
        except UnavailableError as exc:
            if not is_about_writing(exc):
                raise
            self._connection = reading(self.path)
            self._checkpointing = None
            self.unwritable = exc
            try:
                _identify(self._connection, self.path)
                _inspect(self._connection, self.path)
            except BaseException:
                self._connection.close()
                raise
        self._files = OpenedFiles(self.path, has_log=self.unwritable is None)

    def _require_writable(self) -> None:
        """Raises UnavailableError where a commit would not last."""
        self._files.require(self._connection)
        if self.unwritable is not None and self._wal_lock.acquire(blocking=False):
            try:  # there may be room by now; whatever is left open stays as it was opened, and
                # so does what SQLite shares among the connections of a process
                self._close()
                for reader in self._readers:
                    reader.close()
                self._connect()
            finally:
                self._wal_lock.release()
        if self.unwritable is not None:
            raise UnavailableError(str(self.unwritable)) from self.unwritable

    def reader(self) -> Reader:
        """A second connection to the file, for reading alone."""
        self._readers.append(Reader(self.path))
        return self._readers[-1]

    def prove(self) -> None:
        """Write something that changes nothing; raises UnavailableError where that fails."""
        with self.transaction() as connection:
            connection.execute("UPDATE bounds SET start = start")

    @property
    def log_bytes(self) -> int:
        """From how long a log on it is to be checkpointed; a small disk has no room for more."""
        return part(self.path.parent, LOG_PART, LOG_PAGES * PAGE)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """All rows of a query."""
        with self._lock, self._translating():
            return self._connection.execute(sql, parameters).fetchall()

    @contextmanager
    def cursor(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[sqlite3.Cursor]:
        """The rows of a query one by one; nobody else gets a turn meanwhile."""
        with self._lock, self._translating():
            cursor = self._connection.execute(sql, parameters)
            try:
                yield cursor
            finally:
                cursor.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is durable afterwards, or nothing of it has happened."""
        with self._lock, self._translating():
            self._require_writable()
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._files.require(self._connection)
                self._connection.execute("COMMIT")
            except BaseException as exc:
                if getattr(exc, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY:
                    # opened for reading, as the disk was: another opening may give more
                    self.unwritable = UnavailableError(f"{self.path} cannot be written: {exc}")
                if self._connection.in_transaction:
                    with suppress(sqlite3.Error):  # the first complaint is the one to hear
                        self._connection.execute("ROLLBACK")
                raise

    def checkpoint_wal(self) -> int:
        """Copy the write-ahead log into the file; the pages that were left over in the log.

        Commits go on meanwhile, but for a moment at the end of a long log: what they added has
        to be copied as well before the log can begin again.
        """
        with self._wal_lock, self._translating():
            if self._checkpointing is None:
                return 0
            pages, done = _checkpointed(self._checkpointing)
            if pages != done and pages * PAGE >= self.log_bytes:
                with self._lock:
                    pages, done = _checkpointed(self._checkpointing)
        return pages - done

    def problems(self) -> list[str]:
        """What SQLite finds wrong with the structure of the whole file."""
        with self._lock:
            try:
                found = self._connection.execute("PRAGMA integrity_check").fetchall()
            except sqlite3.DatabaseError as exc:
                return [f"{self.path} is damaged: {exc}"]
        return [f"{self.path}: {text}" for (text,) in found if text != "ok"]

    def close(self) -> None:
        """Checkpoint the log into the file and let go."""
        with self._wal_lock, self._lock, self._translating():
            self._close()

    def _close(self) -> None:
        if self._checkpointing is not None:
            self._checkpointing.close()
        self._connection.close()

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            meaning = translated(exc, self.path)
            if meaning is None:
                raise
            raise meaning from exc
        except UnicodeDecodeError as exc:  # a text, or SQLite's own complaint about a damaged one
            raise CorruptError(f"{self.path} is damaged: {exc}") from exc


class Reader(Database):
    """A second connection, which only reads: whoever commits does not wait for who reads by it."""

    def __init__(self, path: Path) -> None:
        """Of a file that a `Database` of this process has open."""
        self.path = path
        self._lock = threading.RLock()
        self._opened: sqlite3.Connection | None = None

    @property
    def _connection(self) -> sqlite3.Connection:  # type: ignore[override]  # opened when asked
        if self._opened is None:
            self._opened = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=ro",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=5.0,
            )
        return self._opened

    def close(self) -> None:
        """Let go; the next question opens it again."""
        with self._lock, self._translating():
            if self._opened is not None:
                self._opened.close()
                self._opened = None


def inserted(connection: sqlite3.Connection, statement: str, rows: Sequence[Row]) -> None:
    """Run `statement`, which ends with VALUES, for all rows, many at a time.

    Python gives up the interpreter's lock around every single execution: with one for each row,
    a commit of a hundred rows would queue a hundred times behind a thread that computes.
    """
    at = 0
    for portion in PORTIONS:
        while len(rows) - at >= portion:
            width = len(rows[at])
            values = ", ".join([f"({', '.join('?' * width)})"] * portion)
            flat = [value for row in rows[at : at + portion] for value in row]
            connection.execute(f"{statement} {values}", flat)
            at += portion


def connection(path: Path) -> sqlite3.Connection:
    """A connection whose commits are on disk when they return."""
    opened = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    with _opening(opened, path):
        _identify(opened, path)  # before anything that might write
        opened.execute("PRAGMA journal_mode=WAL")
        opened.execute("PRAGMA synchronous=FULL")
        longest = part(path.parent, LONGEST_LOG_PART, LONGEST_LOG_PAGES * PAGE)
        opened.execute(f"PRAGMA wal_autocheckpoint={max(1, longest // PAGE)}")
        opened.execute(f"PRAGMA journal_size_limit={longest}")
        opened.execute("PRAGMA cell_size_check=ON")
        opened.execute("PRAGMA cache_size=-16000")  # KiB
        _inspect(opened, path)
    return opened


def _looked_at(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing."""
    opened: sqlite3.Connection = looking(path)
    with _opening(opened, path):
        _identify(opened, path)
        opened.execute("PRAGMA cell_size_check=ON")
        _inspect(opened, path)
    return opened


@contextmanager
def _opening(opened: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Closes what cannot be used. Our statements are right: what is wrong is the file."""
    try:
        yield
    except BaseException as exc:
        opened.close()
        if isinstance(exc, sqlite3.DatabaseError):
            raise translated(exc, path) or CorruptError(f"{path} is damaged: {exc}") from exc
        raise


def _checkpointing(path: Path) -> sqlite3.Connection:
    """A second connection, which does nothing but checkpoint the log."""
    opened = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.0)
    opened.execute("PRAGMA synchronous=FULL")
    return opened


def _checkpointed(opened: sqlite3.Connection) -> tuple[int, int]:
    """The pages of the log, and how many of them are in the file now."""
    _, pages, done = opened.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return int(pages), int(done)


def _identify(opened: sqlite3.Connection, path: Path) -> None:
    application = opened.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION_ID:
        raise CorruptError(f"{path} is not a journal: its application id is {application:#x}")
    version = opened.execute("PRAGMA user_version").fetchone()[0]
    if version != VERSION:
        raise StorageError(
            f"{path} has layout {version}, this program reads layout {VERSION}: "
            "use the release that wrote it"
        )


def _inspect(opened: sqlite3.Connection, path: Path) -> None:
    """Everything that is cheap to check, whatever the size of the file."""
    if opened.execute(_SCHEMA).fetchall() != _expected_schema():
        raise CorruptError(f"the table definitions of {path} are not those that were written")
    for table in SMALL_TABLES:
        found = opened.execute(f"PRAGMA integrity_check({table})").fetchall()
        if found != [("ok",)]:
            raise CorruptError(f"{path}, table {table}: {found[0][0]}")


def _expected_schema() -> list[Row]:
    model = sqlite3.connect(":memory:")
    try:
        model.executescript(TABLES)
        return model.execute(_SCHEMA).fetchall()
    finally:
        model.close()


def create(path: Path) -> None:
    """Create the tables aside: a file of this name is never half a journal.

    Raises UnavailableError where the disk does not obey, CorruptError for what is no journal.
    """
    aside = path.with_name(path.name + ".new")
    for leftover in aside.parent.glob(aside.name + "*"):
        leftover.unlink()
    fresh = sqlite3.connect(aside, isolation_level=None)
    try:
        fresh.executescript(
            f"PRAGMA synchronous=FULL; BEGIN; {TABLES} PRAGMA user_version={VERSION};"
            f"PRAGMA application_id={APPLICATION_ID}; COMMIT;"
        )
    except sqlite3.Error as exc:
        raise translated(exc, path) or exc from exc
    finally:
        fresh.close()
    aside.replace(path)
    sync_directory(path.parent)
