"""Trajectories: whole blocks, a committed length, open to xarray at any time."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from storage.errors import CorruptError, MissingError, StorageError, UnavailableError
from storage.trajectories.layout import (
    DOCUMENT,
    LAYOUTS,
    SHARD_WIDTH,
    TICKS,
    TIME_CHUNK,
    Field,
)
from storage.trajectories.trajectories import Trajectories, copies_of
from tests.storage.conftest import files_bounded

STEP = 10**9  # ns
LENGTH = Field("crack_length", "m", "crack length")
STATUS = Field("status", "1", "status", dtype="int8", fill=-1)
START = 1_790_000_000 * STEP


def times(start: int, count: int) -> np.ndarray:
    return START + np.arange(start, start + count) * STEP


def lengths(start: int, count: int, parts: int) -> np.ndarray:
    return (np.arange(start, start + count)[:, None] + np.arange(parts) / 1024).astype("f4")


def names(parts: int) -> list[str]:
    return [f"plant/part-{i}" for i in range(parts)]


def write(trajectories: Trajectories, start: int, count: int, parts: int = 3) -> int:
    columns = {"crack_length": lengths(start, count, parts)}
    return trajectories.write("crack", start, times(start, count), names(parts), columns)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.zarr"


@pytest.fixture
def trajectories(path: Path) -> Trajectories:
    opened = Trajectories(path)
    assert opened.open_group("crack", [LENGTH]) == 0
    return opened


@pytest.mark.parametrize("count", [1, TICKS - 1, TICKS])
def test_a_block_is_read_as_it_was_written(
    trajectories: Trajectories, path: Path, count: int
) -> None:
    assert write(trajectories, 0, count) == count
    for reader in (trajectories, Trajectories(path)):
        found = reader.read("crack", "plant/part-1", ["crack_length"])
        np.testing.assert_array_equal(found["time"], times(0, count))
        np.testing.assert_array_equal(found["crack_length"], lengths(0, count, 3)[:, 1])
    assert trajectories.verify("crack") == []


def test_the_open_block_is_rewritten_whole(trajectories: Trajectories) -> None:
    for count in (10, 10, 200, TICKS):
        assert write(trajectories, 0, count) == count
    assert write(trajectories, TICKS, 5) == TICKS + 5
    start, columns = trajectories.block("crack", TICKS)
    np.testing.assert_array_equal(start, times(TICKS, 5))
    np.testing.assert_array_equal(columns["crack_length"], lengths(TICKS, 5, 3))


def test_a_block_before_may_be_written_again_whole(trajectories: Trajectories) -> None:
    write(trajectories, 0, TICKS)
    write(trajectories, TICKS, 9)
    assert write(trajectories, 0, TICKS) == TICKS + 9
    assert trajectories.verify("crack") == []


def test_blocks_that_do_not_fit_are_refused(trajectories: Trajectories) -> None:
    write(trajectories, 0, TICKS)
    write(trajectories, TICKS, 100)
    for start, count in ((0, TICKS - 1), (TICKS, 99), (1, 5), (2 * TICKS, 1), (TICKS, TICKS + 1)):
        with pytest.raises(ValueError, match=r"rows"):
            write(trajectories, start, count)
    rows = times(TICKS, 100)
    columns = {"crack_length": lengths(0, 100, 3)}
    with pytest.raises(ValueError, match="do not rise"):
        trajectories.write("crack", TICKS, rows[::-1], names(3), columns)
    with pytest.raises(ValueError, match="do not rise"):
        trajectories.write("crack", TICKS, rows - STEP, names(3), columns)
    with pytest.raises(ValueError, match="only be added to"):
        trajectories.write("crack", TICKS, rows, names(3)[::-1], columns)
    with pytest.raises(ValueError, match="only be added to"):
        trajectories.write("crack", TICKS, rows, [*names(2), "plant/part-0"], columns)
    with pytest.raises(ValueError, match="not opened for"):
        trajectories.write("crack", TICKS, rows, names(3), {})
    with pytest.raises(ValueError, match=r"\(100, 3\)"):
        trajectories.write("crack", TICKS, rows, names(4), columns)
    assert trajectories.committed("crack") == TICKS + 100
    assert trajectories.verify("crack") == []


@pytest.mark.parametrize("parts", [SHARD_WIDTH - 1, SHARD_WIDTH, SHARD_WIDTH + 1])
def test_components_are_added_across_shards(
    trajectories: Trajectories, path: Path, parts: int
) -> None:
    write(trajectories, 0, TICKS, 2)
    write(trajectories, TICKS, 3, parts)
    again = Trajectories(path)
    last = again.read("crack", f"plant/part-{parts - 1}", ["crack_length"])["crack_length"]
    assert np.isnan(last[:TICKS]).all()
    np.testing.assert_array_equal(last[TICKS:], lengths(TICKS, 3, parts)[:, -1])
    assert again.members("crack") == tuple(names(parts))
    assert again.verify("crack") == []
    shards = len(list((path / "crack" / "crack_length" / "c" / "1").iterdir()))
    assert shards == -(-parts // SHARD_WIDTH)


def test_a_block_may_be_written_again_with_the_components_it_had(
    trajectories: Trajectories,
) -> None:
    write(trajectories, 0, TICKS, 2)
    write(trajectories, TICKS, TICKS, SHARD_WIDTH + 1)
    write(trajectories, 0, TICKS, 2)
    assert trajectories.verify("crack") == []
    write(trajectories, 0, TICKS, SHARD_WIDTH + 1)
    write(trajectories, TICKS, TICKS, 1)
    assert trajectories.verify("crack") == []
    assert len(trajectories.members("crack")) == SHARD_WIDTH + 1


def test_times_go_beyond_one_file(trajectories: Trajectories, path: Path) -> None:
    for start in range(0, TIME_CHUNK + TICKS, TICKS):
        write(trajectories, start, TICKS, 1)
    np.testing.assert_array_equal(
        Trajectories(path).read("crack", "plant/part-0", [])["time"], times(0, TIME_CHUNK + TICKS)
    )
    trajectories.truncate("crack", TIME_CHUNK)
    assert [p.name for p in (path / "crack" / "time" / "c").iterdir()] == ["0"]
    assert Trajectories(path).verify("crack") == []


@pytest.mark.parametrize(
    ("t_from", "t_to", "every", "limit", "expected"),
    [
        (None, None, 1, 10**6, range(600)),
        (None, None, 1, 7, range(7)),
        (None, None, 256, 10**6, range(0, 600, 256)),
        (10, 20, 3, 10**6, range(10, 20, 3)),
        (250, 520, 7, 30, range(250, 460, 7)),
        (511, 513, 1, 10**6, range(511, 513)),
        (599, None, 1, 10**6, range(599, 600)),
        (600, None, 1, 10**6, range(0)),
        (20, 10, 1, 10**6, range(0)),
        (None, None, 1, 0, range(0)),
    ],
)
def test_a_history_is_cut_by_time_and_thinned(
    trajectories: Trajectories,
    t_from: int | None,
    t_to: int | None,
    every: int,
    limit: int,
    expected: range,
) -> None:
    for start, count in ((0, TICKS), (TICKS, TICKS), (2 * TICKS, 88)):
        write(trajectories, start, count)
    found = trajectories.read(
        "crack",
        "plant/part-2",
        ["crack_length"],
        None if t_from is None else START + t_from * STEP,
        None if t_to is None else START + t_to * STEP,
        every=every,
        limit=limit,
    )
    rows = np.array(expected, dtype=int)
    np.testing.assert_array_equal(found["time"], START + rows * STEP)
    np.testing.assert_array_equal(found["crack_length"], lengths(0, 600, 3)[rows, 2])


def test_what_is_not_there_is_missing(trajectories: Trajectories) -> None:
    write(trajectories, 0, 1)
    with pytest.raises(MissingError, match="plant/other"):
        trajectories.read("crack", "plant/other", [])
    for field in ("width", "time"):
        with pytest.raises(MissingError, match=field):
            trajectories.read("crack", "plant/part-0", [field])
    with pytest.raises(MissingError, match="'nothing'"):
        trajectories.read("nothing", "plant/part-0", [])
    with pytest.raises(ValueError, match="every 0"):
        trajectories.read("crack", "plant/part-0", [], every=0)


def test_a_field_may_come_later_and_one_may_go(path: Path, trajectories: Trajectories) -> None:
    write(trajectories, 0, TICKS, 2)
    write(trajectories, TICKS, 3, 2)
    newer = Trajectories(path)
    assert newer.open_group("crack", [STATUS]) == TICKS + 3
    statuses = np.ones((5, 2))
    newer.write("crack", TICKS, times(TICKS, 5), names(2), {"status": statuses})
    found = newer.read("crack", "plant/part-1", ["status", "crack_length"])
    np.testing.assert_array_equal(found["status"], [-1] * TICKS + [1] * 5)
    np.testing.assert_array_equal(found["crack_length"][:TICKS], lengths(0, TICKS, 2)[:, 1])
    assert newer.verify("crack") == []
    with xr.open_zarr(path, group="crack", consolidated=False) as opened:
        assert opened.sizes == {"time": TICKS + 5, "component": 2}


def test_a_field_keeps_its_meaning(path: Path, trajectories: Trajectories) -> None:
    write(trajectories, 0, 1)
    for other in (
        Field("crack_length", "mm", "crack length"),
        Field("crack_length", "m", "crack length", dtype="float64"),
    ):
        with pytest.raises(ValueError, match="'crack_length'"):
            Trajectories(path).open_group("crack", [other])
    for wrong in ("Crack", "../x", ""):
        with pytest.raises(ValueError, match="names"):
            trajectories.open_group(wrong, [LENGTH])


@pytest.mark.parametrize("rows", [0, 1, TICKS - 1, TICKS, TICKS + 1, TICKS + 50])
def test_truncated_rows_can_be_written_again(
    trajectories: Trajectories, path: Path, rows: int
) -> None:
    write(trajectories, 0, TICKS)
    write(trajectories, TICKS, 50)
    trajectories.truncate("crack", rows)
    assert Trajectories(path).committed("crack") == rows
    assert trajectories.verify("crack") == []
    start = rows // TICKS * TICKS
    write(trajectories, start, TICKS, 4)
    found = trajectories.read("crack", "plant/part-3", ["crack_length"])["crack_length"]
    np.testing.assert_array_equal(found[start:], lengths(start, TICKS, 4)[:, 3])
    with pytest.raises(ValueError, match="cannot keep"):
        trajectories.truncate("crack", start + TICKS + 1)


def test_what_a_crash_left_half_written_is_nobodys_copy(
    trajectories: Trajectories, path: Path
) -> None:
    """A check called it a wrong copy, and cutting rows behind it ended in a ValueError."""
    write(trajectories, 0, TICKS)
    copied = copies_of(path) / "crack"
    left = [copied / "time" / "0.aside", copied / "component" / "0.aside"]
    left += [path / "crack" / "time" / "c" / "0.aside", copied / "zarr.json.aside"]
    for file in left:
        assert file.parent.is_dir()
        file.write_bytes(b"half")
    assert Trajectories(path, is_look=True).verify("crack") == []
    trajectories.truncate("crack", 1)
    assert trajectories.verify("crack") == []
    assert Trajectories(path).mend("crack") == []
    assert [file for file in left if file.exists()] == []


def test_xarray_reads_units_times_and_names(trajectories: Trajectories, path: Path) -> None:
    write(trajectories, 0, TICKS)
    write(trajectories, TICKS, 10)
    for opened in (
        xr.open_zarr(path, group="crack", consolidated=False),
        xr.open_zarr(path / "crack"),
    ):
        with opened:
            assert opened.attrs["Conventions"] == "CF-1.11"
            assert opened.crack_length.attrs == {"units": "m", "long_name": "crack length"}
            assert opened.crack_length.dims == ("time", "component")
            assert opened.time.dtype == np.dtype("datetime64[ns]")
            np.testing.assert_array_equal(opened.time.astype("i8"), times(0, TICKS + 10))
            one = opened.crack_length.sel(component="plant/part-2")
            np.testing.assert_array_equal(one, lengths(0, TICKS + 10, 3)[:, 2])


def test_times_are_a_coordinate_that_selects(trajectories: Trajectories, path: Path) -> None:
    write(trajectories, 0, TICKS)
    write(trajectories, TICKS, 10)
    first, last = (np.datetime64(int(t), "ns") for t in times(250, 10)[[0, -1]])
    for opened in (xr.open_zarr(path / "crack", consolidated=c) for c in (None, False, True)):
        with opened:
            assert opened.time.dims == ("time",)
            assert (opened.time.attrs["standard_name"], opened.time.attrs["axis"]) == ("time", "T")
            chosen = opened.crack_length.sel(time=slice(first, last))
            np.testing.assert_array_equal(chosen, lengths(250, 10, 3))


def test_no_evidence_is_no_time(tmp_path: Path) -> None:
    """Neither 1970 nor a number that has lost its nanoseconds."""
    opened = Trajectories(tmp_path)
    evidence = Field("last_evidence", "nanoseconds since 1970-01-01", "evidence", "int64", 0)
    opened.open_group("crack", [evidence])
    seen = np.array([[0, START + 1], [START + 3, 0]])
    opened.write("crack", 0, times(0, 2), names(2), {"last_evidence": seen})
    for consolidated in (None, False):
        with xr.open_zarr(tmp_path / "crack", consolidated=consolidated) as found:
            read = found.last_evidence.to_numpy()
            assert read.dtype == np.dtype("datetime64[ns]")
            np.testing.assert_array_equal(np.isnat(read), seen == 0)
            np.testing.assert_array_equal(read.astype("i8")[seen > 0], seen[seen > 0])


def test_times_whose_file_is_gone_are_not_1970(trajectories: Trajectories, path: Path) -> None:
    write(trajectories, 0, 10)
    (path / "crack" / "time" / "c" / "0").unlink()
    with xr.open_zarr(path / "crack") as opened:
        assert np.isnat(opened.time.to_numpy()).all()


def test_a_live_reader_sees_only_committed_rows(trajectories: Trajectories, path: Path) -> None:
    """Through xarray from outside, and through `read` from another thread."""
    write(trajectories, 0, 1)
    stop, failures, seen = threading.Event(), list[BaseException](), set[int]()

    def look() -> None:
        while not stop.is_set():
            try:
                with xr.open_zarr(path / "crack") as opened:
                    rows = opened.sizes["time"]
                    # Only closed blocks: the open one may be replaced between two reads of it.
                    closed = rows - rows % TICKS
                    part = opened.crack_length[:closed].values
                np.testing.assert_array_equal(part, lengths(0, closed, 3))
                found = trajectories.read("crack", "plant/part-1", ["crack_length"])
                np.testing.assert_array_equal(
                    found["crack_length"], lengths(0, len(found["time"]), 3)[:, 1]
                )
                seen.add(rows)
            except (AssertionError, StorageError, ValueError, OSError) as exc:
                failures.append(exc)
                return

    reader = threading.Thread(target=look)
    reader.start()
    for start in range(0, 3 * TICKS, TICKS):
        for count in (*range(16, TICKS, 24), TICKS):
            write(trajectories, start, count)
    stop.set()
    reader.join()
    assert failures == []
    assert len(seen) > 1


def test_rows_beyond_the_committed_length_are_not_read(
    trajectories: Trajectories, path: Path
) -> None:
    """A crash after the blocks and the shapes, before the group's document."""
    write(trajectories, 0, 100)
    document = path / "crack" / DOCUMENT
    before = document.read_bytes()
    write(trajectories, 0, 200, parts=5)
    document.write_bytes(before)
    again = Trajectories(path)
    assert again.open_group("crack", [LENGTH]) == 100
    found = again.read("crack", "plant/part-2", ["crack_length"])["crack_length"]
    np.testing.assert_array_equal(found, lengths(0, 100, 3)[:, 2])
    assert again.members("crack") == tuple(names(3))
    with xr.open_zarr(path, group="crack", consolidated=False) as opened:
        assert opened.sizes == {"time": 100, "component": 3}
    assert write(again, 0, 200, parts=5) == 200
    assert again.verify("crack") == []


