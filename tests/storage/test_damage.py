"""Flipped bits and lost bytes in every kind of file are found, reported and never served."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from storage.errors import CorruptError, StorageError
from storage.journal.entry import Entry
from storage.journal.journal import Journal
from storage.store import Store
from storage.trajectories.layout import Field
from storage.trajectories.trajectories import Trajectories
from tests.storage.conftest import NOW, entry, flip, kept, letter

STEP = 10**9
FIELDS = (Field("crack_length", "m", "crack length"),)


@pytest.fixture
def filled(path: Path) -> Path:
    """A journal with something in every table, all of it in the one file."""
    with Journal(path) as journal:
        for first in range(0, 40, 4):
            journal.append([entry(first + i, body=bytes(500)) for i in range(4)], now_ns=NOW)
        registration = Entry("component", "plant/press", "http", 1, 1, NOW, b"{}")
        journal.append([registration], [letter()], now_ns=NOW)
        journal.catalogue.put_array("crack", 256)
    return path


def answers(path: Path) -> object:
    """Everything that a journal can be asked."""
    with Journal(path) as journal:
        catalogue = journal.catalogue
        marks = [journal.mark("plant/press", source, 1) for source in ("daq", "http")]
        return (
            kept(journal, journal.start),
            journal.dead_letters.list(),
            (catalogue.components(), catalogue.arrays()),
            (marks, journal.start, journal.end),
        )


def test_a_flipped_bit_in_the_journal_is_never_served(filled: Path) -> None:
    expected = answers(filled)
    original = filled.read_bytes()
    draw = np.random.default_rng(0)
    reported = 0
    for position in draw.integers(0, len(original), 400):
        flip(filled, int(position), bit=int(draw.integers(8)))
        try:
            assert answers(filled) == expected, f"byte {position}"
        except StorageError:
            reported += 1
        filled.write_bytes(original)
    assert reported > 20


def test_a_flipped_bit_in_an_entry_names_the_offsets(filled: Path) -> None:
    # A commit in the middle, because opening checks the first and the last.
    flip(filled, filled.read_bytes().index(b"plant/press\xa3daq\x01\x16"))
    with Journal(filled) as journal:
        with pytest.raises(CorruptError, match="entries 20 to 23"):
            kept(journal)
        assert len(kept(journal, 0, 20)) == 20
        assert len(kept(journal, 24)) == 17
        assert any("entries 20 to 23" in text for text in journal.verify())


def test_a_commit_that_is_gone_names_the_offsets(filled: Path) -> None:
    with Journal(filled) as journal:
        with journal._database.transaction() as connection:
            connection.execute("DELETE FROM commits WHERE first = 8")
        with pytest.raises(CorruptError, match="entries 8 to 11 are lost"):
            kept(journal)
        with pytest.raises(CorruptError, match="entries 9 to 11 are lost"):
            kept(journal, 9)


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        ("DELETE FROM commits WHERE first = 0", "begin at 4, not at 0"),
        ("DELETE FROM commits WHERE first = 40", "entries 40 to 40 are lost"),
        ("DELETE FROM commits", "entries 0 to 40 are lost"),
        ("DELETE FROM marks WHERE stream = 1", "not as it was written"),
        ("DELETE FROM marks WHERE stream = 2", "not as it was written"),
        ("DELETE FROM streams WHERE stream = 2", "do not fit"),
        ("UPDATE catalogue SET kind = 'arraz' WHERE kind = 'array'", "arraz 'crack'"),
        ("UPDATE bounds SET start = 4", "begin at 0, not at 4"),
    ],
)
def test_what_is_gone_or_altered_is_found_at_opening(
    filled: Path, statement: str, match: str
) -> None:
    with Journal(filled) as journal, journal._database.transaction() as connection:
        connection.execute(statement)
    with pytest.raises(CorruptError, match=match):
        Journal(filled)


@pytest.mark.parametrize("size", [0, 1, 100, 4096, 9000])
def test_a_truncated_journal_is_reported_and_left_as_it_is(filled: Path, size: int) -> None:
    damaged = filled.read_bytes()[:size]
    filled.write_bytes(damaged)
    with pytest.raises(CorruptError):
        Journal(filled)
    assert filled.read_bytes()[:size] == damaged


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A trajectory of one and a half blocks."""
    path = tmp_path / "t.zarr"
    trajectories = Trajectories(path)
    trajectories.open_group("crack", FIELDS)
    for start, count in ((0, 256), (256, 100)):
        times = np.arange(start, start + count) * STEP
        values = times[:, None] * [1e-9, 2e-9] + 0.001
        trajectories.write("crack", start, times, ["p/a", "p/b"], {"crack_length": values})
    return path


