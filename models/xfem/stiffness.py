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
from models.xfem.cutting import centre, empty_pieces, pieces, segments_of
from models.xfem.elasticity import Moduli
from models.xfem.element import corners, element_of, rectangle
from models.xfem.enrichment import Enrichment
from models.xfem.faces import add_side_shear
from models.xfem.grid import Floats, Grid, Ints, rising
from models.xfem.quadrature import empty_quadrature, gathered, middle_side, whole
from models.xfem.shape import MOST, Basis, at_nodes, bilinear, empty_basis, functions, listed

FAR = 0.9  # beyond this distance from a tip its functions are smooth enough [elements]


class Stiffness(NamedTuple):
    """Of f enriched functions, each with an x and a y component."""

    own: Floats  # (2f, 2f) among themselves
    coupling: Floats  # (f, 3, 3, 2, 2) to the nodes around: row, column, its component, ours
    force: Floats  # (2f, 2) nodal force for a unit of tension and of shear [m]


def stiffness(extra: Enrichment, grid: Grid, moduli: Moduli, *, side_shear: bool) -> Stiffness:
    """The blocks of the enriched functions."""
    f = len(extra.node)
    out = Stiffness(np.zeros((2 * f, 2 * f)), np.zeros((f, 3, 3, 2, 2)), np.zeros((2 * f, 2)))
    around = grid.elements_at(np.flatnonzero(extra.tip >= 0))
    elements = grid.columns * grid.rows
    crossed = rising(elements, extra.cuts.element, _touched(extra, grid), without=around)
    _fill(crossed, around, extra, grid, moduli, out)
    if side_shear:
        add_side_shear(out.force, extra, grid)
    return out


def _touched(extra: Enrichment, grid: Grid) -> Ints:
    """Elements beside the crack in which a jump does not vanish.

    The crack passes through the jump's node, or so near to it that what it cuts off is nothing:
    then elements around the node lie beyond the crack as a whole and are not cut.
    """
    around = grid.elements_at(np.flatnonzero(extra.jump >= 0))
    beside = rising(grid.columns * grid.rows, around, without=extra.cuts.element)
    found: Ints = beside[_beyond(beside, extra, grid)]
    return found


@njit(cache=True, nogil=True)
def _beyond(elements: Ints, extra: Enrichment, grid: Grid) -> NDArray[np.bool_]:
    """Whether an uncut element lies on the other side than a corner of it that jumps."""
    found = np.zeros(len(elements), np.bool_)
    jump, which, path = extra.jump, extra.which, extra.path
    for k in range(len(elements)):
        middle = middle_side(rectangle(elements[k], grid), path)
        for n in corners(elements[k], len(grid.x)):
            if jump[n] >= 0 and which[n] != middle:
                found[k] = True
    return found


@njit(cache=True, nogil=True)
def _fill(
    crossed: Ints, around: Ints, extra: Enrichment, grid: Grid, moduli: Moduli, out: Stiffness
) -> None:
    """Add elements with jumps alone and elements with tip functions to `out`."""
    _jumps(crossed, extra, grid, moduli, out)
    _tips(around, extra, grid, moduli, out)


@njit(cache=True, nogil=True)
def _jumps(crossed: Ints, extra: Enrichment, grid: Grid, moduli: Moduli, out: Stiffness) -> None:
    """Elements that the crack crosses away from its tips: jumps alone, integrated exactly."""
    cut, room = empty_pieces(), empty_basis()
    halves, blocks = np.empty((2, 3, 4, 4)), np.empty((3, MOST, MOST))
    for number in crossed:
        element = element_of(number, grid)
        basis = listed(element.nodes, extra, room)
        halves[:] = 0.0
        for p in range(pieces(element.box, extra.path, segments_of(number, extra.cuts), cut)):
            piece = cut.shapes[p, : cut.sizes[p]]
            cx, cy = centre(piece)
            _added(piece, element.box, halves[1 if side(cx, cy, extra.path) > 0.0 else 0])
        _combined(halves, basis, blocks)
        _scattered(blocks, basis, moduli, out)


