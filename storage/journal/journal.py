"""The truth: everything that was ever observed, in the order of arrival, exactly once."""

# Over 300 lines: one append-only log and its invariants; marks and seals have their own files.

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from storage.errors import CorruptError, MissingError, StorageError, UnavailableError
from storage.journal.catalogue import Catalogue, LatestRegistration
from storage.journal.commits import COLUMNS, FORM, checked, commit_rows
from storage.journal.database import Database, Row, inserted, typed
from storage.journal.dead_letters import DeadLetters
from storage.journal.entry import DeadLetter, Entry
from storage.journal.forgetting import Key, group_of
from storage.journal.log_mending import settled_log
from storage.journal.repeats import Repeats
from storage.journal.seal import SUFFIX, Seal, SealFile
from storage.journal.sequences import (
    Judgement,
    Jump,
    Outcome,
    Sequences,
    StreamMark,
    sealed,
    unsealed,
)

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
    forgotten: int = 0  # streams that are not remembered any more


class _Unsealed(NamedTuple):
    """What is committed, and must not be acknowledged before it is sealed."""

    seal: Seal
    entries: Sequence[Entry] = ()
    letters: Sequence[DeadLetter] = ()
    appended: Appended = Appended(0, [], 0, 0)

    def is_of(self, entries: Sequence[Entry], letters: Sequence[DeadLetter]) -> bool:
        """Whether this is the same batch, tried again."""
        if entries or self.entries:
            return list(entries) == list(self.entries)
        return list(letters) == list(self.letters)


