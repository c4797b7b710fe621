"""A rebuilt store holds the same lines, folded in event-time order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from storage.store import Store
from tests.twin.belief.test_fold import assert_same
from tests.twin.fleets import T0, component, inspection, spectrum
from twin.archive.rebuild import rebuild
from twin.archive.recovery import recovered
from twin.belief.fleet import clock_of
from twin.belief.lines import observed, registration
from twin.errors import SettingsError, TwinError
from twin.kinds.crack_fields import GROUP
from twin.settings import Settings, settings


def chosen() -> Settings:
    return settings(storage={"record_every_s": 60.0})


def fill(directory: Path, order: list[int]) -> None:
    """Ten spectra and an inspection, a minute apart, arriving in the given order."""
    lines = [spectrum(i, 60.0 * i) for i in range(10)] + [inspection(0, 0.002, 315.0)]
    with Store(directory) as store:
        entries = [registration(component(), T0 + 10**15)]
        entries += [observed(lines[i].what) for i in order]  # type: ignore[arg-type]
        for entry in entries:
            store.journal.append([entry], now_ns=T0)


def test_late_data_take_their_place(tmp_path: Path) -> None:
    in_time = [0, 1, 2, 3, 4, 5, 10, 6, 7, 8, 9]
    fill(tmp_path / "late", [10, 0, 1, 4, 2, 3, 5, 9, 6, 8, 7])
    fill(tmp_path / "ordered", in_time)
    report = rebuild(chosen(), tmp_path / "late", None)
    with Store(tmp_path / "late") as one, Store(tmp_path / "ordered") as other:
        rebuilt, expected = (recovered(s, clock_of(chosen())) for s in (one, other))
        expected.recorder.flush()
        assert rebuilt.replayed == 0
        assert_same(rebuilt.fleet, expected.fleet)
        names = ["crack_length", "cycles", "last_evidence"]
        rows = [s.trajectories.read(GROUP, "plant/press-1", names) for s in (one, other)]
        assert all(np.array_equal(rows[0][name], rows[1][name]) for name in names)
        assert one.verify() == []
    assert report["lines"] == 12
    assert Path(report["before"]).is_dir()


def test_what_was_a_duplicate_stays_one(tmp_path: Path) -> None:
    fill(tmp_path / "data", [3, 1, 2, 0])
    rebuild(chosen(), tmp_path / "data", tmp_path / "new")
    with Store(tmp_path / "new") as store:
        again = store.journal.append([observed(spectrum(2, 120.0).what)], now_ns=T0)  # type: ignore[arg-type]
    assert [outcome.value for outcome in again.outcomes] == ["duplicate"]


def test_a_journal_without_its_beginning_cannot_be_rebuilt(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no data directory"):
        rebuild(chosen(), tmp_path / "none", None)
    fill(tmp_path / "data", [0])
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file").touch()
    with pytest.raises(SettingsError, match="not empty"):
        rebuild(chosen(), tmp_path / "data", tmp_path / "new")
    assert issubclass(SettingsError, TwinError)


def test_without_settings_rows_are_made_as_they_were(tmp_path: Path) -> None:
    """`twin rebuild -d DATA` knows no settings: those of nobody are not taken for the service's."""
    data = tmp_path / "data"
    fill(data, list(range(11)))
    wanted = settings(storage={"record_every_s": 20.0}, ingest={"lateness_s": 1.0})
    rows = rebuild(wanted, data, None)["rows"]
    report = rebuild(settings(), data, tmp_path / "new", is_told=False)
    assert report["rows"] == rows
    assert (report["record_every_s"], report["lateness_s"]) == (20.0, 1.0)
    assert report["both_by"] == f"the checkpoint {newest_of(data)}"
    told = rebuild(settings(storage={"record_every_s": 60.0}), data, tmp_path / "b", is_told=False)
    assert (told["rows"] < rows, told["both_by"]) == (True, "the settings")


def newest_of(data: Path) -> str:
    """The newest checkpoint of a store."""
    return max(path.stem for path in (data / "checkpoints").iterdir())


def test_without_settings_and_checkpoints_the_default_is_told(tmp_path: Path) -> None:
    fill(tmp_path / "data", [0, 1, 2])
    report = rebuild(settings(), tmp_path / "data", None, is_told=False)
    assert report["both_by"].startswith("default: no checkpoint says")
