"""Stores that earlier releases wrote still open, and mean the same.

`store-1` was written by `python -m tests.formats.test_formats DIRECTORY`, and so was `store-2`, by
the release whose trajectories have `time` as their first dimension instead of `tick`. They are
never written again: a new layout gets a new directory beside them.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from storage.journal.catalogue import Checkpoint
from storage.journal.entry import DeadLetter, Entry
from storage.journal.sequences import Outcome, StreamMark
from storage.store import Store
from storage.trajectories.layout import TICKS, Field

HERE = Path(__file__).parent
NOW = 1_790_000_000_000_000_000  # ns
FIELDS = (Field("crack_length", "m", "crack length"),)
NEWER = Field("seen", "nanoseconds since 1970-01-01", "a field that came later", "int64", 0)
NAMES = ["plant/press", "plant/shaft"]
LETTER = DeadLetter(NOW, "twin/v1/plant/press/load", "json", "it ends", b"{", "application/json")


def entries() -> list[Entry]:
    return [Entry("observation", "plant/press", "daq", 1, i, NOW + i, b"%d" % i) for i in range(9)]


def lengths(start: int, count: int) -> np.ndarray:
    return (np.arange(start, start + count)[:, None] * [1.0, 2.0]).astype("f4")


def write(directory: Path) -> None:
    """Write everything that a store can hold."""
    with Store(directory) as store:
        store.journal.append(entries()[:5], [LETTER], now_ns=NOW)
        registration = Entry("component", "plant/press", "http", 1, 1, NOW, b"{}")
        store.journal.append([*entries()[7:], registration], now_ns=NOW + 1)
        store.trajectories.open_group("crack", FIELDS)
        for start, count in ((0, TICKS), (TICKS, 44)):
            times = NOW + np.arange(start, start + count)
            columns = {"crack_length": lengths(start, count)}
            rows = store.trajectories.write("crack", start, times, NAMES, columns)
            store.journal.catalogue.put_array("crack", rows)
        file = store.checkpoints.write("c-7", {"a": np.arange(3.0)}, b"{}")
        store.journal.catalogue.put_checkpoint(
            Checkpoint(file.name, 7, {"crack": 300}, file.sha256, file.size, NOW, durable=True)
        )
        store.journal.catalogue.put_alias("paris", "champion", "1")
        store.images.put(b"an image")


DIMENSIONS = {"store-1": "tick", "store-2": "time"}


@pytest.fixture(params=DIMENSIONS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def directory(tmp_path: Path, name: str) -> Path:
    return Path(shutil.copytree(HERE / name, tmp_path / "store"))


def test_the_journal_opens(directory: Path) -> None:
    with Store(directory) as store:
        journal = store.journal
        read = [entry for _, batch in journal.read(0) for entry in batch]
        assert [entry for entry in read if entry.kind == "observation"] == [
            *entries()[:5],
            *entries()[7:],
        ]
        assert journal.mark("plant/press", "daq", 1) == StreamMark(0, 8, 0, ((5, 6),))
        assert [kept.letter for kept in journal.dead_letters.list()] == [LETTER]
        assert journal.catalogue.component("plant/press").body == b"{}"
        assert journal.catalogue.arrays() == {"crack": 300}
        assert journal.catalogue.aliases() == {("paris", "champion"): "1"}
        appended = journal.append(entries(), now_ns=NOW)
        assert appended.outcomes.count(Outcome.DUPLICATE) == 7
        assert store.verify() == []


def test_the_trajectory_opens_and_goes_on_as_it_is(directory: Path, name: str) -> None:
    with Store(directory) as store:
        assert store.trajectories.open_group("crack", [*FIELDS, NEWER]) == 300
        found = store.trajectories.read("crack", "plant/shaft", ["crack_length"])
        np.testing.assert_array_equal(found["crack_length"], lengths(0, 300)[:, 1])
        _, columns = store.trajectories.block("crack", TICKS)
        np.testing.assert_array_equal(columns["crack_length"], lengths(TICKS, 44))
        times = NOW + np.arange(TICKS, 310)
        columns = {"crack_length": lengths(TICKS, 54), "seen": np.full((54, 2), NOW)}
        store.trajectories.write("crack", TICKS, times, NAMES, columns)
        store.trajectories.open_group("other", [NEWER])
        assert store.trajectories.verify("crack") == []
    for group in ("crack", "other"):
        for consolidated in (False, True):
            path = directory / "trajectories.zarr" / group
            with xr.open_zarr(path, consolidated=consolidated) as opened:
                assert {array.dims[0] for array in (opened.time, opened.seen)} == {DIMENSIONS[name]}
                if group == "crack":
                    np.testing.assert_array_equal(opened.crack_length, lengths(0, 310))
                    np.testing.assert_array_equal(opened.time.astype("i8"), NOW + np.arange(310))


def test_the_checkpoint_and_the_image_are_read(directory: Path) -> None:
    with Store(directory) as store:
        kept = store.journal.catalogue.checkpoint("c-7")
        tensors, metadata = store.checkpoints.read(kept.name, kept.sha256)
        np.testing.assert_array_equal(tensors["a"], [0.0, 1.0, 2.0])
        assert (metadata, kept.rows) == (b"{}", {"crack": 300})
        assert (len(store.images), store.images.size) == (1, 8)


def test_this_release_writes_what_it_reads(tmp_path: Path) -> None:
    write(tmp_path / "store")
    test_the_journal_opens(tmp_path / "store")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