@njit(cache=True, nogil=True)
def _added(shape: Floats, box: Floats, out: Floats) -> None:
    """Add ∫ ∂N_i ∂N_j (xx, xy, yy) over a piece (n, 2): three points a triangle, exact for Q4."""
    field = np.empty((4, 3))
    for i in range(1, len(shape) - 1):
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
def _combined(halves: Floats, basis: Basis, blocks: Floats) -> None:
    """The products of all functions from those of N on either side: a jump is N times a number."""
    corner, count, which = basis.corner, len(basis.corner), basis.corners.which
    blocks[:] = 0.0
    for s in range(2):
        value = 2.0 * s - 1.0
        for p in range(count):
            left = 1.0 if p < 4 else value - which[corner[p]]
            for q in range(count):
                right = 1.0 if q < 4 else value - which[corner[q]]
                for k in range(3):
                    blocks[k, p, q] += left * right * halves[s, k, corner[p], corner[q]]


@njit(cache=True, nogil=True)
def _tips(around: Ints, extra: Enrichment, grid: Grid, moduli: Moduli, out: Stiffness) -> None:
    """Elements with tip functions: quadrature drawn towards the tip."""
    tips, path, rule, room = extra.tips, extra.path, empty_quadrature(), empty_basis()
    points, blocks = rule.points, np.empty((3, MOST, MOST))
    for number in around:
        element, segments = element_of(number, grid), segments_of(number, extra.cuts)
        basis = listed(element.nodes, extra, room)
        at_nodes(element.nodes, extra, grid, basis)
        box, value, count = element.box, basis.value, len(basis.ids)
        towards = tips.at[_owner(basis.corners.tip)]
        if len(segments) == 0 and _gap(box, towards) > FAR * grid.h:
            total = whole(box, path, rule)
        else:
            total = gathered(box, path, segments, towards, rule)
        gx, gy = np.empty((total, count)), np.empty((total, count))
        for p in range(total):
            functions(points[p], box, tips, grid.h, basis)
            root = np.sqrt(points[p, 2])
            for k in range(count):
                gx[p, k], gy[p, k] = root * value[k, 1], root * value[k, 2]
        blocks[0, :count, :count] = np.dot(gx.T, gx)
        blocks[1, :count, :count] = np.dot(gx.T, gy)
        blocks[2, :count, :count] = np.dot(gy.T, gy)
        _scattered(blocks, basis, moduli, out)


@njit(cache=True, nogil=True)
def _gap(box: Floats, point: Floats) -> float:
    """How far a point is from a rectangle [m]."""
    dx = max(box[0] - point[0], 0.0, point[0] - box[2])
    dy = max(box[1] - point[1], 0.0, point[1] - box[3])
    return math.hypot(dx, dy)


@njit(cache=True, nogil=True)
def _owner(tip: Ints) -> int:
    """The tip of the first corner that has one."""
    for k in tip:
        if k >= 0:
            return int(k)
    return 0


@njit(cache=True, nogil=True)
def _scattered(blocks: Floats, basis: Basis, moduli: Moduli, out: Stiffness) -> None:
    """Add an element's products (3, MOST, MOST) to the stiffness."""
    ids, corner, own, coupling = basis.ids, basis.corner, out.own, out.coupling
    C11, C12, C33 = moduli.C11, moduli.C12, moduli.C33
    for p in range(len(ids)):
        e = ids[p]
        if e < 0:
            continue
        row, column = corner[p] // 2, (1 if corner[p] in (1, 2) else 0)
        for q in range(len(ids)):
            xx = C11 * blocks[0, q, p] + C33 * blocks[2, q, p]
            yy = C11 * blocks[2, q, p] + C33 * blocks[0, q, p]
            xy = C12 * blocks[1, q, p] + C33 * blocks[1, p, q]
            yx = C12 * blocks[1, p, q] + C33 * blocks[1, q, p]
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
