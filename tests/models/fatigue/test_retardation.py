"""Load interaction against lives in closed form, and the rules at the edges of a zone."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from models.crack.load import blocks, inspection_load, spectrum_load
from models.crack.state import CrackState
from models.crack.stepper import CrackStepper
from models.fatigue.laws import FormanLaw, ParisLaw, WalkerLaw, si_coefficient
from models.fatigue.retardation import (
    RETARDATIONS,
    ZONES,
    GeneralisedWillenborg,
    NoRetardation,
    Overload,
    Retardation,
    Wheeler,
)
from models.fatigue.tables import TableGeometry, table_geometry

WALKER = WalkerLaw(si_coefficient(1.42e-11, 3.59), 3.59, 0.68)  # 2024-T3
PLANE_STRESS = ZONES["plane_stress"]
WHEELER = Wheeler(1.5, 365e6, PLANE_STRESS)
WILLENBORG = GeneralisedWillenborg(365e6, PLANE_STRESS, S_ol=3.0, K_th=3e6)
V_0, AFFECTED = 5.1438e-7, 2.8671e-3  # [m/cycle], [m]


def controlled() -> TableGeometry:
    """A part whose K is the stress [Pa √m], whatever the length of its crack."""
    near, far = 0.1 + 1e-4 * np.arange(100), np.geomspace(0.12, 10.0, 28)
    lengths = [*near, *far]
    return table_geometry(lengths, [1.0 / math.sqrt(math.pi * a) for a in lengths])


def t(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def overloaded(retardation: Retardation) -> tuple[CrackStepper, CrackState]:
    """A crack just after one cycle up to K_max = 40 MPa √m, R = 0.1."""
    stepper = CrackStepper(WALKER, controlled(), retardation, a_0=0.1, a_limit=1.0)
    return stepper, loaded(stepper, stepper.init(1), 40e6, 1.0)


def loaded(stepper: CrackStepper, state: CrackState, K_max: float, count: float) -> CrackState:
    cycles = blocks([[(0.9 * K_max, 0.55 * K_max, count)]])
    return stepper.step(state, spectrum_load(torch.tensor([1]), cycles))


def cycles_through_the_zone(retardation: Retardation, count: float) -> float:
    stepper, state = overloaded(retardation)
    start, cycles = float(state.a), 0.0
    while True:
        before = float(state.a)
        state = loaded(stepper, state, 20e6, count)
        cycles += count
        beyond = float(state.a) - start - AFFECTED
        if beyond >= 0.0:
            return cycles - count * beyond / (float(state.a) - before)


@pytest.mark.parametrize("count", [25.0, 500.0])
@pytest.mark.parametrize(
    ("retardation", "closed_form"),
    [(NoRetardation(), 5573.9), (WHEELER, 23039.0), (WILLENBORG, 13945.7)],
)
def test_the_life_behind_an_overload_is_that_of_the_closed_form(
    retardation: Retardation, closed_form: float, count: float
) -> None:
    assert cycles_through_the_zone(retardation, count) == pytest.approx(closed_form, rel=1e-3)


@pytest.mark.parametrize("retardation", [WHEELER, WILLENBORG])
def test_one_block_ends_where_many_single_cycles_do(retardation: Retardation) -> None:
    stepper, state = overloaded(retardation)
    at_once = loaded(stepper, state, 20e6, 200.0)
    for _ in range(200):
        state = loaded(stepper, state, 20e6, 1.0)
    assert float(at_once.a - 0.1) == pytest.approx(float(state.a - 0.1), rel=1e-4)


def rate(retardation: Retardation, K_max: float, a: float, R: float = 0.1) -> float:
    overload = Overload(t(0.1), t(40e6))
    return float(retardation(WALKER, t(K_max), t(R), t(a), retardation.felt(overload, t(a))))


def test_growth_right_behind_the_overload_has_its_known_ratio() -> None:
    assert rate(WHEELER, 20e6, 0.1) / V_0 == pytest.approx(1.0 / 8.0, rel=1e-4)
    assert rate(WILLENBORG, 20e6, 0.1) / V_0 == pytest.approx(0.1774, rel=1e-3)


@pytest.mark.parametrize("retardation", [WHEELER, WILLENBORG])
def test_retardation_ends_where_the_zones_touch(retardation: Retardation) -> None:
    assert rate(retardation, 20e6, 0.1 + 0.999 * AFFECTED) < rate(NoRetardation(), 20e6, 0.1)
    for beyond in (1.0001, 1.2, 5.0):
        assert rate(retardation, 20e6, 0.1 + beyond * AFFECTED) == rate(NoRetardation(), 20e6, 0.1)


@pytest.mark.parametrize("retardation", [WHEELER, WILLENBORG])
@pytest.mark.parametrize("K_max", [40e6, 41e6, 80e6])
def test_a_load_as_high_as_the_overload_is_not_retarded(
    retardation: Retardation, K_max: float
) -> None:
    alone = rate(NoRetardation(), K_max, 0.1)
    assert rate(retardation, K_max, 0.1) == pytest.approx(alone, rel=1e-12)


def test_an_overload_of_the_shut_off_ratio_arrests_with_willenborg() -> None:
    threshold_less = GeneralisedWillenborg(365e6, PLANE_STRESS, S_ol=2.0)
    assert rate(threshold_less, 20e6, 0.1) == 0.0
    assert rate(threshold_less, 20.1e6, 0.1) > 0.0


def test_compression_behind_an_overload_does_nothing_unless_the_floor_is_lifted() -> None:
    seen: list[float] = []

    @dataclass(frozen=True)
    class Recording:
        def __call__(self, dK: Tensor, R: float | Tensor = 0.0, a: float | Tensor = 0.0) -> Tensor:
            seen.append(float(R))
            return dK

    overload = Overload(t(0.1), t(40e6))
    for floor in (0.0, -math.inf):
        model = GeneralisedWillenborg(365e6, PLANE_STRESS, K_th=3e6, floor=floor)
        model(Recording(), t(20e6), t(-0.5), t(0.1), model.felt(overload, t(0.1)))
    assert seen[1] == 0.0
    assert seen[3] == pytest.approx((-10.0 - 8.5) / (20.0 - 8.5))


@pytest.mark.parametrize("retardation", [WHEELER, WILLENBORG])
def test_retardation_does_not_hide_fast_fracture(retardation: Retardation) -> None:
    law, overload = FormanLaw(1e-12, 2.0, 30e6), Overload(t(0.1), t(60e6))
    felt = retardation.felt(overload, t(0.1))
    assert float(retardation(law, t(30e6), t(0.0), t(0.1), felt)) == math.inf


@pytest.mark.parametrize("retardation", [WHEELER, WILLENBORG])
def test_without_an_overload_nothing_is_retarded_nor_nan(retardation: Retardation) -> None:
    a = t(0.1).expand(3)
    K_max, none = t(0.0, 1.0, 20e6), Overload(a, torch.zeros(3, dtype=torch.float64))
    growth = retardation(WALKER, K_max, t(0.1), a, retardation.felt(none, a))
    assert torch.equal(growth, WALKER(0.9 * K_max, t(0.1)))


@pytest.mark.parametrize("retardation", [WHEELER, WILLENBORG])
def test_the_overload_whose_zone_reaches_furthest_is_remembered(retardation: Retardation) -> None:
    old = Overload(t(0.1), t(40e6))
    assert retardation.remembered(old, t(0.1), t(39.9e6)).K.item() == 40e6
    assert retardation.remembered(old, t(0.1), t(40e6)).K.item() == 40e6
    assert retardation.remembered(old, t(0.1), t(40.1e6)).K.item() == 40.1e6
    assert retardation.remembered(old, t(0.1 + 0.999 * AFFECTED), t(20e6)).K.item() == 40e6
    later = retardation.remembered(old, t(0.1 + 1.001 * AFFECTED), t(20e6))
    assert (later.a.item(), later.K.item()) == (0.1 + 1.001 * AFFECTED, 20e6)


def test_the_named_zones_are_one_to_six() -> None:
    assert ZONES["plane_stress"] == pytest.approx(2.0 * ZONES["irwin_plane_stress"])
    assert ZONES["plane_stress"] == pytest.approx(3.0 * ZONES["plane_strain"])
    assert ZONES["plane_stress"] == pytest.approx(6.0 * ZONES["irwin_plane_strain"])


def test_a_smaller_zone_retards_for_less_long() -> None:
    lives = [
        cycles_through_the_zone(Wheeler(1.5, 365e6, ZONES[zone]), 100.0)
        for zone in ("plane_stress", "irwin_plane_stress", "plane_strain", "irwin_plane_strain")
    ]
    assert lives == sorted(lives, reverse=True)
    assert lives[0] > 2.0 * lives[-1]


def test_an_inspection_keeps_the_distance_to_the_overloads_edge() -> None:
    stepper, state = overloaded(WHEELER)
    moved = stepper.step(state, inspection_load(torch.tensor([2]), t(0.25)))
    torch.testing.assert_close(moved.overload.a - moved.a, state.overload.a - state.a)


def test_every_model_has_a_name() -> None:
    assert set(RETARDATIONS.values()) == {NoRetardation, Wheeler, GeneralisedWillenborg}


def test_the_order_of_loads_matters_where_they_interact_only() -> None:
    high, low = (36e6, 22e6, 1.0), (18e6, 11e6, 1000.0)
    for retardation, matters in ((WHEELER, True), (NoRetardation(), False)):
        stepper = CrackStepper(ParisLaw(1e-30, 3.0), controlled(), retardation, 0.1, 1.0)
        a, b = (
            stepper.step(stepper.init(1), spectrum_load(torch.tensor([1]), blocks([row]))).a
            for row in ([high, low], [low, high])
        )
        assert (abs(float(a - b)) > 0.1 * float(b - 0.1)) is matters


@pytest.mark.parametrize("retardation", [WHEELER, WILLENBORG])
def test_an_overload_that_never_was_bounds_no_stride(retardation: Retardation) -> None:
    """Were its place a little ahead of the tip, strides of nothing would never end."""
    reach = retardation.reach(Overload(t(0.1 + 1e-9), t(0.0)), t(0.1))
    assert reach.tolist() == [math.inf]
