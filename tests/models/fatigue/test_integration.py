"""Growth through blocks of many cycles against closed forms, in steps of any size."""

import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

import models.fatigue.integration as integration
from models.crack.growth import lanes
from models.crack.load import blocks, spectrum_load
from models.crack.state import CrackState
from models.crack.stepper import CrackStepper
from models.fatigue.geometry import EdgeCrack
from models.fatigue.integration import WIDTH, advanced, padded
from models.fatigue.laws import FormanLaw, NasgroLaw, WalkerLaw, si_coefficient
from models.fatigue.rainflow import Cycles
from models.fatigue.retardation import ZONES, GeneralisedWillenborg, NoRetardation, Wheeler
from models.tree import leaves, rows


def t(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@dataclass(frozen=True)
class Power:
    """da/dλ = c a^m, which is known in closed form."""

    c: Tensor
    m: float
    stride: float = 0.03

    def __call__(self, a: Tensor) -> Tensor:
        return self.c * a**self.m

    def reach(self, a: Tensor) -> Tensor:
        return self.stride * a

    def among(self, index: Tensor) -> "Power":
        return replace(self, c=self.c[index])

    def exact(self, a: Tensor) -> Tensor:
        e = 1.0 - self.m
        return (a**e + e * self.c) ** (1.0 / e) if e else a * torch.exp(self.c)


@pytest.mark.parametrize("m", [0.0, 0.5, 1.0, 1.5, 2.0])
def test_growth_from_a_billionth_to_a_hundredfold_is_that_of_the_closed_form(m: float) -> None:
    relative = torch.logspace(-12, 2, 57, dtype=torch.float64)
    a_0 = torch.full_like(relative, 2e-3)
    e, logarithm = 1.0 - m, torch.log1p(relative)
    c = a_0**e * torch.expm1(e * logarithm) / e if e else logarithm
    result = advanced(a_0, Power(c, m), torch.full_like(a_0, 1.0))
    assert ((result.growth / (a_0 * relative) - 1.0).abs() < 5e-6).all()
    assert not result.broken.any()


def test_the_error_falls_with_the_third_power_of_the_stride_or_faster() -> None:
    errors = []
    for stride in (0.4, 0.2, 0.1):
        power, a_0 = Power(t(20.0), 1.7, stride), t(1e-3)
        power = replace(power, c=t((1e-3**-0.7 - 7e-3**-0.7) / 0.7))
        result = advanced(a_0, power, t(1.0))
        errors.append(abs(float(result.a - power.exact(a_0))))
    orders = [math.log2(errors[i] / errors[i + 1]) for i in (0, 1)]
    assert min(orders) > 2.7
    assert errors[-1] < 1e-6


def test_one_block_equals_the_same_cycles_in_a_thousand_blocks() -> None:
    a = many = t(1e-3, 1e-2)
    limit = t(1.0, 1.0)
    at_once = advanced(a, Power(t(3.0, 0.5), 1.4), limit).a
    for _ in range(1000):
        many = advanced(many, Power(t(3e-3, 0.5e-3), 1.4), limit).a
    torch.testing.assert_close(at_once, many, rtol=1e-6, atol=0)


def test_a_crack_stops_at_its_limit_and_says_so() -> None:
    just = math.log(2.0)
    result = advanced(
        t(1.0, 1.0, 1.0, 2.0, 3.0), Power(t(0.999 * just, just, 5e9, 1.0, 0.0), 1.0), t(*[2.0] * 5)
    )
    assert result.broken.tolist()[0] is False
    assert result.broken.tolist()[2:] == [True, True, True]
    assert result.a.tolist()[2:] == [2.0, 2.0, 3.0]
    assert (result.a[:2] <= 2.0).all()
    assert result.growth.tolist()[3:] == [0.0, 0.0]


def test_infinite_growth_ends_at_the_limit() -> None:
    assert advanced(t(1.0), Power(t(math.inf), 1.0), t(2.0)).a.item() == 2.0


@dataclass(frozen=True)
class Snapping:
    """Growth that becomes infinite at `fracture`."""

    c: Tensor
    fracture: float

    def __call__(self, a: Tensor) -> Tensor:
        left = self.fracture - a
        return torch.where(left > 0.0, self.c / left, math.inf)

    def reach(self, a: Tensor) -> Tensor:
        return 0.03 * a

    def among(self, index: Tensor) -> "Snapping":
        return replace(self, c=self.c[index])


def test_a_crack_that_nears_fracture_neither_jumps_ahead_nor_survives_it() -> None:
    # (f − a)²/2 falls by c: fracture at c = 0.5 from a = 1, f = 2
    c = t(0.1, 0.49, 0.4999, 0.51, 100.0)
    result = advanced(t(1.0).expand(5), Snapping(c, 2.0), t(5.0).expand(5))
    assert result.broken.tolist() == [False, False, False, True, True]
    exact = 2.0 - torch.sqrt(1.0 - 2.0 * c[:3])
    torch.testing.assert_close(result.a[:3], exact, rtol=2e-3, atol=0)
    assert result.a[3:].tolist() == [5.0, 5.0]


def test_a_crack_without_growth_stays_to_the_bit() -> None:
    a = torch.rand(70, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) + 1e-3
    result = advanced(a, Power(torch.zeros_like(a), 1.0), a + 1.0)
    assert torch.equal(result.a, a)
    assert not result.growth.any()


def test_the_number_of_strides_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integration, "MAX_STRIDES", 3)
    assert advanced(t(1e-6), Power(t(1e9), 1.0), t(1.0)).broken.all()


