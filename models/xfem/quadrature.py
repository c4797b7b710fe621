"""Quadrature on convex pieces: exact for polynomials, or drawn towards a crack tip."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from models.xfem.crack import side
from models.xfem.cutting import Pieces, centre, empty_pieces, pieces
from models.xfem.grid import Floats, Ints


def _unit_gauss(n: int) -> tuple[Floats, Floats]:
    at, weight = np.polynomial.legendre.leggauss(n)
    return 0.5 * (at + 1.0), 0.5 * weight


RADIAL, RADIAL_WEIGHT = _unit_gauss(4)
ACROSS, ACROSS_WEIGHT = _unit_gauss(6)
FLAT, FLAT_WEIGHT = _unit_gauss(4)
MOST_POINTS = 16384  # of one element, more than 64 pieces can need


class Quadrature(NamedTuple):
    """The points of an element, and its pieces; kernels write over those of the last element."""

    pieces: Pieces
    points: Floats  # (MOST_POINTS, 4) x, y [m], weight [m²], side of the crack [1]


@njit(cache=True, nogil=True)
def empty_quadrature() -> Quadrature:
    """Room for the points of any element."""
    return Quadrature(empty_pieces(), np.empty((MOST_POINTS, 4)))


@njit(cache=True, nogil=True)
def gathered(box: Floats, path: Floats, segments: Ints, towards: Floats, out: Quadrature) -> int:
    """Points on all pieces of an element, drawn towards a point; how many there are."""
    total = 0
    for p in range(pieces(box, path, segments, out.pieces)):
        piece = out.pieces.shapes[p, : out.pieces.sizes[p]]
        cx, cy = centre(piece)
        total = drawn(piece, towards, side(cx, cy, path), out.points, total)
    return total


@njit(cache=True, nogil=True)
def whole(box: Floats, path: Floats, out: Quadrature) -> int:
    """Points on an element that the crack does not cross; how many there are."""
    return int(flat(box, middle_side(box, path), out.points))


@njit(cache=True, nogil=True)
def middle_side(box: Floats, path: Floats) -> float:
    """The side on which the middle of a rectangle lies."""
    return float(side(0.5 * (box[0] + box[2]), 0.5 * (box[1] + box[3]), path))


@njit(cache=True, nogil=True)
def nearest(shape: Floats, n: int, x: float, y: float) -> tuple[float, float]:
    """The point of a convex polygon (counter-clockwise) that is nearest to (x, y)."""
    best, bx, by, inside = np.inf, x, y, True
    for i in range(n):
        j = (i + 1) % n
        ax, ay = shape[i, 0], shape[i, 1]
        ux, uy = shape[j, 0] - ax, shape[j, 1] - ay
        square = ux * ux + uy * uy
        if square == 0.0:
            continue
        if ux * (y - ay) - uy * (x - ax) < 0.0:
            inside = False
        t = min(max(((x - ax) * ux + (y - ay) * uy) / square, 0.0), 1.0)
        px, py = ax + t * ux, ay + t * uy
        gap = (px - x) ** 2 + (py - y) ** 2
        if gap < best:
            best, bx, by = gap, px, py
    if inside:
        return x, y
    return bx, by


@njit(cache=True, nogil=True)
def drawn(shape: Floats, towards: Floats, which: float, points: Floats, count: int) -> int:
    """Points drawn towards a point: a fan of triangles from the nearest point of the piece.

    `shape` (n, 2) are the corners of the piece. The map of each triangle shrinks in proportion to
    the distance from that point, which cancels an integrand of 1/r. Rows of `points` are x, y,
    weight, side; the answer is how many are filled.
    """
    n = len(shape)
    px, py = nearest(shape, n, towards[0], towards[1])
    for i in range(n):
        j = (i + 1) % n
        ax, ay = shape[i, 0] - px, shape[i, 1] - py
        bx, by = shape[j, 0] - px, shape[j, 1] - py
        double = ax * by - ay * bx
        if double <= 1e-9 * (math.hypot(ax, ay) + math.hypot(bx, by)) ** 2:
            continue
        for u in range(len(RADIAL)):
            for v in range(len(ACROSS)):
                r, s = RADIAL[u], ACROSS[v]
                points[count, 0] = px + r * (ax + s * (bx - ax))
                points[count, 1] = py + r * (ay + s * (by - ay))
                points[count, 2] = RADIAL_WEIGHT[u] * ACROSS_WEIGHT[v] * r * double
                points[count, 3] = which
                count += 1
    return count


@njit(cache=True, nogil=True)
def flat(box: Floats, which: float, points: Floats) -> int:
    """Points of the product rule on the rectangle (x0, y0, x1, y1)."""
    count = 0
    hx, hy = box[2] - box[0], box[3] - box[1]
    for u in range(len(FLAT)):
        for v in range(len(FLAT)):
            points[count, 0] = box[0] + FLAT[u] * hx
            points[count, 1] = box[1] + FLAT[v] * hy
            points[count, 2] = FLAT_WEIGHT[u] * FLAT_WEIGHT[v] * hx * hy
            points[count, 3] = which
            count += 1
    return count
