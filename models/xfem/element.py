"""An element of the grid, as kernels take it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from models.xfem.grid import Floats, Grid, Ints


class Element(NamedTuple):
    """A rectangle of the grid."""

    nodes: Ints  # (4,) its corners, counter-clockwise
    box: Floats  # (4,) x0, y0, x1, y1 [m]


@njit(cache=True, nogil=True)
def element_of(number: int, grid: Grid) -> Element:
    """Element `number` of the grid."""
    return Element(corners(number, len(grid.x)), rectangle(number, grid))


@njit(cache=True, nogil=True)
def corners(element: int, wide: int) -> Ints:
    """The nodes (4,) of an element; `wide` nodes lie on a line."""
    first, found = element // (wide - 1) * wide + element % (wide - 1), np.empty(4, np.int64)
    found[0], found[1], found[2], found[3] = first, first + 1, first + wide + 1, first + wide
    return found


@njit(cache=True, nogil=True)
def rectangle(element: int, grid: Grid) -> Floats:
    """(x0, y0, x1, y1) of an element [m]."""
    x, y, box = grid.x, grid.y, np.empty(4)
    row, column = element // (len(x) - 1), element % (len(x) - 1)
    box[0], box[1], box[2], box[3] = x[column], y[row], x[column + 1], y[row + 1]
    return box
