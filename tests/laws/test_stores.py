"""Every store against its model in memory, whatever is done to it and in whatever order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import msgspec
import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from storage.journal.catalogue import Checkpoint
from storage.journal.entry import DeadLetter, Entry
from storage.journal.journal import Journal
from storage.journal.sequences import LEAD, Outcome
from storage.trajectories.layout import TICKS, Field
from storage.trajectories.trajectories import Trajectories

QUICK = settings(
    max_examples=20,
    stateful_step_count=25,
    deadline=None,  # fsync takes what it takes
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)

streams = st.tuples(
    st.sampled_from(["plant/a", "plant/b"]), st.sampled_from(["daq", "ndt"]), st.integers(1, 2)
)
places = st.integers(0, 100)  # percent
keys = st.tuples(streams, st.integers(0, 40) | st.integers(3 * LEAD, 3 * LEAD + 5))


class JournalMachine(RuleBasedStateMachine):
    """The journal is a list without repetitions, a set of letters, and a first offset."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.path = self.directory / "journal.sqlite"
        self.journal = Journal(self.path, letters_kept=8)
        self.entries: list[Entry] = []
        self.letters: list[DeadLetter] = []
        self.commits: list[int] = []  # offsets behind each commit
        self.start = 0
        self.durable: int | None = None

    def teardown(self) -> None:
        self.journal.close()
        shutil.rmtree(self.directory)

    @rule(batch=st.lists(keys, max_size=12), letters=st.integers(0, 3))
    def append(self, batch: list[tuple[tuple[str, str, int], int]], letters: int) -> None:
        entries = [Entry("observation", *key, seq, seq, b"%d" % seq) for key, seq in batch]
        refused = [DeadLetter(len(self.letters) + i, "t", "r", "s", b"p") for i in range(letters)]
        appended = self.journal.append(entries, refused, now_ns=0)
        assert appended.first == len(self.entries)
        before = len(self.entries)
        for entry, outcome in zip(entries, appended.outcomes, strict=True):
            assert outcome in self.expected(entry)
            if outcome is Outcome.ACCEPTED:
                self.entries.append(entry)
        self.letters += refused
        if len(self.entries) > before:
            self.commits.append(len(self.entries))

    def expected(self, entry: Entry) -> set[Outcome]:
        key = (entry.component, entry.source, entry.boot)
        seen = [
            (e, i) for i, e in enumerate(self.entries) if (e.component, e.source, e.boot) == key
        ]
        for e, i in seen:
            if e.seq == entry.seq:
                told = Outcome.DUPLICATE if e.body == entry.body else Outcome.CONFLICT
                # what retention has dropped may still be remembered
                return {told} if i >= self.start else {told, Outcome.BEHIND}
        behind = bool(seen) and entry.seq < seen[0][0].seq - LEAD
        return {Outcome.BEHIND if behind else Outcome.ACCEPTED}

    @precondition(lambda self: self.entries)
    @rule(data=st.data())
    def append_again(self, data: st.DataObject) -> None:
        again = data.draw(st.lists(st.sampled_from(self.entries), max_size=5))
        for entry, outcome in zip(
            again, self.journal.append(again, now_ns=0).outcomes, strict=True
        ):
            assert outcome in self.expected(entry)

    @precondition(lambda self: self.entries)
    @rule(data=st.data())
    def append_something_else(self, data: st.DataObject) -> None:
        here = data.draw(st.lists(st.sampled_from(self.entries), max_size=5))
        other = [msgspec.structs.replace(entry, body=b"other") for entry in here]
        appended = self.journal.append(other, now_ns=0)
        for i, (entry, outcome) in enumerate(zip(other, appended.outcomes, strict=True)):
            assert outcome in self.expected(entry)
            assert appended.kept.get(i, here[i]) == here[i]

    @rule()
    def reopen(self) -> None:
        self.journal.close()
        self.journal = Journal(self.path, letters_kept=8)

    @rule(place=places)
    def checkpoint(self, place: int) -> None:
        offset = self.start + place * (len(self.entries) - self.start) // 100
        kept = Checkpoint("c", offset, {}, "", 0, 0, durable=True)
        self.journal.catalogue.put_checkpoint(kept)
        self.durable = offset

    @rule(place=places, commits=st.integers(1, 3))
    def prune(self, place: int, commits: int) -> None:
        before = place * len(self.entries) // 100
        bound = min(before, self.durable or 0)
        doomed = [end for end in self.commits[:-1] if self.start < end <= bound][:commits]
        assert self.journal.prune(before, commits=commits) == len(doomed)
        self.start = doomed[-1] if doomed else self.start

    @rule()
    def checkpoint_wal(self) -> None:
        self.journal.checkpoint_wal()

    @invariant()
    def the_same_is_read(self) -> None:
        assert (self.journal.start, self.journal.end) == (self.start, len(self.entries))
        read = [entry for _, entries in self.journal.read(self.start) for entry in entries]
        assert read == self.entries[self.start :]
        letters = [kept.letter for kept in self.journal.dead_letters.list()]
        assert letters == self.letters[-8:]


