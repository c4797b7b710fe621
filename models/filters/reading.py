"""What a measured length says of particles, in compiled code.

An ensemble adjustment filter (Anderson 2001): belief and reading together give the mean and the
variance of ln of the length, and all particles are moved so that they have both; what else a
particle has moves with its length, by regression over the particles, less what chance makes of it.
Nothing is weighed or resampled, so that no parameter collapses, and a reading far more exact than
what is believed leaves no single particle. Where all is normal it is a Kalman filter.

The error of a reading is normal and additive. Where both together are densest is found by the
iterated Kalman filter (Bell and Cathey 1993), mean and variance by sums about it.

A reading can be wrong altogether: then it says nothing. How likely that is, and how far a wrong one
may lie, is part of what it says: so many particles stay as they are. Those that have come to an end
are not what was measured short of it: others stand in for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.compiled import part, stamp
from models.filters.draws import normal, uniform

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_njit: Any = njit(nogil=True, error_model="numpy")  # found in the cache with `_assimilate` alone

WIDE = 1.5  # standard deviation of ln of a wrong reading about what is believed
SURELY_WRONG = 1e-6  # probability that a reading is right, up to which it changes nothing
LARGEST_STEP = 1.0  # of ln of the length, in an iteration
ITERATIONS = 50
STEP, STEPS = 0.4, 20  # of a standard deviation, to each side: what sums instead of integrals take
NEARLY = -1e-3  # of ln of the length, from its end: so long is what was measured and is not there
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
def _moments(x: Floats, other: Floats, end: float) -> tuple[int, float, float, float, float]:
    """How many have not ended; their mean and variance, covariance with `other`, and its own."""
    count, mean, mean_other, variance, covariance, beside = 0, 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(len(x)):
        if x[j] < end:
            count += 1
            mean += x[j]
            mean_other += other[j]
    if count == 0:
        return 0, 0.0, 0.0, 0.0, 0.0
    mean, mean_other = mean / count, mean_other / count
    for j in range(len(x)):
        if x[j] < end:
            variance += (x[j] - mean) ** 2 / count
            covariance += (x[j] - mean) * (other[j] - mean_other) / count
            beside += (other[j] - mean_other) ** 2 / count
    return count, mean, variance, covariance, beside


@_njit
def _all_of_them(ensemble: Ensemble, readings: Readings, moved: NDArray[np.bool_]) -> None:
    was = np.empty(ensemble.x.shape[1])
    for n in range(len(readings.row)):
        i, value, sd, wrong = readings.row[n], readings.value[n], readings.sd[n], readings.wrong[n]
        x, end = ensemble.x[i], ensemble.end[i]
        count, mean, variance = _moments(x, x, end)[:3]
        if count == 0:
            continue
        was[:] = x
        epoch = readings.epoch[n]
        is_certain = not variance > CERTAIN**2
        if is_certain:
            middle, left = mean, math.log1p((sd / value) ** 2)
            density = _log_density(value - math.exp(mean), sd * sd)
        else:
            middle, left, density = _after(mean, variance, value, sd)
        right = _probability_right(density, wrong, value, mean)
        if right < SURELY_WRONG or (is_certain and count == len(x)):
            continue
        moved[n] = True
        longest = end if math.log(value) >= end else end + NEARLY
        if not is_certain:
            shrink = math.sqrt(left / variance)
            _draw_together(ensemble, i, epoch, was, right, shrink, middle - mean, mean, longest)
        if count < len(x) and longest < end:
            _stand_in(ensemble, i, epoch, was, count, middle, left, longest)


@_njit
def _draw_together(
    ensemble: Ensemble, i: int, epoch: int, was: Floats, right: float, shrink: float,
    shift: float, mean: float, longest: float,
) -> None:  # fmt: skip
    """Shift the particles that hold the reading for right, and draw them together."""
    x, end, believes = ensemble.x[i], ensemble.end[i], np.empty(len(was), np.bool_)
    for j in range(len(was)):
        believes[j] = was[j] < end and uniform(ensemble.key[i], epoch, j, WRONG) < right
    for leaf in (ensemble.first[i], ensemble.second[i]):
        _regress(leaf, was, end, believes, shrink, shift)
    for j in range(len(was)):
        if believes[j]:
            x[j] = min(mean + shift + shrink * (was[j] - mean), longest)


@part
def _probability_right(density: float, wrong: float, value: float, mean: float) -> float:
    """That a reading is right, by ln of its density if it is."""
    if not density > -math.inf:
        return 0.0
    if not wrong > 0.0:
        return 1.0
    yes = math.log1p(-wrong) + density
    no = math.log(wrong) + _log_density(math.log(value) - mean, WIDE * WIDE) - math.log(value)
    return math.exp(yes - _added(yes, no))


@_njit
def _regress(
    leaf: Floats, x: Floats, end: float, believes: NDArray[np.bool_], shrink: float, shift: float
) -> None:
    """Move a parameter with the lengths `x`, which shift and are drawn together.

    Of the correlation that the particles have, as much is left out as chance makes: else each of
    many readings would teach what no evidence says.
    """
    count, mean, variance, covariance, beside = _moments(x, leaf, end)
    if not beside > 0.0:
        return
    square = min(covariance * covariance / (variance * beside), 1.0)
    if not square > 0.0:
        return
    known = max(1.0 - (1.0 - square) / (square * max(count - 1, 1)), 0.0)
    slope = known * covariance / variance
    for j in range(len(x)):
        if believes[j]:
            leaf[j] += slope * (shift + (shrink - 1.0) * (x[j] - mean))


@_njit
def _stand_in(
    ensemble: Ensemble, i: int, epoch: int, was: Floats, count: int, middle: float, left: float,
    longest: float,
) -> None:  # fmt: skip
    """Put others in the place of those that had come to an end.

    Lengths are as believed after the reading; parameters are those of the others in turn, as unsure
    as the mean of so few is.
    """
    p, end, key = len(was), ensemble.end[i], ensemble.key[i]
    spread = 1.0 / math.sqrt(count)
    k = int(p * uniform(key, epoch, p, WRONG))
    for number, leaf in enumerate((ensemble.first[i], ensemble.second[i])):
        mean = square = 0.0
        for j in range(p):
            mean += leaf[j] / p
        for j in range(p):
            square += (leaf[j] - mean) ** 2 / p
        width, at = spread * math.sqrt(square), k
        for j in range(p):
            if was[j] >= end:
                while was[at % p] >= end:
                    at += 1
                leaf[j] = leaf[at % p] + width * normal(key, epoch, j, WRONG + 1 + number)
                at += 1
    for j in range(p):
        if was[j] >= end:
            z = normal(key, epoch, j, WRONG + 3)
            ensemble.x[i, j] = min(middle + math.sqrt(left) * z, longest)


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
