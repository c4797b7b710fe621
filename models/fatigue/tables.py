"""Growth laws and geometry factors read from tables, of which every component has its own.

Tables are leaves of a state like any other constants: of a fixed shape, so that components share
a cohort, filled up at their ends such that what is read does not change. Their logarithms are
taken once, number by number, when a table is made; afterwards a lane is read by comparisons and by
+ − × ÷ alone, but for one logarithm and one exponential of each lane. So it holds bit for bit,
see `models.fatigue.integration`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from models.fatigue.geometry import Bound
from models.fatigue.value import Value

SIZES = (2, 4, 8, 16, 32, 64, 128)  # of tables with their filling
MOST_RATIOS, MOST_CURVE_POINTS = 16, 128  # the most load ratios, and the most points of a curve
BEYOND = 1e9  # a load ratio that none has


@dataclass(frozen=True, slots=True)
class TableLaw:
    """Growth per cycle as tabulated: straight in logarithms along ΔK, and straight in R.

    Below the first entry of a curve nothing grows (ΔK there is the threshold); above the last
    one the curve's final slope goes on; beyond the first and last R the nearest curve holds.
    For R < 0 only the tensile part counts, ΔK = K_max (ASTM E647), unless the table has curves
    for R < 0. Made by `table_law`.
    """

    R: Tensor  # (..., r) load ratios, rising [1]
    growth: Tensor  # (..., k) ln of the growth [m/cycle], rising
    dK: Tensor  # (..., r, k) ln of ΔK [Pa √m], rising along the last axis

    def __call__(self, dK: Tensor, R: Value = 0.0, a: Value = math.inf) -> Tensor:
        """Growth [m/cycle] of lanes; `a` is not read."""
        R = torch.as_tensor(R, dtype=dK.dtype, device=dK.device)
        first = self.R[..., 0]
        shape = (dK + R + first).shape
        dK, R, first = dK.expand(shape), R.expand(shape), first.expand(shape)
        tensile = (first >= 0.0) & (R < 0.0)
        dK = torch.where(tensile, dK / (1.0 - torch.where(tensile, R, 0.0)), dK)
        known = self._curve(torch.maximum(R, first))
        x = torch.log(dK.clamp(min=1e-30).contiguous())
        y = self.growth.expand(*shape, self.growth.shape[-1])
        upper = (known < x[..., None]).sum(-1).clamp(1, y.shape[-1] - 1)
        x0, x1 = _pair(known, upper)
        y0, y1 = _pair(y, upper)
        growth = torch.exp((y0 + (x - x0) / (x1 - x0) * (y1 - y0)).contiguous())
        return torch.where(x > known[..., 0], growth, 0.0)

    def _curve(self, R: Tensor) -> Tensor:
        """Ln ΔK (..., k) of the table's growths at the load ratio `R`."""
        ratios = self.R.expand(*R.shape, self.R.shape[-1])
        right = (ratios <= R[..., None]).sum(-1).clamp(1, ratios.shape[-1] - 1)
        low, high = _pair(ratios, right)
        share = ((R - low) / (high - low))[..., None]
        table = self.dK.expand(*R.shape, *self.dK.shape[-2:])
        at = right[..., None, None].expand(*right.shape, 1, table.shape[-1])
        below, above = (table.gather(-2, at - i).squeeze(-2) for i in (1, 0))
        return below + share * (above - below)


def table_law(
    R: Sequence[float], growth: Sequence[float], dK: Sequence[Sequence[float]]
) -> TableLaw:
    """The law of a table with a row of ΔK [Pa √m] for each growth [m/cycle], a column for each R.

    Raises ValueError, in sentences, for what is no such table.
    """
    _check_law(R, growth, dK)
    y = _drawn_out([math.log(g) for g in growth])
    curves = [_drawn_out([math.log(row[i]) for row in dK]) for i in range(len(R))]
    more = _size(len(R) + 1) - len(R)
    return TableLaw(
        R=_leaf([*R, *(BEYOND * (1.0 + i) for i in range(more))]),
        growth=_leaf(y),
        dK=_leaf([*curves, *([curves[-1]] * more)]),
    )


