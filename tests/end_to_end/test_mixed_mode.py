"""Plates in mixed mode of the simulated plant, followed by the running service."""

from __future__ import annotations

import asyncio
import heapq
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from sensors.plates import COEFFICIENT, EXPONENT, Plate, messages
from sensors.timed import Timed
from storage.store import Store
from tests.end_to_end.conftest import Live, Running
from tests.end_to_end.mixed_mode import Reference, grown
from tests.twin.test_fold import assert_same
from twin.asking import ask
from twin.fleet import EMPTY, Fleet
from twin.fold import folded
from twin.lines import lines
from twin.playing import played

START_NS = 1_790_000_000 * 10**9
NUMBER = 36  # messages of each plate
COUNTED = Plate("plant-a/plate-1", shift=9, cycles=64_000)
SAMPLED = Plate("plant-a/plate-2", stress=86e6, shears=(-0.3, -0.6), shift=12, cycles=5_000,
                sampled=True)  # fmt: skip
PLATES = (COUNTED, SAMPLED)


def stream() -> list[Timed]:
    each = [islice(messages(plate, START_NS), NUMBER) for plate in PLATES]
    return list(heapq.merge(*each, key=lambda timed: timed.t_ns))


def reference(plate: Plate) -> Reference:
    loads = [
        (plate.stress, plate.shear(i) * plate.stress, float(plate.cycles)) for i in range(NUMBER)
    ]
    law = (COEFFICIENT, EXPONENT)
    return grown(loads, plate.crack, law, columns=96, step=0.125e-3)


async def play(it: Live, sent: list[Timed], lines: int) -> Fleet:
    await played(it.stage, sent, speed=0.0)
    await asyncio.wait_for(it.service.until(lines), 120)
    return it.service.fleet


async def test_plates_are_followed_over_a_restart_as_a_fine_solver_grows_them(
    live: Running, tmp_path: Path
) -> None:
    sent, half = stream(), NUMBER
    tables = [plate.registration() for plate in PLATES]
    paths: dict[str, np.ndarray] = {}
    async with live(storage={"record_every_s": 5.0}, ingest={"max_ahead_s": None}) as it:
        await asyncio.to_thread(it.stage.register, tables)
        await play(it, sent[:half], len(PLATES) + half)
    async with live(storage={"record_every_s": 5.0}, ingest={"max_ahead_s": None}) as it:
        fleet = await play(it, sent[half:], len(PLATES) + len(sent))
        clock = it.service.clock
        for plate in PLATES:
            page = await asyncio.to_thread(ask, it.url, f"/api/v1/components/{plate.name}/crack")
            paths[plate.name] = np.array(page["path"][0])
            assert page["crack_length"] > 1.8 * plate.crack
    with Store(tmp_path / "data") as store:
        entries = [entry for _, batch in store.journal.read(0) for entry in batch]
    assert_same(fleet, folded(EMPTY, lines(entries), clock).fleet)
    for plate in PLATES:
        known, path = reference(plate), paths[plate.name]
        assert known.distance(path) < 0.1e-3
        place = fleet.places[plate.name]
        length = float(fleet.cohorts[place.cohort].state.a[place.row])
        assert known.cycles_at(length) == pytest.approx(NUMBER * plate.cycles, rel=0.03)
