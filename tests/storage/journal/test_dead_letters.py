"""Whatever is damaged in the table of refused messages, or beside it, costs itself alone."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from storage.errors import CorruptError
from storage.journal.journal import Journal
from tests.storage.conftest import NOW, flip, letter

COUNT = [
    "UPDATE sqlite_sequence SET seq = 2",
    "UPDATE sqlite_sequence SET seq = -5",
    "UPDATE sqlite_sequence SET seq = 'x'",
    "UPDATE sqlite_sequence SET name = 'letterz'",
    "UPDATE sqlite_sequence SET name = CAST(x'ec657474657273' AS TEXT)",
    "DELETE FROM sqlite_sequence",
    "INSERT INTO sqlite_sequence VALUES ('letters', 3)",
]


def alter(path: Path, *statements: str) -> None:
    """As damage would, beside the bounds of the columns."""
    with contextlib.closing(sqlite3.connect(path)) as it:
        for statement in statements:
            it.execute(statement)
        it.commit()


@pytest.fixture
def five(path: Path) -> Path:
    with Journal(path) as journal:
        letters = [letter(b"letter-%d" % i, "unit" if i == 4 else "json") for i in range(1, 6)]
        journal.append([], letters, now_ns=NOW)
        journal.dead_letters.remove(5)
    return path


@pytest.mark.parametrize("statement", COUNT)
def test_no_damaged_count_keeps_a_message_from_being_refused(five: Path, statement: str) -> None:
    alter(five, statement)
    with Journal(five, is_look=True) as journal:
        assert [text for text in journal.verify() if "number of the last refused message" in text]
    with Journal(five) as journal:
        assert "the number of the last refused message is damaged" in journal.damage[0]
        assert len(journal.damage) == 1  # and no message is said to be gone
        journal.append([], [letter(b"another")], now_ns=NOW)
        assert [kept.id for kept in journal.dead_letters.list()] == [1, 2, 3, 4, 6]
    with Journal(five) as journal:
        assert (journal.damage, journal.verify()) == ([], [])
        journal.append([], [letter(b"another")], now_ns=NOW)
        assert journal.dead_letters.last == 7


@pytest.mark.parametrize("letters", [0, 5])
def test_a_count_that_is_right_is_no_damage(path: Path, letters: int) -> None:
    with Journal(path) as journal:
        journal.append([], [letter()] * letters, now_ns=NOW)
        for number in range(1, letters + 1):
            journal.dead_letters.remove(number)
    with Journal(path) as journal:
        assert journal.damage == []
        journal.append([], [letter()], now_ns=NOW)
        assert [kept.id for kept in journal.dead_letters.list()] == [letters + 1]


DAMAGE = [
    "reason = 'jsoo'",
    "reason = CAST(x'ea736f6e' AS TEXT)",
    "reason = CAST('json' AS BLOB)",
    "size = size + 1",
    "size = 1 << 40",
    "size = -size",
    "size = 1.5",
    "size = CAST(x'ff' AS TEXT)",
    "crc32 = CAST(x'ff' AS TEXT)",
    "body = CAST(body AS TEXT)",
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_row_is_named_and_hides_no_other(five: Path, damage: str) -> None:
    alter(five, f"UPDATE letters SET {damage} WHERE id = 2")
    with Journal(five) as journal:
        letters = journal.dead_letters
        for reason in (None, "json"):
            damaged = list[int]()
            found = letters.list(reason=reason, damaged=damaged)
            assert ([kept.id for kept in found], damaged) == ([1, 3] + [4] * (not reason), [2])
        assert letters.reasons() in ({"json": 2, "unit": 1}, {"json": 3, "unit": 1})
        assert "dead letter 2 is not as it was written" in journal.verify()
        with pytest.raises(CorruptError, match="dead letter 2 is not as it was written"):
            letters.get(2)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_row_makes_room_alone(five: Path, damage: str) -> None:
    alter(five, f"UPDATE letters SET {damage} WHERE id = 2")
    with Journal(five, letters_kept=4) as journal:
        for i in range(3):
            journal.append([], [letter(b"%d" % i)], now_ns=NOW)
        assert [kept.id for kept in journal.dead_letters.list()] == [4, 6, 7, 8]
        assert journal.dead_letters.census.size == sum(
            size for (size,) in journal._database.rows("SELECT size FROM letters")
        )


def test_a_bit_in_the_header_of_a_row_costs_that_row(five: Path) -> None:
    """Many make SQLite call the row malformed, and end the query that meets it."""
    data = five.read_bytes()
    at = data.index(b"json", data.rindex(b"json", 0, data.rindex(b"json", 0, data.index(b"er-2"))))
    for byte in range(at - 7, at + 9):  # from the size of the header to the checksum
        for bit in range(8):
            flip(five, byte, bit)
            with Journal(five, is_look=True) as journal:
                damaged = list[int]()
                found = journal.dead_letters.list(damaged=damaged)
                if (byte, bit) != (at - 6, 3):  # of the number, which stands elsewhere too
                    assert ([kept.id for kept in found], damaged) == ([1, 3, 4], [2])
                    assert "dead letter 2 is not as it was written" in journal.verify()
                assert journal.dead_letters.reasons()["unit"] == 1
            five.write_bytes(data)