def test_a_full_disk_leaves_what_is_committed(trajectories: Trajectories, path: Path) -> None:
    write(trajectories, 0, 100)
    with files_bounded(500):
        for _ in range(2):
            with pytest.raises(UnavailableError):
                write(trajectories, 0, 200)
    assert trajectories.committed("crack") == 100
    assert list(path.rglob("*.aside")) == []
    assert Trajectories(path).verify("crack") == []
    assert write(trajectories, 0, 200) == 200


@pytest.mark.parametrize("failing", range(8))
def test_a_failing_fsync_leaves_a_readable_store(
    trajectories: Trajectories, path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    write(trajectories, 0, 100)
    calls = 0

    def fsync(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls > failing:
            raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(UnavailableError, match="Input/output"):
            write(trajectories, 0, 200, parts=4)
    assert trajectories.committed("crack") == 100
    for reader in (trajectories, Trajectories(path)):
        found = reader.read("crack", "plant/part-0", ["crack_length"])["crack_length"]
        np.testing.assert_array_equal(found[:100], lengths(0, 100, 3)[:, 0])
    assert write(trajectories, 0, 200, parts=4) == 200
    assert trajectories.verify("crack") == []


def test_every_file_is_fsynced_before_the_group_says_so(
    trajectories: Trajectories, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(descriptor: int) -> None:
        order.append("fsync " + Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def watched_replace(self: Path, target: Path) -> Path:
        order.append(f"{target.parent.name}/{target.name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    write(trajectories, 0, 2)
    published = order.index(f"crack/{DOCUMENT}")
    moved = [step for step in order if not step.startswith("fsync")]
    assert moved[-1] == f"crack/{DOCUMENT}"
    asides = [i for i, step in enumerate(order) if step.endswith(".aside")]
    assert len(asides) == len(moved)
    assert max(asides) < order.index(moved[0]) < published
    assert {"fsync 0", "fsync c", "fsync crack_length"} <= set(order[:published])
    assert order[-1] == "fsync crack"


def test_two_groups_do_not_disturb_each_other(trajectories: Trajectories, path: Path) -> None:
    trajectories.open_group("grains", [Field("size", "m", "grain size")])
    write(trajectories, 0, 3)
    trajectories.write("grains", 0, times(0, 2), names(1), {"size": np.ones((2, 1))})
    assert trajectories.groups() == ["crack", "grains"]
    assert Trajectories(path).committed("grains") == 2
    assert Trajectories(path).committed("crack") == 3


def test_a_newer_layout_is_refused_with_a_sentence(
    trajectories: Trajectories, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setitem(LAYOUTS, 3, "time")
        newer.setattr("storage.trajectories.group.LAYOUT", 3)
        write(trajectories, 0, 1)
    with pytest.raises(StorageError, match="layout 3"):
        Trajectories(path).open_group("crack", [LENGTH])
    assert not isinstance(StorageError(), CorruptError)
