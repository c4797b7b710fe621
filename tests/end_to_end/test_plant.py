"""A simulated plant with hidden truth and faulty sensors, followed by the running service."""

from __future__ import annotations

import asyncio
from itertools import takewhile

import pytest

from sensors.simulation.faults import Rates
from sensors.simulation.plant import Plant, PlantSettings, fleet
from sensors.timed import Timed
from tests.end_to_end.conftest import Running
from twin.commands.playing import played

START_NS = 1_790_000_000 * 10**9
FAULTS = Rates(loss=0.01, duplicate=0.02, late=0.02, malformed=0.01)


def stream(plant: Plant, seconds: float) -> list[Timed]:
    end_ns = START_NS + round(seconds * 1e9)
    return list(takewhile(lambda timed: timed.t_ns < end_ns, plant.messages(START_NS)))


async def test_a_plant_is_followed_and_every_fault_is_counted(live: Running) -> None:
    settings = PlantSettings(parts=12, seed=4, faults=FAULTS, image_every_s=120.0)
    plant = Plant(settings)
    sent = stream(plant, 400.0)
    malformed = sum(timed.fault == "malformed" for timed in sent)
    duplicates = sum(timed.fault == "duplicate" for timed in sent)
    assert min(malformed, duplicates) > 10
    async with live(storage={"record_every_s": 30.0}) as it:
        await asyncio.to_thread(it.stage.register, fleet(settings))
        await played(it.stage, sent, speed=0.0)
        await asyncio.wait_for(
            it.service.until(settings.parts + len(sent) - malformed - duplicates), 120
        )
        registry, journal = it.service.metrics.registry, it.service.store.journal
        await it.service.threads.journal(lambda: None)  # the last commit has been counted
        assert len(journal.dead_letters) == malformed
        assert all(kept.letter.sentence for kept in journal.dead_letters.list(1000))
        assert registry.get_sample_value("twin_duplicates_total") == duplicates
        missing = registry.get_sample_value("twin_sequence_gaps_total") or 0.0
        filled = registry.get_sample_value("twin_sequence_gaps_filled_total") or 0.0
        assert missing > filled > 0  # some came late after all, some never
        assert len(it.service.store.images) > 0
        for name in plant.names:
            place = it.service.fleet.places[name]
            view = it.service.fleet.cohorts[place.cohort].view()
            truth = plant.truth(name)
            error = abs(view.crack_length[place.row] - truth.a)
            unseen = abs(view.measured[place.row] - truth.a)  # what an inspection alone would leave
            assert error <= unseen + 4 * settings.inspection_sd, name
            assert view.cycles[place.row] == pytest.approx(truth.cycles, rel=0.1), name
