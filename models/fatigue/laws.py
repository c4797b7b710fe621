"""Fatigue crack growth laws: growth per cycle against the range of the stress intensity.

Every law is called as `law(dK, R, a)`:

* `dK` [Pa √m]  the whole range K_max − K_min, compression included;
* `R` [1]       the load ratio K_min / K_max of a cycle that opens the crack (K_max > 0, R < 1);
* `a` [m]       the crack length, read by the threshold of short cracks alone.

The answer [m/cycle] is never NaN: zero at or below the threshold, infinite where K_max reaches
the toughness. Parameters are floats or tensors that broadcast over (component, particle).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from models.fatigue.tables import TableLaw, table_law
from models.fatigue.value import Value


class Law(Protocol):
    """Growth per cycle at a range, a load ratio and a crack length."""

    def __call__(self, dK: Tensor, R: Value = 0.0, a: Value = math.inf) -> Tensor:
        """Growth [m/cycle] at the range `dK` [Pa √m], the ratio `R` [1], the length `a` [m]."""
        ...


def si_coefficient(C: float, m: float) -> float:
    """`C` for Pa √m from `C` for MPa √m, of a law whose growth is C·K^m in m/cycle."""
    return C * math.pow(1e-6, m)


def _tensile(dK: Tensor, R: Value) -> tuple[Tensor, Tensor]:
    """The range and load ratio that are left when compression does nothing.

    ASTM E647-15, 3.2.14: for R < 0, ΔK = K_max.
    """
    R = torch.as_tensor(R, dtype=dK.dtype, device=dK.device)
    return dK / (1.0 - R.clamp(max=0.0)), R.clamp(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class ParisLaw:
    """Growth per cycle, da/dN = C ΔK^m above the threshold, whatever R ≥ 0.

    For R < 0 only the tensile part counts, ΔK = K_max (ASTM E647).
    P. Paris and F. Erdogan, J. Basic Eng. 85 (1963) 528, doi:10.1115/1.3656900.
    """

    C: Value  # [m/cycle / (Pa √m)^m]
    m: Value  # [1]
    dK_th: Value = 0.0  # [Pa √m]

    def __call__(self, dK: Tensor, R: Value = 0.0, a: Value = math.inf) -> Tensor:
        """Growth [m/cycle]; `a` is not read."""
        dK, _ = _tensile(dK, R)
        return torch.where(dK > self.dK_th, self.C * dK**self.m, 0.0)


@dataclass(frozen=True, slots=True)
class WalkerLaw:
    """Growth per cycle, da/dN = C [ΔK / (1−R)^(1−γ)]^m above the threshold of ΔK.

    For R < 0 only the tensile part counts: ΔK = K_max and R = 0 (ASTM E647).
    K. Walker, ASTM STP 462 (1970) 1, doi:10.1520/STP32032S.
    """

    C: Value  # [m/cycle / (Pa √m)^m]
    m: Value  # [1]
    gamma: Value  # [1]
    dK_th: Value = 0.0  # [Pa √m]

    def __call__(self, dK: Tensor, R: Value = 0.0, a: Value = math.inf) -> Tensor:
        """Growth [m/cycle]; `a` is not read."""
        dK, R = _tensile(dK, R)
        equivalent = dK / (1.0 - R) ** (1.0 - self.gamma)
        return torch.where(dK > self.dK_th, self.C * equivalent**self.m, 0.0)


@dataclass(frozen=True, slots=True)
class FormanLaw:
    """Growth per cycle, da/dN = C ΔK^m / [(1−R) K_c − ΔK], infinite at K_max ≥ K_c.

    For R < 0 only the tensile part counts: ΔK = K_max and R = 0 (ASTM E647).
    R. G. Forman, V. E. Kearney, R. M. Engle, J. Basic Eng. 89 (1967) 459,
    doi:10.1115/1.3609637.
    """

    C: Value  # [m/cycle / (Pa √m)^(m−1)]
    m: Value  # [1]
    K_c: Value  # [Pa √m]
    dK_th: Value = 0.0  # [Pa √m]

    def __call__(self, dK: Tensor, R: Value = 0.0, a: Value = math.inf) -> Tensor:
        """Growth [m/cycle]; `a` is not read."""
        dK, R = _tensile(dK, R)
        to_fracture = (1.0 - R) * self.K_c - dK
        growth = torch.where(dK > self.dK_th, self.C * dK**self.m / to_fracture, 0.0)
        return torch.where((to_fracture > 0.0) | (dK <= 0.0), growth, math.inf)


def closure(R: Tensor, alpha: Value, S: Value) -> tuple[Tensor, Tensor]:
    """Newman's opening ratio f = K_open / K_max [1], and A0, its polynomial's value at R = 0.

    `alpha` is the constraint factor (1 plane stress … 3 plane strain), `S` = S_max / σ_0.
    R below −2 counts as −2. J. C. Newman, Int. J. Fracture 24 (1984) R131,
    doi:10.1007/BF00020751.
    """
    alpha = torch.as_tensor(alpha, dtype=R.dtype, device=R.device)
    S = torch.as_tensor(S, dtype=R.dtype, device=R.device)
    flow = torch.cos(0.5 * math.pi * S) ** (1.0 / alpha)
    A0 = (0.825 - 0.34 * alpha + 0.05 * alpha * alpha) * flow
    A1 = (0.415 - 0.071 * alpha) * S
    A3 = 2.0 * A0 + A1 - 1.0
    A2 = 1.0 - A0 - A1 - A3
    opened = torch.maximum(R, A0 + R * (A1 + R * (A2 + R * A3)))
    return torch.where(R >= 0.0, opened, A0 + A1 * R.clamp(min=-2.0)), A0


def _short(a: Value, a_0: Value, like: Tensor) -> Tensor:
    """El Haddad's factor √(a / (a + a_0)) of the threshold of short cracks, 1 for a = ∞."""
    a = torch.as_tensor(a, dtype=like.dtype, device=like.device)
    return torch.sqrt(1.0 / (1.0 + a_0 / a))


