"""The signed maximum tangential stress criterion against exact values and brute force."""

import math

import pytest
import torch
from torch import Tensor

from models.fatigue.mixed_mode import equivalent, kink


def t(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize(
    ("K_I", "K_II", "degrees", "ratio"),
    [
        (1.0, 0.0, 0.0, 1.0),
        (1.0, 0.1, 11.2029, 1.0147),
        (1.0, 0.5, 40.2078, 1.2828),
        (1.0, 1.0, math.degrees(math.acos(0.6)), 1.7889),
        (1e-12, 1.0, math.degrees(math.acos(1.0 / 3.0)), 2.0 / math.sqrt(3.0)),
    ],
)
def test_angle_and_equivalent_have_their_exact_values(
    K_I: float, K_II: float, degrees: float, ratio: float
) -> None:
    for sign in (1.0, -1.0):
        result = kink(t(K_I), t(sign * K_II))
        assert float(result.angle) == pytest.approx(-sign * math.radians(degrees), abs=1e-6)
        assert float(result.K) == pytest.approx(ratio, abs=5e-5)


def test_no_other_direction_has_a_larger_tangential_stress() -> None:
    K_I, K_II = t(1.0, 1.0, 0.3, 0.01)[:, None], t(0.2, -0.9, 1.0, -1.0)[:, None]
    theta = torch.linspace(-math.pi, math.pi, 20001, dtype=torch.float64)
    cos = torch.cos(theta / 2)
    stress = cos * (K_I * cos * cos - 1.5 * K_II * torch.sin(theta))
    best, at = stress.max(1)
    result = kink(K_I[:, 0], K_II[:, 0])
    torch.testing.assert_close(result.K, best, rtol=1e-6, atol=0)
    torch.testing.assert_close(result.angle, theta[at], rtol=0, atol=4e-4)


def test_positive_shear_turns_the_crack_clockwise() -> None:
    assert kink(t(1.0), t(0.1)).angle < 0.0 < kink(t(1.0), t(-0.1)).angle


@pytest.mark.parametrize("K_I", [0.0, -0.0, -0.3, -1.0, -1e30])
@pytest.mark.parametrize("K_II", [0.0, 1.0, -1.0])
def test_a_closed_crack_is_arrested_and_nothing_is_nan(K_I: float, K_II: float) -> None:
    result = kink(t(K_I), t(K_II))
    assert not result.opened.any()
    assert result.angle.item() == 0.0
    assert result.K.item() == 0.0


def test_a_crack_opens_just_above_zero() -> None:
    assert kink(t(1e-9), t(0.0)).opened.all()
    assert kink(t(1e-9), t(0.0)).K.item() == 1e-9


def test_small_shear_keeps_its_angle_in_single_precision() -> None:
    angle = kink(torch.tensor(1.0), torch.tensor(1e-4)).angle
    assert math.degrees(float(angle)) == pytest.approx(-0.01146, abs=1e-5)


def test_without_shear_the_equivalent_is_mode_I_to_the_bit() -> None:
    K_I = torch.rand(1000, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 1e7
    assert torch.equal(equivalent(K_I, torch.zeros_like(K_I)), K_I)
    assert torch.equal(equivalent(K_I, 0.3 * K_I), kink(K_I, 0.3 * K_I).K)
