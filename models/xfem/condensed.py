"""The solve: a cracked plate as a small dense system, condensed on the intact one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.linalg import cho_factor, cho_solve

from models.xfem.enrichment import Enrichment
from models.xfem.grid import Floats, Ints
from models.xfem.intact import Intact
from models.xfem.stiffness import Stiffness


class Solved(NamedTuple):
    """Displacements of a cracked plate for both unit loads."""

    nodes: Ints  # (k,) rising
    u: Floats  # (k, 2, 2) of these nodes, by component and load [m/Pa]
    unknowns: Floats  # (f, 2, 2) of the enriched functions, by component and load [m/Pa]


def solved(plate: Intact, extra: Enrichment, blocks: Stiffness, wanted: Ints) -> Solved:
    """Solve for the enriched functions; displacements at the nodes `wanted` (rising).

    With G = K⁻¹ of the intact plate and B the coupling, S = K_e − Bᵀ G B, S e = f_e − Bᵀ G f,
    u = G f − G B e: only the columns of G at coupled nodes are needed.
    """
    wide = len(plate.grid.x)
    touched = np.unique(_neighbours(extra.node, blocks.coupling, wide))
    keep = np.union1d(touched, wanted)
    place = np.full(plate.grid.nodes, -1, dtype=np.int64)
    place[keep] = np.arange(len(keep))
    slots = plate.inverse.slots(touched)
    row = np.full(plate.grid.nodes, -1, dtype=np.int64)
    row[touched] = np.arange(len(touched))
    G = _picked(plate.inverse.columns, slots, keep - plate.inverse.first)
    spread = _spread(extra.node, blocks.coupling, row, G, wide)  # (2f, 2 keep) rows of Bᵀ G
    S = _condensed(extra.node, blocks.own, blocks.coupling, place, spread, wide)
    load = blocks.force - _pulled(extra.node, blocks.coupling, plate.u, wide)
    scale = 1.0 / np.sqrt(np.diag(S))
    factor = cho_factor(S * scale[:, None] * scale, lower=True, check_finite=False)
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
def _picked(columns: Floats, slots: Ints, nodes: Ints) -> Floats:
    """The inverse between nodes at `slots` (rows) and `nodes` (columns), both components."""
    out = np.empty((2 * len(slots), 2 * len(nodes)))
    for a in range(len(slots)):
        for c in range(2):
            source = columns[2 * slots[a] + c]
            for b in range(len(nodes)):
                out[2 * a + c, 2 * b] = source[2 * nodes[b]]
                out[2 * a + c, 2 * b + 1] = source[2 * nodes[b] + 1]
    return out


@njit(cache=True, nogil=True)
def _spread(node: Ints, coupling: Floats, row: Ints, G: Floats, wide: int) -> Floats:
    """Bᵀ G: what each enriched function does to the intact plate."""
    out = np.zeros((2 * len(node), G.shape[1]))
    for f in range(len(node)):
        for j in range(3):
            for i in range(3):
                block = coupling[f, j, i]
                if not block.any():
                    continue
                source = row[node[f] + (j - 1) * wide + i - 1]
                for c in range(2):
                    for d in range(2):
                        factor, line, onto = block[d, c], G[2 * source + d], out[2 * f + c]
                        for k in range(len(line)):
                            onto[k] += factor * line[k]
    return out


@njit(cache=True, nogil=True)
def _condensed(
    node: Ints, own: Floats, coupling: Floats, place: Ints, spread: Floats, wide: int
) -> Floats:
    """K_e − (Bᵀ G) B."""
    S = own.copy()
    for f in range(len(node)):
        for j in range(3):
            for i in range(3):
                block = coupling[f, j, i]
                if not block.any():
                    continue
                at = 2 * place[node[f] + (j - 1) * wide + i - 1]
                for k in range(2 * f + 2):
                    first, second = spread[k, at], spread[k, at + 1]
                    S[2 * f, k] -= first * block[0, 0] + second * block[1, 0]
                    S[2 * f + 1, k] -= first * block[0, 1] + second * block[1, 1]
    return S


@njit(cache=True, nogil=True)
def _pulled(node: Ints, coupling: Floats, u: Floats, wide: int) -> Floats:
    """Bᵀ u of the intact plate, for both loads."""
    out = np.zeros((2 * len(node), 2))
    for f in range(len(node)):
        for j in range(3):
            for i in range(3):
                at = node[f] + (j - 1) * wide + i - 1
                for c in range(2):
                    for d in range(2):
                        for load in range(2):
                            out[2 * f + c, load] += coupling[f, j, i, d, c] * u[at, d, load]
    return out