@dataclass(frozen=True, slots=True)
class TableGeometry:
    """Stress intensity as tabulated, F(a) = K/(σ √(πa)) straight between entries.

    Shorter cracks than the first entry have its F; the last entry is the limit. Made by
    `table_geometry`.
    """

    a: Tensor  # (..., k) lengths, rising [m]
    beta: Tensor  # (..., k) F there [1]
    longest: Tensor  # (...) the last length that was given [m]

    valid = (
        Bound(
            "crack length / the table's first a",
            lambda g, a: a / _first(g.a),
            low=1.0,
            high=math.inf,
            words=lambda g, a: f"{a:.4g} m is below the table's first a, {_first(g.a):.4g} m",
        ),
        Bound(
            "crack length / the table's last a",
            lambda g, a: a / _first(g.longest),
            low=0.0,
            high=1.0,
            words=lambda g, a: f"{a:.4g} m is above the table's last a, {_first(g.longest):.4g} m",
        ),
    )
    accuracy = "that of the table, read straight between its entries"

    def F(self, a: Tensor) -> Tensor:
        """K_I / (σ √(πa)) [1]."""
        a = a.expand((a + self.longest).shape)
        known, beta = (leaf.expand(*a.shape, leaf.shape[-1]) for leaf in (self.a, self.beta))
        upper = (known < a[..., None]).sum(-1).clamp(1, known.shape[-1] - 1)
        (a0, a1), (f0, f1) = _pair(known, upper), _pair(beta, upper)
        return f0 + ((a - a0) / (a1 - a0)).clamp(0.0, 1.0) * (f1 - f0)

    def F_II(self, a: Tensor) -> Tensor:
        """Zero: not known."""
        return torch.zeros_like(a)

    def net_section(self, a: Tensor) -> Tensor:
        """∞: a table does not know its section, and none of it yields."""
        return torch.full_like(a, math.inf)

    @property
    def limit(self) -> Value:
        """The largest admissible length [m]: the table's last."""
        return self.longest


def table_geometry(a: Sequence[float], beta: Sequence[float]) -> TableGeometry:
    """The geometry of a table of F [1] against lengths [m]; raises ValueError, in sentences."""
    _check_size("a", len(a), MOST_CURVE_POINTS)
    _check_rising("a", a)
    if len(beta) != len(a):
        raise ValueError(
            f"a of the table has {len(a)} lengths: beta or K_over_stress must have as many, not "
            f"{len(beta)}"
        )
    if min(beta) <= 0.0:
        raise ValueError(f"a factor of the table is {min(beta):g}: it must be above 0")
    fill = _size(len(a)) - len(a)
    return TableGeometry(
        a=_leaf([*a, *(a[-1] * (2.0 + i) for i in range(fill))]),
        beta=_leaf([*beta, *([beta[-1]] * fill)]),
        longest=torch.full((1, 1), float(a[-1]), dtype=torch.float64),
    )


def shape_name(part: object) -> str:
    """The shape of a table, for all that share it; empty for what is none."""
    match part:
        case TableLaw():
            return f"{part.dK.shape[-2]}x{part.dK.shape[-1]}"
        case TableGeometry():
            return f"{part.a.shape[-1]}"
    return ""


def _first(leaf: Tensor) -> float:
    return float(leaf.flatten()[0])


def _pair(values: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """`values` (..., k) before and at the indices `upper` (...)."""
    before, at = (values.gather(-1, (upper - i)[..., None]).squeeze(-1) for i in (1, 0))
    return before, at


def _drawn_out(values: list[float]) -> list[float]:
    """The values, going on at their last step until the table has one of its sizes."""
    step, n = values[-1] - values[-2], len(values)
    return values + [values[-1] + step * (i + 1) for i in range(_size(n) - n)]


def _size(n: int) -> int:
    return SIZES[bisect_left(SIZES, n)]


def _leaf(values: Sequence[Any]) -> Tensor:
    leaf = torch.tensor(values, dtype=torch.float64)
    return leaf.reshape(1, 1, *leaf.shape)


def _check_law(R: Sequence[float], growth: Sequence[float], dK: Sequence[Sequence[float]]) -> None:
    if not 1 <= len(R) < MOST_RATIOS:
        raise ValueError(f"R of the table has {len(R)} load ratios, not 1 to {MOST_RATIOS - 1}")
    _check_size("growth", len(growth), MOST_CURVE_POINTS)
    if any(one >= two for one, two in pairwise(R)):
        raise ValueError(f"R of the table does not rise: {list(R)}")
    if R[-1] >= 1.0 or R[0] < -10.0:
        raise ValueError(f"R of the table has to lie within −10 … 1, 1 excluded: {list(R)}")
    _check_rising("growth", growth)
    if len(dK) != len(growth):
        raise ValueError(
            f"dK of the table has {len(dK)} rows: it must have one for each growth, {len(growth)}"
        )
    for i, row in enumerate(dK):
        if len(row) != len(R):
            raise ValueError(
                f"dK[{i}] is a row of {len(row)}: it must have one number for each of R, {len(R)}"
            )
    for i, ratio in enumerate(R):
        _check_rising(f"dK at R = {ratio:g}", [row[i] for row in dK])


def _check_size(name: str, n: int, most: int) -> None:
    if not 2 <= n <= most:
        raise ValueError(f"{name} of the table has {n} entries, not 2 to {most}")


def _check_rising(name: str, values: Sequence[float]) -> None:
    if not values[0] > 0.0:
        raise ValueError(f"{name} of the table begins with {values[0]:g}: it must be above 0")
    for one, two in pairwise(values):
        if not math.log(two) > math.log(one):
            raise ValueError(f"{name} of the table does not rise: {two:g} comes after {one:g}")
