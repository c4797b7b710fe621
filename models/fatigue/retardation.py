"""Load interaction: how an overload slows the growth behind it.

A model is called as `model(law, K_max, R, a, felt)` and answers the growth per cycle [m/cycle];
`felt` is what a cycle feels of the overload, one number, which a peak can keep until its cycle
closes. The plastic zone is r = zone (K_max/σ_y)², where `zone` is one of `ZONES`: choosing
another one changes lives by a factor of 2 to 6, so it has no default.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from models.fatigue.laws import Law
from models.fatigue.value import Value

ZONES: dict[str, float] = {  # r / (K_max/σ_y)² [1]
    "plane_stress": 1.0 / math.pi,
    "irwin_plane_stress": 1.0 / (2.0 * math.pi),
    "plane_strain": 1.0 / (3.0 * math.pi),
    "irwin_plane_strain": 1.0 / (6.0 * math.pi),
}

RESOLUTION = 1.0 / 32.0  # longest stride inside an overload zone, in sizes of that zone
ALIKE = 1e-12  # rounding of a peak that is itself the overload: it is not lowered by itself
TINY = 1e-30  # keeps 0/0 away where there was no overload yet


class Overload(NamedTuple):
    """The overload whose plastic zone reaches furthest ahead."""

    a: Tensor  # (n, p) crack length when it happened [m]
    K: Tensor  # (n, p) its K_max [Pa √m]; 0: none yet


class Retardation(Protocol):
    """A model of load interaction."""

    interacts: ClassVar[bool]  # whether the order of loads matters

    def felt(self, overload: Overload, a: Tensor) -> Tensor:
        """What a cycle at the length `a` [m] feels of the overload; 0: nothing."""
        ...

    def __call__(self, law: Law, K_max: Tensor, R: Tensor, a: Tensor, felt: Tensor) -> Tensor:
        """Growth [m/cycle] of cycles with `K_max` [Pa √m] and load ratio `R` [1] at `a` [m]."""
        ...

    def remembered(self, overload: Overload, a: Tensor, K_max: Tensor) -> Overload:
        """What is remembered after a cycle of `K_max` [Pa √m] at the length `a` [m]."""
        ...

    def reach(self, overload: Overload, a: Tensor) -> Tensor:
        """The longest stride [m] from `a` over which growth varies smoothly; ∞ outside zones."""
        ...

    def size(self, K_max: Tensor) -> Tensor:
        """The plastic zone [m] of a peak of `K_max` [Pa √m]."""
        ...


@dataclass(frozen=True, slots=True)
class NoRetardation:
    """Every cycle acts as if it were alone."""

    interacts: ClassVar[bool] = False

    def felt(self, overload: Overload, a: Tensor) -> Tensor:
        """Nothing."""
        return torch.zeros_like(a)

    def __call__(self, law: Law, K_max: Tensor, R: Tensor, a: Tensor, felt: Tensor) -> Tensor:
        """Growth [m/cycle] by the law alone."""
        return law(K_max * (1.0 - R), R, a)

    def remembered(self, overload: Overload, a: Tensor, K_max: Tensor) -> Overload:
        """Nothing new."""
        return overload

    def reach(self, overload: Overload, a: Tensor) -> Tensor:
        """No bound."""
        return torch.full_like(a, math.inf)

    def size(self, K_max: Tensor) -> Tensor:
        """None is looked at."""
        return torch.zeros_like(K_max)


def _edge(overload: Overload, zone: Value, yield_stress: Value) -> tuple[Tensor, Tensor]:
    """Where the overload zone ends [m], and its size [m]."""
    size = _zone(overload.K, zone, yield_stress)
    return overload.a + size, size


def _zone(K_max: Tensor, zone: Value, yield_stress: Value) -> Tensor:
    """The plastic zone, zone (K_max / σ_y)² [m]."""
    ratio = K_max / yield_stress
    return zone * (ratio * ratio)


def _furthest(
    overload: Overload, a: Tensor, K_max: Tensor, zone: Value, yield_stress: Value
) -> Overload:
    """The newer one of two overloads, unless the zone of the older one reaches further."""
    here = Overload(a, K_max)
    newer = (K_max > 0.0) & (
        _edge(here, zone, yield_stress)[0] >= _edge(overload, zone, yield_stress)[0]
    )
    return Overload(torch.where(newer, a, overload.a), torch.where(newer, K_max, overload.K))


def _reach(overload: Overload, a: Tensor, zone: Value, yield_stress: Value) -> Tensor:
    edge, size = _edge(overload, zone, yield_stress)
    return torch.where((a < edge) & (size > 0.0), RESOLUTION * size, math.inf)


@dataclass(frozen=True, slots=True)
class Wheeler:
    """Growth times (r_i / (a_OL + r_OL − a))^γ while the zone r_i lies inside that of the overload.

    O. E. Wheeler, J. Basic Eng. 94 (1972) 181, doi:10.1115/1.3425362.
    """

    gamma: Value  # [1]
    yield_stress: Value  # [Pa]
    zone: Value  # [1], one of ZONES

    interacts: ClassVar[bool] = True

    def felt(self, overload: Overload, a: Tensor) -> Tensor:
        """How far the overload's zone reaches ahead [m]."""
        return (_edge(overload, self.zone, self.yield_stress)[0] - a).clamp(min=0.0)

    def __call__(self, law: Law, K_max: Tensor, R: Tensor, a: Tensor, felt: Tensor) -> Tensor:
        """Growth [m/cycle], retarded."""
        own = self.size(K_max)
        inside = own < felt
        share = torch.where(inside, own / felt, 1.0) ** self.gamma
        return torch.where(inside, share, 1.0) * law(K_max * (1.0 - R), R, a)

    def remembered(self, overload: Overload, a: Tensor, K_max: Tensor) -> Overload:
        """The cycle itself where its zone touches the edge of the overload's."""
        return _furthest(overload, a, K_max, self.zone, self.yield_stress)

    def reach(self, overload: Overload, a: Tensor) -> Tensor:
        """A fraction of the overload zone inside it."""
        return _reach(overload, a, self.zone, self.yield_stress)

    def size(self, K_max: Tensor) -> Tensor:
        """The plastic zone [m] of a peak of `K_max` [Pa √m]."""
        return _zone(K_max, self.zone, self.yield_stress)


