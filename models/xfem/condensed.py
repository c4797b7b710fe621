"""The solve: a cracked plate as a small dense system, condensed on the intact one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.linalg import cho_factor, cho_solve

from models.xfem.enrichment import Enrichment
from models.xfem.grid import Floats, Ints, rising
from models.xfem.intact import Intact
from models.xfem.stiffness import Stiffness


class Solved(NamedTuple):
    """Displacements of a cracked plate for both unit loads."""

    nodes: Ints  # (k,) rising
    u: Floats  # (k, 2, 2) of these nodes, by component and load [m/Pa]
    unknowns: Floats  # (f, 2, 2) of the enriched functions, by component and load [m/Pa]

    def at(self, nodes: Ints) -> Floats:
        """The displacements (…, 2, 2) of some of the nodes [m/Pa]."""
        found: Floats = self.u[np.searchsorted(self.nodes, nodes)]
        return found


def solved(plate: Intact, extra: Enrichment, blocks: Stiffness, wanted: Ints) -> Solved:
    """Solve for the enriched functions; displacements at the nodes `wanted` (rising).

    With G = K⁻¹ of the intact plate and B the coupling, S = K_e − Bᵀ G B, S e = f_e − Bᵀ G f,
    u = G f − G B e: only the columns of G at coupled nodes are needed.
    """
    wide = len(plate.grid.x)
    touched = rising(plate.grid.nodes, _neighbours(extra.node, blocks.coupling, wide))
    keep = rising(plate.grid.nodes, touched, wanted)
    place = np.full(plate.grid.nodes, -1, dtype=np.int64)
    place[keep] = np.arange(len(keep))
    row = np.full(plate.grid.nodes, -1, dtype=np.int64)
    row[touched] = np.arange(len(touched))
    G = plate.inverse.between(touched, keep)
    spread = _coupled(extra.node, blocks.coupling, row, G, wide)  # Bᵀ G, (2f, 2 keep)
    pulled = _coupled(extra.node, blocks.coupling, place, np.ascontiguousarray(spread.T), wide)
    S = blocks.own - pulled
    intact = np.ascontiguousarray(plate.u[touched].reshape(-1, 2))
    load = blocks.force - _coupled(extra.node, blocks.coupling, row, intact, wide)
    scale = 1.0 / np.sqrt(S.diagonal())
    S *= scale[:, None]
    S *= scale
    factor = cho_factor(S, lower=True, overwrite_a=True, check_finite=False)
    e = scale[:, None] * cho_solve(factor, load * scale[:, None], check_finite=False)
    at = (2 * place[wanted][:, None] + np.arange(2)).ravel()
    u = plate.u[wanted] - (spread[:, at].T @ e).reshape(-1, 2, 2)
    return Solved(wanted, u, e.reshape(-1, 2, 2))


@njit(cache=True, nogil=True)
def _neighbours(node: Ints, coupling: Floats, wide: int) -> Ints:
    """The nodes that the enriched functions couple to, with repeats."""
    found, count = np.empty(9 * len(node), np.int64), 0
    for f in range(len(node)):
        for j in range(3):
            for i in range(3):
                if coupling[f, j, i].any():
                    found[count] = node[f] + (j - 1) * wide + i - 1
                    count += 1
    return found[:count]


@njit(cache=True, nogil=True)
def _coupled(node: Ints, coupling: Floats, row: Ints, X: Floats, wide: int) -> Floats:
    """Bᵀ X (2f, columns); nodes have rows 2 row and 2 row + 1 of `X`.

    The functions of one node, which couple to the same nodes, are worked off together.
    """
    out = np.zeros((2 * len(node), X.shape[1]))
    first = 0
    while first < len(node):
        last = first + 1
        while last < len(node) and node[last] == node[first]:
            last += 1
        B, rows, count = np.zeros((2 * (last - first), 18)), np.empty((18, X.shape[1])), 0
        for j in range(3):
            for i in range(3):
                if not coupling[first:last, j, i].any():
                    continue
                source = 2 * row[node[first] + (j - 1) * wide + i - 1]
                rows[count : count + 2] = X[source : source + 2]
                for f in range(first, last):
                    B[2 * (f - first) : 2 * (f - first) + 2, count : count + 2] = coupling[
                        f, j, i
                    ].T
                count += 2
        out[2 * first : 2 * last] = np.dot(B[:, :count].copy(), rows[:count])
        first = last
    return out