FIELDS = (Field("a", "m", "length"), Field("n", "1", "cycles", dtype="float64"))


class TrajectoryMachine(RuleBasedStateMachine):
    """A trajectory is a table that grows below and to the right."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.path = self.directory / "t.zarr"
        self.parts = 1
        self.written = 0  # counts the writes, so that each leaves other values
        self.table = np.zeros((0, 1))
        self.widest = 0
        self.reopen()

    def teardown(self) -> None:
        shutil.rmtree(self.directory)

    @rule()
    def reopen(self) -> None:
        self.store = Trajectories(self.path)
        self.store.open_group("crack", FIELDS)

    @rule(more=st.integers(1, 90))
    def add_parts(self, more: int) -> None:
        self.parts += more

    @rule(fresh=st.integers(1, TICKS))
    def write(self, fresh: int) -> None:
        start = len(self.table) // TICKS * TICKS
        count = min(TICKS, len(self.table) - start + fresh)
        self.written += 1
        rows = np.arange(start, start + count)
        block = rows[:, None] + np.arange(self.parts) / 128 + 1000.0 * self.written
        names = [f"p/{i}" for i in range(self.parts)]
        columns = {"a": block, "n": 2 * block}
        assert self.store.write("crack", start, rows * 10, names, columns) == start + count
        table = np.full((start + count, self.parts), np.nan)
        table[:start, : self.table.shape[1]] = self.table[:start]
        table[start:] = block
        self.table, self.widest = table, self.parts

    @rule(place=places)
    def truncate(self, place: int) -> None:
        rows = place * len(self.table) // 100
        self.store.truncate("crack", rows)
        self.table = self.table[:rows]

    @invariant()
    def the_same_is_read(self) -> None:
        assert self.store.committed("crack") == len(self.table)
        assert self.store.members("crack") == tuple(f"p/{i}" for i in range(self.widest))
        for part in {0, self.widest - 1} if self.widest else set():
            found = self.store.read("crack", f"p/{part}", ["a", "n"])
            np.testing.assert_array_equal(found["time"], np.arange(len(self.table)) * 10)
            np.testing.assert_array_equal(found["a"], self.table[:, part].astype("f4"))
            np.testing.assert_array_equal(found["n"], 2 * self.table[:, part])

    @rule()
    def verify(self) -> None:
        assert self.store.verify("crack") == []


def test_the_journal_equals_its_model() -> None:
    run_state_machine_as_test(JournalMachine, settings=QUICK)


def test_a_trajectory_equals_its_model() -> None:
    run_state_machine_as_test(
        TrajectoryMachine, settings=settings(QUICK, max_examples=10, stateful_step_count=12)
    )
