"""Growth laws as they are fitted: ln da/dN is linear in the constants that are sought.

ln h(a) = offset(a) + Σ β_k B_k(a) under one load of constant amplitude. Of the laws with a
coefficient and an exponent (all of `models.fatigue.laws`) β is (ln C, exponent), whatever is fixed
beside them. A table of ln h against ln ΔK has its values at the knots, straight between them and
going on beyond.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch

from models.crack.growth_cells import CELL, Array
from models.fatigue.geometry import Geometry
from models.fatigue.integration import root_of

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)  # exact to 1e-9 in a cell


@dataclass(frozen=True, slots=True)
class ConstantLoad:
    """A geometry under cycles of one amplitude."""

    geometry: Geometry
    stress_range: float  # [Pa]
    R: float  # [1]

    def dK(self, a: Array) -> Array:
        """The range of the stress intensity [Pa √m] at lengths (n,) [m]."""
        lengths = torch.from_numpy(np.ascontiguousarray(a))
        unit = self.geometry.F(lengths).reshape(-1) * root_of(lengths)
        return np.asarray(self.stress_range * unit.numpy(), np.float64)


class GrowthShape(Protocol):
    """A law but for its constants."""

    @property
    def load(self) -> ConstantLoad:
        """Under which load, in which geometry."""
        ...

    def ln_speed(self, a: Array) -> tuple[Array, Array]:
        """Offset (n,) and B (n, k) at lengths (n,) [m]; an offset of ±∞ is no growth, fracture."""
        ...


@dataclass(frozen=True, slots=True)
class LawShape:
    """A law of `models.fatigue.laws`, whose C and exponent are open."""

    load: ConstantLoad
    law: Any  # a frozen dataclass with C; C and the exponent in it are not read
    exponent: str  # the name of its exponent: m, or n

    def ln_speed(self, a: Array) -> tuple[Array, Array]:
        """As `GrowthShape`; β is ln C [of the law's unit] and the exponent [1]."""
        at_0, at_1 = (self._ln_growth(m, a) for m in (0.0, 1.0))
        grows = np.isfinite(at_0) & np.isfinite(at_1)
        slope = np.subtract(at_1, at_0, where=grows, out=np.zeros_like(at_0))
        return at_0, np.stack([np.ones_like(a), slope], -1)

    def _ln_growth(self, exponent: float, a: Array) -> Array:
        law = replace(self.law, C=1.0, **{self.exponent: exponent})
        dK = torch.from_numpy(self.load.dK(a))
        growth = law(dK, torch.full_like(dK, self.load.R), torch.from_numpy(a))
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(growth.numpy()), np.float64)


@dataclass(frozen=True, slots=True)
class TableShape:
    """Growth tabulated against ΔK, straight in logarithms, and as straight beyond the ends."""

    load: ConstantLoad
    ln_dK: tuple[float, ...]  # of the knots, rising; two or more

    def ln_speed(self, a: Array) -> tuple[Array, Array]:
        """As `GrowthShape`; β is ln da/dN [m/cycle] at the knots."""
        known, x = np.array(self.ln_dK), np.log(self.load.dK(a))
        upper = np.clip(np.searchsorted(known, x), 1, len(known) - 1)
        share = (x - known[upper - 1]) / (known[upper] - known[upper - 1])
        basis = np.zeros((len(a), len(known)))
        at = np.arange(len(a))
        basis[at, upper - 1], basis[at, upper] = 1.0 - share, share
        return np.zeros_like(a), basis


def table_shape(load: ConstantLoad, low: float, high: float, knots: int) -> TableShape:
    """Knots that are evenly spaced in ln ΔK between the lengths `low` and `high` [m]."""
    ends = np.log(load.dK(np.array([low, high])))
    return TableShape(load, tuple(np.linspace(ends.min(), ends.max(), knots).tolist()))


@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """Stretches of ln a, and a law's shape at their points of integration."""

    ln_weights: Array  # (n, 8) ln of weight times da/d(ln a), less the offset
    basis: Array  # (n, 8, k)

    def ln_cycles(self, constants: Array) -> Array:
        """The ln ∫ da/h of each (n,)."""
        return self.linear(constants)[0]

    def linear(self, constants: Array) -> tuple[Array, Array]:
        """The same, and minus its derivative by the constants (n, k)."""
        each = self.ln_weights - self.basis @ constants
        highest = each.max(1, keepdims=True)
        parts = np.exp(each - highest)
        total = parts.sum(1, keepdims=True)
        ln_cycles = (highest + np.log(total))[:, 0]
        return ln_cycles, np.einsum("nq,nqk->nk", parts / total, self.basis)


def stretches(shape: GrowthShape, low: Array, high: Array) -> Stretches:
    """From ln a = `low` to `high`, both (n,).

    Raises ValueError where by the law a crack of these lengths stands still or breaks.
    """
    half = 0.5 * (high - low)[:, None]
    x = 0.5 * (low + high)[:, None] + half * _NODES
    offset, basis = shape.ln_speed(np.exp(x).reshape(-1))
    if not np.isfinite(offset).all():
        worst = float(np.exp(x).reshape(-1)[~np.isfinite(offset)][0])
        raise ValueError(f"by the law's fixed constants a crack of {worst:.4g} m does not grow on")
    weights = np.log(half * _WEIGHTS) + x - offset.reshape(x.shape)
    return Stretches(weights, basis.reshape(*x.shape, -1))


def whole_cells(shape: GrowthShape, first: int, count: int) -> Stretches:
    """The whole cells from `first` on."""
    low = CELL * np.arange(first, first + count, dtype=np.float64)
    return stretches(shape, low, low + CELL)
