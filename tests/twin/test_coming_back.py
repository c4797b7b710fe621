"""While a service comes back: who waits for it hears of it, and what is damaged is told once."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import numpy as np
import pytest

from storage.journal.entry import Entry
from storage.store import Store
from tests.end_to_end.lives import START_NS, chosen, observe, register, running
from tests.end_to_end.traffic import Traffic, fleet
from tests.end_to_end.verdict import _same_state
from twin.archive.recovery import recovered
from twin.belief.cohort import Cohort, with_present_lives
from twin.belief.fleet import EMPTY, clock_of
from twin.belief.fleet_file import registrations
from twin.belief.fold import folded
from twin.belief.lines import lines, registration
from twin.component import Component
from twin.service import Service

TABLES = fleet(3)  # with retardation, and without

LIVES = (range(10), range(10, 20), range(20, 30))  # each ends with a checkpoint, all in one shard


async def lived(data: Path) -> None:
    """Some lives whose rows share a shard."""
    for i, numbers in enumerate(LIVES):
        async with running(data) as service:
            if i == 0:
                await register(service)
            await observe(service, numbers)


async def test_who_waits_for_an_offset_while_it_recovers_has_it_then(tmp_path: Path) -> None:
    await lived(tmp_path / "data")
    with Store(tmp_path / "data") as store:
        service = Service(chosen(tmp_path / "data"), store)
        waiting = asyncio.create_task(service.until(store.journal.end))
        await asyncio.sleep(0)
        assert not waiting.done()
        work = asyncio.create_task(service.run(None))
        try:
            async with asyncio.timeout(60):
                await waiting
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work


async def test_rows_that_several_checkpoints_share_are_told_as_damaged_once(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    await lived(data)
    (shard,) = (data / "trajectories.zarr/crack/cycles/c").glob("*/*")
    shard.write_bytes(shard.read_bytes()[:-10])
    with Store(data) as store:
        assert len(store.journal.catalogue.checkpoints()) == len(LIVES)
        damage = recovered(store, clock_of(chosen(data))).damage
    assert len([x for x in damage if x.startswith("trajectory rows from 0")]) == 1
    assert len(set(damage)) == len(damage)


async def test_a_recovery_finds_lives_once_however_small_its_portions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic = Traffic([table["name"] for table in TABLES], seed=0, start_ns=START_NS)
    messages = [message for _ in range(20) for message in traffic.second()]
    entries = [*_registered(), *traffic.sent.values()]
    clock = clock_of(chosen(tmp_path))
    whole = folded(EMPTY, lines(entries), clock)
    found = list[Cohort]()

    def counted(cohort: Cohort) -> Cohort:
        found.append(cohort)
        return with_present_lives(cohort)

    monkeypatch.setattr("twin.belief.fold.with_present_lives", counted)
    monkeypatch.setattr("twin.pace.GO_S", 1e-9)  # as on a machine that others have to themselves
    with Store(tmp_path / "data") as store:
        for first in range(0, len(entries), 10):
            store.journal.append(entries[first : first + 10], (), now_ns=START_NS)
        restarted = recovered(store, clock)
    assert len(messages) > 40
    assert len(found) == len(whole.fleet.cohorts)
    assert _same_state(restarted.fleet, whole.fleet, clock) == []
    for key, cohort in whole.fleet.cohorts.items():
        np.testing.assert_array_equal(restarted.fleet.cohorts[key].remaining, cohort.remaining)
    assert restarted.recorder.rows == len(whole.rows) > 5


def _registered() -> list[Entry]:
    wanted = registrations(TABLES, "the fleet").items()
    made = [Component(name=n, revision=1, registered_by="file", registration=r) for n, r in wanted]
    return [registration(component, START_NS) for component in made]
