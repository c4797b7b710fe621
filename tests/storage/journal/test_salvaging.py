"""Rows are read from the pages of a journal that SQLite does not open any more."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from storage.journal.entry import Entry
from storage.journal.journal import Journal
from storage.journal.salvaging import Salvaged
from tests.storage.conftest import NOW, entry, flip, letter


@pytest.fixture
def filled(path: Path) -> Path:
    """Short commits, long ones that overflow their page, letters and a registration."""
    with Journal(path) as journal:
        for i, size in enumerate([10, 9_000, 300, 40_000, 1, 2_000] * 4):
            journal.append([entry(2 * i + k, body=bytes(size)) for k in range(2)], now_ns=NOW + i)
        registration = Entry("component", "plant/press", "twin", 0, 1, NOW, b"{}")
        journal.append([registration], [letter(bytes(9_000)), letter()], now_ns=NOW)
    return path


def entries(path: Path) -> list[Entry]:
    with closing(Salvaged(path)) as found:
        return [e for _, _, part in found.commits() for e in part]


def test_everything_of_a_whole_journal_is_found(filled: Path) -> None:
    with Journal(filled) as journal:
        expected = [e for _, part in journal.read(0) for e in part]
        marks = {("plant/press", "daq", 1): journal.mark("plant/press", "daq", 1)}
        letters = journal.dead_letters.list()
    with closing(Salvaged(filled)) as found:
        assert [e for _, _, part in found.commits() for e in part] == expected
        assert found.gaps(len(expected)) == []
        assert found.marks().items() >= marks.items()
        assert list(found.letters()) == letters
        assert found.components["plant/press"].revision == 1


@pytest.mark.parametrize("size", [0, 50, 100, 4096])
def test_a_destroyed_beginning_takes_only_what_was_in_it(filled: Path, size: int) -> None:
    expected = entries(filled)
    data = filled.read_bytes()
    filled.write_bytes(bytes(size) + data[size:])
    assert entries(filled) == expected  # the first page holds nothing but the schema


def test_what_is_found_of_a_damaged_journal_is_as_it_was_written(filled: Path) -> None:
    expected, original = entries(filled), filled.read_bytes()
    draw = np.random.default_rng(0)
    losses = 0
    for position in draw.integers(0, len(original), 60):
        flip(filled, int(position), bit=int(draw.integers(8)))
        with closing(Salvaged(filled)) as found:
            got = [e for _, _, part in found.commits() for e in part]
            gaps = found.gaps(len(expected))
        lost = sum(stop - first for first, stop in gaps)
        kept = [e for i, e in enumerate(expected) if not any(a <= i < b for a, b in gaps)]
        assert got == kept
        assert len(got) + lost == len(expected)
        losses += lost > 0
        filled.write_bytes(original)
    assert 10 < losses < 60  # most of it are bodies


def test_a_file_that_was_cut_gives_what_is_left(filled: Path) -> None:
    expected = entries(filled)
    filled.write_bytes(filled.read_bytes()[: filled.stat().st_size // 2])
    found = entries(filled)
    assert 0 < len(found) < len(expected)
    assert all(e in expected for e in found)