@dataclass(frozen=True, slots=True)
class NasgroLaw:
    """da/dN = C [(1−f)/(1−R) ΔK]^n (1 − ΔK_th/ΔK)^p / (1 − K_max/K_c)^q, threshold of version 3.

    f is Newman's opening function of `alpha` and `S`, also for R < 0: compression counts as far
    as it changes closure, down to R = −2. The threshold is that of NASGRO 3,
    ΔK_th = dK_0 √(a/(a+a_0)) / [(1−f) / ((1−A0)(1−R))]^(1 + C_th R), with `C_th_minus` in place
    of C_th for R < 0. R. G. Forman et al., DOT/FAA/AR-05/15 (2005).
    """

    C: Value  # [m/cycle / (Pa √m)^n]
    n: Value  # [1]
    p: Value  # [1]
    q: Value  # [1]
    dK_0: Value  # [Pa √m] threshold of long cracks at R = 0
    C_th: Value  # [1]
    K_c: Value  # [Pa √m]
    alpha: Value  # [1] constraint factor
    S: Value  # [1] S_max / σ_0
    a_0: Value = 38.1e-6  # [m]
    C_th_minus: Value = 0.1  # [1]

    def __call__(self, dK: Tensor, R: Value = 0.0, a: Value = math.inf) -> Tensor:
        """Growth [m/cycle]."""
        R = torch.as_tensor(R, dtype=dK.dtype, device=dK.device).clamp(max=1.0 - 1e-6)
        f, _ = closure(R, self.alpha, self.S)
        return _nasgro(self, dK, R, f, self.threshold(R, a))

    def threshold(self, R: Tensor, a: Value = math.inf) -> Tensor:
        """ΔK [Pa √m] at and below which nothing grows."""
        f, A0 = closure(R, self.alpha, self.S)
        C_th = torch.where(R >= 0.0, self.C_th, self.C_th_minus)
        opening = (1.0 - f) / ((1.0 - A0) * (1.0 - R))
        return self.dK_0 * _short(a, self.a_0, R) / opening ** (1.0 + C_th * R)


