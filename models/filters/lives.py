"""How long particles last, in compiled code: from a table of what the median one takes.

A particle goes on with its factor to the end of its cell; the factors of the cells ahead are a
Gaussian process of first order that goes on from there. What they make of the way ahead is taken as
a lognormal number with the mean and the variance of that sum (Fenton 1960); of the variance of e^w
a share as large as the correlation counts, which is exact for small scatter and too much for large.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.compiled import part, stamp

Floats = NDArray[np.float64]

_njit: Any = njit(nogil=True, error_model="numpy")  # found in the cache with `_lives` alone

FORGOTTEN = 1e-4  # of ln of a factor, that is no longer told from none


@part
def _ahead(x0: float, width: float, slowness: Floats, out: Floats) -> None:
    """Integrals from each point to the last, of the parabola through it and its neighbours."""
    m = len(slowness)
    out[m - 1] = 0.0
    for k in range(m - 2, -1, -1):
        here, there = slowness[k], slowness[k + 1]
        straight = 0.5 * width * (here + there)
        bend = 0.0
        if k > 0:
            bend = slowness[k - 1] - 2.0 * here + there
        elif m > 2:
            bend = here - 2.0 * there + slowness[2]
        piece = straight - width * bend / 12.0
        out[k] = out[k + 1] + (piece if 0.0 <= piece < math.inf else straight)


@part
def _left(x: float, x0: float, width: float, slowness: Floats, ahead: Floats) -> float:
    """What the median one takes from `x` to the last point; ∞: it does not grow there.

    Where growth begins between two points, it is taken to have begun.
    """
    at = (x - x0) / width
    if not at < len(ahead) - 1:
        return 0.0
    k = max(int(at), 0)
    part_ = at - k
    f0, f1 = slowness[k], slowness[k + 1]
    if not f0 < math.inf:
        return ahead[k + 1] + width * (1.0 - part_) * f1
    done = width * part_ * (f0 + 0.5 * part_ * (f1 - f0))
    return max(ahead[k] - done, 0.0) if ahead[k] < math.inf else math.inf


@part
def _life(
    now: float, cell: int, edges: Floats, stays: float, half: Floats, variance: float,
    growth: float, local: float, score: float,
) -> float:  # fmt: skip
    """Cycles of a particle `now` cycles of factor 1 before the end; `edges` before it, by cell."""
    if not 0.0 < now < math.inf:
        return now
    following = edges[min(cell + 1, len(edges) - 1)]
    first = (now - following) * math.exp(-local) if following < now else 0.0
    mean, beside, alone, together, kept = 0.0, 0.0, 0.0, 0.0, 1.0
    for c in range(cell + 1, len(edges) - 1):
        way = edges[c] - edges[c + 1]
        kept *= stays
        if abs(kept * local) > FORGOTTEN:
            way *= math.exp(-kept * local)
        way *= half[c - cell]
        mean += way
        together += way * (way + 2.0 * stays * beside)
        beside = stays * beside + way
        alone += way * kept
    if not mean > 0.0:
        return first * math.exp(-growth)
    spread = math.log1p(variance * max(together - alone * alone, 0.0) / (mean * mean))
    rest = mean * math.exp(math.sqrt(spread) * score - 0.5 * spread)
    return (first + rest) * math.exp(-growth)


@_njit
def _all_lives(
    x: Floats, x0: Floats, width: Floats, slowness: Floats, cell: float, growth: Floats,
    local: Floats, score: Floats, sd: Floats, length: Floats, out: Floats,
) -> None:  # fmt: skip
    n, m = slowness.shape
    ahead = np.empty(m)
    for i in range(n):
        _ahead(x0[i], width[i], slowness[i], ahead)
        end = x0[i] + (m - 1) * width[i]
        first = math.floor(x0[i] / cell)
        count = max(math.ceil(end / cell) - first, 0) + 1
        edges, half = np.empty(count), np.empty(count)
        stays = math.exp(-cell / length[i])
        for c in range(count):
            at = (first + c) * cell
            edges[c] = 0.0 if at >= end else _left(at, x0[i], width[i], slowness[i], ahead)
            half[c] = math.exp(0.5 * sd[i] ** 2 * (1.0 - stays ** (2 * c)))
        variance = math.expm1(sd[i] ** 2)
        for j in range(x.shape[1]):
            now = _left(x[i, j], x0[i], width[i], slowness[i], ahead)
            own = math.floor(x[i, j] / cell) - first
            out[i, j] = _life(
                now, max(own, 0), edges, stays, half, variance,
                growth[i, j], local[i, j], score[i, j],
            )  # fmt: skip


def _compiled(sources: int) -> Any:  # noqa: ANN401  a dispatcher
    @njit(cache=True, nogil=True, error_model="numpy")
    def all_lives(
        x: Floats, x0: Floats, width: Floats, slowness: Floats, cell: float, growth: Floats,
        local: Floats, score: Floats, sd: Floats, length: Floats, out: Floats,
    ) -> None:  # fmt: skip
        if sources >= 0:
            _all_lives(x, x0, width, slowness, cell, growth, local, score, sd, length, out)

    return all_lives


_lives = _compiled(stamp("compiled", "filters/lives"))


def lives(
    x: Floats, x0: Floats, width: Floats, slowness: Floats, cell: float, growth: Floats,
    local: Floats, score: Floats, sd: Floats, length: Floats,
) -> Floats:  # fmt: skip
    """Cycles (n, p) that particles at `x` (n, p) take to the last of the points.

    `slowness` (n, m) is what the median one takes for a unit of x at the points `x0` + k `width`,
    both (n,). `growth` (n, p) is ln of the factor that stays, `local` of the one that wanders with
    the standard deviation `sd` and over the `length`, both (n,), constant in each `cell` of x;
    `score` (n, p), standard normal, is what comes of that one.
    """
    out = np.empty(x.shape)
    _lives(x, x0, width, slowness, cell, growth, local, score, sd, length, out)
    return out
