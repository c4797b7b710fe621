"""All functions of an element at a point: bilinear, jumps and tip functions, shifted.

Functions of an element are listed as (`ids`, `corner`): the corner 0…3 that one belongs to, and
its number among the enriched functions, −1 for the four bilinear ones, which come first.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from models.xfem.enrichment import BRANCHES, branches
from models.xfem.grid import Floats, Ints

MOST = 4 + 4 * BRANCHES  # functions of one element


@njit(cache=True, nogil=True)
def listed(nodes: Ints, jump: Ints, branch: Ints, ids: Ints, corner: Ints) -> int:
    """Fill `ids` and `corner` (MOST,) for the element of `nodes` (4,); how many there are."""
    for c in range(4):
        ids[c], corner[c] = -1, c
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
    return count


@njit(cache=True, nogil=True)
def corners(element: int, wide: int) -> Ints:
    """The nodes (4,) of an element; `wide` nodes lie on a line."""
    first = element // (wide - 1) * wide + element % (wide - 1)
    return np.array([first, first + 1, first + wide + 1, first + wide])


@njit(cache=True, nogil=True)
def rectangle(element: int, x: Floats, y: Floats) -> Floats:
    """(x0, y0, x1, y1) of an element [m]."""
    row, column = element // (len(x) - 1), element % (len(x) - 1)
    return np.array([x[column], y[row], x[column + 1], y[row + 1]])


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
def at_nodes(
    nodes: Ints,
    which: Floats,
    tip: Ints,
    x: Floats,
    y: Floats,
    at: Floats,
    ahead: Floats,
    turn: Floats,
    scale: float,
    out: Floats,
) -> None:
    """The tip functions' values at their own nodes into `out` (4, BRANCHES): the shifts."""
    field = np.empty((BRANCHES, 3))
    for c in range(4):
        n = nodes[c]
        k = tip[n]
        if k >= 0:
            branches(
                x[n % len(x)], y[n // len(x)], which[n], at[k], ahead[k], turn[k], scale, field
            )
            out[c] = field[:, 0]


@njit(cache=True, nogil=True)
def functions(
    point: Floats,
    box: Floats,
    nodes: Ints,
    jump: Ints,
    which: Floats,
    tip: Ints,
    at: Floats,
    ahead: Floats,
    turn: Floats,
    scale: float,
    shifts: Floats,
    out: Floats,
) -> None:
    """Value, d/dx, d/dy of every function, as `listed`, at `point` (x, y, weight, side)."""
    bilinear(point[0], point[1], box, out)
    field = np.empty((BRANCHES, 3))
    count, known = 4, -1
    for c in range(4):
        n = nodes[c]
        if jump[n] >= 0:
            gap = point[3] - which[n]
            for d in range(3):
                out[count, d] = out[c, d] * gap
            count += 1
        k = tip[n]
        if k >= 0:
            if k != known:
                branches(point[0], point[1], point[3], at[k], ahead[k], turn[k], scale, field)
                known = k
            for b in range(BRANCHES):
                gap = field[b, 0] - shifts[c, b]
                out[count, 0] = out[c, 0] * gap
                out[count, 1] = out[c, 1] * gap + out[c, 0] * field[b, 1]
                out[count, 2] = out[c, 2] * gap + out[c, 0] * field[b, 2]
                count += 1
