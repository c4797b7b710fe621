"""How long particles last, in compiled code: from a table of what the median one takes."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@njit(cache=True, nogil=True, error_model="numpy")
def _taken(width: Floats, slowness: Floats, out: Floats) -> None:
    """Integrals up to each point, of the parabola through it and its neighbours."""
    n, m = slowness.shape
    for i in range(n):
        out[i, 0] = 0.0
        for k in range(m - 1):
            f, h = slowness[i], width[i]
            here, there = f[k], f[k + 1]
            straight = 0.5 * h * (here + there)
            bend = f[k - 1] - 2.0 * here + there if k > 0 else 0.0
            if k == 0 and m > 2:
                bend = here - 2.0 * there + f[k + 2]
            piece = straight - h * bend / 12.0
            out[i, k + 1] = out[i, k] + (piece if 0.0 <= piece < math.inf else straight)


@njit(cache=True, nogil=True, error_model="numpy")
def _ahead(
    taken: Floats, width: float, first: int, sd: float, length: float
) -> tuple[float, float, float]:
    """What factors that wander make of the way from point `first` on.

    ln of the mean, what the present one counts, and the standard deviation of ln: all of e^−w, w a
    stationary Gaussian process of first order; to second order in `sd`.
    """
    m = len(taken)
    total = taken[m - 1] - taken[first]
    if not total > 0.0 or not total < math.inf:
        return 0.0, 1.0, 0.0
    stays = math.exp(-width / length)
    now, mean, reach, square, kept = 1.0, 0.0, 0.0, 0.0, 0.0
    for k in range(first, m - 1):
        share = (taken[k + 1] - taken[k]) / total
        mean += share * 0.5 * sd * sd * (1.0 - now * now)
        reach += share * now
        kept = kept * stays
        square += share * share + 2.0 * share * kept
        kept += share
        now *= stays
    return mean, reach, sd * math.sqrt(max(square - reach * reach, 0.0))


@njit(cache=True, nogil=True, error_model="numpy")
def _lives(
    x: Floats, x0: Floats, width: Floats, slowness: Floats, taken: Floats, growth: Floats,
    local: Floats, ahead: Floats, sd: Floats, length: Floats, out: Floats,
) -> None:  # fmt: skip
    n, m = taken.shape
    for i in range(n):
        middle = 0.0
        for j in range(x.shape[1]):
            middle += x[i, j] / x.shape[1]
        first = min(max(int((middle - x0[i]) / width[i]), 0), m - 2)
        mean, reach, spread = _ahead(taken[i], width[i], first, sd[i], length[i])
        for j in range(x.shape[1]):
            at = (x[i, j] - x0[i]) / width[i]
            if not at < m - 1:
                out[i, j] = 0.0
                continue
            k = max(int(at), 0)
            if not taken[i, m - 1] < math.inf:
                out[i, j] = math.inf
                continue
            part = at - k
            f0, f1 = slowness[i, k], slowness[i, k + 1]
            done = taken[i, k] + width[i] * part * (f0 + 0.5 * part * (f1 - f0))
            left = max(taken[i, m - 1] - done, 0.0)
            own = growth[i, j] + reach * local[i, j]
            shift = mean - 0.5 * spread * spread + spread * ahead[i, j]
            out[i, j] = left * math.exp(shift - own) if left > 0.0 else 0.0


def lives(
    x: Floats, x0: Floats, width: Floats, slowness: Floats, growth: Floats, local: Floats,
    ahead: Floats, sd: Floats, length: Floats,
) -> Floats:  # fmt: skip
    """Cycles (n, p) that particles at `x` (n, p) take to the last of the points.

    `slowness` (n, m) is what the median one takes for a unit of x at the points `x0` + k `width`,
    both (n,). `growth` (n, p) is ln of the factor that stays, `local` of the one that wanders with
    the standard deviation `sd` and over the `length`, both (n,); `ahead` (n, p), standard normal,
    is what comes of that one.
    """
    taken = np.empty_like(slowness)
    _taken(width, slowness, taken)
    out = np.empty(x.shape)
    _lives(x, x0, width, slowness, taken, growth, local, ahead, sd, length, out)
    return out
