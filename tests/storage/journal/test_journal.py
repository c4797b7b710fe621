"""The journal: what is appended is read, once, in order, also afterwards."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from storage.errors import CorruptError, MissingError, StorageError, UnavailableError
from storage.journal.catalogue import Checkpoint
from storage.journal.commits import ROW_BYTES
from storage.journal.database import create
from storage.journal.entry import Entry
from storage.journal.journal import Journal
from storage.journal.schema import VERSION
from storage.journal.sequences import Outcome
from tests.storage.conftest import NOW, entry, files_bounded, kept, letter


def checkpoint(offset: int, *, durable: bool = True) -> Checkpoint:
    return Checkpoint(f"c-{offset}", offset, {"crack": offset // 2}, "ab" * 32, 7, NOW, durable)


def test_what_is_appended_is_read(journal: Journal) -> None:
    batch = [entry(1), entry(2, "plant/shaft", body=b""), entry(3)]
    appended = journal.append(batch, now_ns=NOW)
    assert (appended.first, appended.outcomes) == (0, [Outcome.ACCEPTED] * 3)
    assert list(journal.read(0)) == [(0, batch)]
    assert (journal.start, journal.end, journal.streams) == (0, 3, 2)


@pytest.mark.parametrize("parts", [1, 3, 4, 5, 257, 341])
def test_a_commit_of_any_number_of_streams_is_kept_whole(path: Path, parts: int) -> None:
    """Rows are inserted in portions of 256, 64, 16, 4 and 1: none is lost between two of them."""
    batch = [entry(1, f"plant/part-{i}") for i in range(parts)]
    with Journal(path) as journal:
        journal.append(batch, now_ns=NOW)
    with Journal(path) as journal:
        assert (journal.end, journal.streams) == (parts, parts)
        assert [e.component for e in kept(journal)] == [e.component for e in batch]
        again = journal.append(batch, now_ns=NOW)
        assert again.outcomes == [Outcome.DUPLICATE] * parts


def test_a_duplicate_is_refused_also_after_reopening(path: Path) -> None:
    with Journal(path) as journal:
        journal.append([entry(1), entry(1), entry(3)], now_ns=NOW)
    with Journal(path) as journal:
        appended = journal.append([entry(1), entry(2), entry(4)], now_ns=NOW)
        assert appended.outcomes == [Outcome.DUPLICATE, Outcome.ACCEPTED, Outcome.ACCEPTED]
        assert (appended.first, appended.missing, appended.filled) == (2, 0, 1)
        assert [e.seq for e in kept(journal)] == [1, 3, 2, 4]


def test_nothing_new_is_no_commit(journal: Journal) -> None:
    journal.append([entry(1)], now_ns=NOW)
    assert journal.append([entry(1)], now_ns=NOW).first == 1
    assert journal.append([], now_ns=NOW).outcomes == []
    assert len(list(journal.read(0))) == 1


@pytest.mark.parametrize(("offset", "until"), [(0, None), (0, 5), (2, 5), (3, 4), (5, 5), (9, 99)])
def test_reading_begins_and_ends_at_any_offset(
    journal: Journal, offset: int, until: int | None
) -> None:
    for first in range(0, 9, 3):
        journal.append([entry(first + i) for i in range(3)], now_ns=NOW)
    expected = list(range(9))[offset:until]
    assert [e.seq for e in kept(journal, offset, until)] == expected
    assert [first for first, _ in journal.read(offset, until)][:1] == expected[:1]


def test_a_large_batch_is_one_transaction_of_several_rows(journal: Journal) -> None:
    body = bytes(ROW_BYTES // 3)
    batch = [entry(i, body=body) for i in range(7)]
    journal.append(batch, now_ns=NOW)
    rows = list(journal.read(0))
    assert [(first, len(entries)) for first, entries in rows] == [(0, 3), (3, 3), (6, 1)]
    assert kept(journal) == batch


def test_a_number_beyond_63_bits_is_refused_before_anything_is_written(journal: Journal) -> None:
    journal.append([entry(2**63 - 1)], now_ns=NOW)
    for wrong in (entry(2**63), entry(-1), entry(0, boot=2**63)):
        with pytest.raises(ValueError, match="63 bits"):
            journal.append([entry(7), wrong], now_ns=NOW)
    assert journal.end == 1


def test_a_registration_is_in_the_catalogue_and_in_the_journal(journal: Journal) -> None:
    first, second = (
        Entry("component", "plant/press", "http", 1, seq, NOW, b"%d" % seq) for seq in (1, 2)
    )
    journal.append([entry(1), first, second], now_ns=NOW)
    found = journal.catalogue.component("plant/press")
    assert (found.revision, found.offset, found.body) == (2, 2, b"2")
    assert journal.catalogue.components() == [found]
    assert kept(journal, 1) == [first, second]


def test_the_catalogue_survives_reopening(path: Path) -> None:
    with Journal(path) as journal:
        journal.catalogue.put_checkpoint(checkpoint(10))
        journal.catalogue.put_checkpoint(checkpoint(20, durable=False))
        journal.catalogue.put_array("crack", 512)
        journal.catalogue.put_alias("paris", "champion", "1")
        journal.catalogue.put_alias("paris", "champion", "2")
        journal.catalogue.put_alias("paris", "old", "1")
        journal.catalogue.remove_alias("paris", "old")
    with Journal(path) as journal:
        catalogue = journal.catalogue
        assert catalogue.checkpoints() == [checkpoint(20, durable=False), checkpoint(10)]
        assert catalogue.checkpoint("c-10") == checkpoint(10)
        assert catalogue.arrays() == {"crack": 512}
        assert catalogue.aliases() == {("paris", "champion"): "2"}
        catalogue.remove_checkpoint("c-10")
        with pytest.raises(MissingError, match="c-10"):
            catalogue.checkpoint("c-10")
        with pytest.raises(MissingError, match="plant/none"):
            catalogue.component("plant/none")
        with pytest.raises(ValueError, match="@"):
            catalogue.put_alias("paris@x", "y", "1")


@pytest.mark.parametrize(("durable_at", "start"), [(5, 3), (6, 6), (7, 6)])
def test_nothing_newer_than_the_oldest_durable_checkpoint_is_dropped(
    journal: Journal, durable_at: int, start: int
) -> None:
    for first in range(0, 12, 3):
        journal.append([entry(first + i) for i in range(3)], now_ns=NOW)
    assert journal.prune(12) == 0  # there is no checkpoint
    journal.catalogue.put_checkpoint(checkpoint(12, durable=False))
    assert journal.prune(12) == 0  # there is none to rely on
    journal.catalogue.put_checkpoint(checkpoint(12))
    journal.catalogue.put_checkpoint(checkpoint(durable_at))
    journal.prune(12)
    assert journal.start == start
    assert [e.seq for e in kept(journal, start)] == list(range(start, 12))
    with pytest.raises(StorageError, match="not kept any more"):
        list(journal.read(start - 1))


def test_pruning_goes_in_steps_and_keeps_the_last_commit(path: Path) -> None:
    with Journal(path) as journal:
        for seq in range(10):
            journal.append([entry(seq)], now_ns=NOW)
        journal.catalogue.put_checkpoint(checkpoint(10))
        assert [journal.prune(10, commits=4) for _ in range(4)] == [4, 4, 1, 0]
    with Journal(path) as journal:
        assert (journal.start, journal.end) == (9, 10)
        again = journal.append([entry(3), entry(9)], now_ns=NOW)  # what 3 said is not kept
        assert again.outcomes == [Outcome.BEHIND, Outcome.DUPLICATE]
        assert journal.verify() == []


def test_dead_letters_come_with_the_commit_and_are_listed(path: Path) -> None:
    with Journal(path) as journal:
        journal.append([entry(1)], [letter(b"1"), letter(b"2")], now_ns=NOW)
        journal.append([], [letter(b"3")], now_ns=NOW)
        assert len(journal.dead_letters) == 3
    with Journal(path) as journal:
        letters = journal.dead_letters
        assert [found.letter for found in letters.list()] == [letter(b"%d" % i) for i in (1, 2, 3)]
        page = letters.list(limit=1, after=letters.list()[0].id)
        assert [found.letter.payload for found in page] == [b"2"]
        letters.remove(page[0].id)
        with pytest.raises(MissingError, match=str(page[0].id)):
            letters.get(page[0].id)
        with pytest.raises(MissingError, match=str(page[0].id)):
            letters.remove(page[0].id)
        assert len(letters) == 2


@pytest.mark.parametrize(("count", "first", "dropped"), [(4, 0, 0), (5, 0, 0), (6, 1, 1)])
def test_the_oldest_dead_letters_make_room(
    path: Path, count: int, first: int, dropped: int
) -> None:
    with Journal(path, letters_kept=5) as journal:
        for i in range(count):
            journal.append([], [letter(b"%d" % i)], now_ns=NOW)
    with Journal(path, letters_kept=5) as journal:
        payloads = [found.letter.payload for found in journal.dead_letters.list()]
        assert payloads == [b"%d" % i for i in range(first, count)]
        assert journal.dead_letters.census.dropped == dropped


@pytest.mark.parametrize("size", [2**20 - 1, 2**20, 2**20 + 1])
def test_a_long_payload_is_cut(journal: Journal, size: int) -> None:
    journal.append([], [letter(bytes(size))], now_ns=NOW)
    found = journal.dead_letters.list()[0]
    assert len(found.letter.payload) == min(size, 2**20)
    assert (found.payload_size, found.cut) == (size, size > 2**20)


def test_a_full_disk_changes_nothing_and_is_overcome(path: Path) -> None:
    with Journal(path) as journal:
        journal.append([entry(1)], now_ns=NOW)
        wal = path.with_name(path.name + "-wal")
        batch = [entry(2, body=bytes(100_000)), entry(3)]
        with files_bounded(wal.stat().st_size + 50_000):
            for _ in range(3):
                with pytest.raises(UnavailableError, match=r"journal\.sqlite"):
                    journal.append(batch, [letter()], now_ns=NOW)
        assert (journal.end, len(journal.dead_letters)) == (1, 0)
        assert journal.append(batch, [letter()], now_ns=NOW).outcomes == [Outcome.ACCEPTED] * 2
        assert journal.verify() == []
    with Journal(path) as journal:
        assert kept(journal) == [entry(1), *batch]


def test_a_full_database_changes_nothing_and_is_overcome(journal: Journal) -> None:
    pages = journal._database.rows("PRAGMA page_count")[0][0]
    journal._database.rows(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(UnavailableError, match="full"):
        journal.append([entry(1, body=bytes(100_000))], now_ns=NOW)
    journal._database.rows("PRAGMA max_page_count=1000000")
    assert journal.append([entry(1)], now_ns=NOW).outcomes == [Outcome.ACCEPTED]


def test_a_wal_checkpoint_leaves_nothing_in_the_log(journal: Journal) -> None:
    journal.append([entry(1)], now_ns=NOW)
    assert journal.checkpoint_wal() == 0
    assert kept(journal) == [entry(1)]


def test_a_newer_layout_is_refused_with_a_sentence(path: Path) -> None:
    create(path)
    other = sqlite3.connect(path)
    other.execute(f"PRAGMA user_version={VERSION + 1}")
    other.close()
    with pytest.raises(StorageError, match=f"layout {VERSION + 1}"):
        Journal(path)


def test_another_programs_database_is_refused(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE t (x)")
    other.close()
    with pytest.raises(CorruptError, match="not a journal"):
        Journal(path)


def test_a_crash_while_creating_leaves_no_half_journal(path: Path) -> None:
    path.with_name(path.name + ".new").write_bytes(b"half")
    with Journal(path) as journal:
        journal.append([entry(1)], now_ns=NOW)
    assert not path.with_name(path.name + ".new").exists()


def test_a_mark_that_denies_an_entry_is_a_problem(journal: Journal) -> None:
    journal.append([entry(1), entry(2)], now_ns=NOW)
    journal._sequences._marks["plant/press", "daq", 1] = journal._sequences._marks[
        "plant/press", "daq", 1
    ]._replace(high=1)
    assert [text for text in journal.verify() if "denies entry 2" in text]
