"""The intact plate: assembled and factorised once, its inverse kept node by node."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import csc_array, csr_array
from scipy.sparse.linalg import SuperLU, splu

from models.xfem.closure import Closure, Held, held
from models.xfem.elasticity import Elastic
from models.xfem.grid import Floats, Grid, Ints

# ∫ ∂N_i ∂N_j over a unit square: both along x; along x and y; both along y
_XX = np.array([[2, -2, -1, 1], [-2, 2, 1, -1], [-1, 1, 2, -2], [1, -1, -2, 2]]) / 6.0
_XY = np.array([[1, 1, -1, -1], [-1, -1, 1, 1], [-1, -1, 1, 1], [1, 1, -1, -1]]) / 4.0
_YY = np.array([[2, 1, -1, -2], [1, 2, -2, -1], [-1, -2, 2, 1], [-2, -1, 1, 2]]) / 6.0


class Inverse:
    """Columns of the inverse stiffness, solved for when first asked, within some node lines.

    A memory, not a state: what it answers never depends on what was asked before.
    """

    def __init__(self, factor: SuperLU, free: csr_array, first: int, last: int) -> None:
        self.first, self.last = first, last  # nodes first:last are kept
        self._factor, self._free = factor, free
        self._window = free[2 * first : 2 * last]
        self._slot = np.full(last - first, -1, dtype=np.int64)
        self._used = 0
        self.columns: Floats = np.empty((256, 2 * (last - first)))  # two rows for each node known

    def slots(self, nodes: Ints) -> Ints:
        """Where `nodes` lie: rows 2 slot and 2 slot + 1 of `columns`."""
        local = nodes - self.first
        missing = np.unique(local[self._slot[local] < 0])
        if len(missing):
            self._add(missing)
        slots: Ints = self._slot[local]
        return slots

    def _add(self, local: Ints) -> None:
        while 2 * (self._used + len(local)) > len(self.columns):
            self.columns = np.concatenate([self.columns, np.empty_like(self.columns)])
        for node in local:  # one by one: how many are solved together changes the last bits
            dof = 2 * (node + self.first)
            solved = self._factor.solve(self._free[dof : dof + 2].toarray().T)
            at = 2 * self._used
            self.columns[at : at + 2] = (self._window @ solved).T
            self._slot[node] = self._used
            self._used += 1


class Intact(NamedTuple):
    """A plate without a crack."""

    grid: Grid
    material: Elastic
    held: Held
    inverse: Inverse
    u: Floats  # (nodes, 2, 2) displacement by component and unit load [m/Pa]


def intact(grid: Grid, material: Elastic, closure: Closure, band: tuple[float, float]) -> Intact:
    """The plate without a crack; cracks may grow for y within `band` [m]."""
    bound = held(closure, grid)
    reduced = bound.free.T @ assembled(grid, material) @ bound.free
    factor = factorised(csc_array(reduced))
    first, last = grid.rows_within(band[0] - 5.0 * grid.h, band[1] + 5.0 * grid.h)
    inverse = Inverse(factor, bound.free, first * len(grid.x), last * len(grid.x))
    u = bound.free @ factor.solve(bound.free.T @ bound.force)
    return Intact(grid, material, bound, inverse, u.reshape(-1, 2, 2))


def factorised(matrix: csc_array) -> SuperLU:
    """LU factors of a symmetric positive definite matrix, ordered for symmetry."""
    options = {"SymmetricMode": True}
    return splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)


def assembled(grid: Grid, material: Elastic) -> csr_array:
    """The stiffness (2 nodes, 2 nodes) of the plate, nothing held."""
    hx = np.tile(np.diff(grid.x), grid.rows)
    hy = np.repeat(np.diff(grid.y), grid.columns)
    blocks = _blocks(hx, hy, material.stiffness())
    dofs = (2 * grid.elements()[:, :, None] + np.arange(2)).reshape(-1, 8)
    rows, columns = np.repeat(dofs, 8, axis=1), np.tile(dofs, (1, 8))
    shape = (2 * grid.nodes, 2 * grid.nodes)
    entries = (blocks.ravel(), (rows.ravel(), columns.ravel()))
    return csr_array(entries, shape=shape)


def _blocks(hx: Floats, hy: Floats, C: Floats) -> Floats:
    """Element stiffness (elements, 8, 8), x and y alternating."""
    xx = np.multiply.outer(hy / hx, _XX)
    yy = np.multiply.outer(hx / hy, _YY)
    blocks = np.empty((len(hx), 4, 2, 4, 2))
    blocks[:, :, 0, :, 0] = C[0] * xx + C[2] * yy
    blocks[:, :, 1, :, 1] = C[0] * yy + C[2] * xx
    blocks[:, :, 0, :, 1] = C[1] * _XY + C[2] * _XY.T
    blocks[:, :, 1, :, 0] = C[1] * _XY.T + C[2] * _XY
    return blocks.reshape(-1, 8, 8)
