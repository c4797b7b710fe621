"""While a service comes back: who waits for it hears of it, and what is damaged is told once."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from storage.store import Store
from tests.end_to_end.lives import chosen, observe, register, running
from twin.fleet import clock_of
from twin.recovery import recovered
from twin.service import Service

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
