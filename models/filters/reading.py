"""What a measured length says of particles, in compiled code.

An ensemble adjustment filter (Anderson 2001): belief and reading together give the mean and the
variance of ln of the length, and all particles are moved so that they have both; what else a
particle has moves with its length, by regression over the particles. Nothing is drawn, weighed or
resampled, so that no particle is lost, no parameter collapses, and a reading far more exact than
what is believed leaves no single particle. Where all is normal it is a Kalman filter.

The error of a reading is normal and additive. Where both together are densest is found by the
iterated Kalman filter (Bell and Cathey 1993), mean and variance by sums about it.

A reading can be wrong altogether: then it says nothing. How likely that is, and how far a wrong one
may lie, is part of what it says: so many particles stay as they are. Those that have come to an end
cannot be what was measured short of it: others stand in for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.compiled import part, stamp
from models.filters.draws import uniform

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_njit: Any = njit(nogil=True, error_model="numpy")  # found in the cache with `_assimilate` alone

WIDE = 1.5  # standard deviation of ln of a wrong reading about what is believed
SURELY_WRONG = 1e-6  # probability that a reading is right, up to which it changes nothing
LARGEST_STEP = 1.0  # of ln of the length, in an iteration
ITERATIONS = 50
STEP, STEPS = 0.4, 20  # of a standard deviation, to each side: what sums instead of integrals take
CERTAIN = 1e-12  # standard deviation of ln of a length about which nothing is left to learn
# What a draw is for, beyond the cells of a crack
AT_FIRST, WRONG, ANEW, REDRAWN = (2**24 + 8 * k for k in range(4))


class Ensemble(NamedTuple):
    """Particles of which a quantity is measured; the first three are written, (n, p)."""

    x: Floats  # ln of what is measured
    first: Floats  # a parameter
    second: Floats  # another
    end: Floats  # (n,) of x: particles there have come to an end
    key: Ints  # (n,)


class Readings(NamedTuple):
    """One of each row, (n,)."""

    row: Ints  # of the ensemble
    value: Floats  # above 0
    sd: Floats  # of its error, above 0
    wrong: Floats  # probability that it is wrong altogether
    epoch: Ints  # by which the line is known


@part
def _log_density(off: float, variance: float) -> float:
    return -0.5 * (off * off / variance + math.log(2.0 * math.pi * variance))


@part
def _added(one: float, other: float) -> float:
    """ln(e^one + e^other)."""
    high, low = max(one, other), min(one, other)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


@part
def _densest(mean: float, variance: float, value: float, sd: float) -> float:
    """Ln of the length where belief and a right reading together are densest."""
    x = mean
    for _ in range(ITERATIONS):
        length = math.exp(x)
        gain = variance * length / (length * length * variance + sd * sd)
        step = mean + gain * (value - length - length * (mean - x)) - x
        x += min(max(step, -LARGEST_STEP), LARGEST_STEP)
        if abs(step) < 1e-12:
            break
    return x


@part
def _after(mean: float, variance: float, value: float, sd: float) -> tuple[float, float, float]:
    """Mean and variance of ln of the length after a right reading, and ln of its density."""
    x = _densest(mean, variance, value, sd)
    width = STEP / math.sqrt(1.0 / variance + (math.exp(x) / sd) ** 2)
    highest = _log_density(x - mean, variance) + _log_density(value - math.exp(x), sd * sd)
    total = first = second = 0.0
    for k in range(-STEPS, STEPS + 1):
        at = x + k * width
        both = _log_density(at - mean, variance) + _log_density(value - math.exp(at), sd * sd)
        weight = math.exp(both - highest)
        total += weight
        first += weight * k
        second += weight * k * k
    first, second = first / total, second / total
    return x + first * width, (second - first * first) * width**2, highest + math.log(total * width)


@_njit
def _moments(x: Floats, other: Floats, end: float) -> tuple[int, float, float, float]:
    """How many have not come to an end; their mean, variance, and covariance with `other`."""
    count, mean, mean_other, variance, covariance = 0, 0.0, 0.0, 0.0, 0.0
    for j in range(len(x)):
        if x[j] < end:
            count += 1
            mean += x[j]
            mean_other += other[j]
    if count == 0:
        return 0, 0.0, 0.0, 0.0
    mean, mean_other = mean / count, mean_other / count
    for j in range(len(x)):
        if x[j] < end:
            variance += (x[j] - mean) ** 2 / count
            covariance += (x[j] - mean) * (other[j] - mean_other) / count
    return count, mean, variance, covariance


@_njit
def _all_of_them(ensemble: Ensemble, readings: Readings, moved: NDArray[np.bool_]) -> None:
    p = ensemble.x.shape[1]
    was = np.empty(p)
    for n in range(len(readings.row)):
        i, value, sd, wrong = readings.row[n], readings.value[n], readings.sd[n], readings.wrong[n]
        x, end = ensemble.x[i], ensemble.end[i]
        count, mean, variance, first = _moments(x, ensemble.first[i], end)
        if count == 0 or not variance > CERTAIN**2:
            continue
        second = _moments(x, ensemble.second[i], end)[3]
        middle, left, density = _after(mean, variance, value, sd)
        whole = math.log(count / p) + density
        ended = -math.inf  # ln of the density of the reading where it has come to an end
        if count < p:
            off = min(value - math.exp(end), 0.0)
            ended = math.log(1.0 - count / p) + _log_density(off, sd * sd)
        right = math.log1p(-wrong) + _added(whole, ended)
        no = -math.inf
        if wrong > 0.0:
            off = math.log(value) - mean
            no = math.log(wrong) + _log_density(off, WIDE * WIDE) - math.log(value)
        right = math.exp(right - _added(right, no)) if right > -math.inf else 0.0
        if right < SURELY_WRONG:
            continue
        moved[n] = True
        shrink = math.sqrt(left / variance)
        was[:] = x
        for j in range(p):
            if was[j] < end and uniform(ensemble.key[i], readings.epoch[n], j, WRONG) < right:
                x[j] = min(middle + shrink * (was[j] - mean), end)
                by = (x[j] - was[j]) / variance
                ensemble.first[i, j] += first * by
                ensemble.second[i, j] += second * by
        if count < p:
            excluded = -math.expm1(min(ended - _added(whole, ended) - math.log(1 - count / p), 0.0))
            _stand_in(ensemble, i, readings.epoch[n], was, right * excluded)


@_njit
def _stand_in(ensemble: Ensemble, i: int, epoch: int, was: Floats, chance: float) -> None:
    """Replace those that had come to an end, with a `chance` each, by the others in turn."""
    p, end, key = len(was), ensemble.end[i], ensemble.key[i]
    k = int(p * uniform(key, epoch, p, WRONG))
    for j in range(p):
        if was[j] >= end and uniform(key, epoch, j, WRONG) < chance:
            while was[k % p] >= end:
                k += 1
            for leaf in (ensemble.x[i], ensemble.first[i], ensemble.second[i]):
                leaf[j] = leaf[k % p]
            k += 1


def _compiled(sources: int) -> Callable[[Ensemble, Readings, NDArray[np.bool_]], None]:
    @njit(cache=True, nogil=True, error_model="numpy")
    def assimilated(ensemble: Ensemble, readings: Readings, moved: NDArray[np.bool_]) -> None:
        if sources >= 0:
            _all_of_them(ensemble, readings, moved)

    return assimilated


_assimilate = _compiled(stamp("compiled", "filters/draws", "filters/reading"))


def assimilate(ensemble: Ensemble, readings: Readings) -> NDArray[np.bool_]:
    """Let readings act on their rows, in place; of which rows particles were moved."""
    moved = np.zeros(len(readings.row), np.bool_)
    _assimilate(ensemble, readings, moved)
    return moved
