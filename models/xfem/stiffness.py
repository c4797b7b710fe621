"""Stiffness and load of the enriched functions, and how they couple to the intact plate.

A function lives on the four elements around its node, so that it couples to the 3 × 3 nodes
around: the coupling is kept as small blocks, never as a matrix.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.xfem.crack import side
from models.xfem.cutting import MOST_CORNERS, MOST_PIECES, centre, pieces
from models.xfem.enrichment import BRANCHES, Enrichment
from models.xfem.faces import add_side_shear
from models.xfem.grid import Floats, Grid, Ints, rising
from models.xfem.quadrature import MOST_POINTS, drawn, flat
from models.xfem.shape import MOST, at_nodes, bilinear, corners, functions, listed, rectangle

FAR = 0.9  # beyond this distance from a tip its functions are smooth enough [elements]


class Stiffness(NamedTuple):
    """Of f enriched functions, each with an x and a y component."""

    own: Floats  # (2f, 2f) among themselves
    coupling: Floats  # (f, 3, 3, 2, 2) to the nodes around: row, column, its component, ours
    force: Floats  # (2f, 2) nodal force for a unit of tension and of shear [m]


def stiffness(extra: Enrichment, grid: Grid, C: Floats, *, side_shear: bool) -> Stiffness:
    """The blocks of the enriched functions for the moduli `C` (3,) [Pa]."""
    f = len(extra.node)
    own, coupling = np.zeros((2 * f, 2 * f)), np.zeros((f, 3, 3, 2, 2))
    near = np.flatnonzero(extra.tip >= 0)
    around = grid.elements_at(near)
    touched = _touched(extra, grid)
    elements = grid.columns * grid.rows
    crossed = rising(elements, extra.cuts.element, touched, without=around)
    maps = (extra.jump, extra.branch, extra.which)
    _jumps(crossed, *extra.cuts[:3], extra.path, *maps, grid.x, grid.y, C, own, coupling)
    _tips(
        around,
        *extra.cuts[:3],
        extra.path,
        *maps,
        extra.tip,
        *extra.tips,
        grid.x,
        grid.y,
        grid.h,
        C,
        own,
        coupling,
    )
    force = np.zeros((2 * f, 2))
    if side_shear:
        add_side_shear(force, extra, grid)
    return Stiffness(own, coupling, force)


def _touched(extra: Enrichment, grid: Grid) -> Ints:
    """Elements beside the crack in which a jump does not vanish.

    The crack passes through the jump's node, or so near to it that what it cuts off is nothing:
    then elements around the node lie beyond the crack as a whole and are not cut.
    """
    around = grid.elements_at(np.flatnonzero(extra.jump >= 0))
    beside = rising(grid.columns * grid.rows, around, without=extra.cuts.element)
    found: Ints = beside[_beyond(beside, extra.path, extra.jump, extra.which, grid.x, grid.y)]
    return found


@njit(cache=True, nogil=True)
def _beyond(
    elements: Ints, path: Floats, jump: Ints, which: Floats, x: Floats, y: Floats
) -> NDArray[np.bool_]:
    """Whether an uncut element lies on the other side than a corner of it that jumps."""
    found = np.zeros(len(elements), np.bool_)
    for k in range(len(elements)):
        box = rectangle(elements[k], x, y)
        middle = side(0.5 * (box[0] + box[2]), 0.5 * (box[1] + box[3]), path)
        for n in corners(elements[k], len(x)):
            if jump[n] >= 0 and which[n] != middle:
                found[k] = True
    return found


@njit(cache=True, nogil=True)
def _segments(element: int, elements: Ints, offset: Ints, segment: Ints) -> Ints:
    """The segments of the crack that cross an element."""
    k = np.searchsorted(elements, element)
    if k < len(elements) and elements[k] == element:
        return segment[offset[k] : offset[k + 1]]
    return segment[:0]


@njit(cache=True, nogil=True)
def _jumps(
    crossed: Ints,
    elements: Ints,
    offset: Ints,
    segment: Ints,
    path: Floats,
    jump: Ints,
    branch: Ints,
    which: Floats,
    x: Floats,
    y: Floats,
    C: Floats,
    own: Floats,
    coupling: Floats,
) -> None:
    """Elements that the crack crosses away from its tips: jumps alone, integrated exactly."""
    shapes, sizes = np.empty((MOST_PIECES, MOST_CORNERS, 2)), np.empty(MOST_PIECES, np.int64)
    ids, corner = np.empty(MOST, np.int64), np.empty(MOST, np.int64)
    halves = np.empty((2, 3, 4, 4))
    blocks = np.empty((3, MOST, MOST))
    for element in crossed:
        nodes = corners(element, len(x))
        count = listed(nodes, jump, branch, ids, corner)
        box = rectangle(element, x, y)
        n = pieces(box, path, _segments(element, elements, offset, segment), shapes, sizes)
        halves[:] = 0.0
        for p in range(n):
            cx, cy = centre(shapes[p], sizes[p])
            _added(shapes[p], sizes[p], box, halves[1 if side(cx, cy, path) > 0.0 else 0])
        _combined(halves, nodes, which, corner, count, blocks)
        _scattered(blocks, ids, corner, count, C, own, coupling)


@njit(cache=True, nogil=True)
def _added(shape: Floats, n: int, box: Floats, out: Floats) -> None:
    """Add ∫ ∂N_i ∂N_j (xx, xy, yy) over a piece: three points a triangle, exact for Q4."""
    field = np.empty((4, 3))
    for i in range(1, n - 1):
        ax, ay = shape[i] - shape[0]
        bx, by = shape[i + 1] - shape[0]
        weight = (ax * by - ay * bx) / 6.0
        for s, t in ((0.5, 0.0), (0.5, 0.5), (0.0, 0.5)):
            bilinear(shape[0, 0] + s * ax + t * bx, shape[0, 1] + s * ay + t * by, box, field)
            for p in range(4):
                for q in range(4):
                    out[0, p, q] += weight * field[p, 1] * field[q, 1]
                    out[1, p, q] += weight * field[p, 1] * field[q, 2]
                    out[2, p, q] += weight * field[p, 2] * field[q, 2]


@njit(cache=True, nogil=True)
def _combined(
    halves: Floats, nodes: Ints, which: Floats, corner: Ints, count: int, blocks: Floats
) -> None:
    """The products of all functions from those of N on either side: a jump is N times a number."""
    blocks[:] = 0.0
    for s in range(2):
        value = 2.0 * s - 1.0
        for p in range(count):
            left = 1.0 if p < 4 else value - which[nodes[corner[p]]]
            for q in range(count):
                right = 1.0 if q < 4 else value - which[nodes[corner[q]]]
                for k in range(3):
                    blocks[k, p, q] += left * right * halves[s, k, corner[p], corner[q]]


@njit(cache=True, nogil=True)
def _tips(
    around: Ints,
    elements: Ints,
    offset: Ints,
    segment: Ints,
    path: Floats,
    jump: Ints,
    branch: Ints,
    which: Floats,
    tip: Ints,
    at: Floats,
    ahead: Floats,
    turn: Floats,
    x: Floats,
    y: Floats,
    scale: float,
    C: Floats,
    own: Floats,
    coupling: Floats,
) -> None:
    """Elements with tip functions: quadrature drawn towards the tip."""
    shapes, sizes = np.empty((MOST_PIECES, MOST_CORNERS, 2)), np.empty(MOST_PIECES, np.int64)
    ids, corner = np.empty(MOST, np.int64), np.empty(MOST, np.int64)
    shifts, field = np.empty((4, BRANCHES)), np.empty((MOST, 3))
    points = np.empty((MOST_POINTS, 4))
    blocks = np.empty((3, MOST, MOST))
    for element in around:
        nodes = corners(element, len(x))
        count = listed(nodes, jump, branch, ids, corner)
        box = rectangle(element, x, y)
        segments = _segments(element, elements, offset, segment)
        towards = at[_owner(nodes, tip)]
        if len(segments) == 0 and _gap(box, towards) > FAR * scale:
            middle = side(0.5 * (box[0] + box[2]), 0.5 * (box[1] + box[3]), path)
            total = flat(box, middle, points)
        else:
            total = gathered(box, path, segments, towards, shapes, sizes, points)
        at_nodes(nodes, which, tip, x, y, at, ahead, turn, scale, shifts)
        gx, gy = np.empty((total, count)), np.empty((total, count))
        for p in range(total):
            functions(
                points[p], box, nodes, jump, which, tip, at, ahead, turn, scale, shifts, field
            )
            root = np.sqrt(points[p, 2])
            for k in range(count):
                gx[p, k], gy[p, k] = root * field[k, 1], root * field[k, 2]
        blocks[0, :count, :count] = np.dot(gx.T, gx)
        blocks[1, :count, :count] = np.dot(gx.T, gy)
        blocks[2, :count, :count] = np.dot(gy.T, gy)
        _scattered(blocks, ids, corner, count, C, own, coupling)


@njit(cache=True, nogil=True)
def _gap(box: Floats, point: Floats) -> float:
    """How far a point is from a rectangle [m]."""
    dx = max(box[0] - point[0], 0.0, point[0] - box[2])
    dy = max(box[1] - point[1], 0.0, point[1] - box[3])
    return math.hypot(dx, dy)


@njit(cache=True, nogil=True)
def _owner(nodes: Ints, tip: Ints) -> int:
    for n in nodes:
        if tip[n] >= 0:
            return int(tip[n])
    return 0


@njit(cache=True, nogil=True)
def gathered(
    box: Floats,
    path: Floats,
    segments: Ints,
    towards: Floats,
    shapes: Floats,
    sizes: Ints,
    points: Floats,
) -> int:
    """Quadrature of a cut rectangle, drawn to the point `towards`, into `points`; how many."""
    total = 0
    for p in range(pieces(box, path, segments, shapes, sizes)):
        cx, cy = centre(shapes[p], sizes[p])
        which = side(cx, cy, path)
        total = drawn(shapes[p], sizes[p], towards[0], towards[1], which, points, total)
    return total


@njit(cache=True, nogil=True)
def _scattered(
    blocks: Floats, ids: Ints, corner: Ints, count: int, C: Floats, own: Floats, coupling: Floats
) -> None:
    """Add an element's products to the stiffness: σ = C11, C12, C33."""
    for p in range(count):
        e = ids[p]
        if e < 0:
            continue
        row, column = corner[p] // 2, (1 if corner[p] in (1, 2) else 0)
        for q in range(count):
            xx = C[0] * blocks[0, q, p] + C[2] * blocks[2, q, p]
            yy = C[0] * blocks[2, q, p] + C[2] * blocks[0, q, p]
            xy = C[1] * blocks[1, q, p] + C[2] * blocks[1, p, q]
            yx = C[1] * blocks[1, p, q] + C[2] * blocks[1, q, p]
            f = ids[q]
            if f >= 0:
                own[2 * f, 2 * e] += xx
                own[2 * f, 2 * e + 1] += xy
                own[2 * f + 1, 2 * e] += yx
                own[2 * f + 1, 2 * e + 1] += yy
            else:
                j, i = corner[q] // 2 - row + 1, (1 if corner[q] in (1, 2) else 0) - column + 1
                coupling[e, j, i, 0, 0] += xx
                coupling[e, j, i, 0, 1] += xy
                coupling[e, j, i, 1, 0] += yx
                coupling[e, j, i, 1, 1] += yy
