"""A trajectory that says more, or otherwise, than its journal is cut, told and recorded anew."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from storage.store import Store
from storage.trajectories.trajectories import Trajectories
from tests.twin.fleets import CLOCK, T0, component, spectrum
from twin.archive.recovery import Recovered, recovered
from twin.belief.fleet import EMPTY, Clock
from twin.belief.fold import folded
from twin.belief.lines import lines, observed, registration
from twin.component import Component
from twin.kinds.crack_fields import FIELDS, GROUP

NAMES = [field.name for field in FIELDS]


def kept(store: Store, numbers: Sequence[int], *new: Component) -> None:
    """Register components, and keep spectra that are a minute apart."""
    store.journal.append([registration(c, T0) for c in new], now_ns=T0)
    entries = [observed(spectrum(i, 60.0 * i).what) for i in numbers]  # type: ignore[arg-type]
    store.journal.append(entries, now_ns=T0)


def recorded(store: Store, clock: Clock) -> Recovered:
    """Recover, and bring all rows to disk."""
    found = recovered(store, clock)
    found.recorder.flush()
    return found


def same_as_one_fold(store: Store, clock: Clock) -> None:
    entries = [entry for _, part in store.journal.read(0) for entry in part]
    rows = folded(EMPTY, lines(entries), clock).rows
    members = rows[-1].members
    assert store.trajectories.committed(GROUP) == len(rows)
    assert store.trajectories.members(GROUP) == members
    for column, name in enumerate(members):
        history = store.trajectories.read(GROUP, name, NAMES)
        assert history["time"].tolist() == [row.t_ns for row in rows]
        expected = [r.columns["cycles"][column] for r in rows if column < len(r.members)]
        assert history["cycles"][-len(expected) :].tolist() == expected
    assert store.verify() == []


@pytest.mark.parametrize("every_s", [7.0, 60.0, 300.0])
@pytest.mark.parametrize("count", [9, 270])
def test_another_record_interval_after_a_crash_records_anew(
    tmp_path: Path, every_s: float, count: int
) -> None:
    slow = replace(CLOCK, record_every_ns=round(every_s * 1e9))
    with Store(tmp_path / "data") as store:
        kept(store, range(count), component())
        first = recorded(store, CLOCK)
    with Store(tmp_path / "data") as store:
        again = recorded(store, slow)
        assert bool(again.damage) is (every_s != 60.0)
        if again.damage:
            assert f"the trajectory had {first.recorder.rows} rows" in again.damage[0]
        same_as_one_fold(store, slow)


def test_an_older_journal_beside_a_newer_trajectory_goes_on(tmp_path: Path) -> None:
    """As after a restore of one file: other components may be registered in place of the lost."""
    data = tmp_path / "data"
    with Store(data) as store:
        kept(store, range(10), component())
    shutil.copy(data / "journal.sqlite", tmp_path / "copy")
    with Store(data) as store:
        kept(store, range(10, 20), component("plant/lost"))
        recorded(store, CLOCK)
    shutil.copy(tmp_path / "copy", data / "journal.sqlite")
    with Store(data) as store:
        found = recorded(store, CLOCK)
        assert any("they are cut" in said for said in found.damage)
        same_as_one_fold(store, CLOCK)
        kept(store, range(10, 15), component("plant/other"))
    with Store(data) as store:
        assert not any("they are cut" in said for said in recorded(store, CLOCK).damage)
        same_as_one_fold(store, CLOCK)


def test_what_is_cut_is_not_told_of_even_while_the_disk_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = replace(CLOCK, record_every_ns=5 * CLOCK.record_every_ns)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Store(tmp_path / "data") as store:
        kept(store, range(20), component())
        recorded(store, CLOCK)
    with Store(tmp_path / "data") as store:
        with monkeypatch.context() as patch:
            patch.setattr(Trajectories, "_publish", refuse)
            found = recovered(store, slow)
        assert store.trajectories.committed(GROUP) == found.recorder.flushed == 0
        found.recorder.flush()
        same_as_one_fold(store, slow)
