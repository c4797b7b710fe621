"""What is worn out is replaced by something fresh, told in time to be registered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sensors.payload.decode import decode
from sensors.simulation.faults import NO_FAULTS
from sensors.simulation.plant import Plant, PlantSettings, generation
from sensors.simulation.plates import SimulatedPlate, in_turn
from sensors.timed import Renewal

START_NS = 1_800_000_000_000_000_000
PLANT = PlantSettings(parts=1, speed=1.0, faults=NO_FAULTS, renew_after_s=20.0)


def test_a_worn_out_part_is_replaced_by_one_with_the_next_number() -> None:
    renewals: list[Renewal] = []
    told_ns = first_ns = 0
    now_ns = START_NS
    for timed in Plant(PLANT).messages(START_NS, renewals.append):
        now_ns = timed.t_ns
        told_ns = told_ns or (now_ns if renewals else 0)
        if "press-01-2" in timed.message.topic:
            first_ns = now_ns
            break
        assert now_ns < START_NS + 2000 * 10**9
    ((old, fresh),) = renewals
    assert (old, fresh["name"]) == ("plant-a/press-01", "plant-a/press-01-2")
    assert decode(*timed.message).component == fresh["name"]
    assert told_ns <= first_ns
    assert first_ns > START_NS + 240 * 10**9  # of watching, until the first is worn out


def test_no_part_is_replaced_unless_asked() -> None:
    renewals: list[Renewal] = []
    plant = replace(PLANT, renew_after_s=None)
    for timed in Plant(plant).messages(START_NS, renewals.append):
        if timed.t_ns > START_NS + 600 * 10**9:
            break
    assert renewals == []


def test_plates_take_turns() -> None:
    renewals: list[Renewal] = []
    plate = SimulatedPlate("plant-a/plate-1", every_s=1.0)
    seen: list[str] = []
    for timed in in_turn(
        plate, START_NS, lasts_s=5.0, pause_s=2.0, renewed=renewals.append, generation=2
    ):
        seen.append(timed.message.topic.split("/")[3])
        if len(seen) == 8:
            break
    assert seen == ["plate-1-3"] * 5 + ["plate-1-4"] * 3
    assert [(r.old, r.fresh["name"]) for r in renewals] == [
        ("plant-a/plate-1-3", "plant-a/plate-1-4")
    ]


@pytest.mark.parametrize(
    ("names", "count"),
    [
        ([], 0),
        (["bridge/span-1"], 0),
        (["plant-a/press-01"], 1),
        (["plant-a/press-01", "plant-a/plate-2-7", "plant-b/shaft-02-3"], 7),
    ],
)
def test_the_names_tell_how_many_were_there_before(names: list[str], count: int) -> None:
    assert generation(names) == count
