"""Check, backup, salvage and rebuild name the refused messages that are damaged, and no other."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from storage.journal.journal import Journal
from storage.store import JOURNAL, Store
from tests.storage.conftest import NOW, letter
from tests.twin.archive.test_rebuild import chosen, fill
from twin.archive.backup import backed_up
from twin.archive.rebuild import rebuild
from twin.archive.salvage import salvaged, told
from twin.archive.verify import checked

ROW = b"json"
SAID = "dead letter 3 is not as it was written"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    fill(tmp_path / "data", [0, 1])
    with Store(tmp_path / "data") as store:
        letters = [letter(b"letter-%d" % i) for i in range(1, 7)]
        store.journal.append([], letters, now_ns=NOW)
        store.journal.dead_letters.remove(5)
    return tmp_path / "data"


def flipped(data: Path, place: int, mask: int) -> None:
    """One byte of the row of letter 3 is another, as many before or behind its reason."""
    file = data / JOURNAL
    raw = bytearray(file.read_bytes())
    at = raw.rindex(ROW, 0, raw.rindex(ROW, 0, raw.index(b"letter-3")))
    raw[at + place] ^= mask
    file.write_bytes(raw)


def kept(directory: Path) -> tuple[list[bytes], list[int]]:
    damaged = list[int]()
    with Store(directory) as store:
        found = store.journal.dead_letters.list(damaged=damaged)
    return [one.letter.payload for one in found], damaged


OTHERS = [b"letter-1", b"letter-2", b"letter-4", b"letter-6"]
FLIPS = {
    "no text": (0, 0x80),
    "another reason": (2, 0x04),
    "a body that is text": (-1, 0x01),
    "no size": (-4, 0x01),
    "a longer size": (-4, 0x02),
    "a longer header": (-7, 0x10),
    "a payload": (60, 0x01),
}
SALVAGED = {"no text", "another reason", "a body that is text"}  # their bodies are whole


@pytest.mark.parametrize("flip", FLIPS)
def test_check_backup_and_salvage_name_a_damaged_letter(
    data: Path, tmp_path: Path, flip: str
) -> None:
    flipped(data, *FLIPS[flip])
    assert SAID in checked(data)["problems"]
    assert SAID in backed_up(data, tmp_path / "backup")["problems"]
    assert kept(tmp_path / "backup") == (OTHERS, [3])
    report = salvaged(data, tmp_path / "salvaged")
    whole = sorted([*OTHERS, *([b"letter-3"] if flip in SALVAGED else [])])
    assert kept(tmp_path / "salvaged") == (whole, [])
    said = (
        []
        if flip in SALVAGED
        else ["refused messages cannot be read and are left out, by their numbers"]
    )
    assert [text.split(" before:")[0] for text in report["losses"]] == said
    assert ("Nothing of it is lost." in [*told(report)]) is (flip in SALVAGED)
    assert checked(tmp_path / "salvaged")["problems"] == []


@pytest.mark.parametrize("flip", FLIPS)
def test_a_rebuild_keeps_the_others_and_says_so(data: Path, tmp_path: Path, flip: str) -> None:
    flipped(data, *FLIPS[flip])
    rebuild(chosen(), data, tmp_path / "new")
    assert kept(tmp_path / "new") == (OTHERS, [])
    (loss,) = checked(tmp_path / "new")["losses"]
    assert "refused messages cannot be read and are left out, by their numbers before: 3;" in loss


def test_a_damaged_table_is_not_taken_for_an_empty_one(data: Path, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(data / JOURNAL)) as it:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = 'letters'"
        (page,), (size,) = it.execute(query).fetchone(), it.execute("PRAGMA page_size").fetchone()
    raw = bytearray((data / JOURNAL).read_bytes())
    raw[(page - 1) * size + 4] ^= 0x04  # of the number of rows: five are one
    (data / JOURNAL).write_bytes(raw)
    report = salvaged(data, tmp_path / "salvaged")
    assert report["dead_letters"] == 1
    assert "up to 5 refused messages are lost" in report["losses"][0]


def test_letters_that_went_with_the_log_are_named(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "before")
    with Journal(data / JOURNAL) as journal:
        journal.append([], [letter(b"late"), letter(b"later")], now_ns=NOW)
    shutil.copy(tmp_path / "before" / JOURNAL, data / JOURNAL)
    report = salvaged(data, tmp_path / "salvaged")
    assert "by their numbers before: 7, 8;" in report["losses"][0]


def test_a_salvage_of_what_was_submitted_again_has_lost_nothing(data: Path, tmp_path: Path) -> None:
    assert salvaged(data, tmp_path / "salvaged")["losses"] == []


def test_a_cut_letter_is_known_to_be_cut_after_a_salvage(data: Path, tmp_path: Path) -> None:
    with Store(data) as store:
        store.journal.append([], [letter(bytes((1 << 20) + 1))], now_ns=NOW)
    salvaged(data, tmp_path / "salvaged")
    with Store(tmp_path / "salvaged") as store:
        assert store.journal.dead_letters.list()[-1].cut


def test_a_backup_of_a_damaged_count_says_so_and_counts_right(data: Path, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(data / JOURNAL)) as it:
        it.execute("UPDATE sqlite_sequence SET name = CAST(x'ec657474657273' AS TEXT)")
        it.commit()
    (said,) = backed_up(data, tmp_path / "backup")["problems"]
    assert "the number of the last refused message is damaged" in said
    assert checked(tmp_path / "backup")["problems"] == []
