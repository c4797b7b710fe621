"""Complementary shear on the side faces, where a crack opens or its tip is near.

The intact plate carries it already; functions of the crack that live at a face take their part,
without which shear would not act on the lips of the mouth.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from models.xfem.closure import SHEAR
from models.xfem.crack import side
from models.xfem.enrichment import BRANCHES, Enrichment
from models.xfem.grid import Floats, Grid, Ints
from models.xfem.quadrature import FLAT, FLAT_WEIGHT
from models.xfem.shape import MOST, at_nodes, corners, functions, listed, rectangle


def add_side_shear(force: Floats, extra: Enrichment, grid: Grid) -> None:
    """Add to `force` (2f, 2) what complementary shear does to the enriched functions [m]."""
    for column, sign in ((0, -1.0), (grid.columns, 1.0)):
        line = np.arange(len(grid.y)) * len(grid.x) + column
        enriched = (extra.jump[line] >= 0) | (extra.branch[line] >= 0)
        rows = np.flatnonzero(enriched[:-1] | enriched[1:])
        beside = rows * grid.columns + min(column, grid.columns - 1)
        _face(
            beside,
            grid.x[column],
            sign,
            extra.path,
            extra.jump,
            extra.branch,
            extra.which,
            extra.tip,
            *extra.tips,
            grid.x,
            grid.y,
            grid.h,
            force,
        )


@njit(cache=True, nogil=True)
def _face(
    elements: Ints,
    face: float,
    sign: float,
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
    force: Floats,
) -> None:
    ids, corner = np.empty(MOST, np.int64), np.empty(MOST, np.int64)
    shifts, field, point = np.empty((4, BRANCHES)), np.empty((MOST, 3)), np.empty(4)
    for element in elements:
        nodes, box = corners(element, len(x)), rectangle(element, x, y)
        count = listed(nodes, jump, branch, ids, corner)
        at_nodes(nodes, which, tip, x, y, at, ahead, turn, scale, shifts)
        marks = _openings(path, face, box[1], box[3])
        for k in range(len(marks) - 1):
            span = marks[k + 1] - marks[k]
            for g in range(len(FLAT)):
                point[0], point[1] = face, marks[k] + FLAT[g] * span
                point[3] = side(face, marks[k] + 0.5 * span, path)
                functions(
                    point, box, nodes, jump, which, tip, at, ahead, turn, scale, shifts, field
                )
                for p in range(4, count):
                    force[2 * ids[p] + 1, SHEAR] += sign * FLAT_WEIGHT[g] * span * field[p, 0]


@njit(cache=True, nogil=True)
def _openings(path: Floats, face: float, low: float, high: float) -> Floats:
    """The ends of an edge and where the crack passes between them, sorted [m]."""
    found = [low, high]
    for k in range(len(path) - 1):
        ax, bx = path[k, 0] - face, path[k + 1, 0] - face
        if (ax < 0.0) != (bx < 0.0):
            y = path[k, 1] + ax / (ax - bx) * (path[k + 1, 1] - path[k, 1])
            if low < y < high:
                found.append(y)
    return np.sort(np.array(found))
