"""Rows on disk and rows in memory make one history, whatever is flushed when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.trajectories.trajectories import Trajectories
from twin.api.history import NAMES, Selection, history, last_row
from twin.archive.recorder import Recorder
from twin.belief.record import RecordRow
from twin.kinds.crack_fields import FIELDS, GROUP

SECOND = 10**9
ROWS = 300


def row(i: int) -> RecordRow:
    members = ("a/1",) if i < 5 else ("a/1", "a/2")
    columns = {
        f.name: np.array([i * 1e-3 + 1.0 / 3.0] * len(members)).astype(
            f.dtype if f.dtype == "int64" else "float64"
        )
        for f in FIELDS
    }
    return RecordRow((i + 1) * SECOND, members, {GROUP: columns})


EVERYTHING = [row(i) for i in range(ROWS)]


@pytest.fixture(scope="module")
def partly(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trajectories, Recorder]:
    """Rows of which the first 270 are on disk, and a tail taken before the last flush."""
    trajectories = Trajectories(tmp_path_factory.mktemp("t") / "t.zarr")
    recorder = Recorder(trajectories, {GROUP: 0})
    recorder.add(EVERYTHING)
    recorder.flush(200)
    return trajectories, recorder


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    start=st.integers(0, ROWS + 5),
    length=st.integers(0, ROWS + 5),
    every=st.integers(1, 40),
    limit=st.integers(1, ROWS + 10),
)
def test_a_selection_is_a_slice_of_the_whole(
    partly: tuple[Trajectories, Recorder], start: int, length: int, every: int, limit: int
) -> None:
    trajectories, recorder = partly
    wanted = Selection("a/1", ("cycles",), start * SECOND, (start + length) * SECOND, every, limit)
    found = history(trajectories, recorder.tail, wanted)
    within = [r.t_ns for r in EVERYTHING if wanted.t_from_ns <= r.t_ns < wanted.t_to_ns]
    assert found.columns["time"].tolist() == within[::every][:limit]
    behind = within[every * limit :]
    assert found.next_ns == (behind[0] if behind else None)
    expected = [r.columns["cycles"][0] for r in EVERYTHING if r.t_ns in set(found.columns["time"])]
    assert found.columns["cycles"].tolist() == expected


def test_what_is_flushed_after_the_tail_was_taken_is_not_doubled(tmp_path: Path) -> None:
    trajectories = Trajectories(tmp_path / "t.zarr")
    recorder = Recorder(trajectories, {GROUP: 0})
    recorder.add(EVERYTHING)
    whole = [(i + 1) * SECOND for i in range(ROWS)]
    before = history(trajectories, recorder.tail, Selection("a/1")).columns
    for until in (0, 1, 128, 256, 299, 300):
        tail = recorder.tail
        recorder.flush(until)
        after = history(trajectories, tail, Selection("a/1")).columns
        assert after["time"].tolist() == whole
        for name in NAMES:
            assert np.array_equal(after[name], before[name]), name


def test_rows_from_before_a_registration_are_left_out(tmp_path: Path) -> None:
    trajectories = Trajectories(tmp_path / "t.zarr")
    recorder = Recorder(trajectories, {GROUP: 0})
    recorder.add(EVERYTHING)
    assert history(trajectories, recorder.tail, Selection("a/2")).columns["time"][0] == 6 * SECOND
    recorder.flush()
    assert history(trajectories, (), Selection("a/2")).columns["time"][0] == 6 * SECOND


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        *((SECOND - 1, None), (SECOND, 1), (200 * SECOND, 200), (201 * SECOND - 1, 200)),
        *((201 * SECOND, 201), (10**6 * SECOND, 300)),
    ],
)
def test_the_last_row_is_that_at_or_before(
    partly: tuple[Trajectories, Recorder], at: int, expected: int | None
) -> None:
    trajectories, recorder = partly
    found = last_row(trajectories, recorder.tail, "a/1", at)
    assert found.get("time", np.empty(0)).tolist() == ([expected * SECOND] if expected else [])
    assert last_row(trajectories, recorder.tail, "nobody/here", at) == {}
