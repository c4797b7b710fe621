"""Rows reach Zarr whole, in order, and again after a restart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from storage.store import Store
from tests.twin.fleets import CLOCK, SECOND, T0, component, fleet, spectrum
from twin.archive.recorder import Recorder, tail_history
from twin.belief.fold import folded
from twin.belief.record import RecordRow
from twin.kinds.crack_fields import FIELDS, GROUP

NAMES = [field.name for field in FIELDS]


def rows(n: int) -> list[RecordRow]:
    """A row a minute, of one component and from the fourth on of two."""
    lines = [spectrum(i, 60.0 * i) for i in range(2)]
    (one,) = folded(fleet(component()), lines, CLOCK).rows
    (two,) = folded(fleet(component(), component("plant/late")), lines, CLOCK).rows
    return [_grown(one if i < 3 else two, i) for i in range(n)]


def _grown(row: RecordRow, minutes: int) -> RecordRow:
    columns = dict(row.columns)
    columns["crack_length"] = columns["crack_length"] + 1e-6 * minutes
    return row._replace(t_ns=row.t_ns + minutes * 60 * SECOND, groups={GROUP: columns})


def test_the_recorded_fields_are_those_of_a_row() -> None:
    assert sorted(rows(1)[0].columns) == sorted(NAMES)


@pytest.mark.parametrize("step", [100, 256, 300])
def test_what_was_added_can_be_read_back(tmp_path: Path, step: int) -> None:
    given = rows(300)
    with Store(tmp_path / "data") as store:
        recorder = Recorder(store.trajectories, {GROUP: 0})
        for start in range(0, 300, step):
            recorder.add(given[start : start + step])
            recorder.flush()
        assert recorder.flushed == store.trajectories.committed(GROUP) == 300
        history = store.trajectories.read(GROUP, "plant/press-1", NAMES)
        late = store.trajectories.read(GROUP, "plant/late", ["crack_length", "last_evidence"])
    assert history["time"].tolist() == [row.t_ns for row in given]
    for field in FIELDS:
        wanted = np.array([row.columns[field.name][0] for row in given]).astype(field.dtype)
        assert np.array_equal(history[field.name], wanted, equal_nan=field.dtype != "int64")
    assert np.isnan(late["crack_length"][:3]).all()
    assert np.array_equal(
        late["crack_length"][3:], [r.columns["crack_length"][1] for r in given[3:]]
    )
    assert (late["last_evidence"] == 0).all()


def test_a_restart_goes_on_in_the_open_shard(tmp_path: Path) -> None:
    given = rows(20)
    with Store(tmp_path / "data") as store:
        first = Recorder(store.trajectories, {GROUP: 0})
        first.add(given[:15])
        first.flush()
        second = Recorder(store.trajectories, {GROUP: 10})  # the checkpoint was five rows behind
        second.add(given[10:])
        second.flush()
        times = store.trajectories.read(GROUP, "plant/press-1", [])["time"]
    assert times.tolist() == [row.t_ns for row in given]


def test_the_tail_of_one_component_can_be_read_before_it_is_on_disk() -> None:
    history = tail_history(rows(5), "plant/late", ["crack_length"])
    assert len(history["time"]) == len(history["crack_length"]) == 2
    assert history["time"][0] > T0
    assert tail_history(rows(5), "plant/none", ["crack_length"])["time"].size == 0
