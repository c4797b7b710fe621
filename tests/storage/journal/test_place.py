"""A journal that is removed, replaced or unmounted while it is open takes nothing any more."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from storage.errors import UnavailableError
from storage.journal.journal import Journal
from tests.storage.conftest import NOW, entry, kept


@pytest.mark.parametrize("name", ["journal.sqlite", "journal.sqlite-wal"])
@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_nothing_is_acknowledged_into_a_file_that_is_gone(
    tmp_path: Path, name: str, how: str
) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        journal.append([entry(0)], now_ns=NOW)
        (tmp_path / name).unlink()
        if how == "replaced":
            (tmp_path / name).write_bytes(b"something else")
        for _ in range(2):
            with pytest.raises(UnavailableError, match=r"was removed or replaced.*rescued"):
                journal.append([entry(1)], now_ns=NOW)
        assert journal.end == 1
    for left in tmp_path.glob("journal.sqlite-*"):
        left.unlink()
    (tmp_path / "journal.sqlite.rescued").rename(path)
    with Journal(path) as journal:
        assert kept(journal) == [entry(0)]
        journal.append([entry(1)], now_ns=NOW)
        assert journal.verify() == []


def test_a_directory_that_is_away_for_a_while_is_waited_for(tmp_path: Path) -> None:
    """As a disk that was not mounted: nothing is written where it should be."""
    data = tmp_path / "data"
    data.mkdir()
    with Journal(data / "journal.sqlite") as journal:
        journal.append([entry(0)], now_ns=NOW)
        data.rename(tmp_path / "away")
        data.mkdir()
        with pytest.raises(UnavailableError, match="its disk is not mounted"):
            journal.append([entry(1)], now_ns=NOW)
        assert list(data.iterdir()) == []
        shutil.rmtree(data)
        (tmp_path / "away").rename(data)
        journal.append([entry(1)], now_ns=NOW)
        assert kept(journal) == [entry(0), entry(1)]
