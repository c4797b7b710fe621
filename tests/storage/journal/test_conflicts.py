"""A key that comes again: with the same content it is a duplicate, with other content it is not."""

from __future__ import annotations

import time
from itertools import product
from pathlib import Path

import pytest

from storage.journal import digests
from storage.journal.catalogue import Checkpoint
from storage.journal.digests import Digests
from storage.journal.entry import Entry
from storage.journal.journal import Journal
from storage.journal.sequences import Outcome
from tests.storage.conftest import NOW, entry, flip, kept

ACCEPTED, DUPLICATE = Outcome.ACCEPTED, Outcome.DUPLICATE
CONFLICT, BEHIND = Outcome.CONFLICT, Outcome.BEHIND


def test_other_content_under_the_same_key_is_a_conflict_and_names_what_is_here(
    journal: Journal,
) -> None:
    journal.append([entry(1, body=b"a"), entry(2, body=b"b")], now_ns=NOW)
    again = journal.append([entry(1, body=b"x"), entry(2, body=b"b")], now_ns=NOW)
    assert again.outcomes == [CONFLICT, DUPLICATE]
    assert again.kept == {0: entry(1, body=b"a")}
    assert kept(journal) == [entry(1, body=b"a"), entry(2, body=b"b")]


def test_within_one_batch_the_first_counts(journal: Journal) -> None:
    batch = [entry(1, body=body) for body in (b"a", b"a", b"b")]
    appended = journal.append(batch, now_ns=NOW)
    assert appended.outcomes == [ACCEPTED, DUPLICATE, CONFLICT]
    assert appended.kept == {2: entry(1, body=b"a")}


def test_a_conflict_is_told_after_reopening_too(path: Path) -> None:
    with Journal(path) as journal:
        for seq in range(100):
            journal.append([entry(seq, body=b"%d" % seq)], now_ns=NOW)
    with Journal(path) as journal:
        batch = [entry(seq, body=b"%d" % (seq // 50 * 50)) for seq in range(100)]
        again = journal.append(batch, now_ns=NOW)
        same = [seq for seq, outcome in enumerate(again.outcomes) if outcome is DUPLICATE]
        assert same == [0, 50]
        assert again.outcomes.count(CONFLICT) == 98
        assert {i: e.body for i, e in again.kept.items()} == {
            i: b"%d" % i for i in range(100) if i not in same
        }


def test_streams_with_the_same_numbers_are_not_mixed_up(journal: Journal) -> None:
    def batch(text: bytes) -> list[Entry]:
        keys = product(range(5), range(9), range(3))
        return [entry(i, f"plant/p{p}", b, text + b"%d" % p) for i, p, b in keys]

    journal.append(batch(b""), now_ns=NOW)
    assert set(journal.append(batch(b""), now_ns=NOW).outcomes) == {DUPLICATE}
    assert set(journal.append(batch(b"x"), now_ns=NOW).outcomes) == {CONFLICT}


def test_what_retention_dropped_is_compared_while_its_digest_is_remembered(path: Path) -> None:
    with Journal(path) as journal:
        for seq in range(3):
            journal.append([entry(seq)], now_ns=NOW)
        journal.catalogue.put_checkpoint(Checkpoint("c", 3, {}, "ab" * 32, 7, NOW, durable=True))
        journal.prune(3)
        again = journal.append([entry(0), entry(1, body=b"other")], now_ns=NOW)
        assert (again.outcomes, again.kept) == ([DUPLICATE, CONFLICT], {})
    with Journal(path) as journal:  # nobody knows any more what they said
        assert journal.append([entry(0)], now_ns=NOW).outcomes == [BEHIND]


def test_a_damaged_entry_is_compared_with_nothing_and_does_not_stop_the_journal(
    path: Path,
) -> None:
    with Journal(path) as journal:
        journal.append([entry(0)], now_ns=NOW)
        journal.append([entry(1, body=b"marked-" * 500)], now_ns=NOW)
        journal.append([entry(2)], now_ns=NOW)
    flip(path, path.read_bytes().index(b"marked-"))
    with Journal(path) as journal:
        appended = journal.append([entry(1), entry(3)], now_ns=NOW)
        assert appended.outcomes == [BEHIND, ACCEPTED]


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 9, 40])
def test_digests_remember_the_latest_whatever_the_cut_into_runs(count: int) -> None:
    kept = Digests(0, limit=16, run=4)
    entries = [entry(i, body=b"%d" % i) for i in range(count)]
    for e in entries:
        kept.add([e])
    found = kept.find(entries)
    remembered = [i for i, known in enumerate(found) if known is not None]
    assert remembered == list(range(kept.start, count))
    assert count - kept.start >= min(count, 12)
    assert count - kept.start < 16 + 4
    assert [known.offset for known in found if known] == remembered


def test_a_flood_of_duplicates_costs_no_more_than_what_is_new(path: Path) -> None:
    """Of 50,000 in 500 streams: redelivery after an outage, also right after a restart."""
    batches = [
        [entry(s * 2 + i // 500, f"plant/p{i % 500}", body=bytes(200)) for i in range(1000)]
        for s in range(50)
    ]
    with Journal(path) as journal:
        began = time.process_time()
        for batch in batches:
            journal.append(batch, now_ns=NOW)
        new = time.process_time() - began
    with Journal(path) as journal:
        began = time.process_time()
        outcomes = {o for batch in batches for o in journal.append(batch, now_ns=NOW).outcomes}
        again = time.process_time() - began
    assert outcomes == {DUPLICATE}
    assert again < 2 * new, (again, new)


def test_the_bound_on_memory_is_as_stated() -> None:
    kept = Digests(0, limit=20_000, run=10_000)
    kept.add([entry(i) for i in range(10_000)])
    (run,) = kept._runs
    assert sum(column.nbytes for column in run[2:]) == 16 * 10_000
    assert digests.LIMIT * 16 == 16 << 20
