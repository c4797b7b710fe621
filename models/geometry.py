"""Stress intensity of cracks in plates: K_I = F σ √(πa), K_II = F_II τ √(πa).

`W` is always the whole width of the plate; `a` is the length of an edge or hole crack, the half
length of a centre crack, the depth of a surface crack. σ is the remote gross stress, τ the remote
shear. `net_section` says at which σ what is left of the section yields. `limit` is the largest
length for which the formula is meant: there the part counts as broken. F_II is zero where it is
not known, so that such parts are driven in mode I alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Value = float | Tensor

# F_II √(1 − a/W) of the edge crack: the quintic through 1.1215 at a/W = 0 and finite elements
# at 0.1, 0.2, 0.3, 0.5, 0.7; at 0.9 it equals Tada's 1.122 − 0.561x + 0.085x² + 0.18x³ again
SHEAR = (0.21683668, -0.94420621, 1.25768862, -0.28418664, -0.55505265, 1.1215)


class Geometry(Protocol):
    """The geometry factors of a cracked part."""

    def F(self, a: Tensor) -> Tensor:
        """K_I / (σ √(πa)) [1] at the length `a` [m]."""
        ...

    def F_II(self, a: Tensor) -> Tensor:
        """K_II / (τ √(πa)) [1] at the length `a` [m]."""
        ...

    def net_section(self, a: Tensor) -> Tensor:
        """Stress σ over yield stress [1] at which what is left at `a` [m] yields in the mean."""
        ...

    @property
    def limit(self) -> Value:
        """The largest admissible length [m]."""
        ...


def _secant_root(x: Tensor) -> Tensor:
    """√(sec x), finite up to a hair below its pole."""
    return torch.rsqrt(torch.cos(x.clamp(max=0.5 * math.pi - 1e-6)))


@dataclass(frozen=True, slots=True)
class EdgeCrack:
    """A single edge crack in tension, ends free to rotate.

    F: H. Tada, P. C. Paris, G. R. Irwin, The Stress Analysis of Cracks Handbook, 3rd ed. (2000)
    2.10 (tangent formula); within 0.65 % of finite elements for a/W ≤ 0.8.
    F_II: complementary shear on the side faces (a uniform stress state); a polynomial times
    (1 − a/W)^−½ through our own finite elements at a/W = 0.1, 0.2, 0.3, 0.5, 0.7.
    """

    W: Value  # [m]

    def F(self, a: Tensor) -> Tensor:
        """K_I / (σ √(πa)) [1]."""
        x = (a / self.W).clamp(1e-9, 0.999)
        half = 0.5 * math.pi * x
        bend = 1.0 - torch.sin(half)
        shape = 0.752 + 2.02 * x + 0.37 * bend * bend * bend
        return torch.sqrt(torch.tan(half) / half) * shape / torch.cos(half)

    def F_II(self, a: Tensor) -> Tensor:
        """K_II / (τ √(πa)) [1]."""
        x = (a / self.W).clamp(0.0, 0.999)
        value = torch.full_like(x, SHEAR[0])
        for coefficient in SHEAR[1:]:
            value = value * x + coefficient
        return value / torch.sqrt(1.0 - x)

    def net_section(self, a: Tensor) -> Tensor:
        """σ over yield stress [1] at net-section yield, bending not counted."""
        return 1.0 - a / self.W

    @property
    def limit(self) -> Value:
        """The largest admissible length [m]."""
        return 0.95 * self.W


@dataclass(frozen=True, slots=True)
class CentreCrack:
    """A through crack of length 2a in the middle of a plate.

    F = √sec(πa/W): C. E. Feddersen, ASTM STP 410 (1966) 77; within 0.3 % for 2a/W ≤ 0.7, 1 %
    low at 0.8.
    """

    W: Value  # [m]

    def F(self, a: Tensor) -> Tensor:
        """K_I / (σ √(πa)) [1]."""
        return _secant_root(math.pi * (a / self.W))

    def F_II(self, a: Tensor) -> Tensor:
        """Zero: not known."""
        return torch.zeros_like(a)

    def net_section(self, a: Tensor) -> Tensor:
        """σ over yield stress [1] at net-section yield."""
        return 1.0 - 2.0 * a / self.W

    @property
    def limit(self) -> Value:
        """The largest admissible half length [m]."""
        return 0.475 * self.W


@dataclass(frozen=True, slots=True)
class CompactTension:
    """The compact specimen; σ is P / (B W), the force over thickness and width.

    `a` and `W` count from the load line. K = P / (B √W) f(a/W): ASTM E647-15, A1.3; exact to
    0.5 % for a/W ≥ 0.2.
    """

    W: Value  # [m]

    def F(self, a: Tensor) -> Tensor:
        """K_I / (σ √(πa)) [1]."""
        x = (a / self.W).clamp(1e-9, 0.999)
        shape = 0.886 + x * (4.64 + x * (-13.32 + x * (14.72 - 5.6 * x)))
        rest = 1.0 - x
        return (2.0 + x) * shape / (rest * torch.sqrt(rest)) / torch.sqrt(math.pi * x)

    def F_II(self, a: Tensor) -> Tensor:
        """Zero: not known."""
        return torch.zeros_like(a)

    def net_section(self, a: Tensor) -> Tensor:
        """σ over yield stress [1] at the limit load of a ligament in tension and bending.

        N = σ B W at the load line and M = N (W + a)/2 in M/(σ_y B b²/4) + (N/(σ_y B b))² = 1 with
        b = W − a: the lower bound for plane stress.
        """
        x = a / self.W
        return torch.sqrt(2.0 + 2.0 * x * x) - (1.0 + x)

    @property
    def limit(self) -> Value:
        """The largest admissible length [m]."""
        return 0.95 * self.W


@dataclass(frozen=True, slots=True)
class HoleCrack:
    """One crack of length `a` from the edge of a round hole in the middle of a plate.

    F: Bowie's solution (J. Math. Phys. 35 (1956) 60) in the form of Tada, Paris, Irwin (2000)
    19.1, times Newman's correction for a finite width, J. C. Newman, NASA TN D-8244 (1976).
    """

    radius: Value  # [m]
    W: Value  # [m]

    def F(self, a: Tensor) -> Tensor:
        """K_I / (σ √(πa)) [1]."""
        s = a / (self.radius + a)
        rest = 1.0 - s
        cubed = rest * rest * rest
        shape = 2.243 + s * (-2.64 + s * (1.352 - 0.248 * s))
        hole = math.pi * (self.radius / self.W)
        crack = 0.5 * math.pi * ((2.0 * self.radius + a) / (self.W - a).clamp(min=1e-30))
        width = _secant_root(torch.as_tensor(hole, dtype=a.dtype, device=a.device))
        return (1.0 + 0.2 * rest + 0.3 * cubed * cubed) * shape * width * _secant_root(crack)

    def F_II(self, a: Tensor) -> Tensor:
        """Zero: not known."""
        return torch.zeros_like(a)

    def net_section(self, a: Tensor) -> Tensor:
        """σ over yield stress [1] at net-section yield."""
        return 1.0 - (2.0 * self.radius + a) / self.W

    @property
    def limit(self) -> Value:
        """The largest admissible length [m]: 95 % of the ligament beside the hole."""
        return 0.95 * (0.5 * self.W - self.radius)


@dataclass(frozen=True, slots=True)
class SurfaceCrack:
    """A semi-elliptical surface crack in tension, at its deepest point.

    `a` is the depth, `aspect` = a/c ≤ 1 (depth over half length) stays as it is.
    J. C. Newman and I. S. Raju, Eng. Fract. Mech. 15 (1981) 185,
    doi:10.1016/0013-7944(81)90116-8; meant for a/t < 1 and c < W/4.
    """

    t: Value  # [m] thickness
    W: Value  # [m]
    aspect: Value  # [1]

    def F(self, a: Tensor) -> Tensor:
        """K_I / (σ √(πa)) [1]."""
        q = torch.as_tensor(self.aspect, dtype=a.dtype, device=a.device)
        x = a / self.t
        x2 = x * x
        M1, M2 = 1.13 - 0.09 * q, 0.89 / (0.2 + q) - 0.54
        M3 = 0.5 - 1.0 / (0.65 + q) + 14.0 * (1.0 - q) ** 24.0
        Q = 1.0 + 1.464 * q**1.65
        width = _secant_root(math.pi * (a / (q * self.W)) * torch.sqrt(x))
        return (M1 + x2 * (M2 + x2 * M3)) * width / torch.sqrt(Q)

    def F_II(self, a: Tensor) -> Tensor:
        """Zero: not known."""
        return torch.zeros_like(a)

    def net_section(self, a: Tensor) -> Tensor:
        """σ over yield stress [1] at net-section yield: the half ellipse bears nothing."""
        return 1.0 - 0.5 * math.pi * (a / self.t) * (a / (self.aspect * self.W))

    @property
    def limit(self) -> Value:
        """The largest admissible depth [m]: 95 % of the thickness, or c = W/4."""
        through, across = 0.95 * self.t, 0.25 * self.aspect * self.W
        smaller = torch.minimum(torch.as_tensor(through), torch.as_tensor(across))
        return smaller if isinstance(through + across, Tensor) else min(through, across)


GEOMETRIES: dict[str, type[Geometry]] = {
    "edge_crack": EdgeCrack,
    "centre_crack": CentreCrack,
    "compact_tension": CompactTension,
    "hole_crack": HoleCrack,
    "surface_crack": SurfaceCrack,
}
