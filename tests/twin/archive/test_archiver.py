"""Flushes, checkpoints and retention: what is kept, what goes, and in which order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from storage.errors import UnavailableError
from storage.store import Store
from tests.twin.fleets import CLOCK, T0, component, spectrum
from twin.archive.archiver import DAY_NS, Archiver
from twin.archive.recorder import Recorder
from twin.archive.recovery import recovered
from twin.belief.fleet import EMPTY, Fleet
from twin.belief.fold import folded
from twin.belief.lines import observed, registration
from twin.belief.segments import Line
from twin.kinds.crack_fields import GROUP
from twin.metrics import Metrics
from twin.settings import StorageTable

THREAD = ThreadPoolExecutor(1)


def kept(store: Store, fleet: Fleet, n: int, settings: StorageTable) -> tuple[Archiver, Fleet]:
    """An archiver whose journal and rows hold `n` spectra a minute apart, one commit each."""
    archiver = Archiver(settings, store, Metrics())
    archiver.begin(Recorder(store.trajectories, {GROUP: 0}), ())
    store.journal.append([registration(component(), T0)], now_ns=1)
    lines = [Line("plant/press-1", component()), *(spectrum(i, 60.0 * i) for i in range(n))]
    for line in lines[1:]:
        store.journal.append([observed(line.what)], now_ns=2)  # type: ignore[arg-type]
    result = folded(fleet, lines, CLOCK)
    archiver.add(result.rows)
    return archiver, result.fleet


async def test_a_last_checkpoint_leaves_nothing_to_replay(tmp_path: Path) -> None:
    with Store(tmp_path / "data") as store:
        archiver, fleet = kept(store, EMPTY, 5, StorageTable())
        assert len(archiver.tail) == 4
        await archiver.close(fleet, CLOCK, THREAD)
        assert archiver.tail == ()
        assert store.trajectories.committed(GROUP) == store.journal.catalogue.arrays()[GROUP] == 4
        assert recovered(store, CLOCK).replayed == 0


@pytest.mark.parametrize(("waiting", "flushed"), [(3, False), (4, True), (5, True)])
async def test_rows_are_flushed_once_there_are_enough(
    tmp_path: Path, waiting: int, flushed: bool
) -> None:
    with Store(tmp_path / "data") as store:
        archiver, fleet = kept(store, EMPTY, waiting + 1, StorageTable(flush_rows=4))
        await archiver.keep(fleet, CLOCK, THREAD)
        assert (archiver.tail == ()) is flushed


async def test_only_so_many_checkpoints_are_kept(tmp_path: Path) -> None:
    settings = StorageTable(checkpoint_every_s=1e-9, checkpoints_kept=2)
    with Store(tmp_path / "data") as store:
        archiver, fleet = kept(store, EMPTY, 3, settings)
        for seq in range(3, 6):
            await archiver.keep(fleet, CLOCK, THREAD)
            line = spectrum(seq, 60.0 * seq)
            store.journal.append([observed(line.what)], now_ns=2)  # type: ignore[arg-type]
            fleet = folded(fleet, [line], CLOCK).fleet
        assert [c.offset for c in store.journal.catalogue.checkpoints()] == [6, 5]
        assert len(store.checkpoints.names()) == 2


def daily(store: Store, settings: StorageTable, committed_ns: int) -> tuple[Archiver, Fleet]:
    """An archiver whose journal holds a registration and a spectrum a day, for ten days."""
    archiver = Archiver(settings, store, Metrics())
    archiver.begin(Recorder(store.trajectories, {GROUP: 0}), ())
    clock = replace(CLOCK, record_every_ns=DAY_NS)
    store.journal.append([registration(component(), committed_ns)], now_ns=committed_ns)
    lines = [Line("plant/press-1", component()), *(spectrum(i, 86_400.0 * i) for i in range(10))]
    for line in lines[1:]:
        store.journal.append([observed(line.what)], now_ns=committed_ns)  # type: ignore[arg-type]
    result = folded(EMPTY, lines, clock)
    archiver.add(result.rows)
    return archiver, result.fleet


RETAINED = StorageTable(checkpoint_every_s=1e-9, retention_days=3.5)


async def test_retention_drops_lines_by_the_time_at_which_they_were_observed(
    tmp_path: Path,
) -> None:
    with Store(tmp_path / "data") as store:
        archiver, fleet = daily(store, RETAINED, committed_ns=T0 + 400 * DAY_NS)  # a replay
        await archiver.keep(fleet, CLOCK, THREAD)
        assert store.journal.start == 7  # of day 6 and later, and the registration is line 0
        assert recovered(store, CLOCK).fleet.offset == 11


@pytest.mark.parametrize("ahead_days", [0, 365])
async def test_a_clock_that_is_a_year_ahead_for_a_while_drops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead_days: int
) -> None:
    """Neither this host's, nor that of the sources, as long as one of the two knows better."""
    with Store(tmp_path / "data") as store:
        now_ns = T0 + 2 * DAY_NS
        monkeypatch.setattr("twin.archive.archiver.time.time_ns", lambda: now_ns)
        archiver, fleet = kept(store, EMPTY, 5, RETAINED)  # minutes apart
        monkeypatch.setattr("twin.archive.archiver.time.time_ns", lambda: now_ns + 365 * DAY_NS)
        fleet = replace(fleet, watermark_ns=fleet.watermark_ns + ahead_days * DAY_NS)
        await archiver.keep(fleet, CLOCK, THREAD)
        assert store.journal.start == 0


async def test_nothing_is_dropped_before_what_replaces_it_was_read_back(tmp_path: Path) -> None:
    with Store(tmp_path / "data") as store:
        archiver, fleet = daily(store, RETAINED, committed_ns=T0)
        archiver.is_pruning = False
        await archiver.keep(fleet, CLOCK, THREAD)
        (only,) = (tmp_path / "data" / "checkpoints").iterdir()
        whole = only.read_bytes()
        archiver.is_pruning = True
        only.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        await archiver._pruned(THREAD)
        assert store.journal.start == 0
        only.write_bytes(whole)
        await archiver._pruned(THREAD)
        assert store.journal.start == 7


async def test_a_disk_that_does_not_obey_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path / "data") as store:
        archiver, fleet = kept(store, EMPTY, 3, StorageTable(flush_rows=1))

        def refuse(*_: object) -> int:
            raise UnavailableError("no space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(store.trajectories, "write", refuse)
            await archiver.keep(fleet, CLOCK, THREAD)
            told = archiver.is_available, len(archiver.tail)
        await archiver.keep(fleet, CLOCK, THREAD)
        assert told == (False, 2)
        assert (archiver.is_available, len(archiver.tail)) == (True, 0)
