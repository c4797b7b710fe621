"""The intact plate: assembled and factorised once, its inverse kept node by node."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.sparse import csc_array, csr_array
from scipy.sparse.linalg import SuperLU, splu

from models.xfem.closure import BoundaryConditions, Closure, held
from models.xfem.elasticity import Elastic, Moduli
from models.xfem.grid import Floats, Grid, Ints
from models.xfem.memory import ByteCache

# ∫ ∂N_i ∂N_j over a unit square: both along x; along x and y; both along y
_XX = np.array([[2, -2, -1, 1], [-2, 2, 1, -1], [-1, 1, 2, -2], [1, -1, -2, 2]]) / 6.0
_XY = np.array([[1, 1, -1, -1], [-1, -1, 1, 1], [-1, -1, 1, 1], [1, 1, -1, -1]]) / 4.0
_YY = np.array([[2, 1, -1, -2], [1, 2, -2, -1], [-1, -2, 2, 1], [-2, -1, 1, 2]]) / 6.0


RUN = 8  # neighbouring nodes whose columns are kept and forgotten together


class Run(NamedTuple):
    """What is known of some neighbouring nodes."""

    known: set[int]  # nodes that were solved for
    columns: Floats  # (2 RUN, 2 nodes) two rows for each node, unknown ones empty


class Inverse:
    """Columns of the inverse stiffness, solved for when first asked, within some node lines.

    They are kept in `memory`, which several plates may share: what this answers never depends
    on what was asked before, nor on what has been forgotten.
    """

    def __init__(self, factor: SuperLU, free: csr_array, first: int, last: int) -> None:
        self.memory = ByteCache()
        self._key = object()  # the memory may outlive the plate
        self._first, self._wide = first, 2 * (last - first)  # columns are kept at nodes first:last
        self._factor, self._free = factor, free
        self._window = free[2 * first : 2 * last]

    def between(self, rows: Ints, columns: Ints) -> Floats:
        """The inverse (2 rows, 2 columns) between nodes, `rows` rising; x and y alternate."""
        local, out = columns - self._first, np.empty((2 * len(rows), 2 * len(columns)))
        ends = np.flatnonzero(np.diff(rows // RUN, append=-1)) + 1
        start = 0
        for end in ends.tolist():
            nodes = rows[start:end]
            number = int(nodes[0]) // RUN
            run = self.memory.recall((self._key, number), self._unknown, _size)
            self._know(run, number, nodes.tolist())
            _pick(run.columns, nodes - number * RUN, local, out[2 * start :])
            start = end
        return out

    def _unknown(self) -> Run:
        return Run(set(), np.empty((2 * RUN, self._wide)))

    def _know(self, run: Run, number: int, nodes: list[int]) -> None:
        """Solve for the nodes that are not known, one by one: company changes the last bits."""
        for node in nodes:
            if node not in run.known:
                unit = self._free[2 * node : 2 * node + 2].toarray().T
                at = 2 * (node - number * RUN)
                run.columns[at : at + 2] = (self._window @ self._factor.solve(unit)).T
                run.known.add(node)

    @property
    def nbytes(self) -> int:
        """What is kept besides the columns, which the memory counts [bytes]."""
        sparse = (self._free, self._window)
        held: int = sum(m.data.nbytes + m.indices.nbytes + m.indptr.nbytes for m in sparse)
        return held + 12 * int(self._factor.nnz)  # a float64 and an int32 for each entry


def _size(run: Run) -> int:
    return run.columns.nbytes


@njit(cache=True, nogil=True)
def _pick(columns: Floats, slots: Ints, nodes: Ints, out: Floats) -> None:
    """Fill two rows of `out` for each of `slots`, at `nodes`."""
    for a in range(len(slots)):
        for c in range(2):
            source = columns[2 * slots[a] + c]
            for b in range(len(nodes)):
                out[2 * a + c, 2 * b] = source[2 * nodes[b]]
                out[2 * a + c, 2 * b + 1] = source[2 * nodes[b] + 1]


class Intact(NamedTuple):
    """A plate without a crack."""

    grid: Grid
    material: Elastic
    held: BoundaryConditions
    inverse: Inverse
    u: Floats  # (nodes, 2, 2) displacement by component and unit load [m/Pa]

    @property
    def nbytes(self) -> int:
        """What is kept besides the columns of the inverse [bytes]."""
        return self.inverse.nbytes + self.u.nbytes + self.held.force.nbytes


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
    blocks = _blocks(hx, hy, material.moduli())
    dofs = (2 * grid.elements()[:, :, None] + np.arange(2)).reshape(-1, 8)
    rows, columns = np.repeat(dofs, 8, axis=1), np.tile(dofs, (1, 8))
    shape = (2 * grid.nodes, 2 * grid.nodes)
    entries = (blocks.ravel(), (rows.ravel(), columns.ravel()))
    return csr_array(entries, shape=shape)


def _blocks(hx: Floats, hy: Floats, C: Moduli) -> Floats:
    """Element stiffness (elements, 8, 8), x and y alternating."""
    xx = np.multiply.outer(hy / hx, _XX)
    yy = np.multiply.outer(hx / hy, _YY)
    blocks = np.empty((len(hx), 4, 2, 4, 2))
    blocks[:, :, 0, :, 0] = C.C11 * xx + C.C33 * yy
    blocks[:, :, 1, :, 1] = C.C11 * yy + C.C33 * xx
    blocks[:, :, 0, :, 1] = C.C12 * _XY + C.C33 * _XY.T
    blocks[:, :, 1, :, 0] = C.C12 * _XY.T + C.C33 * _XY
    return blocks.reshape(-1, 8, 8)
