"""How a plate is loaded and held: what closes tension and shear to an equilibrium.

Tension σ and shear τ at both ends alone are none: τ there is a couple. Three closures, of very
different stress intensity:

* `uniform`  complementary shear on the side faces: a uniform stress state without the crack
* `grip`     both ends rigid and without rotation, resultants σ W and τ W
* `clamp`    the lower end held, tractions on the upper: a cantilever; for comparison with the
             literature only (N. Moës, J. Dolbow, T. Belytschko, Int. J. Numer. Meth. Eng. 46
             (1999) 131)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from models.xfem.grid import Floats, Grid, Ints

Closure = Literal["uniform", "grip", "clamp"]
TENSION, SHEAR = 0, 1  # columns of everything that is kept for both unit loads


class BoundaryConditions(NamedTuple):
    """A closure on a grid; displacement = `free` @ unknowns."""

    free: csr_array  # (2 nodes, unknowns)
    force: Floats  # (2 nodes, 2) nodal force for a unit of tension and of shear [m]
    side_shear: bool  # whether the side faces carry τ, a cracked one included


def held(closure: Closure, grid: Grid) -> BoundaryConditions:
    """The closure on `grid`.

    Raises ValueError for another name.
    """
    if closure not in CLOSURES:
        raise ValueError(f"closure {closure!r} is none of {', '.join(CLOSURES)}")
    return CLOSURES[closure](grid)


def _uniform(grid: Grid) -> BoundaryConditions:
    right = grid.columns
    force = _ends(grid, (-1.0, 1.0)) + _sides(grid)
    return BoundaryConditions(_fixed(grid, np.array([0, 1, 2 * right + 1])), force, True)


def _clamp(grid: Grid) -> BoundaryConditions:
    below = np.arange(2 * len(grid.x))
    return BoundaryConditions(_fixed(grid, below), _ends(grid, (0.0, 1.0)), False)


def _grip(grid: Grid) -> BoundaryConditions:
    """The upper end moves as one: two unknowns, after those of the nodes between."""
    line = 2 * len(grid.x)
    inner = 2 * grid.nodes - 2 * line
    rows = np.arange(line, 2 * grid.nodes)
    columns = np.concatenate([np.arange(inner), inner + np.arange(line) % 2])
    shape = (2 * grid.nodes, inner + 2)
    free = csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    return BoundaryConditions(free, _ends(grid, (0.0, 1.0)), False)


def _fixed(grid: Grid, dofs: Ints) -> csr_array:
    rows = np.setdiff1d(np.arange(2 * grid.nodes), dofs)
    shape = (2 * grid.nodes, len(rows))
    return csr_array((np.ones(len(rows)), (rows, np.arange(len(rows)))), shape=shape)


def _ends(grid: Grid, signs: tuple[float, float]) -> Floats:
    """Tractions on the lower and upper ends, with these signs."""
    force = np.zeros((len(grid.y), len(grid.x), 2, 2))  # row, column, component, load
    share = _shares(grid.x)
    for row, sign in zip((0, -1), signs, strict=True):
        force[row, :, 1, TENSION] += sign * share
        force[row, :, 0, SHEAR] += sign * share
    return force.reshape(-1, 2)


def _sides(grid: Grid) -> Floats:
    """Complementary shear: downwards on the left face, upwards on the right one."""
    force = np.zeros((len(grid.y), len(grid.x), 2, 2))
    share = _shares(grid.y)
    force[:, 0, 1, SHEAR] -= share
    force[:, -1, 1, SHEAR] += share
    return force.reshape(-1, 2)


def _shares(lines: Floats) -> Floats:
    """The length of edge that belongs to each node [m]."""
    sizes = np.diff(lines)
    return 0.5 * (np.append(sizes, 0.0) + np.insert(sizes, 0, 0.0))


CLOSURES: dict[str, Callable[[Grid], BoundaryConditions]] = {
    "uniform": _uniform,
    "grip": _grip,
    "clamp": _clamp,
}