class Journal:
    """`journal.sqlite`: observations, dead letters, catalogue. Used by one thread at a time."""

    def __init__(self, path: Path, *, letters_kept: int = 100_000, is_look: bool = False) -> None:
        """Open or create; raises CorruptError for a damaged file, UnavailableError.

        What is damaged and did not keep it from being opened is in `damage`. With `is_look`
        nothing is created or changed.
        """
        self._sealing = SealFile(path.with_suffix(SUFFIX))
        self._seal, self.damage = self._sealing.read()
        end = None if self._seal is None else self._seal.end
        self.damage += settled_log(path, end, is_look=is_look)
        self._database = Database(path, is_look=is_look)
        try:
            self.dead_letters = DeadLetters(self._database, kept=letters_kept)
            self.catalogue = Catalogue(self._database)
            self._sequences = Sequences(_mark_rows(self._database))
            self._start, self._end = self._extent()
            self._repeats = Repeats(self._database, self._end)
            self._uncheckpointed = 0
            self._is_sealed = self.catalogue.is_sealed()
            self._compare(self._seal, is_look=is_look)
            alone = is_look or self._database.unwritable is not None  # nobody else may look in
            self._beside = self._database if alone else self._database.reader()
            self.letters_beside = self.dead_letters.read_by(self._beside)
        except BaseException:
            self._database.close()
            raise
        self._is_look = is_look
        self._unsealed: _Unsealed | None = None

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
    def path(self) -> Path:
        """The file."""
        return self._database.path

    @property
    def start(self) -> int:
        """The first offset that is still kept."""
        return self._start

    @property
    def end(self) -> int:
        """The offset that the next entry will get."""
        return self._end

    @property
    def unwritable(self) -> UnavailableError | None:
        """Why it is open for reading only, until a commit finds that it can be written to."""
        return self._database.unwritable

    @property
    def streams(self) -> int:
        """How many (component, source, boot) are known."""
        return len(self._sequences)

    def mark(self, component: str, source: str, boot: int) -> StreamMark | None:
        """What is known of a stream, or None."""
        return self._sequences.get((component, source, boot))

    def forgotten(self, key: Key) -> tuple[Key, StreamMark] | None:
        """What stands for the forgotten streams that one is counted with, if there are any."""
        group = group_of(key)
        mark = None if group is None else self._sequences.get(group)
        return None if group is None or mark is None else (group, mark)

    def marks_of(self, component: str) -> list[tuple[tuple[str, int], StreamMark]]:
        """Source, boot and mark of every stream of a component, in their order."""
        return self._sequences.of(component)

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
        if (before := self._sealed_before()) is not None and before.is_of(entries, dead_letters):
            return before.appended
        judgement = self._sequences.judgement(entries)
        first, seal = self._end, None
        if judgement.accepted or dead_letters:
            seal = self._commit(judgement, dead_letters, now_ns)
        self._end += len(judgement.accepted)
        self._repeats.add(judgement.accepted)
        outcomes, kept = self._repeats.compared(entries, judgement.outcomes)
        appended = Appended(
            first,
            outcomes,
            judgement.missing,
            judgement.filled,
            kept,
            judgement.jumps,
            len(judgement.gone),
        )
        if seal is not None:
            self._unsealed = _Unsealed(seal, entries, dead_letters, appended)
            self._sealed_before()
        return appended

    def adopt(self, entries: Sequence[Entry], origin: Journal, *, now_ns: int) -> None:
        """Make entries of another journal durable, in the order given, with that one's marks.

        Nothing is judged: they were when they arrived. Raises MissingError for a stream that
        `origin` does not know.
        """
        last = {(e.component, e.source, e.boot): i for i, e in enumerate(entries)}
        for key, i in list(last.items()):  # what stands for those that are forgotten
            if (group := origin.forgotten(key)) is not None:
                last[group[0]] = max(i, last.get(group[0], 0))
                if origin.mark(*key) is None:
                    del last[key]
        touched = {key: mark for key in last if (mark := origin.mark(*key)) is not None}
        if unknown := last.keys() - touched.keys():
            raise MissingError(f"{origin._database.path} has no stream {min(unknown)}")
        accepted = [Outcome.ACCEPTED] * len(entries)
        seal = self._commit(Judgement(accepted, list(entries), touched, last, 0, 0), (), now_ns)
        self._end += len(entries)
        self._repeats.add(entries)
        self._unsealed = _Unsealed(seal)
        self._sealed_before()

    def begin_at(self, start: int) -> None:
        """Let an empty journal begin at an offset: what was before it is not to be had.

        Raises ValueError for one that is not empty.
        """
        if self._end:
            raise ValueError(f"{self.path} holds entries up to {self._end}")
        with self._database.transaction() as connection:
            connection.execute("UPDATE bounds SET start = ?", (start,))
        self._start = self._end = start
        self._repeats = Repeats(self._database, start)

    def put_back(self, entries: Sequence[Entry], *, now_ns: int) -> None:
        """Make salvaged entries durable, in the order given; nothing is judged again."""
        seal = self._commit(self._sequences.following(entries), (), now_ns)
        self._end += len(entries)
        self._repeats.add(entries)
        self._unsealed = _Unsealed(seal)
        self._sealed_before()

    def put_marks(self, marks: Mapping[Key, StreamMark]) -> None:
        """Let salvaged marks count; those of streams without entries end before the first."""
        numbers = self._sequences.numbered(marks)
        fresh = [
            (number, *key) for key, number in numbers.items() if self._sequences.get(key) is None
        ]
        lasts = self._lasts()
        with self._database.transaction() as connection:
            inserted(connection, "INSERT INTO streams VALUES", fresh)
            rows = [
                (numbers[key], sealed(key, mark, lasts.get(numbers[key], max(0, self._start - 1))))
                for key, mark in marks.items()
            ]
            inserted(connection, "REPLACE INTO marks VALUES", rows)
        self._sequences.advance(dict(marks), numbers)

    def _lasts(self) -> dict[int, int]:
        """The offset of the last entry of every stream, by its number."""
        rows = _mark_rows(self._database)
        return {row[0]: unsealed((row[1], row[2], row[3]), row[4])[1] for row in rows}

    def _sealed_before(self) -> _Unsealed | None:
        """Seal what is committed and is not sealed yet; raises UnavailableError."""
        if (waiting := self._unsealed) is not None:
            self._sealing.write(waiting.seal)
            self._seal, self._unsealed = waiting.seal, None
        return waiting

    def older(self, horizon_ns: int, believed_ns: int, *, commits: int = 256) -> int:
        """The offset up to which everything from the start on was observed before a time.

        At most so many commits are looked at. Registrations have no event time, and entries from
        beyond `believed_ns` none that was believed: both go with those behind them; so does what
        cannot be read.
        """
        found = self._start
        rows = self._database.rows(
            f"SELECT {COLUMNS} FROM commits ORDER BY first LIMIT ?", (commits,)
        )
        for row in rows:
            try:
                first, entries = checked(row, self._database.path)
            except CorruptError:
                continue
            times = [e.t_ns for e in entries if e.kind != "component" and e.t_ns <= believed_ns]
            if times and max(times) >= horizon_ns:
                break
            if times:
                found = first + len(entries)
        return found

    def _commit(self, judgement: Judgement, letters: Sequence[DeadLetter], now_ns: int) -> Seal:
        """Commit, and say how the journal is to be sealed."""
        numbers = self._sequences.numbered(judgement.touched, judgement.gone)
        rows = list(commit_rows(judgement.accepted, self._end, now_ns))
        components = _components(judgement.accepted, self._end)
        with self._database.transaction() as connection:
            inserted(connection, "INSERT INTO commits VALUES", rows)
            inserted(
                connection,
                "REPLACE INTO streams VALUES",
                [
                    (number, *key)
                    for key, number in numbers.items()
                    if self._sequences.get(key) is None
                ],
            )
            inserted(
                connection,
                "REPLACE INTO marks VALUES",
                [
                    (numbers[key], sealed(key, mark, self._end + judgement.last[key]))
                    for key, mark in judgement.touched.items()
                ],
            )
            self.catalogue.put_components(connection, components)
            census = self.dead_letters.insert(connection, letters) if letters else None
            if self._seal is not None and self._seal.number and not self._is_sealed:
                self.catalogue.put_sealed(connection)  # there is one by now
        self._uncheckpointed += sum(len(row[4]) for row in rows)
        self._uncheckpointed += sum(len(x.payload) for x in letters)
        self._sequences.advance(judgement.touched, numbers, judgement)
        self._is_sealed = self._is_sealed or bool(self._seal and self._seal.number)
        if census is not None:
            self.dead_letters.census = census
        before = self._seal or Seal(0, 0, -1, 0)
        crc = rows[-1][3] if rows else before.crc32
        end = self._end + len(judgement.accepted)
        return Seal(before.number + 1, end, crc, self.dead_letters.last)

    def read(
        self, offset: int, until: int | None = None, *, beside: bool = False
    ) -> Iterator[tuple[int, list[Entry]]]:
        """Yield `(first offset, entries)` from `offset` to the end, or to before `until`.

        `beside`: in any thread, by a connection that no commit waits for.

        Every commit is checked against its checksum and its predecessor; CorruptError names the
        offsets. Raises StorageError for an offset that retention has dropped.
        """
        stop = self._end if until is None else min(until, self._end)
        if offset < self._start:
            raise StorageError(f"offset {offset} is not kept any more, {self._start} is the first")
        while offset < stop:
            page = self._page(offset, self._beside if beside else self._database)
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

    def _page(self, offset: int, database: Database) -> list[Row]:
        """Rows from the one that holds `offset`, some megabytes of them."""
        rows: list[Row] = []
        size = 0
        sql = (
            "SELECT first, count, committed_ns, crc32, blob FROM commits WHERE first >= "
            "coalesce((SELECT max(first) FROM commits WHERE first <= ?), ?) ORDER BY first"
        )
        try:
            with database.cursor(sql, (offset, offset)) as cursor:
                for row in cursor:
                    if sum(typed(row, *FORM)[:2]) <= offset:
                        continue
                    rows.append(row)
                    size += len(row[4])
                    if size > PAGE_BYTES or len(rows) >= PAGE_ROWS:
                        break
        except CorruptError:
            if not rows:  # else those before the damage first
                raise
        return rows

    def following(self, offset: int) -> int:
        """The offset of the next commit that SQLite finds behind that one, or the end."""
        step = 1
        while offset < self._end:
            try:
                rows = self._database.rows(
                    "SELECT min(first) FROM commits WHERE first > ?", (offset,)
                )
            except CorruptError:  # on the way there too: further on is another page
                offset, step = offset + step, 2 * step
            else:
                return self._end if rows[0][0] is None else int(rows[0][0])
        return self._end

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

    def prove(self) -> None:
        """Show that a commit would last; raises UnavailableError if it would not."""
        self._database.prove()

    @property
    def is_long(self) -> bool:
        """Whether much was committed since a WAL checkpoint, for the disk that the log lies on."""
        return self._uncheckpointed >= self._database.log_bytes

    def checkpoint_wal(self) -> int:
        """Copy SQLite's write-ahead log into its file; how many pages were left over.

        For any thread: commits go on meanwhile, and take longer where nobody calls this.
        """
        self._uncheckpointed = 0
        return self._database.checkpoint_wal()

    def verify(self) -> list[str]:
        """Everything that is wrong with the file, one sentence each; reads all of it."""
        problems = [*(self.damage if self._is_look else ()), *self._database.problems()]
        offset = self._start
        while offset < self._end:
            try:
                for first, entries in self.read(offset):
                    problems += [text for e in entries if (text := self._contradiction(e))]
                    offset = first + len(entries)
            except CorruptError as exc:
                problems.append(str(exc))
                offset = self.following(offset)
        try:
            _ = self.catalogue.checkpoints(), self.catalogue.components()
            _ = self.catalogue.arrays(), self.catalogue.aliases()
            problems += self.dead_letters.problems()
        except StorageError as exc:
            problems.append(str(exc))
        return problems

    def _contradiction(self, entry: Entry) -> str | None:
        if self._sequences.may_have(entry):
            return None
        mark = self._sequences.get((entry.component, entry.source, entry.boot))
        known = mark is not None and entry.seq <= mark.high
        if mark is None or not known or any(a <= entry.seq <= b for a, b in mark.holes):
            return f"the mark of {entry.component} {entry.source} denies entry {entry.seq}: {mark}"
        return None

    def close(self) -> None:
        """Checkpoint the log into the file and let go; may be called twice."""
        self._sealing.close()
        if self._beside is not self._database:
            self._beside.close()
        self._database.close()

    def _compare(self, seal: Seal | None, *, is_look: bool) -> None:
        """Hold the journal against the seal of what was acknowledged last."""
        path = self._database.path
        self._compare_letters(seal, is_look=is_look)
        if seal is None:
            if self._is_sealed and not self.damage:
                self.damage.append(
                    f"{self._sealing.path} is gone: whether all that was acknowledged is here "
                    "cannot be told; the next commit writes it again"
                )
            return
        lost = []
        if self._end < seal.end:
            lost.append(
                f"{path}: lines {self._end} to {seal.end - 1} were acknowledged and are gone, "
                "with the end of the file or of its log: they are in no state any more; what is "
                "sent again is taken, and a copy of the directory may have them"
            )
        elif self._start < seal.end and self._crc_before(seal.end) not in (None, seal.crc32):
            lost.append(
                f"{path} is another journal than the one that {self._sealing.path} belongs to: "
                "was only one of the two restored?"
            )
        if (letters := self.dead_letters.last) < seal.letters:
            lost.append(
                f"{path}: refused messages {letters + 1} to {seal.letters} were kept and are gone"
            )
        self.damage += lost
        if lost and not is_look:
            with suppress(UnavailableError):
                self.catalogue.put_losses(lost)
            # from here on what counts is what there is: it is sealed with the next commit
            self._seal = Seal(seal.number, self._end, -1, letters)

    def _compare_letters(self, seal: Seal | None, *, is_look: bool) -> None:
        """Where the count of the dead letters is damaged, the seal knows how far it went."""
        if (said := self.dead_letters.numbering.damage) is None:
            return
        self.damage.append(f"{self._database.path}: {said}")
        self.dead_letters.number_behind(0 if seal is None else seal.letters, is_look=is_look)

    def _crc_before(self, offset: int) -> int | None:
        """The checksum of the commit that ends at an offset, None if it is damaged or not there."""
        rows = self._database.rows(
            "SELECT first, count, committed_ns, crc32, blob FROM commits WHERE first < ? "
            "ORDER BY first DESC LIMIT 1",
            (offset,),
        )
        try:
            return int(rows[0][3]) if rows and checked(rows[0], self._database.path) else None
        except CorruptError:
            return None

    def _extent(self) -> tuple[int, int]:
        """First offset and end, after commits and marks have been held against each other."""
        path = self._database.path
        (start,) = typed(self._database.rows("SELECT start FROM bounds")[0], int)
        rows = self._database.rows(
            "SELECT first, count, committed_ns, crc32, blob FROM commits WHERE first IN "
            "(SELECT min(first) FROM commits UNION SELECT max(first) FROM commits) ORDER BY first"
        )
        if not rows:
            if self._sequences.end > start:
                raise CorruptError(f"{path}: entries {start} to {self._sequences.end - 1} are lost")
            return start, start
        if rows[0][0] != start:
            raise CorruptError(f"{path}: entries begin at {rows[0][0]}, not at {start}")
        try:
            last, entries = checked(rows[-1], path)
        except CorruptError as exc:  # the marks know how far it went
            if not rows[-1][0] < self._sequences.end:
                raise
            self.damage.append(str(exc))
            return start, self._sequences.end
        end = last + len(entries)
        if end != self._sequences.end:
            raise CorruptError(f"{path}: entries {end} to {self._sequences.end - 1} are lost")
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


def _components(accepted: Sequence[Entry], first: int) -> list[LatestRegistration]:
    return [
        LatestRegistration(entry.component, entry.seq, first + i, entry.body)
        for i, entry in enumerate(accepted)
        if entry.kind == "component"
    ]