def history(path: Path) -> list[float]:
    trajectories = Trajectories(path)
    trajectories.open_group("crack", FIELDS)
    found = trajectories.read("crack", "p/b", ["crack_length"])
    return [*found["time"].tolist(), *found["crack_length"].tolist()]


@pytest.mark.parametrize(
    "name",
    [
        "crack/zarr.json",
        "crack/crack_length/c/0/0",
        "crack/crack_length/c/1/0",
        "crack/time/c/0",
        "crack/component/c/0",
    ],
)
def test_a_flipped_bit_or_a_cut_in_a_trajectory_is_never_served(store: Path, name: str) -> None:
    expected = history(store)
    file = store / name
    original = file.read_bytes()
    draw = np.random.default_rng(1)
    reports = []
    for position in (*draw.integers(0, len(original), 25), len(original) - 1):
        flip(file, int(position), bit=int(draw.integers(8)))
        try:
            assert history(store) == expected, f"byte {position}"
        except CorruptError as exc:
            reports.append(str(exc))
        file.write_bytes(original)
    assert reports
    assert all("crack" in report for report in reports)
    for size in (0, 3, len(original) // 2, len(original) - 1):
        file.write_bytes(original[:size])
        with pytest.raises(CorruptError, match="crack"):
            history(store)
        file.write_bytes(original)
    assert history(store) == expected


def test_a_damaged_shard_is_named_and_the_others_are_served(store: Path) -> None:
    shard = store / "crack" / "crack_length" / "c" / "1" / "0"
    flip(shard, 20)
    trajectories = Trajectories(store)
    with pytest.raises(CorruptError, match=r"crack_length/c/1/0 is damaged"):
        trajectories.read("crack", "p/a", ["crack_length"])
    found = trajectories.read("crack", "p/a", ["crack_length"], t_to_ns=256 * STEP)
    assert len(found["crack_length"]) == 256
    assert trajectories.verify("crack") == [f"{shard} is damaged"]
    trajectories.truncate("crack", 256)
    assert trajectories.verify("crack") == []


def test_a_shard_that_is_gone_is_not_taken_for_silence(store: Path) -> None:
    shard = store / "crack" / "crack_length" / "c" / "0" / "0"
    shard.unlink()
    trajectories = Trajectories(store)
    with pytest.raises(CorruptError, match=r"crack_length/c/0/0 is gone"):
        trajectories.read("crack", "p/a", ["crack_length"])
    assert trajectories.verify("crack") == [f"{shard} is gone"]


def test_shards_without_their_group_are_reported(store: Path) -> None:
    (store / "crack" / "zarr.json").unlink()
    with pytest.raises(CorruptError, match="belongs to no group"):
        Trajectories(store).open_group("crack", FIELDS)


def test_array_metadata_that_deviate_are_a_problem_and_repaired_at_opening(store: Path) -> None:
    document = store / "crack" / "crack_length" / "zarr.json"
    original = document.read_bytes()
    document.write_bytes(original.replace(b"256", b"257", 1))
    assert Trajectories(store).verify("crack") == [f"{document} is not what the group says"]
    Trajectories(store).open_group("crack", FIELDS)
    assert document.read_bytes() == original


def test_the_whole_store_is_verified(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        image = store.images.put(b"an image")
        file = store.checkpoints.write("c-1", {"a": np.zeros(3)})
        store.journal.append([entry(1)], now_ns=NOW)
        assert store.verify() == []
        flip(tmp_path / "images" / image[:2] / image, 3)
        assert [text for text in store.verify() if image in text]
        assert file.size == (tmp_path / "checkpoints" / "c-1.safetensors").stat().st_size
