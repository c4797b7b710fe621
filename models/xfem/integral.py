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

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from models.xfem.crack import polar, side
from models.xfem.cutting import MOST_CORNERS, MOST_PIECES
from models.xfem.elasticity import Elastic
from models.xfem.enrichment import BRANCHES, Enrichment
from models.xfem.grid import Floats, Grid, Ints
from models.xfem.quadrature import FLAT, FLAT_WEIGHT, MOST_POINTS, flat
from models.xfem.shape import MOST, at_nodes, functions, listed, rectangle
from models.xfem.stiffness import gathered


class Domain(NamedTuple):
    """The elements in which the weight of the integral is not zero."""

    elements: Ints  # (k,)
    nodes: Ints  # (k, 4)
    weight: Floats  # (k, 4) of the nodes [1]


def domain(tip: Floats, grid: Grid, radius: float) -> Domain:
    """The domain of `radius` [m] around a tip."""
    wide = len(grid.x)
    near = grid.near(tip[0], tip[1], radius)
    row, column = np.divmod(near, wide)
    inner = near[(row > 0) & (row < grid.rows) & (column > 0) & (column < grid.columns)]
    elements = grid.elements_at(inner)
    nodes = grid.corners(elements)
    return Domain(elements, nodes, np.isin(nodes, inner).astype(float))


def intensities(
    part: Domain,
    u: Floats,
    unknowns: Floats,
    tip: int,
    extra: Enrichment,
    grid: Grid,
    material: Elastic,
) -> Floats:
    """K (2 loads, 2 modes) [√m] at tip number `tip`.

    `u` (k, 4, 2, 2) are displacements of the nodes of `part` by component and load [m/Pa],
    `unknowns` (f, 2, 2) the enriched ones.
    """
    out = np.zeros((2, 2))
    state = (
        *part, u, unknowns, *extra.cuts[:3], extra.path, extra.jump, extra.branch, extra.which,
        extra.tip, *extra.tips, tip, grid.x, grid.y, grid.h, material.stiffness(),
        material.kappa, out,
    )  # fmt: skip  # a line for each group
    _over_area(*state)
    _over_faces(*state)
    return 0.5 * material.modulus * out


@njit(cache=True, nogil=True)
def _over_area(
    elements: Ints,
    corner_nodes: Ints,
    weight: Floats,
    u: Floats,
    unknowns: Floats,
    cut: Ints,
    offset: Ints,
    segment: Ints,
    path: Floats,
    jump: Ints,
    branch: Ints,
    which: Floats,
    tip: Ints,
    at: Floats,
    ahead: Floats,
    turn: Floats,
    own: int,
    x: Floats,
    y: Floats,
    scale: float,
    C: Floats,
    kappa: float,
    out: Floats,
) -> None:
    """Add −∫ P_1j q,j dA to `out` (load, mode)."""
    shapes, sizes = np.empty((MOST_PIECES, MOST_CORNERS, 2)), np.empty(MOST_PIECES, np.int64)
    ids, corner = np.empty(MOST, np.int64), np.empty(MOST, np.int64)
    shifts, field = np.empty((4, BRANCHES)), np.empty((MOST, 3))
    points, aux, slope = np.empty((MOST_POINTS, 4)), np.empty((2, 2, 2)), np.empty((2, 2))
    for e in range(len(elements)):
        if weight[e].min() == weight[e].max():
            continue
        nodes, box = corner_nodes[e], rectangle(elements[e], x, y)
        count = listed(nodes, jump, branch, ids, corner)
        at_nodes(nodes, which, tip, x, y, at, ahead, turn, scale, shifts)
        k = np.searchsorted(cut, elements[e])
        if k < len(cut) and cut[k] == elements[e]:
            crossing = segment[offset[k] : offset[k + 1]]
            total = gathered(box, path, crossing, at[own], shapes, sizes, points)
        else:
            middle = side(0.5 * (box[0] + box[2]), 0.5 * (box[1] + box[3]), path)
            total = flat(box, middle, points)
        for p in range(total):
            functions(
                points[p], box, nodes, jump, which, tip, at, ahead, turn, scale, shifts, field
            )
            qx, qy = 0.0, 0.0
            for c in range(4):
                qx += weight[e, c] * field[c, 1]
                qy += weight[e, c] * field[c, 2]
            q0 = qx * ahead[own, 0] + qy * ahead[own, 1]
            q1 = qy * ahead[own, 0] - qx * ahead[own, 1]
            _auxiliary(points[p], at[own], ahead[own], turn[own], C[2], kappa, aux)
            for load in range(2):
                _slope(field, count, ids, u[e], unknowns, load, ahead[own], slope)
                for mode in range(2):
                    out[load, mode] -= points[p, 2] * _flux(slope, aux[mode], q0, q1, C)


