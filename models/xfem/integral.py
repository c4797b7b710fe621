"""The interaction integral: K_I and K_II from the field around a tip.

J. F. Yau, S. S. Wang, H. T. Corten, J. Appl. Mech. 47 (1980) 335, doi:10.1115/1.3153665, as an
integral over a domain: the weight q is 1 at nodes within the radius of the tip and 0 beyond and
on the faces of the plate. With P_1j = σ_ij ε^aux_ij δ_1j − σ_ij u^aux_i,1 − σ^aux_ij u_i,1,

    2 K / E' = −∫ P_1j q,j dA + ∫ P_1j m_j q ds

where the second term runs over both faces of the crack, m out of the material. It vanishes on
the last segment, along which the auxiliary field has free faces too, but not behind a kink;
without it the answer depends on the radius as soon as this reaches a kink.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from models.xfem.crack import Tips, tip_of
from models.xfem.cutting import segments_of
from models.xfem.elasticity import Elastic, Moduli
from models.xfem.element import element_of
from models.xfem.enrichment import Enrichment
from models.xfem.gradients import auxiliary, flux, freed, slope
from models.xfem.grid import Floats, Grid, Ints
from models.xfem.quadrature import FLAT, FLAT_WEIGHT, empty_quadrature, gathered, whole
from models.xfem.shape import MOST, Basis, at_nodes, empty_basis, functions, listed


class Domain(NamedTuple):
    """The elements in which the weight of the integral around a tip is not zero."""

    tip: int  # its number
    elements: Ints  # (k,)
    nodes: Ints  # (k, 4)
    weight: Floats  # (k, 4) of the nodes [1]


class Displacements(NamedTuple):
    """The solution in a domain, by component and load."""

    nodal: Floats  # (k, 4, 2, 2) of the nodes of the domain [m/Pa]
    enriched: Floats  # (f, 2, 2) of the enriched functions [m/Pa]


def domains(tips: Tips, grid: Grid, radius: float) -> list[Domain]:
    """The domain of `radius` [m] around each tip."""
    return [_domain(k, tips.at[k], grid, radius) for k in range(len(tips.at))]


def _domain(k: int, at: Floats, grid: Grid, radius: float) -> Domain:
    wide = len(grid.x)
    near = grid.near(at[0], at[1], radius)
    row, column = np.divmod(near, wide)
    inner = near[(row > 0) & (row < grid.rows) & (column > 0) & (column < grid.columns)]
    elements = grid.elements_at(inner)
    nodes = grid.corners(elements)
    return Domain(k, elements, nodes, np.isin(nodes, inner).astype(float))


def intensities(
    part: Domain, solution: Displacements, extra: Enrichment, grid: Grid, material: Elastic
) -> Floats:
    """K (2 loads, 2 modes) [√m] at the tip of `part`."""
    out = np.zeros((2, 2))
    _integrated(part, solution, extra, grid, material.moduli(), out)
    return 0.5 * material.modulus * out


@njit(cache=True, nogil=True)
def _integrated(
    part: Domain,
    solution: Displacements,
    extra: Enrichment,
    grid: Grid,
    moduli: Moduli,
    out: Floats,
) -> None:
    """Add both integrals to `out` (load, mode)."""
    _over_area(part, solution, extra, grid, moduli, out)
    _over_faces(part, solution, extra, grid, moduli, out)


@njit(cache=True, nogil=True)
def _over_area(
    part: Domain,
    solution: Displacements,
    extra: Enrichment,
    grid: Grid,
    moduli: Moduli,
    out: Floats,
) -> None:
    """Add −∫ P_1j q,j dA to `out` (load, mode)."""
    tips, path, rule, room = extra.tips, extra.path, empty_quadrature(), empty_basis()
    u, aux, actual = np.empty((MOST, 2, 2)), np.empty((2, 2, 2)), np.empty((2, 2))
    tip, points = tip_of(tips, part.tip), rule.points
    ahead = tip.ahead
    for e in range(len(part.elements)):
        weight = part.weight[e]
        if weight.min() == weight.max():
            continue
        element = element_of(part.elements[e], grid)
        segments = segments_of(part.elements[e], extra.cuts)
        basis = listed(element.nodes, extra, room)
        at_nodes(element.nodes, extra, grid, basis)
        _collect(solution, e, basis, u)
        box, value = element.box, basis.value
        if len(segments) > 0:
            total = gathered(box, path, segments, tip.at, rule)
        else:
            total = whole(box, path, rule)
        for p in range(total):
            point = points[p]
            functions(point, box, tips, grid.h, basis)
            qx, qy = 0.0, 0.0
            for c in range(4):
                qx += weight[c] * value[c, 1]
                qy += weight[c] * value[c, 2]
            q0 = qx * ahead[0] + qy * ahead[1]
            q1 = qy * ahead[0] - qx * ahead[1]
            auxiliary(point, tip, moduli, aux)
            for load in range(2):
                slope(value, u, load, ahead, actual)
                for mode in range(2):
                    out[load, mode] -= point[2] * flux(actual, aux[mode], q0, q1, moduli)


@njit(cache=True, nogil=True)
def _over_faces(
    part: Domain,
    solution: Displacements,
    extra: Enrichment,
    grid: Grid,
    moduli: Moduli,
    out: Floats,
) -> None:
    """Add ∫ P_1j m_j q ds over the faces of all segments but the tip's own to `out`."""
    tips, path, room = extra.tips, extra.path, empty_basis()
    u, aux, actual = np.empty((MOST, 2, 2)), np.empty((2, 2, 2)), np.empty((2, 2))
    tip, point = tip_of(tips, part.tip), np.empty(4)
    ahead = tip.ahead
    straight = len(path) - 2 if tip.turn > 0.0 else 0
    for e in range(len(part.elements)):
        segments = segments_of(part.elements[e], extra.cuts)
        if len(segments) == 0:
            continue
        element = element_of(part.elements[e], grid)
        basis = listed(element.nodes, extra, room)
        at_nodes(element.nodes, extra, grid, basis)
        _collect(solution, e, basis, u)
        box, value, weight = element.box, basis.value, part.weight[e]
        for s in segments:
            low, high = _within(path[s], path[s + 1], box)
            if s == straight or high <= low:
                continue
            dx, dy = path[s + 1, 0] - path[s, 0], path[s + 1, 1] - path[s, 1]
            for g in range(2 * len(FLAT)):
                along = low + FLAT[g // 2] * (high - low)
                point[0], point[1] = path[s, 0] + along * dx, path[s, 1] + along * dy
                point[2] = FLAT_WEIGHT[g // 2] * (high - low)
                point[3] = 1.0 if g % 2 else -1.0
                functions(point, box, tips, grid.h, basis)
                q = 0.0
                for c in range(4):
                    q += point[2] * weight[c] * value[c, 0]
                mx, my = point[3] * dy * q, -point[3] * dx * q  # out of the material, times length
                m0 = mx * ahead[0] + my * ahead[1]
                m1 = my * ahead[0] - mx * ahead[1]
                auxiliary(point, tip, moduli, aux)
                for load in range(2):
                    slope(value, u, load, ahead, actual)
                    freed(actual, m0, m1, moduli)
                    for mode in range(2):
                        out[load, mode] += flux(actual, aux[mode], m0, m1, moduli)


@njit(cache=True, nogil=True)
def _collect(solution: Displacements, e: int, basis: Basis, out: Floats) -> None:
    """Fill `out` (n, 2, 2) with the displacements of each function of an element."""
    for k in range(len(basis.ids)):
        for d in range(2):
            for load in range(2):
                if k < 4:
                    out[k, d, load] = solution.nodal[e, k, d, load]
                else:
                    out[k, d, load] = solution.enriched[basis.ids[k], d, load]


@njit(cache=True, nogil=True)
def _within(a: Floats, b: Floats, box: Floats) -> tuple[float, float]:
    """The part of the segment from `a` to `b` that lies in a rectangle; else high ≤ low.

    A segment along a grid line belongs to the rectangle above it or right of it alone: its faces
    count once, and displacements along them are the same from both.
    """
    low, high = 0.0, 1.0
    for d in range(2):
        span = b[d] - a[d]
        if span == 0.0:
            if not box[d] <= a[d] < box[d + 2]:
                return 0.0, 0.0
            continue
        first, second = (box[d] - a[d]) / span, (box[d + 2] - a[d]) / span
        low, high = max(low, min(first, second)), min(high, max(first, second))
    return low, high
