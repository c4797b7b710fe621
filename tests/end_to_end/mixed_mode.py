"""A crack in mixed mode grown by fine steps of XFEM, to judge the running service by.

Nothing is shared with `models/path_*.py` but the solver for one crack: steps of their own size
on a finer mesh, the angle by arctangent, cycles by the trapezoid of 1/(C K^m).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.xfem.crack import PolylineCrack
from models.xfem.plate import Plate

Floats = NDArray[np.float64]
Load = tuple[float, float, float]  # range of tension and of shear [Pa], cycles
Law = tuple[float, float]  # C, m of da/dN = C K^m

BAND = (-6e-3, 4e-3)  # y between which cracks may run [m]
END = 9.5e-3  # x beyond which they are not followed [m]
REST = 1e30  # cycles per metre of a closed crack


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


def within(path: Floats, length: float) -> Floats:
    """The nodes (m, 2) [m] of a path that lie within a length [m]."""
    kept: Floats = path[Reference(path, np.zeros(0)).lengths() <= length]
    return kept


class _Pull(NamedTuple):
    angle: float
    slow: float  # cycles per metre


def _pull(K: Floats, load: Load, law: Law) -> _Pull:
    k1, k2 = np.array(load[:2]) @ K
    C, m = law
    if k1 <= 0.0:  # closed: it rests
        return _Pull(0.0, REST)
    angle = 2.0 * math.atan2(-2.0 * k2, k1 + math.sqrt(k1 * k1 + 8.0 * k2 * k2))
    half = math.cos(0.5 * angle)
    along = half * (k1 * half * half - 1.5 * k2 * math.sin(angle))
    return _Pull(angle, 1.0 / (C * along**m))


def grown(loads: Sequence[Load], crack: float, law: Law, *, columns: int, step: float) -> Reference:
    """An edge crack in a plate of 10 mm × 20 mm; ends before the far edge.

    A node lies where the load changes, unless that is less than half a step after the last one:
    what changes within less does not turn the crack.
    """
    growing = _Growing(Plate(columns=columns, band=BAND), law, step, crack)
    for load in _merged(loads):
        left = load[2]
        while left > 0.0 and growing.path[-1][0] < END:
            left = growing.after(load, left)
    return growing.reference()


def _merged(loads: Sequence[Load]) -> Iterator[Load]:
    """The loads; equal ones that follow each other as one."""
    for (tension, shear), run in groupby(loads, lambda load: load[:2]):
        yield tension, shear, sum(load[2] for load in run)


class _Growing:
    """A crack on its way; the step under way has its end, but not yet its node."""

    def __init__(self, plate: Plate, law: Law, step: float, crack: float) -> None:
        self._plate, self._law, self._step = plate, law, step
        self.path = [np.zeros(2), np.array([crack, 0.0])]
        self._marks = [0.0, 0.0]
        self._K = self._K_to(self.path[-1], at=1)
        self._angle, self._total = 0.0, 0.0
        self._size, self._done = 0.0, 1.0  # of the step under way: its length, the share behind
        self._K_end = self._K

    def reference(self) -> Reference:
        """What has become of it."""
        if self._done >= 1.0:
            return Reference(np.array(self.path), np.array(self._marks))
        tip = self._ahead(self._done * self._size)
        return Reference(np.array([*self.path, tip]), np.array([*self._marks, self._total]))

    def after(self, load: Load, left: float) -> float:
        """Go on under `load` to the end of a step; what is left of its cycles."""
        if self._done >= 1.0:
            if _pull(self._K, load, self._law).slow == REST:
                self._total += left
                return 0.0
            self._aim(load, left)
        first, last = (_pull(K, load, self._law).slow for K in (self._K, self._K_end))
        need = self._size * _trapezoid(first, last, self._done, 1.0)
        if need > left * (1.0 + 1e-9):
            self._done = _reached(first, last, self._done, left / self._size)
            self._total += left
            return 0.0
        self._total += min(need, left)
        self.path.append(self._ahead(self._size))
        self._marks.append(self._total)
        self._K, self._done = self._K_end, 1.0
        return max(0.0, left - need) if need < left * (1.0 - 1e-9) else 0.0

    def _aim(self, load: Load, left: float) -> None:
        """Begin a step, which ends with the load if that is near."""
        pull = _pull(self._K, load, self._law)
        self._angle += pull.angle
        self._size, self._done = self._step, 0.0
        end = self._end(load, left, pull) if left < 3.0 * self._step * pull.slow else None
        if end is not None and end >= 0.5 * self._step:
            self._size = end
        self._K_end = self._K_to(self._ahead(self._size))
        if self._size == end:
            last = _pull(self._K_end, load, self._law).slow
            self._size *= left / (end * _trapezoid(pull.slow, last, 0.0, 1.0))

    def _end(self, load: Load, left: float, pull: _Pull) -> float | None:
        """How far ahead [m] the load ends; None beyond 1.5 steps."""
        far = 1.5 * self._step
        last = _pull(self._K_to(self._ahead(far)), load, self._law).slow
        if far * _trapezoid(pull.slow, last, 0.0, 1.0) < left:
            return None
        return far * _reached(pull.slow, last, 0.0, left / far)

    def _ahead(self, way: float) -> Floats:
        ahead: Floats = self.path[-1] + way * np.array(
            [math.cos(self._angle), math.sin(self._angle)]
        )
        return ahead

    def _K_to(self, tip: Floats, at: int | None = None) -> Floats:
        """Stress intensities (2 loads, 2 modes) [√m] of the path, prolonged to `tip`."""
        K: Floats = self._plate.K(PolylineCrack(np.array([*self.path[:at], tip])))[0]
        return K


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
