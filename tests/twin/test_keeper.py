"""Flushes, checkpoints and retention: what is kept, what goes, and in which order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storage.errors import UnavailableError
from storage.store import Store
from tests.twin.fleets import CLOCK, T0, component, spectrum
from twin.cohort import KIND
from twin.fleet import EMPTY, Fleet
from twin.fold import Line, folded
from twin.keeper import Keeper
from twin.lines import observed, registration
from twin.metrics import Metrics
from twin.recorder import Recorder
from twin.recovery import recovered
from twin.settings import StorageTable

THREAD = ThreadPoolExecutor(1)


def kept(store: Store, fleet: Fleet, n: int, settings: StorageTable) -> tuple[Keeper, Fleet]:
    """A keeper whose journal and rows hold `n` spectra a minute apart, one commit each."""
    keeper = Keeper(settings, store, Recorder(store.trajectories, 0), Metrics())
    store.journal.append([registration(component(), T0)], now_ns=1)
    lines = [Line("plant/press-1", component()), *(spectrum(i, 60.0 * i) for i in range(n))]
    for line in lines[1:]:
        store.journal.append([observed(line.what)], now_ns=2)  # type: ignore[arg-type]
    result = folded(fleet, lines, CLOCK)
    keeper.add(result.rows)
    return keeper, result.fleet


async def test_a_last_checkpoint_leaves_nothing_to_replay(tmp_path: Path) -> None:
    with Store(tmp_path / "data") as store:
        keeper, fleet = kept(store, EMPTY, 5, StorageTable())
        assert len(keeper.tail) == 4
        await keeper.close(fleet, CLOCK, THREAD)
        assert keeper.tail == ()
        assert store.trajectories.committed(KIND) == store.journal.catalogue.arrays()[KIND] == 4
        assert recovered(store, CLOCK).replayed == 0


@pytest.mark.parametrize(("waiting", "flushed"), [(3, False), (4, True), (5, True)])
async def test_rows_are_flushed_once_there_are_enough(
    tmp_path: Path, waiting: int, flushed: bool
) -> None:
    with Store(tmp_path / "data") as store:
        keeper, fleet = kept(store, EMPTY, waiting + 1, StorageTable(flush_rows=4))
        await keeper.keep(fleet, CLOCK, THREAD)
        assert (keeper.tail == ()) is flushed


async def test_only_so_many_checkpoints_are_kept(tmp_path: Path) -> None:
    settings = StorageTable(checkpoint_every_s=1e-9, checkpoints_kept=2)
    with Store(tmp_path / "data") as store:
        keeper, fleet = kept(store, EMPTY, 3, settings)
        for seq in range(3, 6):
            await keeper.keep(fleet, CLOCK, THREAD)
            line = spectrum(seq, 60.0 * seq)
            store.journal.append([observed(line.what)], now_ns=2)  # type: ignore[arg-type]
            fleet = folded(fleet, [line], CLOCK).fleet
        assert [c.offset for c in store.journal.catalogue.checkpoints()] == [6, 5]
        assert len(store.checkpoints.names()) == 2


async def test_retention_drops_lines_past_their_time_behind_the_oldest_checkpoint(
    tmp_path: Path,
) -> None:
    settings = StorageTable(checkpoint_every_s=1e-9, retention_days=1.0)
    with Store(tmp_path / "data") as store:
        keeper, fleet = kept(store, EMPTY, 5, settings)  # committed in 1970
        await keeper.keep(fleet, CLOCK, THREAD)
        assert store.journal.start == 5  # the last commit always stays
        assert recovered(store, CLOCK).fleet.offset == 6


async def test_a_disk_that_does_not_obey_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path / "data") as store:
        keeper, fleet = kept(store, EMPTY, 3, StorageTable(flush_rows=1))

        def refuse(*_: object) -> int:
            raise UnavailableError("no space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(store.trajectories, "write", refuse)
            await keeper.keep(fleet, CLOCK, THREAD)
            told = keeper.is_available, len(keeper.tail)
        await keeper.keep(fleet, CLOCK, THREAD)
        assert told == (False, 2)
        assert (keeper.is_available, len(keeper.tail)) == (True, 0)