@dataclass(frozen=True, slots=True)
class GeneralisedWillenborg:
    """Both K_max and K_min are lowered by K_red = φ [K_OL √(1 − (a−a_OL)/r_OL) − K_max] ≥ 0.

    φ = (1 − K_th/K_max) / (S_ol − 1), cut to 0…1, so that an overload of S_ol arrests.
    Negative K_min rule: K_min,eff = max(K_min − K_red, floor). The default floor of 0 makes
    R_eff ≥ 0, so that compression (applied or left by the overload) does nothing; −∞ keeps it
    and leaves R < 0 to the law. Outside the zone a cycle is not touched at all. Fracture is
    judged on the unreduced K_max.
    J. P. Gallagher, AFFDL-TM-74-28 (1974); J. Willenborg et al., AFFDL-TM-71-1 (1971).
    """

    yield_stress: Value  # [Pa]
    zone: Value  # [1], one of ZONES
    S_ol: Value = 3.0  # [1] overload ratio that arrests growth
    K_th: Value = 0.0  # [Pa √m] K_max at threshold
    floor: Value = 0.0  # [Pa √m]

    interacts: ClassVar[bool] = True

    def felt(self, overload: Overload, a: Tensor) -> Tensor:
        """K_OL √(1 − (a−a_OL)/r_OL) [Pa √m]: the K_max whose zone reaches the overload's edge."""
        size = _edge(overload, self.zone, self.yield_stress)[1].clamp(min=TINY)
        left = (1.0 - (a - overload.a) / size).clamp(min=0.0)
        return overload.K * torch.sqrt(left)

    def __call__(self, law: Law, K_max: Tensor, R: Tensor, a: Tensor, felt: Tensor) -> Tensor:
        """Growth [m/cycle], retarded."""
        alone = law(K_max * (1.0 - R), R, a)
        phi = ((1.0 - self.K_th / K_max.clamp(min=TINY)) / (self.S_ol - 1.0)).clamp(0.0, 1.0)
        K_red = torch.where(felt > K_max * (1.0 + ALIKE), phi * (felt - K_max), 0.0)
        top = (K_max - K_red).clamp(min=0.0)
        floor = torch.as_tensor(self.floor, dtype=top.dtype, device=top.device)
        bottom = torch.minimum(torch.maximum(R * K_max - K_red, floor), top)
        ratio = torch.where(top > 0.0, bottom / top.clamp(min=TINY), 0.0)
        slowed = law(top - bottom, ratio, a)
        return torch.where((K_red > 0.0) & (alone < math.inf), slowed, alone)

    def remembered(self, overload: Overload, a: Tensor, K_max: Tensor) -> Overload:
        """The cycle itself where its zone touches the edge of the overload's."""
        return _furthest(overload, a, K_max, self.zone, self.yield_stress)

    def reach(self, overload: Overload, a: Tensor) -> Tensor:
        """A fraction of the overload zone inside it."""
        return _reach(overload, a, self.zone, self.yield_stress)

    def size(self, K_max: Tensor) -> Tensor:
        """The plastic zone [m] of a peak of `K_max` [Pa √m]."""
        return _zone(K_max, self.zone, self.yield_stress)


RETARDATIONS: dict[str, type[Retardation]] = {
    "none": NoRetardation,
    "wheeler": Wheeler,
    "willenborg": GeneralisedWillenborg,
}
