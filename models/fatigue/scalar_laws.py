"""The laws of `laws` and `tables` for one cycle of one crack, in compiled code.

Constants stand in a vector, those of the law in the order of its fields from `LAW` on, and behind
all constants what is read from tables. A batch of lanes goes faster through torch, a cycle after
the other through this: there are two forms of each formula, and
`tests/models/fatigue/test_scalar.py` holds them together.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from models.compiled import part
from models.fatigue.laws import FormanLaw, Law, Nasgro4Law, NasgroLaw, ParisLaw, WalkerLaw
from models.fatigue.rainflow import Floats
from models.fatigue.tables import TableLaw

PARIS, WALKER, FORMAN, NASGRO, NASGRO_4, TABLE = range(6)
CODES: dict[type[Law], int] = {
    ParisLaw: PARIS,
    WalkerLaw: WALKER,
    FormanLaw: FORMAN,
    NasgroLaw: NASGRO,
    Nasgro4Law: NASGRO_4,
    TableLaw: TABLE,
}

LAW = 0  # where the constants of the law begin
MOST = 11  # constants of a law


GEOMETRY = LAW + MOST  # where those of the geometry begin, four at most
RETARDATION = GEOMETRY + 4  # those of the retardation, five at most
TOUGHNESS = RETARDATION + 5  # K_c [Pa √m], ∞: not judged
YIELD = TOUGHNESS + 1  # of the net section [Pa], ∞: not judged
LIMIT = YIELD + 1  # of the geometry [m]
TABLES = LIMIT + 1  # ratios, ln growth, ln ΔK by ratio; lengths, F


class Kinds(NamedTuple):
    """Of what types the parts of a crack are, and the shapes of their tables."""

    law: int
    geometry: int
    retardation: int
    ratios: int  # of the law's table
    growths: int
    lengths: int  # of the geometry's


@part
def law_growth(kinds: Kinds, c: Floats, dK: float, R: float, a: float) -> float:
    """Growth [m/cycle] at the range `dK` [Pa √m], the ratio `R` [1] and the length `a` [m]."""
    law = kinds.law
    if law == TABLE:
        return _tabulated(kinds, c, dK, R)
    if law in (NASGRO, NASGRO_4):
        return _nasgro(law, c, dK, R, a)
    dK, R = dK / (1.0 - min(R, 0.0)), min(max(R, 0.0), 1.0)  # ASTM E647: ΔK = K_max for R < 0
    if law == PARIS:
        return c[LAW] * dK ** c[LAW + 1] if dK > c[LAW + 2] else 0.0
    if law == WALKER:
        if not dK > c[LAW + 3]:
            return 0.0
        return c[LAW] * (dK / (1.0 - R) ** (1.0 - c[LAW + 2])) ** c[LAW + 1]
    to_fracture = (1.0 - R) * c[LAW + 2] - dK
    if not to_fracture > 0.0 and dK > 0.0:
        return math.inf
    return c[LAW] * dK ** c[LAW + 1] / to_fracture if dK > c[LAW + 3] else 0.0


@part
def _nasgro(law: int, c: Floats, dK: float, R: float, a: float) -> float:
    """See `models.fatigue.laws.NasgroLaw`."""
    C, n, p, q, K_c = c[LAW], c[LAW + 1], c[LAW + 2], c[LAW + 3], c[LAW + 6]
    R = min(R, 1.0 - 1e-6)
    K_max = dK / (1.0 - R)
    if not K_max < K_c and dK > 0.0:
        return math.inf
    f, A0 = _closure(R, c[LAW + 7], c[LAW + 8])
    dK_th = _threshold(law, c, R, a, f, A0)
    if not dK > dK_th:
        return 0.0
    above = max(1.0 - dK_th / max(dK, 1e-30), 0.0) ** p
    below = max(1.0 - K_max / K_c, 0.0) ** q
    return C * ((1.0 - f) * K_max) ** n * above / below


@part
def _closure(R: float, alpha: float, S: float) -> tuple[float, float]:
    """Newman's opening ratio [1], and its polynomial's value at R = 0; see `laws`."""
    flow = math.cos(0.5 * math.pi * S) ** (1.0 / alpha)
    A0 = (0.825 - 0.34 * alpha + 0.05 * alpha * alpha) * flow
    A1 = (0.415 - 0.071 * alpha) * S
    A3 = 2.0 * A0 + A1 - 1.0
    A2 = 1.0 - A0 - A1 - A3
    if R >= 0.0:
        return max(R, A0 + R * (A1 + R * (A2 + R * A3))), A0
    return A0 + A1 * max(R, -2.0), A0


@part
def _threshold(law: int, c: Floats, R: float, a: float, f: float, A0: float) -> float:
    """ΔK [Pa √m] at and below which nothing grows, by version 3 or 4."""
    dK_th, C_plus, C_minus = c[LAW + 4], c[LAW + 5], c[LAW + 10]
    C_th = C_plus if R >= 0.0 else C_minus
    long = dK_th * math.sqrt(1.0 / (1.0 + c[LAW + 9] / a))
    if law == NASGRO:
        return long / ((1.0 - f) / ((1.0 - A0) * (1.0 - R))) ** (1.0 + C_th * R)
    at_zero = C_plus - max(R, 0.0) * C_plus - min(R, 0.0) * C_minus
    return long * ((1.0 - R) / (1.0 - f)) ** (1.0 + R * C_th) / (1.0 - A0) ** at_zero


@part
def _tabulated(kinds: Kinds, c: Floats, dK: float, R: float) -> float:
    """See `models.fatigue.tables.TableLaw`."""
    r, k, lowest = kinds.ratios, kinds.growths, c[TABLES]
    if lowest >= 0.0 and R < 0.0:
        dK = dK / (1.0 - R)
    R = max(R, lowest)
    right = TABLES + 1
    while right < TABLES + r - 1 and c[right] <= R:
        right += 1
    share = (R - c[right - 1]) / (c[right] - c[right - 1])
    y = TABLES + r
    high = y + k * (1 + right - TABLES)  # ln ΔK of the curve at `right`
    low, x = high - k, math.log(max(dK, 1e-30))
    if not x > c[low] + share * (c[high] - c[low]):
        return 0.0
    before, upper = 0, k - 1
    while upper - before > 1:
        middle = (before + upper) // 2
        if c[low + middle] + share * (c[high + middle] - c[low + middle]) < x:
            before = middle
        else:
            upper = middle
    x0 = c[low + before] + share * (c[high + before] - c[low + before])
    x1 = c[low + upper] + share * (c[high + upper] - c[low + upper])
    y0, y1 = c[y + before], c[y + upper]
    return math.exp(y0 + (x - x0) / (x1 - x0) * (y1 - y0))
