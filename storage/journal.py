"""The truth: everything that was ever observed, in the order of arrival, exactly once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from storage.catalogue import Catalogue, Component
from storage.commits import FORM, checked, commit_rows
from storage.database import Database, Row, inserted, typed
from storage.dead_letters import DeadLetters
from storage.entry import DeadLetter, Entry
from storage.errors import CorruptError, MissingError, StorageError
from storage.marks import Judgement, Jump, Mark, Marks, Outcome, sealed
from storage.repeats import Repeats

PAGE_BYTES = 4 << 20  # how much `read` holds in memory, beside one row
PAGE_ROWS = 1000
LARGEST = 2**63 - 1  # SQLite's integers


class Appended(NamedTuple):
    """What became of a batch; all of it is on disk."""

    first: int  # the offset of the first accepted entry; the others follow
    outcomes: list[Outcome]  # one for each entry handed over
    missing: int  # sequence numbers newly noticed to be missing
    filled: int  # sequence numbers that had been missing and came after all
    kept: dict[int, Entry] = {}  # noqa: RUF012  never changed: what is here under the key of each conflict, if it still is
    jumps: Sequence[Jump] = ()  # numbers far above the last of their streams


class Journal:
    """`journal.sqlite`: observations, dead letters, catalogue. Used by one thread at a time."""

    def __init__(self, path: Path, *, letters_kept: int = 100_000) -> None:
        """Open or create; raises CorruptError for a damaged file, UnavailableError."""
        self._database = Database(path)
        try:
            self.dead_letters = DeadLetters(self._database, kept=letters_kept)
            self.catalogue = Catalogue(self._database)
            self._marks = Marks(_mark_rows(self._database))
            self._start, self._end = self._extent()
            self._repeats = Repeats(self._database, self._end)
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def start(self) -> int:
        """The first offset that is still kept."""
        return self._start

    @property
    def end(self) -> int:
        """The offset that the next entry will get."""
        return self._end

    @property
    def streams(self) -> int:
        """How many (component, source, boot) are known."""
        return len(self._marks)

    def mark(self, component: str, source: str, boot: int) -> Mark | None:
        """What is known of a stream, or None."""
        return self._marks.get((component, source, boot))

    def marks_of(self, component: str) -> list[tuple[tuple[str, int], Mark]]:
        """Source, boot and mark of every stream of a component, in their order."""
        return self._marks.of(component)

    def append(
        self,
        entries: Sequence[Entry],
        dead_letters: Sequence[DeadLetter] = (),
        *,
        now_ns: int,
    ) -> Appended:
        """Make new entries and dead letters durable in one transaction.

        After UnavailableError nothing has happened and the same batch may be tried again.
        Raises ValueError for numbers beyond 63 bits, before anything is written.
        """
        for entry in entries:
            if not (0 <= entry.seq <= LARGEST and 0 <= entry.boot <= LARGEST):
                raise ValueError(
                    f"{entry.component}: boot {entry.boot}, seq {entry.seq} is not within 63 bits"
                )
        judgement = self._marks.judgement(entries)
        if judgement.accepted or dead_letters:
            self._commit(judgement, dead_letters, now_ns)
        first = self._end
        self._end += len(judgement.accepted)
        self._repeats.add(judgement.accepted)
        outcomes, kept = self._repeats.compared(entries, judgement.outcomes)
        missing, filled, jumps = judgement.missing, judgement.filled, judgement.jumps
        return Appended(first, outcomes, missing, filled, kept, jumps)

    def adopt(self, entries: Sequence[Entry], origin: Journal, *, now_ns: int) -> None:
        """Make entries of another journal durable, in the order given, with that one's marks.

        Nothing is judged: they were when they arrived. Raises MissingError for a stream that
        `origin` does not know.
        """
        last = {(e.component, e.source, e.boot): i for i, e in enumerate(entries)}
        touched = {key: mark for key in last if (mark := origin.mark(*key)) is not None}
        if unknown := last.keys() - touched.keys():
            raise MissingError(f"{origin._database.path} has no stream {min(unknown)}")
        accepted = [Outcome.ACCEPTED] * len(entries)
        self._commit(Judgement(accepted, list(entries), touched, last, 0, 0), (), now_ns)
        self._end += len(entries)
        self._repeats.add(entries)

    def before(self, committed_ns: int) -> int:
        """The offset before which everything was committed before that time."""
        rows = self._database.rows(
            "SELECT max(first + count) FROM commits WHERE committed_ns < ?", (committed_ns,)
        )
        return rows[0][0] or 0

    def _commit(self, judgement: Judgement, letters: Sequence[DeadLetter], now_ns: int) -> None:
        numbers = self._marks.numbered(judgement.touched)
        rows = list(commit_rows(judgement.accepted, self._end, now_ns))
        components = _components(judgement.accepted, self._end)
        with self._database.transaction() as connection:
            inserted(connection, "INSERT INTO commits VALUES", rows)
            inserted(
                connection,
                "INSERT INTO streams VALUES",
                [(number, *key) for key, number in numbers.items() if self._marks.get(key) is None],
            )
            inserted(
                connection,
                "REPLACE INTO marks VALUES",
                [
                    (numbers[key], sealed(key, mark, self._end + judgement.last[key]))
                    for key, mark in judgement.touched.items()
                ],
            )
            for component in components:
                self.catalogue.put_component(connection, component)
            census = self.dead_letters.insert(connection, letters) if letters else None
        self._marks.advance(judgement.touched, numbers)
        if census is not None:
            self.dead_letters.census = census

    def read(self, offset: int, until: int | None = None) -> Iterator[tuple[int, list[Entry]]]:
        """Yield `(first offset, entries)` from `offset` to the end, or to before `until`.

        Every commit is checked against its checksum and its predecessor; CorruptError names the
        offsets. Raises StorageError for an offset that retention has dropped.
        """
        stop = self._end if until is None else min(until, self._end)
        if offset < self._start:
            raise StorageError(f"offset {offset} is not kept any more, {self._start} is the first")
        while offset < stop:
            page = self._page(offset)
            if not page:
                raise CorruptError(
                    f"{self._database.path}: entries {offset} to {stop - 1} are lost"
                )
            for row in page:
                first, entries = checked(row, self._database.path)
                if not first <= offset < first + len(entries):
                    raise CorruptError(
                        f"{self._database.path}: entries {offset} to {first - 1} are lost"
                    )
                kept = entries[offset - first : stop - first]
                yield offset, kept
                offset += len(kept)
                if offset >= stop:
                    return

    def _page(self, offset: int) -> list[Row]:
        """Rows from the one that holds `offset`, some megabytes of them."""
        rows: list[Row] = []
        size = 0
        sql = (
            "SELECT first, count, committed_ns, crc32, blob FROM commits WHERE first >= "
            "coalesce((SELECT max(first) FROM commits WHERE first <= ?), ?) ORDER BY first"
        )
        with self._database.cursor(sql, (offset, offset)) as cursor:
            for row in cursor:
                if sum(typed(row, *FORM)[:2]) <= offset:
                    continue
                rows.append(row)
                size += len(row[4])
                if size > PAGE_BYTES or len(rows) >= PAGE_ROWS:
                    break
        return rows

    def prune(self, before: int, *, commits: int = 256) -> int:
        """Drop at most `commits` commits that lie wholly before an offset; how many were dropped.

        Nothing at or after the oldest durable checkpoint is dropped, nothing at all while there is
        none, and never the last commit. To be called until it returns 0.
        """
        durable = [kept.offset for kept in self.catalogue.checkpoints() if kept.durable]
        bound = min([before, *durable]) if durable else 0
        doomed = self._database.rows(
            "SELECT first, count FROM commits WHERE first + count <= ? "
            "AND first < (SELECT max(first) FROM commits) ORDER BY first LIMIT ?",
            (bound, commits),
        )
        if doomed:
            start = doomed[-1][0] + doomed[-1][1]
            with self._database.transaction() as connection:
                connection.execute("DELETE FROM commits WHERE first < ?", (start,))
                connection.execute("UPDATE bounds SET start = ?", (start,))
            self._start = start
        return len(doomed)

    def fold(self) -> int:
        """Fold SQLite's log into its file; how many pages were left over.

        For any thread: commits go on meanwhile, and take longer where nobody calls this.
        """
        return self._database.fold()

    def verify(self) -> list[str]:
        """Everything that is wrong with the file, one sentence each; reads all of it."""
        problems = self._database.problems()
        try:
            for _, entries in self.read(self._start):
                problems += [text for entry in entries if (text := self._contradiction(entry))]
            _ = self.catalogue.checkpoints(), self.catalogue.components()
            _ = self.catalogue.arrays(), self.catalogue.aliases()
            problems += self.dead_letters.problems()
        except StorageError as exc:
            problems.append(str(exc))
        return problems

    def _contradiction(self, entry: Entry) -> str | None:
        mark = self._marks.get((entry.component, entry.source, entry.boot))
        known = mark is not None and entry.seq <= mark.high
        if mark is None or not known or any(a <= entry.seq <= b for a, b in mark.holes):
            return f"the mark of {entry.component} {entry.source} denies entry {entry.seq}: {mark}"
        return None

    def close(self) -> None:
        """Fold the log into the file and let go; may be called twice."""
        self._database.close()

    def _extent(self) -> tuple[int, int]:
        """First offset and end, after commits and marks have been held against each other."""
        path = self._database.path
        (start,) = typed(self._database.rows("SELECT start FROM bounds")[0], int)
        rows = self._database.rows(
            "SELECT first, count, committed_ns, crc32, blob FROM commits WHERE first IN "
            "(SELECT min(first) FROM commits UNION SELECT max(first) FROM commits) ORDER BY first"
        )
        if not rows:
            if start or self._marks.end:
                raise CorruptError(f"{path}: entries {start} to {self._marks.end - 1} are lost")
            return 0, 0
        first, _ = checked(rows[0], path)
        if first != start:
            raise CorruptError(f"{path}: entries begin at {first}, not at {start}")
        last, entries = checked(rows[-1], path)
        end = last + len(entries)
        if end != self._marks.end:
            raise CorruptError(f"{path}: entries {end} to {self._marks.end - 1} are lost")
        return start, end


def _mark_rows(database: Database) -> list[Row]:
    rows = database.rows(
        "SELECT stream, component, source, boot, mark FROM streams LEFT JOIN marks USING (stream)"
    )
    extent = database.rows("SELECT count(*), max(stream) FROM marks")[0]
    for row in rows:
        typed(row, int, str, str, int, bytes)
    if extent != (len(rows), len(rows) or None):
        raise CorruptError(f"{database.path}: {len(rows)} streams do not fit marks {extent}")
    return rows


def _components(accepted: Sequence[Entry], first: int) -> list[Component]:
    return [
        Component(entry.component, entry.seq, first + i, entry.body)
        for i, entry in enumerate(accepted)
        if entry.kind == "component"
    ]
