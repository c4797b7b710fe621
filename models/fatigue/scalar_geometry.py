"""The geometries of `geometry` and `tables` for one crack, in compiled code.

As in `models.fatigue.scalar_laws`; the constants of the geometry stand from `GEOMETRY` on.
"""

from __future__ import annotations

import math

import numpy as np

from models.compiled import part
from models.fatigue.geometry import (
    SHEAR,
    CentreCrack,
    CompactTension,
    EdgeCrack,
    Geometry,
    HoleCrack,
    SurfaceCrack,
)
from models.fatigue.hole_factors import FINITE, INFINITE
from models.fatigue.rainflow import Floats
from models.fatigue.scalar_laws import GEOMETRY, TABLES, Kinds
from models.fatigue.tables import TableGeometry

EDGE, CENTRE, COMPACT, HOLE, SURFACE, TABULATED = range(6)
CODES: dict[type[Geometry], int] = {
    EdgeCrack: EDGE,
    CentreCrack: CENTRE,
    CompactTension: COMPACT,
    HoleCrack: HOLE,
    SurfaceCrack: SURFACE,
    TableGeometry: TABULATED,
}

_SHEAR, _WIDE, _FINITE = np.array(SHEAR), np.array(INFINITE), np.array(FINITE)


@part
def units(kinds: Kinds, c: Floats, a: float) -> tuple[float, float, float]:
    """K_I and K_II [√m] of a unit stress and the net section [1] at the length `a` [m]."""
    root = math.sqrt(math.pi * a)
    g, geometry = GEOMETRY, kinds.geometry
    if geometry == EDGE:
        x = a / c[g]
        return _edge(x) * root, _edge_shear(x) * root, 1.0 - x
    if geometry == CENTRE:
        return _centre(a / c[g]) * root, 0.0, 1.0 - 2.0 * a / c[g]
    if geometry == COMPACT:
        x = a / c[g]
        return _compact(x) * root, 0.0, math.sqrt(2.0 + 2.0 * x * x) - (1.0 + x)
    if geometry == HOLE:
        bears = 1.0 - (2.0 * c[g] + a) / c[g + 1]
        return _hole(c[g], c[g + 1], a) * root, 0.0, bears
    if geometry == SURFACE:
        t, W, aspect, point = c[g], c[g + 1], c[g + 2], c[g + 3]
        bears = 1.0 - 0.5 * math.pi * (a / t) * (a / (aspect * W))
        return _surface(t, W, aspect, point, a) * root, 0.0, bears
    return _read(kinds, c, a) * root, 0.0, math.inf


@part
def _edge(x: float) -> float:
    x = min(max(x, 1e-9), 0.999)
    half = 0.5 * math.pi * x
    sine, cosine = math.sin(half), math.cos(half)
    bend = 1.0 - sine
    shape = 0.752 + 2.02 * x + 0.37 * bend * bend * bend
    return math.sqrt(sine / cosine / half) * shape / cosine


@part
def _edge_shear(x: float) -> float:
    x = min(max(x, 0.0), 0.999)
    value = _SHEAR[0]
    for k in range(1, len(_SHEAR)):
        value = value * x + _SHEAR[k]
    return value / math.sqrt(1.0 - x)


@part
def _secant_root(x: float) -> float:
    return 1.0 / math.sqrt(math.cos(min(x, 0.5 * math.pi - 1e-6)))


@part
def _centre(x: float) -> float:
    square = 4.0 * min(x * x, 0.25)
    return (1.0 + square * (0.06 * square - 0.025)) * _secant_root(math.pi * x)


@part
def _compact(x: float) -> float:
    x = min(max(x, 1e-9), 0.999)
    shape = 0.886 + x * (4.64 + x * (-13.32 + x * (14.72 - 5.6 * x)))
    rest = 1.0 - x
    return (2.0 + x) * shape / (rest * math.sqrt(rest)) / math.sqrt(math.pi * x)


@part
def _hole(radius: float, W: float, a: float) -> float:
    share = min(radius / W, 0.4)
    x = min(a / (W * (0.5 - share)), 0.999)
    s = a / (radius + a)
    wide = _WIDE[-1]
    for k in range(len(_WIDE) - 2, -1, -1):
        wide = wide * s + _WIDE[k]
    value = 0.0
    for i in range(len(_FINITE) - 1, -1, -1):
        row = _FINITE[i, -1]
        for k in range(_FINITE.shape[1] - 2, -1, -1):
            row = row * x + _FINITE[i, k]
        value = value * share + row
    return wide * value / ((1.0 - 2.0 * share) * math.sqrt(1.0 - x))


@part
def _surface(t: float, W: float, q: float, point: float, a: float) -> float:
    x = a / t
    x2 = x * x
    if q > 1.0:
        long = 1.0 / q
        fourth = long * long * long * long
        M1, M2, M3 = math.sqrt(long) * (1.0 + 0.04 * long), 0.2 * fourth, -0.11 * fourth
        Q = 1.0 + 1.464 * long**1.65
        bottom, side = math.sqrt(long), 1.1 + 0.35 * long * x2
    else:
        M1, M2 = 1.13 - 0.09 * q, 0.89 / (0.2 + q) - 0.54
        M3 = 0.5 - 1.0 / (0.65 + q) + 14.0 * (1.0 - q) ** 24.0
        Q = 1.0 + 1.464 * q**1.65
        bottom, side = 1.0, math.sqrt(q) * (1.1 + 0.35 * x2)
    width = _secant_root(math.pi * (a / (q * W)) * math.sqrt(x))
    chosen = max(bottom, side) if point > 0.5 else bottom
    return (M1 + x2 * (M2 + x2 * M3)) * width * chosen / math.sqrt(Q)


@part
def _read(kinds: Kinds, c: Floats, a: float) -> float:
    m = kinds.lengths
    known = TABLES + kinds.ratios + kinds.growths * (1 + kinds.ratios)
    before, upper = known, known + m - 1
    while upper - before > 1:
        middle = (before + upper) // 2
        if c[middle] < a:
            before = middle
        else:
            upper = middle
    share = min(max((a - c[before]) / (c[upper] - c[before]), 0.0), 1.0)
    return c[before + m] + share * (c[upper + m] - c[before + m])
