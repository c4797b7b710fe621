"""A crack: a polyline that opens at an edge of the plate, or lies inside it with two tips.

The side of a point is +1 to the left of the direction from the first node to the last, −1 to
the right of it. Beyond its ends the crack is thought of as going straight on.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from models.xfem.grid import Floats, Grid

REACH = 3.0  # how far an edge crack is prolonged out of the plate [elements]
ROUNDING = 1e-12  # of lengths along a segment [1]


class PolylineCrack(NamedTuple):
    """A polyline crack; from an edge crack's `path` the first node is the mouth."""

    path: Floats  # (m, 2) nodes [m]
    interior: bool = False  # both ends are tips


class Tips(NamedTuple):
    """Where the crack grows."""

    at: Floats  # (t, 2) [m]
    ahead: Floats  # (t, 2) unit vector in which the last segment points
    turn: Floats  # (t,) +1 where the left of `ahead` is the left of the crack, else −1


class Tip(NamedTuple):
    """One of `Tips`."""

    at: Floats  # (2,) [m]
    ahead: Floats  # (2,) unit vector [1]
    turn: float  # ±1 [1]


def tips(crack: PolylineCrack) -> Tips:
    """The tips of a crack; an interior crack's second tip is its first node."""
    path = crack.path
    ends = [(path[-1], path[-1] - path[-2], 1.0)]
    if crack.interior:
        ends.append((path[0], path[0] - path[1], -1.0))
    at, ahead, turn = (np.array(column) for column in zip(*ends, strict=True))
    return Tips(at, ahead / np.linalg.norm(ahead, axis=1, keepdims=True), turn)


def checked(crack: PolylineCrack, grid: Grid, band: tuple[float, float]) -> PolylineCrack:
    """The crack as float64; ValueError where it cannot be solved for on `grid`."""
    path = np.ascontiguousarray(crack.path, dtype=np.float64)
    if path.ndim != 2 or path.shape[1] != 2 or len(path) < 2 or not np.isfinite(path).all():
        raise ValueError(f"a crack is at least two finite points (m, 2), not {path.shape}")
    shortest = float(np.linalg.norm(np.diff(path, axis=0), axis=1).min())
    if shortest < 1e-6 * grid.h:
        raise ValueError(f"a segment of {shortest:.3g} m is no segment on elements of {grid.h} m")
    _check_place(path, grid, band, interior=crack.interior)
    return PolylineCrack(path, crack.interior)


def _check_place(path: Floats, grid: Grid, band: tuple[float, float], *, interior: bool) -> None:
    width = float(grid.x[-1])
    inside = path if interior else path[1:]
    if (inside[:, 0] <= 0.0).any() or (inside[:, 0] >= width).any():
        raise ValueError(
            f"a crack with x from {path[:, 0].min()} to {path[:, 0].max()} m leaves "
            f"the plate of {width} m"
        )
    if not interior and path[0, 0] not in (0.0, width):
        raise ValueError(f"the mouth at x = {path[0, 0]} m is on no side face (0 or {width} m)")
    if path[:, 1].min() < band[0] or path[:, 1].max() > band[1]:
        raise ValueError(
            f"a crack with y from {path[:, 1].min()} to {path[:, 1].max()} m leaves "
            f"the band {band} m that the plate was prepared for"
        )


def chain(crack: PolylineCrack, grid: Grid) -> Floats:
    """The path (m, 2), an edge crack's prolonged out of the plate [m]."""
    if crack.interior:
        return crack.path
    first = crack.path[0] - crack.path[1]
    mouth = crack.path[0] + first * (REACH * grid.h / math.hypot(*first))
    return np.vstack([mouth, crack.path])


@njit(cache=True, nogil=True)
def side(x: float, y: float, path: Floats) -> float:
    """On which side of `path` a point lies: that of the nearest segment; at joints of both."""
    last = len(path) - 2
    nearest, crossed, before = np.inf, 0.0, 0.0
    for k in range(last + 1):
        ax, ay = path[k, 0], path[k, 1]
        bx, by = path[k + 1, 0] - ax, path[k + 1, 1] - ay
        length = math.sqrt(bx * bx + by * by)
        along = ((x - ax) * bx + (y - ay) * by) / (length * length)
        part = min(max(along, 0.0), 1.0)
        dx, dy = x - ax - part * bx, y - ay - part * by
        gap = dx * dx + dy * dy
        across = (bx * (y - ay) - by * (x - ax)) / length
        if k > 0 and along <= ROUNDING and before >= -ROUNDING:  # nearest to the joint of k−1 and k
            if gap <= nearest * (1.0 + ROUNDING):
                nearest, crossed = gap, crossed + across
        elif gap < nearest:
            nearest, crossed = gap, across
        before = along - 1.0
    return 1.0 if crossed >= 0.0 else -1.0


@njit(cache=True, nogil=True)
def tip_of(tips: Tips, k: int) -> Tip:
    """Tip number `k`."""
    return Tip(tips.at[k], tips.ahead[k], tips.turn[k])


@njit(cache=True, nogil=True)
def polar(x: float, y: float, which: float, tip: Tip) -> tuple[float, float]:
    """Distance and angle from a tip; the cut of the angle lies on the crack, kinked or not.

    `which` is the side of the point. Between the crack and the straight prolongation of its
    last segment backwards the angle goes on beyond ±π, from the face that it belongs to.
    """
    at, ahead = tip.at, tip.ahead
    dx, dy = x - at[0], y - at[1]
    u, v = dx * ahead[0] + dy * ahead[1], dy * ahead[0] - dx * ahead[1]
    theta = math.atan2(v, u)
    face = which * tip.turn
    if u < 0.0 and theta * face < 0.0:
        theta += face * 2.0 * math.pi
    return math.sqrt(dx * dx + dy * dy), theta