@dataclass(frozen=True, slots=True)
class Nasgro4Law:
    """The NASGRO equation with the threshold of version 4; otherwise as `NasgroLaw`.

    ΔK_th = dK_1 √(a/(a+a_0)) [(1−R)/(1−f)]^(1 + R C_th) / (1−A0)^((1−R) C_th), where dK_1 is the
    threshold at R → 1, with `C_th_minus` in place of C_th in the first exponent for R < 0
    (the second one keeps the two branches equal at R = 0).
    R. G. Forman et al., DOT/FAA/AR-05/15 (2005).
    """

    C: Value  # [m/cycle / (Pa √m)^n]
    n: Value  # [1]
    p: Value  # [1]
    q: Value  # [1]
    dK_1: Value  # [Pa √m] threshold of long cracks as R → 1
    C_th: Value  # [1]
    K_c: Value  # [Pa √m]
    alpha: Value  # [1] constraint factor
    S: Value  # [1] S_max / σ_0
    a_0: Value = 38.1e-6  # [m]
    C_th_minus: Value = 0.1  # [1]

    def __call__(self, dK: Tensor, R: Value = 0.0, a: Value = math.inf) -> Tensor:
        """Growth [m/cycle]."""
        R = torch.as_tensor(R, dtype=dK.dtype, device=dK.device).clamp(max=1.0 - 1e-6)
        f, _ = closure(R, self.alpha, self.S)
        return _nasgro(self, dK, R, f, self.threshold(R, a))

    def threshold(self, R: Tensor, a: Value = math.inf) -> Tensor:
        """ΔK [Pa √m] at and below which nothing grows."""
        f, A0 = closure(R, self.alpha, self.S)
        C_th = torch.where(R >= 0.0, self.C_th, self.C_th_minus)
        at_zero = self.C_th - R.clamp(min=0.0) * self.C_th - R.clamp(max=0.0) * self.C_th_minus
        opening = ((1.0 - R) / (1.0 - f)) ** (1.0 + R * C_th)
        return self.dK_1 * _short(a, self.a_0, R) * opening / (1.0 - A0) ** at_zero


def _nasgro(law: NasgroLaw | Nasgro4Law, dK: Tensor, R: Tensor, f: Tensor, dK_th: Tensor) -> Tensor:
    K_max = dK / (1.0 - R)
    above = (1.0 - dK_th / dK.clamp(min=1e-30)).clamp(min=0.0) ** law.p
    below = (1.0 - K_max / law.K_c).clamp(min=0.0) ** law.q
    growth = law.C * ((1.0 - f) * K_max) ** law.n * above / below
    growth = torch.where(dK > dK_th, growth, 0.0)
    return torch.where((K_max < law.K_c) | (dK <= 0.0), growth, math.inf)


@dataclass(frozen=True, slots=True)
class TabulatedLaw:
    """Growth read from a table of ΔK against growth and R, straight in logarithms and in R.

    As people write it; `lanes` is what cracks are stepped by, and says how it is read.
    """

    R: Tensor  # (r,) load ratios, rising [1]
    growth: Tensor  # (k,) rising [m/cycle]
    dK: Tensor  # (k, r) rising along axis 0 [Pa √m]

    def lanes(self) -> TableLaw:
        """The law; raises ValueError, in sentences, for what is no table."""
        return table_law(self.R.tolist(), self.growth.tolist(), self.dK.tolist())

    def __call__(self, dK: Tensor, R: Value = 0.0, a: Value = math.inf) -> Tensor:
        """Growth [m/cycle]; `a` is not read."""
        ratio = torch.as_tensor(R, dtype=dK.dtype, device=dK.device)
        shape = (dK + ratio).shape
        lanes = (x.expand(shape).reshape(1, -1) for x in (dK, ratio))
        return self.lanes()(*lanes).reshape(shape)


LAWS: dict[str, type[Law]] = {
    "paris": ParisLaw,
    "walker": WalkerLaw,
    "forman": FormanLaw,
    "nasgro": NasgroLaw,
    "nasgro4": Nasgro4Law,
}


def scaled(law: Law, factor: Tensor) -> Law:
    """The law whose growth is `factor` times as fast; the constants of `law` are tensors."""
    if isinstance(law, TableLaw):
        return replace(law, growth=law.growth + torch.log(factor)[..., None])
    found: Law = replace(law, C=law.C * factor)  # type: ignore[type-var, attr-defined]
    return found
