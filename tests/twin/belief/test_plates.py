"""Plates whose cracks run along paths, as the hall folds, keeps and shows them."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from models.crack_path.front import nodes
from models.crack_path.stepper import PathState
from sensors.observation import Spectrum
from tests.twin.belief.test_fold import assert_same, assert_same_rows, state
from tests.twin.fleets import CLOCK, component, fleet, inspection, series, spectrum
from twin.api.models import cohorts
from twin.api.schema import Paths
from twin.archive.checkpoint import metadata, restored, tensors
from twin.belief.cohort import intensities
from twin.belief.fleet import Fleet
from twin.belief.fold import folded
from twin.belief.record import RecordRow
from twin.belief.segments import Line
from twin.component import Component
from twin.drawing.crack import Subject, png, svg
from twin.drawing.outline import sketch
from twin.forecast.forecast import Answer, forecast, mix
from twin.kinds.ahead import Question
from twin.metrics import Metrics

PLATE = {"kind": "plate", "W": 0.01}
STEEL = {"kind": "paris", "C": 9.7e-30, "m": 3.0, "dK_th": 1e6}
NAME = "plant/plate"


def plate(name: str = NAME, revision: int = 1, **changes: Any) -> Component:
    values = {"geometry": PLATE, "law": STEEL, "crack_limit": 0.008} | changes
    return component(name, revision, **values)


def loaded(seq: int, at_s: float, ratio: float, count: float = 1e5, name: str = NAME) -> Line:
    what = spectrum(seq, at_s, name, [[4e7, 2.4e7, count], [2e7, 1.2e7, count]]).what
    assert isinstance(what, Spectrum)
    return Line(name, msgspec.structs.replace(what, shear_ratio=ratio))


def lines() -> list[Line]:
    wave = 2e7 + 2e7 * np.sin(np.linspace(0.0, 60.0, 400))
    return [
        loaded(0, 0.0, 0.5),
        loaded(0, 10.0, -0.5, name="plant/plate-2"),
        series(1, wave, 30.0, NAME, shear=(0.3 * wave).tobytes()),
        loaded(2, 80.0, 0.1),
        spectrum(0, 81.0),
        inspection(0, 0.0021, 90.0, NAME),
        loaded(3, 150.0, 0.6),
        Line(NAME, plate(revision=2, crack_limit=0.009)),
        loaded(4, 300.0, 0.6, 4e5),
    ]


def plates() -> Fleet:
    return fleet(plate(), plate("plant/plate-2", inspection="record"), component())


def foreseen(value: Fleet, question: Question) -> Answer:
    place = value.places[NAME]
    return forecast(value.cohorts[place.cohort], place.row, question)


def path(value: Fleet) -> list[tuple[float, float]]:
    found = state(value, NAME)
    assert isinstance(found, PathState)
    return nodes(found.front)


def test_a_plate_follows_the_shear_and_stands_beside_straight_cracks() -> None:
    value = folded(plates(), lines(), CLOCK).fleet
    assert path(value)[-1][1] < -1e-4
    assert nodes(state(value, "plant/plate-2").front)[-1][1] > 1e-5
    kinds = {c["geometry"]: c["components"] for c in cohorts(value)}
    assert kinds == {"EdgePlate": 2, "EdgeCrack": 1}


def test_how_the_journal_is_cut_changes_no_bit_of_a_plate() -> None:
    whole = folded(plates(), lines(), CLOCK)
    value = plates()
    rows: list[RecordRow] = []
    for line in lines():
        part = folded(value, [line], CLOCK)
        value, rows = restored(tensors(part.fleet), metadata(part.fleet, CLOCK)), rows + part.rows
    assert_same(value, whole.fleet)
    assert_same_rows(rows, whole.rows)
    assert np.isfinite(rows[-1].columns["remaining_cycles"][0])


def test_an_inspection_moves_the_tip_along_the_path() -> None:
    before = folded(plates(), [loaded(0, 0.0, 0.5, 1.6e6), loaded(1, 9.0, 0.1, 2e5)], CLOCK).fleet
    long = float(state(before, NAME).a)
    for measured in (long - 5e-4, long + 5e-4):
        after = folded(before, [inspection(0, measured, 90.0, NAME)], CLOCK).fleet
        points = np.array(path(after))
        assert float(state(after, NAME).a) == measured
        size = np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
        np.testing.assert_allclose(size, measured, rtol=1e-9 if measured < long else 2e-3)
        shared = min(len(points), len(path(before))) - 2
        assert shared > 2
        np.testing.assert_array_equal(points[:shared], path(before)[:shared])


def test_nothing_is_known_of_the_life_of_a_plate_that_is_inspected_before_any_load() -> None:
    seen = [inspection(k, 0.0012, 200.0 * k, NAME) for k in range(3)]
    whole = folded(plates(), seen, CLOCK)
    assert math.isnan(whole.rows[-1].columns["remaining_cycles"][0])
    assert float(state(whole.fleet, NAME).a) == 0.0012


def test_a_change_of_the_plate_starts_its_crack_anew_and_others_do_not() -> None:
    value = folded(plates(), lines()[:4], CLOCK).fleet
    other = folded(value, [Line(NAME, plate(revision=2, law=STEEL | {"m": 2.9}))], CLOCK).fleet
    assert path(other) == path(value)
    moved = plate(revision=2, geometry=PLATE | {"mouth": 0.001})
    anew = folded(value, [Line(NAME, moved)], CLOCK).fleet
    assert path(anew) == [(0.0, 0.001), (0.001, 0.001)]
    straight = folded(value, [Line(NAME, component(NAME, 2))], CLOCK).fleet
    assert float(state(straight, NAME).a) == 0.001
    assert float(state(straight, NAME).cycles) == 0.0


def test_a_forecast_shows_where_the_crack_will_run() -> None:
    value = folded(plates(), lines()[:4], CLOCK).fleet
    ask = Question(mix([(4e7, 2.4e7, 1.0)], 0.5), None, 7)
    page = json.loads(json.dumps(foreseen(value, ask).page))
    ahead = page["paths"]["physics"]
    assert ahead[: len(path(value)) - 1] == [list(p) for p in path(value)[:-1]]
    assert ahead[-1][0] > 0.007
    drawn = page["paths"]["spiking"]
    assert drawn[: len(path(value))] == [list(p) for p in path(value)]
    assert drawn[-1][0] == pytest.approx(ahead[-1][0])
    assert abs(drawn[-1][1] - ahead[-1][1]) < 4e-4
    lengths = np.array(page["crack_length"]["0.5"])
    assert (np.diff(lengths) > 0.0).all()
    left, limit = page["remaining_cycles"]["0.5"], page["crack_limit"]
    for share, reached in ((0.99, False), (1.01, True)):
        ask = Question(ask.blocks, share * left, 2)
        there = foreseen(value, ask).page["crack_length"]["0.5"][-1]
        assert (there >= limit) is reached


def test_the_drawing_shows_the_path() -> None:
    points = path(folded(plates(), lines(), CLOCK).fleet)
    geometry = plate().registration.crack.geometry.model_dump()
    subject = Subject(NAME, None, geometry, 0.003, 0.0, 0.008, fractured=False, path=points)
    assert sketch(geometry, 0.003, points).branches == [points]
    assert 'stroke-width="4.0"' in svg(subject).decode()
    assert Image.open(io.BytesIO(png(subject))).size == (720, 540)


def test_a_plate_that_is_broken_says_so_once_and_stays_so() -> None:
    many = [loaded(i, 20.0 * i, 0.5, 1e8) for i in range(3)]
    result = folded(plates(), many, CLOCK)
    assert [note.kind for note in result.notes] == ["limit", "fractured"]
    assert bool(state(result.fleet, NAME).fractured)
    assert path(result.fleet)[-1][0] == pytest.approx(0.01, abs=1e-12)


def test_intensities_are_counted_by_what_found_them_and_the_count_is_kept() -> None:
    grip = plate("plant/plate-2", geometry=PLATE | {"closure": "grip"})  # unknown to the operator
    value = folded(fleet(plate(), grip, component()), lines()[:2], CLOCK).fleet
    counts = intensities(value.cohorts.values())
    assert counts["operator"] > 0
    assert counts["xfem"] > 0
    again = restored(tensors(value), metadata(value, CLOCK))
    assert intensities(again.cohorts.values()) == counts
    metrics = Metrics()
    metrics.intensities.step = counts
    labels = {"where": "step", "by": "xfem"}
    assert metrics.registry.get_sample_value("twin_intensities_total", labels) == counts["xfem"]


def test_what_a_forecast_asks_for_is_counted_apart() -> None:
    ask = Question(mix([(4e7, 2.4e7, 1.0)], 0.5), 1e5, 2)
    metrics = Metrics()
    for geometry in (PLATE, PLATE | {"closure": "grip"}):
        value = fleet(plate(geometry=geometry, crack_limit=0.0015))
        metrics.intensities.foreseen(foreseen(value, ask).found)
        assert intensities(value.cohorts.values()) == {"operator": 0, "xfem": 0}
    for by in ("operator", "xfem"):
        labels = {"where": "forecast", "by": by}
        found = metrics.registry.get_sample_value("twin_intensities_total", labels)
        assert found is not None
        assert found > 2
        assert metrics.intensities.step[by] == 0


@pytest.mark.parametrize(
    ("geometry", "ratio", "why"),
    [
        ({}, 1.0, None),
        ({}, 1.0001, "shear over tension is 1.0001, beyond ±1"),
        ({}, -5.0, "shear over tension is -5, beyond ±1"),
        ({"H": 0.02 * (1.0 + 4e-7)}, 0.5, None),
        ({"H": 0.02 * (1.0 + 6e-7)}, 0.5, "H/W is 2.0000012, the network has learned 2"),
        ({"H": 0.03}, 0.5, "H/W is 3, the network has learned 2"),
        ({"closure": "grip"}, 0.5, "whose ends do not rotate"),
        ({"mouth": -0.001}, 0.5, None),
        ({"mouth": -0.00101}, 0.5, "the mouth is 0.00101 m from the middle, beyond 0.1 W"),
    ],
)
def test_the_network_draws_where_it_has_learned_and_else_it_is_said_why_not(
    geometry: dict[str, Any], ratio: float, why: str | None
) -> None:
    value = fleet(plate(geometry=PLATE | geometry, crack_limit=0.0015))
    page = foreseen(value, Question(mix([(4e7, 2.4e7, 1.0)], ratio), 1e5, 2)).page
    drawn = Paths.model_validate(page["paths"])
    assert (drawn.spiking is None) is (why is not None)
    assert (drawn.why or "").endswith(why or "")


def test_at_the_edge_of_what_it_has_learned_the_network_is_near_physics() -> None:
    for mouth, ratio in ((0.0, 1.0), (0.001, -1.0)):
        value = fleet(plate(geometry=PLATE | {"mouth": mouth}))
        drawn = foreseen(value, Question(mix([(4e7, 2.4e7, 1.0)], ratio), None, 2)).page["paths"]
        one, other = (np.array(drawn[method]) for method in ("physics", "spiking"))
        assert one[-1, 0] == pytest.approx(0.01)
        off = np.interp(one[:, 0], other[:, 0], other[:, 1]) - one[:, 1]
        assert np.abs(off).max() < 0.025 * 0.01


def test_a_broken_plate_has_no_life_left_and_stays_where_it_is() -> None:
    for seen in ([inspection(0, 0.02, 5.0, NAME)], [loaded(0, 0.0, 0.2, 1e9)]):
        broken = folded(fleet(plate()), seen, CLOCK).fleet
        assert bool(state(broken, NAME).fractured)
        asked = foreseen(broken, Question(mix([(4e7, 2.4e7, 1.0)], 0.5), None, 3))
        assert set(asked.page["remaining_cycles"].values()) == {0.0}
        assert asked.page["crack_length"]["0.5"] == [float(state(broken, NAME).a)] * 3
        assert asked.page["paths"]["physics"] == path(broken)
        assert asked.page["paths"]["why"] == "the crack has run through the plate"
        assert asked.found == {"operator": 0, "xfem": 0}


def test_a_plate_that_is_registered_with_another_crack_is_not_broken_any_more() -> None:
    broken = folded(fleet(plate()), [loaded(0, 0.0, 0.2, 1e9)], CLOCK).fleet
    assert bool(state(broken, NAME).fractured)
    renewed = plate(revision=2, geometry=PLATE | {"mouth": 0.001})
    after = folded(broken, [Line(NAME, renewed), loaded(1, 10.0, 0.2)], CLOCK).fleet
    assert not bool(state(after, NAME).fractured)
    assert float(state(after, NAME).a) > renewed.registration.crack.crack_length


def test_a_broken_plate_stays_broken_where_only_its_limit_changes() -> None:
    broken = folded(fleet(plate()), [loaded(0, 0.0, 0.2, 1e9)], CLOCK).fleet
    after = folded(broken, [Line(NAME, plate(revision=2, crack_limit=0.009))], CLOCK).fleet
    assert bool(state(after, NAME).fractured)
    assert float(state(after, NAME).a) == float(state(broken, NAME).a)
