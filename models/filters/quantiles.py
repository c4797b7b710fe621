"""What is told of particles: quantiles, means and standard deviations, each row for itself."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ROUNDING = 1e-9  # of the place of a quantile among values


def quantiles(value: Floats, probability: Floats, low: Floats, high: Floats) -> Floats:
    """Quantiles (n, k) of values (n, p), all as likely, at probabilities (k,).

    Between two values it is interpolated. What is at `low` (n,) or below it, or at `high` (n,) or
    beyond it, has come to an end: a quantile between such a value and another is that end. So the
    median is at its end where at least half of an even number of values are. ∞ may be an end.
    """
    p, ordered = value.shape[1], np.sort(value, axis=1)
    place = np.clip(probability * p - 0.5, 0.0, p - 1.0)
    first = np.floor(place + ROUNDING).astype(np.int64)
    share = np.where(place - first > ROUNDING, place - first, 0.0)
    below, above = ordered[:, first], ordered[:, np.minimum(first + 1, p - 1)]
    with np.errstate(invalid="ignore"):  # ∞ − ∞, which is not taken
        between = below + share * (above - below)
    between = np.where(above >= high[:, None], above, between)
    found: Floats = np.where((share == 0.0) | (below <= low[:, None]), below, between)
    return found


@njit(cache=True, nogil=True)
def _mean_and_sd(value: Floats, among: NDArray[np.bool_], mean: Floats, sd: Floats) -> None:
    for i in range(len(value)):
        count, total, square = 0, 0.0, 0.0
        for j in range(value.shape[1]):
            if among[i, j]:
                count += 1
                total += value[i, j]
        if count == 0:
            continue
        mean[i] = total / count
        for j in range(value.shape[1]):
            if among[i, j]:
                square += (value[i, j] - mean[i]) ** 2
        sd[i] = np.sqrt(square / count)


def mean_and_sd(value: Floats, among: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Means and standard deviations (n,) of those values (n, p) that count; 0 where none does."""
    mean, sd = np.zeros(len(value)), np.zeros(len(value))
    _mean_and_sd(value, among, mean, sd)
    return mean, sd
