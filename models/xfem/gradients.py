"""Displacement gradients in the axes of a tip: of the auxiliary fields, and of the solution.

Rows are components, columns directions; the first axis of a tip points ahead, the second to the
left of it.
"""

from __future__ import annotations

import math

from numba import njit

from models.xfem.crack import Tip, polar
from models.xfem.elasticity import Moduli
from models.xfem.grid import Floats


@njit(cache=True, nogil=True)
def auxiliary(point: Floats, tip: Tip, moduli: Moduli, out: Floats) -> None:
    """Those of K = 1 at `point` (x, y, weight, side) into `out` (mode, component, direction).

    M. L. Williams, J. Appl. Mech. 24 (1957) 109: u = √(r/2π)/(2μ) g(θ).
    """
    kappa = moduli.kappa
    r, theta = polar(point[0], point[1], point[3], tip)
    factor = 1.0 / (2.0 * moduli.C33 * math.sqrt(2.0 * math.pi * r))
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
def slope(value: Floats, u: Floats, load: int, ahead: Floats, out: Floats) -> None:
    """That of the solution into `out`, by `value` (n, 3) of the functions of a `Basis`.

    `u` (n, 2, 2) are displacements of these functions by component and load [m/Pa].
    """
    xx, xy, yx, yy = 0.0, 0.0, 0.0, 0.0
    for k in range(len(value)):
        ux, uy = u[k, 0, load], u[k, 1, load]
        xx += ux * value[k, 1]
        xy += ux * value[k, 2]
        yx += uy * value[k, 1]
        yy += uy * value[k, 2]
    c, s = ahead[0], ahead[1]
    ax, ay, bx, by = c * xx + s * yx, c * xy + s * yy, c * yx - s * xx, c * yy - s * xy
    out[0, 0], out[0, 1] = c * ax + s * ay, c * ay - s * ax
    out[1, 0], out[1, 1] = c * bx + s * by, c * by - s * bx


@njit(cache=True, nogil=True)
def freed(u: Floats, m0: float, m1: float, moduli: Moduli) -> None:
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
    thinning = -moduli.C12 / moduli.C11 * stretch  # u_m,m
    tt, tm, mt, mm = stretch, -turn, turn, thinning  # u_t,t u_t,m u_m,t u_m,m
    u[0, 0] = b * b * tt - a * b * (tm + mt) + a * a * mm
    u[0, 1] = -a * b * tt - b * b * tm + a * a * mt + a * b * mm
    u[1, 0] = -a * b * tt + a * a * tm - b * b * mt + a * b * mm
    u[1, 1] = a * a * tt + a * b * (tm + mt) + b * b * mm


@njit(cache=True, nogil=True)
def flux(u: Floats, v: Floats, n0: float, n1: float, moduli: Moduli) -> float:
    """P_1j n_j of the gradients `u` and `v` of two fields; see `models.xfem.integral`."""
    C11, C12, C33 = moduli.C11, moduli.C12, moduli.C33
    xx, yy = C11 * u[0, 0] + C12 * u[1, 1], C12 * u[0, 0] + C11 * u[1, 1]
    xy = C33 * (u[0, 1] + u[1, 0])
    vxx, vyy = C11 * v[0, 0] + C12 * v[1, 1], C12 * v[0, 0] + C11 * v[1, 1]
    vxy = C33 * (v[0, 1] + v[1, 0])
    energy = xx * v[0, 0] + yy * v[1, 1] + xy * (v[0, 1] + v[1, 0])
    first = (xx * v[0, 0] + xy * v[1, 0]) * n0 + (xy * v[0, 0] + yy * v[1, 0]) * n1
    second = (vxx * u[0, 0] + vxy * u[1, 0]) * n0 + (vxy * u[0, 0] + vyy * u[1, 0]) * n1
    return float(energy * n0 - first - second)
