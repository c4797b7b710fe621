"""Plates in mixed mode that the running service follows from their first millimetre to the last."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensors.simulation.plates import COEFFICIENT, EXPONENT, SimulatedPlate
from storage.store import Store
from tests.end_to_end.mixed_mode import grown
from tests.end_to_end.plates import CLOCK, lived
from tests.twin.belief.test_fold import assert_same
from twin.archive.recovery import recovered
from twin.belief.fleet import EMPTY
from twin.belief.fold import folded
from twin.belief.lines import lines
from twin.serving import prepare

COUNTED = SimulatedPlate("plant-a/plate-1")
SAMPLED = SimulatedPlate("plant-a/plate-2", stress=86e6, shears=(-0.3, -0.6), sampled=True)
RESTART = 25  # messages to each plate before it


async def test_plates_are_followed_over_a_restart_as_a_fine_solver_grows_them(
    tmp_path: Path, mosquitto: str
) -> None:
    prepare()
    lives = await lived(tmp_path, (COUNTED, SAMPLED), RESTART)
    with Store(tmp_path / "data") as store:
        entries = [entry for _, batch in store.journal.read(0) for entry in batch]
        fleet = recovered(store, CLOCK).fleet
    assert_same(fleet, folded(EMPTY, lines(entries), CLOCK).fleet)
    for life in lives:
        assert life.status == "limit"
        law, crack = (COEFFICIENT, EXPONENT), life.plate.crack
        known = grown(life.lasting(), crack, law, columns=96, step=0.12e-3)
        for length in (2e-3, 3e-3, 4e-3, 5e-3, 6e-3, 7e-3):
            at = life.at(length)
            assert at is not None
            assert known.cycles_at(life.lengths[at]) == pytest.approx(life.counted[at], rel=0.03)
        assert known.distance(life.path_to(5e-3)) < 0.1e-3