@njit(cache=True, nogil=True)
def _over_faces(
    elements: Ints,
    corner_nodes: Ints,
    weight: Floats,
    u: Floats,
    unknowns: Floats,
    cut: Ints,
    offset: Ints,
    segment: Ints,
    path: Floats,
    jump: Ints,
    branch: Ints,
    which: Floats,
    tip: Ints,
    at: Floats,
    ahead: Floats,
    turn: Floats,
    own: int,
    x: Floats,
    y: Floats,
    scale: float,
    C: Floats,
    kappa: float,
    out: Floats,
) -> None:
    """Add ∫ P_1j m_j q ds over the faces of all segments but the tip's own to `out`."""
    ids, corner = np.empty(MOST, np.int64), np.empty(MOST, np.int64)
    shifts, field = np.empty((4, BRANCHES)), np.empty((MOST, 3))
    aux, slope, point = np.empty((2, 2, 2)), np.empty((2, 2)), np.empty(4)
    straight = len(path) - 2 if turn[own] > 0.0 else 0
    for e in range(len(elements)):
        k = np.searchsorted(cut, elements[e])
        if k == len(cut) or cut[k] != elements[e]:
            continue
        nodes, box = corner_nodes[e], rectangle(elements[e], x, y)
        count = listed(nodes, jump, branch, ids, corner)
        at_nodes(nodes, which, tip, x, y, at, ahead, turn, scale, shifts)
        for s in segment[offset[k] : offset[k + 1]]:
            low, high = _within(path[s], path[s + 1], box)
            if s == straight or high <= low:
                continue
            dx, dy = path[s + 1, 0] - path[s, 0], path[s + 1, 1] - path[s, 1]
            for g in range(2 * len(FLAT)):
                along = low + FLAT[g // 2] * (high - low)
                point[0], point[1] = path[s, 0] + along * dx, path[s, 1] + along * dy
                point[2] = FLAT_WEIGHT[g // 2] * (high - low)
                point[3] = 1.0 if g % 2 else -1.0
                functions(
                    point, box, nodes, jump, which, tip, at, ahead, turn, scale, shifts, field
                )
                q = 0.0
                for c in range(4):
                    q += point[2] * weight[e, c] * field[c, 0]
                mx, my = point[3] * dy * q, -point[3] * dx * q  # out of the material, times length
                m0 = mx * ahead[own, 0] + my * ahead[own, 1]
                m1 = my * ahead[own, 0] - mx * ahead[own, 1]
                _auxiliary(point, at[own], ahead[own], turn[own], C[2], kappa, aux)
                for load in range(2):
                    _slope(field, count, ids, u[e], unknowns, load, ahead[own], slope)
                    _freed(slope, m0, m1, C)
                    for mode in range(2):
                        out[load, mode] += _flux(slope, aux[mode], m0, m1, C)


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


@njit(cache=True, nogil=True)
def _auxiliary(
    point: Floats, at: Floats, ahead: Floats, turn: float, mu: float, kappa: float, out: Floats
) -> None:
    """Displacement gradients (mode, component, direction) at K = 1 in the axes of the tip.

    M. L. Williams, J. Appl. Mech. 24 (1957) 109: u = √(r/2π)/(2μ) g(θ).
    """
    r, theta = polar(point[0], point[1], point[3], at, ahead, turn)
    factor = 1.0 / (2.0 * mu * math.sqrt(2.0 * math.pi * r))
    sin, cos = math.sin(theta), math.cos(theta)
    s, c = math.sin(0.5 * theta), math.cos(0.5 * theta)
    g = (c * (kappa - cos), s * (kappa - cos), s * (kappa + 2.0 + cos), -c * (kappa - 2.0 + cos))
    dg = (
        -0.5 * s * (kappa - cos) + c * sin,
        0.5 * c * (kappa - cos) + s * sin,
        0.5 * c * (kappa + 2.0 + cos) - s * sin,
        0.5 * s * (kappa - 2.0 + cos) + c * sin,
    )
    for k in range(4):
        out[k // 2, k % 2, 0] = factor * (0.5 * cos * g[k] - sin * dg[k])
        out[k // 2, k % 2, 1] = factor * (0.5 * sin * g[k] + cos * dg[k])


@njit(cache=True, nogil=True)
def _slope(
    field: Floats,
    count: int,
    ids: Ints,
    u: Floats,
    unknowns: Floats,
    load: int,
    ahead: Floats,
    out: Floats,
) -> None:
    """The displacement gradient (component, direction) in the axes of the tip."""
    xx, xy, yx, yy = 0.0, 0.0, 0.0, 0.0
    for k in range(count):
        if k < 4:
            ux, uy = u[k, 0, load], u[k, 1, load]
        else:
            ux, uy = unknowns[ids[k], 0, load], unknowns[ids[k], 1, load]
        xx += ux * field[k, 1]
        xy += ux * field[k, 2]
        yx += uy * field[k, 1]
        yy += uy * field[k, 2]
    c, s = ahead[0], ahead[1]
    ax, ay, bx, by = c * xx + s * yx, c * xy + s * yy, c * yx - s * xx, c * yy - s * xy
    out[0, 0], out[0, 1] = c * ax + s * ay, c * ay - s * ax
    out[1, 0], out[1, 1] = c * bx + s * by, c * by - s * bx


@njit(cache=True, nogil=True)
def _freed(u: Floats, m0: float, m1: float, C: Floats) -> None:
    """Replace a gradient by that of a free face along which the displacement changes likewise.

    With t along the face: u_m,t = −u_t,m for lack of shear, u_m,m = −C12/C11 u_t,t of normal
    stress. What the mesh says across the face is the least reliable part of its answer.
    """
    size = math.hypot(m0, m1)
    if size == 0.0:
        return
    a, b = m0 / size, m1 / size  # m; t = (−b, a)
    x, y = -b * u[0, 0] + a * u[0, 1], -b * u[1, 0] + a * u[1, 1]  # u,t
    stretch, turn = -b * x + a * y, a * x + b * y  # u_t,t and u_m,t
    thinning = -C[1] / C[0] * stretch  # u_m,m
    tt, tm, mt, mm = stretch, -turn, turn, thinning  # u_t,t u_t,m u_m,t u_m,m
    u[0, 0] = b * b * tt - a * b * (tm + mt) + a * a * mm
    u[0, 1] = -a * b * tt - b * b * tm + a * a * mt + a * b * mm
    u[1, 0] = -a * b * tt + a * a * tm - b * b * mt + a * b * mm
    u[1, 1] = a * a * tt + a * b * (tm + mt) + b * b * mm


@njit(cache=True, nogil=True)
def _flux(u: Floats, v: Floats, n0: float, n1: float, C: Floats) -> float:
    """P_1j n_j of the gradients `u` and `v`."""
    xx, yy = C[0] * u[0, 0] + C[1] * u[1, 1], C[1] * u[0, 0] + C[0] * u[1, 1]
    xy = C[2] * (u[0, 1] + u[1, 0])
    vxx, vyy = C[0] * v[0, 0] + C[1] * v[1, 1], C[1] * v[0, 0] + C[0] * v[1, 1]
    vxy = C[2] * (v[0, 1] + v[1, 0])
    energy = xx * v[0, 0] + yy * v[1, 1] + xy * (v[0, 1] + v[1, 0])
    first = (xx * v[0, 0] + xy * v[1, 0]) * n0 + (xy * v[0, 0] + yy * v[1, 0]) * n1
    second = (vxx * u[0, 0] + vxy * u[1, 0]) * n0 + (vxy * u[0, 0] + vyy * u[1, 0]) * n1
    return float(energy * n0 - first - second)
