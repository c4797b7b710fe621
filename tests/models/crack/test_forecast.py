"""Forecasts against closed forms, a measured mean life, and against each other."""

import math

import pytest
import torch
from scipy.integrate import quad
from torch import Tensor

from models.crack.forecast import life, remaining, rollout
from models.crack.load import blocks, inspection_load, spectrum_load
from models.crack.state import CrackState
from models.crack.stepper import CrackStepper
from models.fatigue.geometry import CentreCrack, EdgeCrack
from models.fatigue.laws import FormanLaw, Law, NasgroLaw, ParisLaw, si_coefficient
from models.fatigue.rainflow import Cycles
from models.fatigue.retardation import ZONES, NoRetardation, Wheeler

NICKEL = ParisLaw(si_coefficient(9.7e-12, 3.0), 3.0)
VIRKLER = ParisLaw(si_coefficient(8.954e-11, 2.874), 2.874)
NASGRO = NasgroLaw(
    si_coefficient(1.545e-10, 3.284), 3.284, 0.5, 1.0, 3.187e6, 1.5, 72.5e6, 1.5, 0.3
)


def t(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def cracks(law: Law, a_0: float | Tensor = 0.005, n: int = 1, particles: int = 1) -> CrackState:
    return CrackStepper(law, EdgeCrack(0.1), NoRetardation(), a_0, 0.04, particles=particles).init(
        n
    )


def mix(*row: tuple[float, ...]) -> Cycles:
    return blocks([row])


def infinite_plate(m: float = 3.0) -> CrackState:
    law = ParisLaw(si_coefficient(9.7e-12, m), m)
    return CrackStepper(law, CentreCrack(1e6), NoRetardation(), 1e-3, 0.01).init(1)


def test_a_constant_amplitude_life_is_that_of_the_closed_form() -> None:
    value = life(infinite_plate(), mix((100e6, 50e6, 1.0)), 0.01)
    assert float(value) == pytest.approx(800654.07, rel=1e-6)


def test_the_exponent_two_is_no_special_case() -> None:
    value = life(infinite_plate(2.0), mix((100e6, 50e6, 1.0)), 0.01)
    assert float(value) == pytest.approx(math.log(10.0) / (9.7e-12 * 1e4 * math.pi), rel=1e-6)


def virkler() -> tuple[CrackState, Cycles]:
    state = CrackStepper(VIRKLER, CentreCrack(0.1524), NoRetardation(), 0.009, 0.0498).init(1)
    span = 48.28e6
    return state, mix((span, 0.5 * span * 1.2 / 0.8, 1.0))


def test_virklers_life_is_that_of_his_mean_constants() -> None:
    """Tada's factor integrated by itself; the secant alone gives the 247,247 that are published."""
    state, load = virkler()

    def slowness(a: float) -> float:
        alpha = 2.0 * a / 0.1524
        F = (1.0 - 0.025 * alpha**2 + 0.06 * alpha**4) / math.sqrt(math.cos(0.5 * math.pi * alpha))
        dK = 48.28 * F * math.sqrt(math.pi * a)
        return float(1.0 / (8.954e-11 * dK**2.874))

    cycles = quad(slowness, 0.009, 0.0498)[0]
    assert cycles == pytest.approx(248118.0, rel=1e-5)
    assert float(life(state, load, 0.0498)) == pytest.approx(cycles, rel=1e-4)


def test_a_rollout_over_a_life_ends_at_its_length() -> None:
    state, load = virkler()
    cycles = life(state, load, 0.0498).flatten()
    assert float(rollout(state, load, cycles)) == pytest.approx(0.0498, rel=1e-5)


def test_stepping_ends_where_the_forecast_said() -> None:
    state, load = virkler()
    stepper = CrackStepper(VIRKLER, CentreCrack(0.1524), NoRetardation(), 0.009, 0.0498)
    after = state
    for _ in range(20):
        step = load._replace(count=t(10_000.0))
        after = stepper.step(after, spectrum_load(torch.tensor([1]), step))
    said = rollout(state, load, t(200_000.0)).flatten()
    torch.testing.assert_close(after.a.flatten(), said, rtol=1e-5, atol=0)
    left = float(remaining(after))
    assert left == pytest.approx(float(life(state, load, 0.0498)) - 200_000.0, rel=1e-3)


@pytest.mark.parametrize("law", [NICKEL, NASGRO])
def test_length_against_cycles_and_cycles_against_length_agree(law: Law) -> None:
    state = cracks(law, particles=2)
    state = state._replace(a=state.a * t(1.0, 1.3))
    load = mix((80e6, 50e6, 10.0), (50e6, 40e6, 300.0), (120e6, 60e6, 1.0))
    goals = t(0.008, 0.012, 0.02)
    for particle in (0, 1):
        lives = torch.stack([life(state, load, float(goal))[0, particle] for goal in goals])
        lengths = rollout(state, load, lives)[0, particle]
        torch.testing.assert_close(lengths, goals, rtol=2e-4, atol=0)


def test_only_the_shares_of_a_mix_matter() -> None:
    state = cracks(NICKEL)
    one, hundred = mix((8e7, 5e7, 0.1), (4e7, 5e7, 0.3)), mix((8e7, 5e7, 10.0), (4e7, 5e7, 30.0))
    torch.testing.assert_close(
        life(state, one, 0.01), life(state, hundred, 0.01), rtol=1e-12, atol=0
    )


def test_a_crack_below_threshold_lives_for_ever() -> None:
    state = cracks(NASGRO)
    assert life(state, mix((5e6, 20e6, 1.0)), 0.01).item() == math.inf
    assert rollout(state, mix((5e6, 20e6, 1.0)), t(1e9)).item() == 0.005
    assert life(state, blocks([[]]), 0.01).item() == math.inf


@pytest.mark.parametrize("goal", [0.001, 0.005])
def test_a_crack_at_its_goal_has_no_life_left(goal: float) -> None:
    assert life(cracks(NICKEL), mix((8e7, 5e7, 1.0)), goal).item() == 0.0
    assert life(cracks(NICKEL), blocks([[]]), goal).item() == 0.0


def test_fracture_ends_a_life_before_the_goal() -> None:
    state = cracks(FormanLaw(si_coefficient(5e-9, 1.88), 2.88, 40e6))
    load = mix((100e6, 60e6, 1.0))
    early, late = float(life(state, load, 0.03)), float(life(state, load, 0.09))
    assert early == pytest.approx(late, rel=1e-3)
    broken = rollout(state, load, t(0.98 * late, 1.1 * late))[0, 0]
    assert broken[0] < 0.03
    assert broken[1] == 0.95 * 0.1


def test_what_remains_is_the_life_under_the_mix_so_far() -> None:
    stepper = CrackStepper(NICKEL, EdgeCrack(0.1), NoRetardation(), 0.005, 0.04)
    state = stepper.init(2)
    load = spectrum_load(torch.tensor([1, 1]), blocks([[(80e6, 50e6, 100.0)], []]))
    state = stepper.step(state, load)
    left = remaining(state)
    expected = life(state, blocks([[(80e6, 50e6, 1.0)], []]), 0.04)
    assert torch.equal(left, expected)
    assert left[1].item() == math.inf


@pytest.mark.parametrize(
    ("length", "none"), [(0.0399, False), (0.04, True), (0.05, True), (0.2, True)]
)
def test_nothing_remains_at_the_limit(length: float, none: bool) -> None:
    stepper = CrackStepper(NICKEL, EdgeCrack(0.1), NoRetardation(), 0.005, 0.04)
    state = stepper.step(
        stepper.init(1), spectrum_load(torch.tensor([1]), mix((80e6, 50e6, 100.0)))
    )
    state = stepper.step(state, inspection_load(torch.tensor([2]), t(length)))
    assert (remaining(state).item() == 0.0) is none


def test_forecasts_leave_load_interaction_out_and_so_are_short() -> None:
    wheeler = Wheeler(1.5, 365e6, ZONES["plane_stress"])
    load = mix((80e6, 50e6, 1.0))
    lives = [
        life(CrackStepper(NICKEL, EdgeCrack(0.1), model, 0.005, 0.04).init(1), load, 0.04)
        for model in (NoRetardation(), wheeler)
    ]
    assert torch.equal(lives[0], lives[1])


def test_a_rollout_never_falls_and_starts_where_the_crack_is() -> None:
    state = cracks(NICKEL, t(0.005, 0.01, 0.02), n=3)
    row = [(80e6, 50e6, 1.0)]
    lengths = rollout(
        state, blocks([row, row, []]), torch.linspace(0, 3e5, 40, dtype=torch.float64)
    )
    assert lengths.shape == (3, 1, 40)
    assert torch.equal(lengths[..., 0], state.a)
    assert (lengths.diff(dim=2) >= 0.0).all()
    assert (lengths[2] == 0.02).all()


@pytest.mark.parametrize("cycles", [t(1.0, 0.5), t(-1.0), t(math.nan), t(math.inf)])
def test_cycles_that_do_not_rise_are_refused(cycles: Tensor) -> None:
    with pytest.raises(ValueError, match="rise"):
        rollout(cracks(NICKEL), mix((80e6, 50e6, 1.0)), cycles)
