"""What a crack adds to the plate: jumps at the nodes it passes, tip functions where it ends.

N. Moës, J. Dolbow, T. Belytschko, Int. J. Numer. Meth. Eng. 46 (1999) 131,
doi:10.1002/(SICI)1097-0207(19990910)46:1<131::AID-NME726>3.0.CO;2-J. Every function is shifted
by its value at its node, so that it vanishes at all nodes: a jump then acts in cut elements
alone, and the unknowns of the nodes stay displacements. The tip functions reach over a disc of
a few elements rather than the tip's own, which takes a third off the error of K.

Functions are numbered 0…f−1: first the jumps, one a node, then four tip functions a node.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from models.xfem.crack import PolylineCrack, Tip, Tips, chain, polar, side, tips
from models.xfem.cutting import Cuts, Pieces, centre, cuts, empty_pieces, pieces
from models.xfem.element import rectangle
from models.xfem.grid import Floats, Grid, Ints

BRANCHES = 4
AROUND = 1.8  # nodes nearer to a tip than this have its functions [elements]
LEAST_SHARE = 1e-6  # of a node's support beyond the crack, for a jump there; more welds the crack


class Enrichment(NamedTuple):
    """The functions that a crack adds; node arrays are −1 where there is none."""

    path: Floats  # (m, 2) polyline, prolonged out of the plate at a mouth [m]
    tips: Tips
    cuts: Cuts
    jump: Ints  # (nodes,) function of the jump at a node
    branch: Ints  # (nodes,) first of the four tip functions of a node
    tip: Ints  # (nodes,) which tip they belong to
    which: Floats  # (nodes,) side on which an enriched node lies, else 0
    node: Ints  # (f,) the node of each function


def enrichment(crack: PolylineCrack, grid: Grid) -> Enrichment:
    """The functions that `crack` adds on `grid`.

    Raises ValueError for tips that are too close for its elements.
    """
    path, ends = chain(crack, grid), tips(crack)
    crossed = cuts(path, grid)
    tip = np.full(grid.nodes, -1, dtype=np.int64)
    for k in range(len(ends.at)):
        near = grid.near(ends.at[k, 0], ends.at[k, 1], AROUND * grid.h)
        if (tip[near] >= 0).any():
            raise ValueError(
                f"the tips {ends.at.tolist()} m are too close for elements of {grid.h} m"
            )
        tip[near] = k
    which, beyond = _sides(path, crossed, grid)
    passed = beyond >= LEAST_SHARE * _support(grid)
    return _numbered(path, ends, crossed, tip, which, passed & (tip < 0))


def _numbered(
    path: Floats, ends: Tips, crossed: Cuts, tip: Ints, which: Floats, jumps: Ints
) -> Enrichment:
    jumping, branching = np.flatnonzero(jumps), np.flatnonzero(tip >= 0)
    jump, branch = np.full_like(tip, -1), np.full_like(tip, -1)
    jump[jumping] = np.arange(len(jumping))
    branch[branching] = len(jumping) + BRANCHES * np.arange(len(branching))
    node = np.concatenate([jumping, np.repeat(branching, BRANCHES)])
    return Enrichment(path, ends, crossed, jump, branch, tip, which, node)


def _support(grid: Grid) -> Floats:
    """The area of the elements around each node (nodes,) [m²]."""
    x, y = np.diff(grid.x), np.diff(grid.y)
    around_x = np.append(x, 0.0) + np.insert(x, 0, 0.0)
    around_y = np.append(y, 0.0) + np.insert(y, 0, 0.0)
    support: Floats = np.outer(around_y, around_x).ravel()
    return support


@njit(cache=True, nogil=True)
def _sides(path: Floats, crossed: Cuts, grid: Grid) -> tuple[Floats, Floats]:
    """For the nodes of crossed elements the side, and the area of support beyond the crack."""
    x, y, wide = grid.x, grid.y, len(grid.x)
    element, offset, segment = crossed.element, crossed.offset, crossed.segment
    which, beyond = np.zeros(wide * len(y)), np.zeros(wide * len(y))
    room = empty_pieces()
    for k in range(len(element)):
        row, column = element[k] // (wide - 1), element[k] % (wide - 1)
        areas = sided(rectangle(element[k], grid), path, segment[offset[k] : offset[k + 1]], room)
        for c in range(4):
            i, j = column + (1 if c in (1, 2) else 0), row + c // 2
            n = j * wide + i
            if which[n] == 0.0:
                which[n] = side(x[i], y[j], path)
            beyond[n] += areas[0] if which[n] > 0.0 else areas[1]
    return which, beyond


@njit(cache=True, nogil=True)
def sided(box: Floats, path: Floats, segments: Ints, room: Pieces) -> tuple[float, float]:
    """The area [m²] of a rectangle on side −1 and on side +1; its pieces are left in `room`."""
    minus, plus = 0.0, 0.0
    for p in range(pieces(box, path, segments, room)):
        piece, area = room.shapes[p, : room.sizes[p]], 0.0
        for i in range(1, len(piece) - 1):
            ax, ay = piece[i] - piece[0]
            bx, by = piece[i + 1] - piece[0]
            area += 0.5 * (ax * by - ay * bx)
        cx, cy = centre(piece)
        if side(cx, cy, path) > 0.0:
            plus += area
        else:
            minus += area
    return minus, plus


@njit(cache=True, nogil=True)
def branches(x: float, y: float, which: float, tip: Tip, scale: float, out: Floats) -> None:
    """The four tip functions at a point, and their gradients, into `out` (4, 3).

    √(r/scale) · [sin θ/2, cos θ/2, sin θ/2 sin θ, cos θ/2 sin θ]: rows are functions, columns
    value [1], d/dx and d/dy [1/m].
    """
    r, theta = polar(x, y, which, tip)
    root = math.sqrt(max(r, 1e-14 * scale) / scale)
    half_sin, half_cos = math.sin(0.5 * theta), math.cos(0.5 * theta)
    sin, cos = math.sin(theta), math.cos(theta)
    more_sin, more_cos = math.sin(1.5 * theta), math.cos(1.5 * theta)
    slope = 0.5 / (root * scale)
    out[0, 0], out[1, 0] = root * half_sin, root * half_cos
    out[2, 0], out[3, 0] = root * half_sin * sin, root * half_cos * sin
    ahead = tip.ahead
    _turned(out, 0, -slope * half_sin, slope * half_cos, ahead)
    _turned(out, 1, slope * half_cos, slope * half_sin, ahead)
    _turned(out, 2, -slope * more_sin * sin, slope * (half_sin + more_sin * cos), ahead)
    _turned(out, 3, -slope * more_cos * sin, slope * (half_cos + more_cos * cos), ahead)


@njit(cache=True, nogil=True)
def _turned(out: Floats, k: int, along: float, across: float, ahead: Floats) -> None:
    out[k, 1] = along * ahead[0] - across * ahead[1]
    out[k, 2] = along * ahead[1] + across * ahead[0]
