"""A crack in mixed mode grown by fine steps of XFEM, to judge the running service by.

Nothing is shared with `models/path_*.py` but the solver for one crack: steps of their own size
on a finer mesh, the angle by arctangent, cycles by the trapezoid of 1/(C K^m).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.xfem.crack import Crack
from models.xfem.plate import Plate

Floats = NDArray[np.float64]


class Reference(NamedTuple):
    """A path, and the cycles at which the crack was where."""

    path: Floats  # (m, 2) [m]
    cycles: Floats  # (m,) 0 at the initial tip and before

    def cycles_at(self, length: float) -> float:
        """Cycles when the crack was so long [m]."""
        return float(np.interp(length, self.lengths(), self.cycles))

    def lengths(self) -> Floats:
        """The length (m,) [m] at every node."""
        return np.insert(np.cumsum(np.hypot(*np.diff(self.path, axis=0).T)), 0, 0.0)

    def distance(self, points: Floats) -> float:
        """The largest distance [m] of `points` (k, 2) from the path."""
        a, b = self.path[:-1], self.path[1:]
        way = b - a
        to = points[:, None] - a
        share = np.clip((to * way).sum(2) / (way * way).sum(1), 0.0, 1.0)
        gap = np.linalg.norm(to - share[..., None] * way, axis=2)
        return float(gap.min(axis=1).max())


class _Pull(NamedTuple):
    angle: float
    slow: float  # cycles per metre


def _pull(K: Floats, tension: float, shear: float, C: float, m: float) -> _Pull:
    k1, k2 = np.array([tension, shear]) @ K
    angle = 2.0 * math.atan2(-2.0 * k2, k1 + math.sqrt(k1 * k1 + 8.0 * k2 * k2))
    half = math.cos(0.5 * angle)
    along = half * (k1 * half * half - 1.5 * k2 * math.sin(angle))
    return _Pull(angle, 1.0 / (C * along**m))


def grown(
    loads: list[tuple[float, float, float]],  # range of tension and shear [Pa], cycles
    crack: float,
    law: tuple[float, float],  # C, m
    *,
    columns: int,
    step: float,
) -> Reference:
    """An edge crack in a plate of 10 mm × 20 mm; ends before the far edge."""
    plate = Plate(columns=columns, band=(-4e-3, 2e-3))
    path, angle = [np.zeros(2), np.array([crack, 0.0])], 0.0
    marks = [0.0, 0.0]
    K = plate.K(Crack(np.array(path)))[0]
    done, total = 1.0, 0.0  # share of the step under way; cycles
    after, K_after = path[-1], K
    for tension, shear, cycles in loads:
        left = cycles
        while path[-1][0] < 9.5e-3:
            if done >= 1.0:
                angle += _pull(K, tension, shear, *law).angle
                after = path[-1] + step * np.array([math.cos(angle), math.sin(angle)])
                K_after, done = plate.K(Crack(np.array([*path, after])))[0], 0.0
            first, last = (_pull(k, tension, shear, *law).slow for k in (K, K_after))
            need = step * _trapezoid(first, last, done, 1.0)
            if need > left:
                done = _reached(first, last, done, left / step)
                total += left
                break
            left, total = left - need, total + need
            path.append(after)
            marks.append(total)
            K, done = K_after, 1.0
    path.append(path[-1] + done * (after - path[-1]))
    return Reference(np.array(path), np.array([*marks, total]))


def _trapezoid(first: float, last: float, start: float, end: float) -> float:
    middle = 0.5 * (start + end)
    return (end - start) * (first + (last - first) * middle)


def _reached(first: float, last: float, start: float, area: float) -> float:
    low, high = start, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        if _trapezoid(first, last, start, middle) < area:
            low = middle
        else:
            high = middle
    return low
