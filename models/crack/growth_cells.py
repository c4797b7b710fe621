"""How fast measured cracks crossed cells of ln a.

A cell m is CELL wide in x = ln a, a in metres: m = floor(x / CELL). Only cells that a specimen
has crossed from edge to edge count; the cycles at an edge are interpolated between readings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CELL = 0.05  # width in ln a [1]
_ON_EDGE = 1e-9  # of a cell: a reading so near an edge is on it

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class GrowthCurve:
    """One specimen: the cycles at which it had reached each length."""

    a: Array  # (k,) rising [m]
    cycles: Array  # (k,) rising [cycle]

    def cycles_at(self, a: Array) -> Array:
        """Cycles at lengths [m] between the readings."""
        return np.interp(a, self.a, self.cycles)

    def until(self, cycles: float) -> GrowthCurve:
        """The readings before `cycles`, and the length then as the last one."""
        before = self.cycles < cycles
        a = float(np.interp(cycles, self.cycles, self.a))
        return GrowthCurve(np.append(self.a[before], a), np.append(self.cycles[before], cycles))

    def cells(self) -> range:
        """The whole cells that the crack crossed."""
        x = np.log(self.a[[0, -1]]) / CELL
        return range(math.ceil(x[0] - _ON_EDGE), math.floor(x[1] + _ON_EDGE))

    def unread(self) -> int:
        """How many of these hold no reading at all."""
        cells = self.cells()
        inside = np.floor(np.log(self.a) / CELL + _ON_EDGE).astype(np.int64)
        return len(cells) - len(set(cells) & set(inside.tolist()))


@dataclass(frozen=True, slots=True, eq=False)
class CrossedCells:
    """The whole cells of s specimens, each from its own first one on; at most n of them."""

    first: Indices  # (s,) each specimen's first cell
    count: Indices  # (s,) how many it crossed
    ln_cycles: Array  # (s, n) ln ΔN of each, 0 beyond `count`
    noise: Array  # (1 or s, n, n) covariance of ln ΔN by errors of reading [1]

    @property
    def crossed(self) -> NDArray[np.bool_]:
        """(s, n) which of `ln_cycles` are there."""
        return np.arange(self.ln_cycles.shape[1]) < self.count[:, None]

    def first_and_count(self) -> tuple[int, int]:
        """The first cell that any specimen crossed, and how many there are from it to the last."""
        low = int(self.first.min())
        return low, int((self.first + self.count).max()) - low

    def spread(self, values: Array) -> Array:
        """Values (c, ...) of all cells from the first one on, at those of each specimen."""
        at = (self.first - self.first.min())[:, None] + np.arange(self.ln_cycles.shape[1])
        found = values[np.minimum(at, len(values) - 1)]
        found[~self.crossed] = 0.0
        return np.asarray(found, np.float64)

    def among(self, rows: Sequence[int]) -> CrossedCells:
        """Those of some specimens."""
        at = np.asarray(rows, np.int64)
        noise = self.noise if len(self.noise) == 1 else self.noise[at]
        return CrossedCells(self.first[at], self.count[at], self.ln_cycles[at], noise)


def crossed_cells(curves: Sequence[GrowthCurve], reading_sd: float = 0.0) -> CrossedCells:
    """The whole cells of curves that are read with a standard deviation `reading_sd` [m]."""
    cells = [curve.cells() for curve in curves]
    n = max((len(one) for one in cells), default=0)
    ln_cycles = np.zeros((len(curves), n))
    noise = np.zeros((len(curves) if reading_sd > 0.0 else 1, n, n))
    for i, (curve, one) in enumerate(zip(curves, cells, strict=True)):
        if not one:
            continue
        edges = np.exp(CELL * np.arange(one.start, one.stop + 1))
        ln_cycles[i, : len(one)] = np.log(np.diff(curve.cycles_at(edges)))
        if reading_sd > 0.0:
            noise[i, : len(one), : len(one)] = _noise(curve.a, edges, reading_sd)
    first, count = ([f(one) for one in cells] for f in (lambda c: c.start, len))
    return CrossedCells(np.array(first, np.int64), np.array(count, np.int64), ln_cycles, noise)


def _noise(a: Array, edges: Array, sd: float) -> Array:
    """Covariance of ln ΔN of cells between `edges` (k + 1,) [m], read at `a` [m] with `sd` [m].

    To first order: an edge is as wrong as the readings beside it, by their weights, and a cell by
    the difference of its edges, over its width. Neighbours share edges and readings.
    """
    upper = np.clip(np.searchsorted(a, edges), 1, len(a) - 1)
    share = np.clip((edges - a[upper - 1]) / (a[upper] - a[upper - 1]), 0.0, 1.0)
    weights = np.zeros((len(edges), len(a)))
    at = np.arange(len(edges))
    weights[at, upper - 1], weights[at, upper] = 1.0 - share, share
    by_reading = sd * np.diff(weights, axis=0) / np.diff(edges)[:, None]
    return np.asarray(by_reading @ by_reading.T)
