"""All functions of an element at a point: bilinear, jumps and tip functions, shifted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from models.xfem.crack import Tips, tip_of
from models.xfem.enrichment import BRANCHES, Enrichment, branches
from models.xfem.grid import Floats, Grid, Ints

MOST = 4 + 4 * BRANCHES  # functions of one element


class Corners(NamedTuple):
    """What `Enrichment` has at the four nodes of an element."""

    jump: Ints  # (4,) function of the jump, −1 where there is none
    tip: Ints  # (4,) whose tip functions, −1 where there are none
    which: Floats  # (4,) side on which an enriched node lies, else 0
    shift: Floats  # (4, BRANCHES) tip functions at their own node [1]


class Basis(NamedTuple):
    """The n functions of an element, the four bilinear ones first.

    They share one room of `MOST`: kernels write over those of the last element.
    """

    ids: Ints  # (n,) number among the enriched functions, −1 for the bilinear ones
    corner: Ints  # (n,) the corner 0…3 that a function belongs to
    value: Floats  # (n, 3) at one point: value [1], d/dx and d/dy [1/m]
    branch: Floats  # (BRANCHES, 3) tip functions at one point, not shifted [1], [1/m]
    corners: Corners


@njit(cache=True, nogil=True)
def empty_basis() -> Basis:
    """Room for the functions of any element."""
    jump, tip = np.empty(4, np.int64), np.empty(4, np.int64)
    ids, corner = np.empty(MOST, np.int64), np.empty(MOST, np.int64)
    held = Corners(jump, tip, np.empty(4), np.empty((4, BRANCHES)))
    return Basis(ids, corner, np.empty((MOST, 3)), np.empty((BRANCHES, 3)), held)


@njit(cache=True, nogil=True)
def listed(nodes: Ints, extra: Enrichment, room: Basis) -> Basis:
    """The functions of the element of `nodes` (4,), neither shifts nor values filled in."""
    ids, corner, jump, branch, held = room.ids, room.corner, extra.jump, extra.branch, room.corners
    for c in range(4):
        n = nodes[c]
        ids[c], corner[c] = -1, c
        held.jump[c], held.tip[c], held.which[c] = jump[n], extra.tip[n], extra.which[n]
    count = 4
    for c in range(4):
        n = nodes[c]
        if jump[n] >= 0:
            ids[count], corner[count] = jump[n], c
            count += 1
        if branch[n] >= 0:
            for k in range(BRANCHES):
                ids[count], corner[count] = branch[n] + k, c
                count += 1
    return Basis(ids[:count], corner[:count], room.value[:count], room.branch, held)


@njit(cache=True, nogil=True)
def bilinear(px: float, py: float, box: Floats, out: Floats) -> None:
    """Value, d/dx and d/dy of the four bilinear functions into `out` (≥4, 3)."""
    hx, hy = box[2] - box[0], box[3] - box[1]
    s, t = (px - box[0]) / hx, (py - box[1]) / hy
    out[0, 0], out[0, 1], out[0, 2] = (1 - s) * (1 - t), -(1 - t) / hx, -(1 - s) / hy
    out[1, 0], out[1, 1], out[1, 2] = s * (1 - t), (1 - t) / hx, -s / hy
    out[2, 0], out[2, 1], out[2, 2] = s * t, t / hx, s / hy
    out[3, 0], out[3, 1], out[3, 2] = (1 - s) * t, -t / hx, (1 - s) / hy


@njit(cache=True, nogil=True)
def at_nodes(nodes: Ints, extra: Enrichment, grid: Grid, out: Basis) -> None:
    """Fill in the shifts: the tip functions' values at their own nodes."""
    x, y, field, held = grid.x, grid.y, out.branch, out.corners
    for c in range(4):
        n, k = nodes[c], held.tip[c]
        if k >= 0:
            px, py = x[n % len(x)], y[n // len(x)]
            branches(px, py, held.which[c], tip_of(extra.tips, k), grid.h, field)
            held.shift[c] = field[:, 0]


@njit(cache=True, nogil=True)
def functions(point: Floats, box: Floats, tips: Tips, scale: float, basis: Basis) -> None:
    """Fill in value, d/dx, d/dy of every function, shifted, at `point` (x, y, weight, side).

    `scale` is the size of the elements [m], which the tip functions are measured in.
    """
    out, field, jump, which = basis.value, basis.branch, basis.corners.jump, basis.corners.which
    tip, shift = basis.corners.tip, basis.corners.shift
    bilinear(point[0], point[1], box, out)
    count, known = 4, -1
    for c in range(4):
        if jump[c] >= 0:
            gap = point[3] - which[c]
            for d in range(3):
                out[count, d] = out[c, d] * gap
            count += 1
        k = tip[c]
        if k >= 0:
            if k != known:
                branches(point[0], point[1], point[3], tip_of(tips, k), scale, field)
                known = k
            for b in range(BRANCHES):
                gap = field[b, 0] - shift[c, b]
                out[count, 0] = out[c, 0] * gap
                out[count, 1] = out[c, 1] * gap + out[c, 0] * field[b, 1]
                out[count, 2] = out[c, 2] * gap + out[c, 0] * field[b, 2]
                count += 1
