"""Complementary shear on the side faces, where a crack opens or its tip is near.

The intact plate carries it already; functions of the crack that live at a face take their part,
without which shear would not act on the lips of the mouth.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from models.xfem.closure import SHEAR
from models.xfem.crack import side
from models.xfem.element import Element, element_of
from models.xfem.enrichment import Enrichment
from models.xfem.grid import Floats, Grid
from models.xfem.quadrature import FLAT, FLAT_WEIGHT
from models.xfem.shape import Basis, at_nodes, empty_basis, functions, listed


class Face(NamedTuple):
    """A side face of the plate."""

    x: float  # [m]
    sign: float  # +1 where a positive shear pulls it upwards, else −1


@njit(cache=True, nogil=True)
def add_side_shear(force: Floats, extra: Enrichment, grid: Grid) -> None:
    """Add to `force` (2f, 2) what complementary shear does to the enriched functions [m]."""
    wide, basis, jump, branch = len(grid.x), empty_basis(), extra.jump, extra.branch
    for column, sign in ((0, -1.0), (wide - 1, 1.0)):
        face = Face(grid.x[column], sign)
        for row in range(len(grid.y) - 1):
            n, m = row * wide + column, (row + 1) * wide + column
            if jump[n] >= 0 or jump[m] >= 0 or branch[n] >= 0 or branch[m] >= 0:
                element = element_of(row * (wide - 1) + min(column, wide - 2), grid)
                _add_edge(element, face, extra, grid, basis, force)


@njit(cache=True, nogil=True)
def _add_edge(
    element: Element, face: Face, extra: Enrichment, grid: Grid, room: Basis, force: Floats
) -> None:
    """Add what shear does on the edge of one element."""
    point, box = np.empty(4), element.box
    basis = listed(element.nodes, extra, room)
    at_nodes(element.nodes, extra, grid, basis)
    marks = _openings(extra.path, face.x, box[1], box[3])
    for k in range(len(marks) - 1):
        span = marks[k + 1] - marks[k]
        for g in range(len(FLAT)):
            point[0], point[1] = face.x, marks[k] + FLAT[g] * span
            point[3] = side(face.x, marks[k] + 0.5 * span, extra.path)
            functions(point, box, extra.tips, grid.h, basis)
            for p in range(4, len(basis.ids)):
                share = face.sign * FLAT_WEIGHT[g] * span * basis.value[p, 0]
                force[2 * basis.ids[p] + 1, SHEAR] += share


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
