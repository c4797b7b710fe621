"""Direction of growth of a crack in mixed mode: the signed maximum tangential stress criterion.

F. Erdogan and G. C. Sih, J. Basic Eng. 85 (1963) 519, doi:10.1115/1.3656897: the crack turns to
where σ_θθ √(2πr) = cos(θ/2) [K_I cos²(θ/2) − 1.5 K_II sin θ] is largest.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Kink(NamedTuple):
    """Where a crack goes next, and what drives it there; zeros where it is closed."""

    angle: Tensor  # [rad] from the old direction, against the sense of K_II
    K: Tensor  # [Pa √m] equivalent stress intensity, σ_θθ √(2πr) in that direction
    opened: Tensor  # bool; False where K_I ≤ 0: arrested


def kink(K_I: Tensor, K_II: Tensor) -> Kink:
    """The kink under `K_I` and `K_II` [Pa √m]; K_II > 0 turns a right-going crack clockwise.

    θ = 2 atan(−2 K_II / (K_I + √(K_I² + 8 K_II²))), exact near θ = 0 and never 0/0. A crack
    with K_I ≤ 0 is closed: the criterion would see only K_I² there.
    """
    opened = K_I > 0.0
    tangent = half_tangent(K_I, K_II)
    zero = torch.zeros_like(tangent)
    return Kink(
        torch.where(opened, 2.0 * torch.atan(tangent), zero),
        torch.where(opened, tangential(K_I, K_II, tangent), zero),
        opened,
    )


def equivalent(K_I: Tensor, K_II: Tensor) -> Tensor:
    """`kink(K_I, K_II).K` alone [Pa √m], without trigonometry."""
    return torch.where(K_I > 0.0, tangential(K_I, K_II, half_tangent(K_I, K_II)), 0.0)


def half_tangent(K_I: Tensor, K_II: Tensor) -> Tensor:
    """tan(θ/2); the denominator is positive wherever the crack is open."""
    root = torch.sqrt(K_I * K_I + 8.0 * (K_II * K_II))
    return -2.0 * K_II / torch.where(K_I > 0.0, K_I + root, 1.0)


def tangential(K_I: Tensor, K_II: Tensor, tangent: Tensor) -> Tensor:
    """σ_θθ √(2πr) by half-angle formulas: sin θ = 2t/(1+t²), cos²(θ/2) = 1/(1+t²)."""
    secant2 = 1.0 + tangent * tangent
    return (K_I - 3.0 * (K_II * tangent)) / (secant2 * torch.sqrt(secant2))
