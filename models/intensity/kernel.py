"""The stress-intensity operator row by row: what a row gets does not depend on its batch.

A matrix product of BLAS adds in an order that depends on its shape. Here rows go in blocks of a
fixed size, filled up, and every sum runs in the order of its inputs; there is nothing but
+ − × ÷ √ and no fastmath, so that each row is worked off alike, bit for bit, wherever it stands.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.intensity.features import CHECKS, EVEN, FRACTIONS, ODD

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]

BLOCK = 64  # rows; a multiple of every vector
COLUMNS = EVEN + ODD + CHECKS
NEARER = FRACTIONS[::-1]  # the point nearest to the tip first
CHORDS = len(FRACTIONS)


class OperatorWeights(NamedTuple):
    """The network's numbers; m members, q mixtures, h hidden.

    Numba's cache on disk names this class, and finds kernels by the lines that they begin at: who
    renames the class moves the kernels below by a line, or an upgraded service cannot start.
    """

    centre: Floats  # (EVEN,)
    scale: Floats  # (EVEN + ODD,)
    mix: Singles  # (m, ODD, q)
    w1: Singles  # (m, EVEN + q, h)
    b1: Singles  # (m, h)
    w2: Singles  # (m, h, h)
    b2: Singles  # (m, h)
    w3: Singles  # (m, h, 2 + 2 ODD)
    b3: Singles  # (m, 2 + 2 ODD)


@njit(cache=True, nogil=True, error_model="numpy")
def evaluated(
    path: Floats, nodes: Ints, width: Floats, weights: OperatorWeights
) -> tuple[Floats, Singles]:
    """What is seen of each row (n, COLUMNS), and the members' answers (n, members, 4)."""
    n, members = len(path), len(weights.mix)
    seen = np.full((n, COLUMNS), np.nan)
    found = np.empty((n, members, 4), np.float32)
    length = np.empty(path.shape[1])
    even, odd = np.zeros((EVEN, BLOCK), np.float32), np.zeros((ODD, BLOCK), np.float32)
    out = np.empty((4, BLOCK), np.float32)
    for start in range(0, n, BLOCK):
        count = min(BLOCK, n - start)
        for r in range(count):
            row = start + r
            if 2 <= nodes[row] <= path.shape[1]:
                _see(path[row], nodes[row], width[row], length, seen[row])
            for i in range(EVEN):
                even[i, r] = (seen[row, i] - weights.centre[i]) / weights.scale[i]
            for i in range(ODD):
                odd[i, r] = seen[row, EVEN + i] / weights.scale[EVEN + i]
        for m in range(members):
            _member(even, odd, weights, m, out)
            for r in range(count):
                for c in range(4):
                    found[start + r, m, c] = out[c, r]
    return seen, found


@njit(cache=True, nogil=True, error_model="numpy")
def _see(path: Floats, n: int, width: float, length: Floats, seen: Floats) -> None:
    """As `models.intensity.features.described`, of one row."""
    total, shortest, sharpest = 0.0, np.inf, 1.0
    bx, by = 0.0, 0.0
    for i in range(n - 2, -1, -1):
        dx = path[i + 1, 0] / width - path[i, 0] / width
        dy = path[i + 1, 1] / width - path[i, 1] / width
        length[i] = math.sqrt(dx * dx + dy * dy)
        total += length[i]
        shortest = _least(shortest, length[i])
        if i < n - 2:
            sharpest = _least(sharpest, (dx * bx + dy * by) / (length[i] * length[i + 1]))
        bx, by = dx, dy
    x, y = path[n - 1, 0] / width, path[n - 1, 1] / width
    ax = (x - path[n - 2, 0] / width) / length[n - 2]
    ay = (y - path[n - 2, 1] / width) / length[n - 2]
    seen[0], seen[1], seen[2] = x, total / x, ax
    seen[EVEN], seen[EVEN + 1], seen[EVEN + 2] = y, path[0, 1] / width, ay
    seen[EVEN + ODD], seen[EVEN + ODD + 1] = shortest, sharpest
    seen[EVEN + ODD + 2] = path[0, 0] / width
    i, behind = n - 2, 0.0
    for j in range(CHORDS):
        s = NEARER[j] * total
        while i > 0 and behind + length[i] < s:
            behind += length[i]
            i -= 1
        part = min((s - behind) / length[i], 1.0)
        ex, ey = path[i + 1, 0] / width, path[i + 1, 1] / width
        cx = x - ex + part * (ex - path[i, 0] / width)
        cy = y - ey + part * (ey - path[i, 1] / width)
        seen[3 + CHORDS - 1 - j] = (cx * ax + cy * ay) / s
        seen[EVEN + 3 + CHORDS - 1 - j] = (cx * ay - cy * ax) / s


