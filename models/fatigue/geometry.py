"""Stress intensity of cracks in plates: K_I = F σ √(πa), K_II = F_II τ √(πa).

`W` is always the whole width of the plate; `a` is the length of an edge or hole crack, the half
length of a centre crack, the depth of a surface crack. σ is the remote gross stress, τ the remote
shear. `net_section` says at which σ what is left of the section yields. `limit` is the largest
length for which the formula is meant: there the part counts as broken. F_II is zero where it is
not known, so that such parts are driven in mode I alone.
"""

# Over 300 lines: six formulas with range, accuracy and source each, to be compared side by side.

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from models.fatigue.hole_factors import FINITE, INFINITE
from models.fatigue.value import Value

# F_II √(1 − a/W) of the edge crack: the quintic through 1.1215 at a/W = 0 and finite elements
# at 0.1, 0.2, 0.3, 0.5, 0.7; at 0.9 it equals Tada's 1.122 − 0.561x + 0.085x² + 0.18x³ again
SHEAR = (0.21683668, -0.94420621, 1.25768862, -0.28418664, -0.55505265, 1.1215)


class Bound(NamedTuple):
    """Within what a ratio of sizes has to be for a formula to hold."""

    ratio: str  # in the names of the geometry's fields; `a` is the crack's length
    of: Callable[[Any, float], float]  # the geometry and the length [m] → the ratio
    low: float
    high: float
    longer: bool = True  # whether it rises as the crack grows, so that `limit` has to keep it
    words: Callable[[Any, float], str] | None = None  # how that is said, if not as a ratio


class Outside(NamedTuple):
    """That a formula does not hold."""

    bound: str  # its ratio
    what: str  # in words
    of_length: bool  # whether another length would do


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


class Formula(Geometry, Protocol):
    """A geometry that says for what it is meant."""

    @property
    def valid(self) -> tuple[Bound, ...]:
        """For what the formula is meant."""
        ...

    @property
    def accuracy(self) -> str:
        """How exact it is there, and by what that is known."""
        ...


def outside(geometry: Formula, a: float) -> list[Outside]:
    """What of `geometry` with floats and of the length `a` [m] the formula is not meant for."""
    found = []
    for bound in geometry.valid:
        try:
            value = bound.of(geometry, a)
        except ZeroDivisionError:  # nothing is left of the section
            value = math.inf
        if not bound.low * (1.0 - 1e-9) <= value <= bound.high * (1.0 + 1e-9):
            ratio = f"{bound.ratio} is {value:.4g}, not within {bound.low:g} … {bound.high:g}"
            what = ratio if bound.words is None else bound.words(geometry, a)
            found.append(Outside(bound.ratio, what, bound.longer))
    return found


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

    valid = (Bound("a/W", lambda g, a: a / g.W, 0.0, 0.95),)
    accuracy = "0.65 % for a/W ≤ 0.8 against finite elements, 1 % beyond"

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

    F = (1 − 0.025 α² + 0.06 α⁴) √sec(πα/2), α = 2a/W: H. Tada, P. C. Paris, G. R. Irwin, The
    Stress Analysis of Cracks Handbook, 3rd ed. (2000) 2.1, exact to 0.1 % for any α.
    """

    W: Value  # [m]

    valid = (Bound("2a/W", lambda g, a: 2.0 * a / g.W, 0.0, 0.95),)
    accuracy = "0.15 % against finite elements"

    def F(self, a: Tensor) -> Tensor:
        """K_I / (σ √(πa)) [1]."""
        x = a / self.W
        square = 4.0 * (x * x).clamp(max=0.25)
        return (1.0 + square * (0.06 * square - 0.025)) * _secant_root(math.pi * x)

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

    valid = (Bound("a/W", lambda g, a: a / g.W, 0.2, 0.95),)
    accuracy = "0.5 % (ASTM E647-15)"

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

    F is that of the infinite plate (O. L. Bowie, J. Math. Phys. 35 (1956) 60) times what the width
    adds, both polynomials through our own converged finite elements: see `hole_factors`. Ends are
    free to rotate.
    """

    radius: Value  # [m]
    W: Value  # [m]

    valid = (
        Bound("radius/W", lambda g, a: g.radius / g.W, 0.0, 0.4, longer=False),
        Bound("a/(W/2 − radius)", lambda g, a: a / (0.5 * g.W - g.radius), 0.0, 0.95),
    )
    accuracy = "0.05 % against finite elements, converged to 0.02 %"

    def F(self, a: Tensor) -> Tensor:
        """K_I / (σ √(πa)) [1]."""
        share = (self.radius / torch.as_tensor(self.W, dtype=a.dtype)).clamp(max=0.4)
        rest = self.W * (0.5 - share)
        x = (a / rest).clamp(max=0.999)
        s = a / (self.radius + a)
        wide = torch.full_like(s, INFINITE[-1])
        for coefficient in INFINITE[-2::-1]:
            wide = wide * s + coefficient
        return wide * _bivariate(share, x) / ((1.0 - 2.0 * share) * torch.sqrt(1.0 - x))

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


