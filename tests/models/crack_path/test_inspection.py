"""Inspections of cracks along paths: of broken plates, of early tips, and of plates at random."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.crack.forecast import has_load
from models.crack.load import CrackLoad, blocks, inspection_load, series_load, spectrum_load
from models.crack.stepper import CrackStepper
from models.crack_path.front import nodes
from models.crack_path.plate import Plates, TipIntensities
from models.crack_path.polyline import length
from models.crack_path.stepper import EdgePlate, PathState, PathStepper
from models.fatigue.geometry import EdgeCrack
from models.fatigue.laws import FormanLaw, ParisLaw
from models.fatigue.retardation import NoRetardation
from models.tree import joined, leaves, rows

MM, ONE = 1e-3, torch.ones(1, dtype=torch.int64)
PARIS = ParisLaw(9.7e-30, 3.0)
BREAKING = blocks([[(2e8, 1e8, 1e6, 0.0)]])
GENTLE = blocks([[(4e7, 2e7, 1e4, 1e7)]])


def handbook(plates: Plates, path: Tensor, nodes: Tensor) -> TipIntensities:
    """Intensities about as large as those of plates, without the price of a solution."""
    row = torch.arange(len(nodes))
    tip, before = path[row, nodes - 1], path[row, nodes - 2]
    way = tip - before
    c, s = (way / torch.sqrt((way * way).sum(1, keepdim=True))).unbind(-1)
    share = tip[:, 0] / plates.width
    size = torch.sqrt(torch.pi * tip[:, 0]) * (1.12 + 3.0 * share * share)
    k = torch.stack((c * c, c * s, -2.0 * c * s, c * c - s * s), 1).view(-1, 2, 2)
    return TipIntensities(size[:, None, None] * k, torch.zeros(len(nodes), dtype=torch.bool))


def stepper(**changes: Any) -> PathStepper:
    plate = EdgePlate(10 * MM, 20 * MM, "uniform", np.array([[0.0, 0.0], [1.0 * MM, 0.0]]))
    return dataclasses.replace(PathStepper(PARIS, plate, 8 * MM, find=handbook), **changes)


def straight() -> CrackStepper:
    """A crack of the same size that knows no path."""
    return CrackStepper(PARIS, EdgeCrack(10 * MM), NoRetardation(), 1 * MM, 8 * MM)


def both(**changes: Any) -> list[Any]:
    """The two, to be stepped alike."""
    return [stepper(**changes), dataclasses.replace(straight(), **changes)]


def measured(*lengths: float, t_ns: int = 1) -> CrackLoad:
    times = torch.full((len(lengths),), t_ns)
    return inspection_load(times, torch.tensor(lengths, dtype=torch.float64))


def broken() -> PathState:
    part = stepper()
    return part.step(part.init(1), spectrum_load(ONE, BREAKING))


def drawn(state: PathState) -> float:
    """The length of the path of the first row [m]."""
    return float(length(torch.tensor([nodes(state.front)]).double()))


@pytest.mark.parametrize("to", [9.9 * MM, 10 * MM, 10.5 * MM, 12 * MM])
def test_a_broken_plate_measured_longer_stays_at_its_edge(to: float) -> None:
    state = broken()
    assert float(state.front.start) == float(state.a)
    after = stepper().step(state, measured(to))
    after = stepper().step(after, spectrum_load(ONE, GENTLE))
    assert bool(after.fractured)
    assert float(after.a) == pytest.approx(10 * MM)
    assert after.front.tip[0].tolist() == pytest.approx([10 * MM, 0.0], abs=1e-12)


def test_a_broken_plate_of_an_old_checkpoint_is_inspected_like_any_other() -> None:
    state = broken()
    old = state._replace(front=state.front._replace(start=state.front.start - 2 * MM))
    for to in (5 * MM, 12 * MM):
        one, other = (stepper().step(s, measured(to)) for s in (state, old))
        for (name, a), (_, b) in zip(leaves(one), leaves(other), strict=True):
            assert torch.equal(a, b), name


def test_a_broken_part_that_is_measured_shorter_is_a_crack_again() -> None:
    for part in both():
        state = part.step(part.init(1), spectrum_load(ONE, BREAKING))
        assert bool(state.fractured)
        after = part.step(state, measured(5 * MM))
        assert not bool(after.fractured)
        assert float(after.a) == 5 * MM
        again = part.step(after, spectrum_load(ONE, GENTLE))
        assert 5 * MM < float(again.a) < 6 * MM


def test_a_broken_part_whose_inspections_are_only_recorded_stays_broken() -> None:
    for part in both(replace=False):
        state = part.step(part.init(1), spectrum_load(ONE, BREAKING))
        after = part.step(state, measured(5 * MM))
        assert bool(after.fractured)
        assert torch.equal(after.a, state.a)
        assert float(after.measured) == 5 * MM


@pytest.mark.parametrize(("to", "through"), [(9.74, False), (9.75, True), (9.76, True)])
def test_a_crack_measured_where_none_can_be_followed_is_at_the_edge(
    to: float, through: bool
) -> None:
    after = stepper().step(stepper().init(1), measured(to * MM))
    assert bool(after.fractured) is through
    assert float(after.a) == pytest.approx(10 * MM if through else to * MM)
    assert float(after.front.tip[0, 0]) == pytest.approx(float(after.a))


def test_a_cycle_too_small_for_the_digits_of_a_tip_leaves_it_at_its_node() -> None:
    slanted = EdgePlate(10 * MM, 20 * MM, "uniform", np.array([[0.0, 0.0], [1.0 * MM, 0.3 * MM]]))
    part = stepper(plate=slanted)
    state = part.init(1)
    for span in (1e2, 1e4):
        after = part.step(state, spectrum_load(ONE, blocks([[(span, span / 2, 1.0, 0.25 * span)]])))
        assert after.front.tip.tolist() == [[1.0 * MM, 0.3 * MM]]
        unhindered, later = (part.step(s, spectrum_load(ONE, GENTLE)) for s in (state, after))
        torch.testing.assert_close(later.front.tip, unhindered.front.tip, rtol=1e-9, atol=0.0)


@pytest.mark.parametrize("replace", [True, False])
def test_an_inspection_older_than_the_last_one_changes_nothing(replace: bool) -> None:
    for part in both(replace=replace):
        state = part.step(part.init(1), measured(3 * MM, t_ns=10))
        after = part.step(state, measured(1.1 * MM, t_ns=9))
        for (name, a), (_, b) in zip(leaves(state), leaves(after), strict=True):
            assert torch.equal(a, b), name


@pytest.mark.parametrize("t_ns", [10, 11])
def test_an_inspection_of_the_same_time_or_later_counts(t_ns: int) -> None:
    for part in both():
        state = part.step(part.init(1), measured(3 * MM, t_ns=10))
        after = part.step(state, measured(1.1 * MM, t_ns=t_ns))
        assert float(after.a) == float(after.measured) == 1.1 * MM
        assert int(after.t_inspected_ns) == t_ns


# --- at random ------------------------------------------------------------------------------------


def any_plate(rng: np.random.Generator) -> PathStepper:
    """A plate of any form with a crooked crack."""
    W, aspect = float(rng.choice([0.01, 0.05, 1.0])), float(rng.choice([0.82, 1.0, 2.0]))
    x = np.concatenate(([0.0], np.cumsum(rng.uniform(0.02, 0.08, int(rng.integers(1, 6))))))
    high = (min(0.7, 0.5 * aspect - 0.2) - 0.05) * 0.99
    y = np.clip(np.cumsum(rng.normal(0.0, 0.05, len(x))), -high, high)
    plate = EdgePlate(W, aspect * W, "uniform", W * np.stack((x, y), 1))
    laws = (PARIS, FormanLaw(7e-22, 2.7, 12e6 * W**0.5 * 10.0))
    law = laws[int(rng.integers(2))] if W < 1.0 else ParisLaw(9.7e-30, 3.0)
    return stepper(law=law, plate=plate, a_limit=0.9 * W)


def any_load(rng: np.random.Generator, state: PathState) -> CrackLoad:
    """Spectra for some, inspections of the others, which know the crack or know nothing."""
    n, seen = len(state.a), np.full(len(state.a), np.nan)
    table: list[list[tuple[float, float, float, float]]] = []
    for i in range(n):
        a, W = float(state.a[i]), float(state.plates.width[i])
        if rng.random() < 0.4:
            table.append([])
            near = a * rng.uniform(0.3, 1.8)
            seen[i] = near if rng.random() < 0.7 else W * rng.uniform(1e-9, 1.5)
        else:
            S = 10.0 ** rng.uniform(2.0, 8.5)
            shear = S * rng.choice([0.0, 0.3, 1.0, 5.0]) * rng.normal(size=2)
            counts = 10.0 ** rng.uniform(0.0, 6.0, 2)
            table.append([(S, 0.5 * S, n, s) for n, s in zip(counts, shear, strict=True)])
    load = inspection_load(torch.ones(n, dtype=torch.int64), torch.from_numpy(seen))
    return load._replace(blocks=blocks(table))


def assert_sound(state: PathState) -> None:
    front, plates = state.front, state.plates
    for name, leaf in leaves((state.a, front.tip, front.start, state.rate, state.open_growth)):
        assert torch.isfinite(leaf).all(), name
    x, y = front.tip.unbind(-1)
    edge = torch.minimum(plates.width - x, 0.5 * plates.height - y.abs())
    assert (edge > -1e-9 * plates.width).all()
    assert torch.equal(state.fractured, ~plates.holds(front.tip))
    assert (edge[state.fractured] < 1e-9 * plates.width[state.fractured]).all()
    for i in range(len(state.a)):
        assert drawn(rows(state, torch.tensor([i]))) == pytest.approx(float(state.a[i]), rel=0.01)


def test_whatever_is_loaded_and_measured_a_crack_is_somewhere_in_its_plate() -> None:
    rng = np.random.default_rng(7)
    parts = [any_plate(rng) for _ in range(60)]
    for law in (ParisLaw, FormanLaw):
        some = [part for part in parts if isinstance(part.law, law)]
        state = joined([part.init(1) for part in some])
        was_broken = torch.zeros(len(some), dtype=torch.bool)
        for _ in range(10):
            load = any_load(rng, state)
            was_broken |= state.fractured & load.inspected
            state = some[0].step(state, load)
            assert_sound(state)
        assert was_broken.sum() > 3


def series(samples: list[float]) -> CrackLoad:
    return series_load(ONE, [1e6 * torch.tensor(samples, dtype=torch.float64)])


def test_a_correction_keeps_no_open_growth_of_the_longer_crack() -> None:
    """Else a crack stands still until it has grown that much."""
    part = stepper()
    state = part.step(part.step(part.init(1), measured(5 * MM)), series([0.0, 200.0, 0.0, 40.0]))
    longer = float(state.open_growth)
    state = part.step(state, measured(1 * MM, t_ns=2))
    assert 0.0 < float(state.open_growth) < 0.1 * longer
    closed = part.step(state, series([0.0] + [80.0, 0.0] * 50))
    other = part.step(part.step(part.init(1), measured(1 * MM)), series([0.0] + [80.0, 0.0] * 50))
    assert float(closed.length) == pytest.approx(float(other.length), rel=1e-3)


def test_a_crack_measured_behind_a_break_begins_anew() -> None:
    part = stepper()
    state = part.step(broken(), series([0.0, 500.0, 0.0, 40.0]))
    state = part.step(state, measured(1 * MM, t_ns=2))
    assert not state.counter.depth.any()
    assert not has_load(state).any()