@pytest.mark.parametrize("k", [0, 1, WIDTH - 1, WIDTH, WIDTH + 1, 1000])
def test_lanes_fill_whole_vectors(k: int) -> None:
    index = torch.arange(k)
    assert len(padded(index)) % WIDTH == 0
    assert torch.equal(padded(index)[:k], index)
    assert len(padded(index)) < k + WIDTH


NASGRO = NasgroLaw(
    si_coefficient(1.545e-10, 3.284), 3.284, 0.5, 1.0, 3.187e6, 1.5, 72.5e6, 1.5, 0.3
)
WALKER = WalkerLaw(si_coefficient(1.42e-11, 3.59), 3.59, 0.68)
STEPPERS = [
    CrackStepper(law, EdgeCrack(0.05), retardation, 0.004, 0.03, particles=p)
    for law, retardation, p in (
        (NASGRO, NoRetardation(), 3),
        (WALKER, NoRetardation(), 1),
        (WALKER, Wheeler(1.3, 365e6, ZONES["plane_stress"]), 1),
        (
            FormanLaw(si_coefficient(7.13e-9, 1.70), 2.70, 71.3e6),
            GeneralisedWillenborg(365e6, ZONES["plane_strain"], 3.0, 3e6),
            2,
        ),
    )
]


def crowd(stepper: CrackStepper, n: int) -> tuple[CrackState, list[list[list[float]]]]:
    """`n` cracks of random lengths and one to three random blocks for each."""
    draw = torch.Generator().manual_seed(n)
    state = stepper.init(n)
    factor = 1.0 + torch.rand(state.a.shape, generator=draw, dtype=torch.float64)
    table = torch.rand(n, 3, 4, generator=draw, dtype=torch.float64) * t(60e6, 30e6, 4.0, 30e6)
    count = (10.0 ** table[..., 2]).round()
    table = torch.stack((table[..., 0], table[..., 1] + 10e6, count, table[..., 3]), -1)
    return state._replace(a=state.a * factor), [
        [table[i, j].tolist() for j in range(1 + i % 3)] for i in range(n)
    ]


def after(stepper: CrackStepper, state: CrackState, table: list[list[list[float]]]) -> CrackState:
    load = spectrum_load(torch.ones(len(table), dtype=torch.int64), blocks(table))
    return stepper.step(stepper.step(state, load), load)


@pytest.mark.parametrize("stepper", STEPPERS)
def test_a_row_ends_the_same_to_the_bit_whatever_else_is_in_the_batch(
    stepper: CrackStepper,
) -> None:
    n = 130
    state, table = crowd(stepper, n)
    together = after(stepper, state, table)
    assert not together.fractured.all()
    for i in (0, 1, 7, 15, 16, 63, 64, 100, 127, 128, 129):
        index = torch.tensor([i])
        alone = after(stepper, rows(state, index), [table[i]])
        _require_equal(rows(together, index), alone)


@pytest.mark.parametrize("stepper", STEPPERS)
def test_a_row_without_shear_ends_the_same_to_the_bit_beside_rows_with_shear(
    stepper: CrackStepper,
) -> None:
    n = 130
    state, table = crowd(stepper, n)
    plain = range(0, n, 3)
    for i in plain:
        table[i] = [[*block[:3], 0.0] for block in table[i]]
    together = after(stepper, state, table)
    index = torch.tensor(plain)
    apart = after(stepper, rows(state, index), [table[i] for i in plain])
    _require_equal(rows(together, index), apart)


@pytest.mark.parametrize("n", [*range(1, 35), 47, 63, 64, 65, 79, 96, 127, 128, 129])
def test_a_batch_of_any_size_gives_the_bits_of_a_larger_one(n: int) -> None:
    state, table = crowd(STEPPERS[0], 130)
    load = spectrum_load(torch.ones(130, dtype=torch.int64), blocks(table))
    index = torch.arange(130 - n, 130)
    some = spectrum_load(torch.ones(n, dtype=torch.int64), blocks(table[130 - n :]))
    together = STEPPERS[0].step(state, load)
    _require_equal(rows(together, index), STEPPERS[0].step(rows(state, index), some))


def _require_equal(one: CrackState, other: CrackState) -> None:
    for (path, left), (_, right) in zip(leaves(one), leaves(other), strict=True):
        assert torch.equal(left, right), path


def test_speeds_of_many_blocks_add_up() -> None:
    state = STEPPERS[1].init(2)
    both: Cycles = blocks([[(50e6, 30e6, 3.0), (40e6, 30e6, 5.0)], [(20e6, 15e6, 7.0)]])
    speed = lanes(state, both)(state.a.view(-1))
    K = EdgeCrack(0.05).F(t(0.004)) * torch.sqrt(math.pi * t(0.004))

    def one(stress: float, mean: float) -> float:
        return float(WALKER(stress * K, t((mean - stress / 2) / (mean + stress / 2))))

    expected = [3.0 * one(50e6, 30e6) + 5.0 * one(40e6, 30e6), 7.0 * one(20e6, 15e6)]
    torch.testing.assert_close(speed, t(*expected), rtol=1e-12, atol=0)