def _bivariate(share: Tensor, x: Tensor) -> Tensor:
    """The polynomial of `FINITE` at R/W = `share` and a/(W/2 − R) = `x`; + and × alone."""
    table = torch.as_tensor(FINITE, dtype=x.dtype, device=x.device)  # (r, x)
    table = table.reshape(*table.shape, *(1,) * x.ndim)
    rows = table[:, -1] * x + table[:, -2]
    for j in range(table.shape[1] - 3, -1, -1):
        rows.mul_(x).add_(table[:, j])
    value = rows[-1]
    for row in rows[:-1].flip(0):
        value = value * share + row
    return value


FRONT_POINTS = {"deepest": 0.0, "governing": 1.0}  # of a surface crack's front, whose K is told


@dataclass(frozen=True, slots=True)
class SurfaceCrack:
    """A semi-elliptical surface crack in tension.

    `a` is the depth, `aspect` = a/c (depth over half length) stays as it is. F is that of the
    deepest point, or with `point` = 1 the larger of that and of the point at the surface. From
    a/c ≈ 0.8 the surface point has more: 1.1 to 1.3 times at a/c = 1, 1.6 times at 2. There a
    crack of one length that followed its deepest point alone would be believed too short.
    J. C. Newman and I. S. Raju, NASA TM-85793 (1984), whose equations for a/c ≤ 1 are those of
    Eng. Fract. Mech. 15 (1981) 185, doi:10.1016/0013-7944(81)90116-8; a/c > 1 has its own set.
    """

    t: Value  # [m] thickness
    W: Value  # [m]
    aspect: Value  # [1]
    point: Value = 0.0  # [1] one of FRONT_POINTS

    valid = (
        Bound("aspect", lambda g, a: g.aspect, 0.0, 2.0, longer=False),
        Bound("a/t", lambda g, a: a / g.t, 0.0, 0.95),
        Bound("a/(1.25 (aspect + 0.6) t)", lambda g, a: a / g.t / (1.25 * (g.aspect + 0.6)), 0, 1),
        Bound("a/(aspect W)", lambda g, a: a / g.aspect / g.W, 0.0, 0.25),
    )
    accuracy = "5 % of the finite elements that the equations were fitted to"

    def F(self, a: Tensor) -> Tensor:
        """K_I / (σ √(πa)) [1]."""
        q = torch.as_tensor(self.aspect, dtype=a.dtype, device=a.device)
        flat, deep = q.clamp(max=1.0), q.clamp(min=1.0)
        x = a / self.t
        x2, long = x * x, 1.0 / deep
        fourth = long * long * long * long
        M1 = torch.where(q > 1.0, torch.sqrt(long) * (1.0 + 0.04 * long), 1.13 - 0.09 * flat)
        M2 = torch.where(q > 1.0, 0.2 * fourth, 0.89 / (0.2 + flat) - 0.54)
        M3 = 0.5 - 1.0 / (0.65 + flat) + 14.0 * (1.0 - flat) ** 24.0
        M3 = torch.where(q > 1.0, -0.11 * fourth, M3)
        Q = 1.0 + 1.464 * torch.where(q > 1.0, long, flat) ** 1.65
        width = _secant_root(math.pi * (a / (q * self.W)) * torch.sqrt(x))
        bottom = torch.where(q > 1.0, torch.sqrt(long), 1.0)
        side = torch.where(q > 1.0, 1.1 + 0.35 * long * x2, torch.sqrt(flat) * (1.1 + 0.35 * x2))
        chosen = torch.where(torch.as_tensor(self.point) > 0.5, torch.maximum(bottom, side), bottom)
        return (M1 + x2 * (M2 + x2 * M3)) * width * chosen / torch.sqrt(Q)

    def F_II(self, a: Tensor) -> Tensor:
        """Zero: not known."""
        return torch.zeros_like(a)

    def net_section(self, a: Tensor) -> Tensor:
        """σ over yield stress [1] at net-section yield: the half ellipse bears nothing."""
        return 1.0 - 0.5 * math.pi * (a / self.t) * (a / (self.aspect * self.W))

    @property
    def limit(self) -> Value:
        """The largest admissible depth [m]: where `valid` ends."""
        bounds = (
            0.95 * self.t,
            1.25 * (self.aspect + 0.6) * self.t,
            0.25 * self.aspect * self.W,
        )
        if not any(isinstance(bound, Tensor) for bound in bounds):
            return min(bounds)
        first, second, third = (torch.as_tensor(bound) for bound in bounds)
        return torch.minimum(torch.minimum(first, second), third)


GEOMETRIES: dict[str, type[Formula]] = {
    "edge_crack": EdgeCrack,
    "centre_crack": CentreCrack,
    "compact_tension": CompactTension,
    "hole_crack": HoleCrack,
    "surface_crack": SurfaceCrack,
}