@njit(cache=True, nogil=True, error_model="numpy")
def _least(known: float, other: float) -> float:
    """The smaller one; what is not a number stays so."""
    return known if known <= other or known != known else other


@njit(cache=True, nogil=True, error_model="numpy")
def _member(even: Singles, odd: Singles, weights: OperatorWeights, m: int, out: Singles) -> None:
    """The answers (4, BLOCK) of member `m`: tension I, II, shear I, II."""
    mixtures, hidden = weights.mix.shape[2], weights.w1.shape[2]
    z = np.empty((EVEN + mixtures, BLOCK), np.float32)
    first = np.empty((hidden, BLOCK), np.float32)
    second = np.empty((hidden, BLOCK), np.float32)
    head = np.empty((2 + 2 * ODD, BLOCK), np.float32)
    half = np.float32(0.5)
    z[:EVEN] = even
    mixed = z[EVEN:]
    _product(odd, weights.mix[m], np.zeros(mixtures, np.float32), mixed)
    for j in range(mixtures):
        for r in range(BLOCK):
            mixed[j, r] = half * (mixed[j, r] * mixed[j, r])
    _product(z, weights.w1[m], weights.b1[m], first)
    _bend(first)
    _product(first, weights.w2[m], weights.b2[m], second)
    _bend(second)
    _product(second, weights.w3[m], weights.b3[m], head)
    for r in range(BLOCK):
        out[0, r], out[3, r] = head[0, r], head[1, r]
        out[1, r], out[2, r] = np.float32(0.0), np.float32(0.0)
    for i in range(ODD):
        for r in range(BLOCK):
            out[1, r] += head[2 + i, r] * odd[i, r]
            out[2, r] += head[2 + ODD + i, r] * odd[i, r]


@njit(cache=True, nogil=True, error_model="numpy")
def _product(x: Singles, w: Singles, b: Singles, out: Singles) -> None:
    """A block of wᵀ x + b, four outputs at a time; x (i, BLOCK), w (i, j)."""
    inputs, outputs = w.shape
    for j in range(0, outputs - outputs % 4, 4):
        for r in range(BLOCK):
            out[j, r], out[j + 1, r] = b[j], b[j + 1]
            out[j + 2, r], out[j + 3, r] = b[j + 2], b[j + 3]
        for i in range(inputs):
            w0, w1, w2, w3 = w[i, j], w[i, j + 1], w[i, j + 2], w[i, j + 3]
            for r in range(BLOCK):
                out[j, r] += w0 * x[i, r]
                out[j + 1, r] += w1 * x[i, r]
                out[j + 2, r] += w2 * x[i, r]
                out[j + 3, r] += w3 * x[i, r]
    for j in range(outputs - outputs % 4, outputs):
        for r in range(BLOCK):
            out[j, r] = b[j]
        for i in range(inputs):
            for r in range(BLOCK):
                out[j, r] += w[i, j] * x[i, r]


@njit(cache=True, nogil=True, error_model="numpy")
def _bend(x: Singles) -> None:
    """½ (x + √(x² + 1)) in place: what bends, without a transcendental function."""
    half, one = np.float32(0.5), np.float32(1.0)
    for j in range(len(x)):
        for r in range(BLOCK):
            x[j, r] = half * (x[j, r] + math.sqrt(x[j, r] * x[j, r] + one))
