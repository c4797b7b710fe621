"""What a measured length says of particles, in compiled code.

A reading that tells the particles hardly apart changes their weights alone. One that is more exact
than what is believed, or leaves less than half of them of any worth, makes new ones: each particle
stands for a normal kernel (Musso, Oudjane and Le Gland 2001), whose centres are drawn together so
far that all of them have the mean and the covariance that the particles have (West 1993; Liu and
West 2001). Kernels are updated by the reading as in a Kalman filter, and particles drawn from them.
So no parameter collapses, and a reading far more exact than what is believed leaves no single
particle.

A reading can be wrong altogether: then it says nothing. How likely that is, and how far a wrong
one may lie, is part of what it says.
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

KERNEL = 0.3  # width of a kernel, relative to the spread of all particles
ENOUGH = 0.5  # of the particles that have to be of worth for them to stay as they are
WIDE = 1.5  # standard deviation of ln of a wrong reading about what is believed
SURELY_WRONG = 1e-6  # probability that a reading is right, up to which it changes nothing
DIMENSIONS = 3
# What a draw is for, beyond the cells of a crack
START, WRONG, AHEAD, AT_FIRST, NOISE = (2**24 + 8 * k for k in range(5))


class Ensemble(NamedTuple):
    """Particles of which a quantity `x` is measured; all but the last are written, (n, p)."""

    x: Floats  # what is measured, above 0
    first: Floats  # a parameter
    second: Floats  # another
    log_weight: Floats  # normalised
    least: Floats  # `x` is never below
    parent: Ints  # who each came from
    key: Ints  # (n,)


class Readings(NamedTuple):
    """One of each row, (n,)."""

    row: Ints  # of the ensemble
    value: Floats
    sd: Floats  # of its error, above 0
    wrong: Floats  # probability that it is wrong altogether
    epoch: Ints  # by which the line is known
    most: Floats  # `x` is always below


@part
def _log_density(off: float, variance: float) -> float:
    return -0.5 * (off * off / variance + math.log(2.0 * math.pi * variance))


@part
def _added(one: float, other: float) -> float:
    """ln(e^one + e^other)."""
    high, low = max(one, other), min(one, other)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


@_njit
def _moments(ensemble: Ensemble, i: int, mean: Floats, cov: Floats) -> None:
    x, first, second, weight = (
        ensemble.x[i], ensemble.first[i], ensemble.second[i], ensemble.log_weight[i],
    )  # fmt: skip
    mean[:], cov[:] = 0.0, 0.0
    for j in range(len(x)):
        w = math.exp(weight[j])
        mean[0] += w * x[j]
        mean[1] += w * first[j]
        mean[2] += w * second[j]
    off = np.empty(DIMENSIONS)
    for j in range(len(x)):
        w = math.exp(weight[j])
        off[0], off[1], off[2] = x[j] - mean[0], first[j] - mean[1], second[j] - mean[2]
        for r in range(DIMENSIONS):
            for s in range(DIMENSIONS):
                cov[r, s] += w * off[r] * off[s]


@_njit
def _root(cov: Floats, root: Floats) -> None:
    """The lower root of a covariance that may lack a dimension."""
    root[:] = 0.0
    for r in range(DIMENSIONS):
        for s in range(r + 1):
            value = cov[r, s]
            for k in range(s):
                value -= root[r, k] * root[s, k]
            if r == s:
                root[r, r] = math.sqrt(value) if value > 1e-14 * cov[r, r] else 0.0
            elif root[s, s] > 0.0:
                root[r, s] = value / root[s, s]


@part
def _probability(log_right: float, wrong: float, value: float, about: float) -> float:
    """That a reading is right which has the density e^`log_right` if it is."""
    no = _wrong(wrong, value, about)
    return math.exp(math.log1p(-wrong) + log_right - _added(math.log1p(-wrong) + log_right, no))


@part
def _wrong(wrong: float, value: float, about: float) -> float:
    """Ln of the density of a wrong reading where lengths `about` are believed."""
    if not (wrong > 0.0 and value > 0.0 and about > 0.0):
        return -math.inf
    return math.log(wrong) + _log_density(math.log(value / about), WIDE * WIDE) - math.log(value)


@_njit
def _right(x: Floats, prior: Floats, value: float, variance: float, out: Floats) -> float:
    """Normalised log weights after a right reading in `out`; ln of its density."""
    highest, total = -math.inf, 0.0
    for j in range(len(x)):
        out[j] = prior[j] + _log_density(value - x[j], variance)
        highest = max(highest, out[j])
    if not highest > -math.inf:
        out[:] = prior
        return -math.inf
    for j in range(len(x)):
        total += math.exp(out[j] - highest)
    for j in range(len(x)):
        out[j] -= highest + math.log(total)
    return highest + math.log(total)


@_njit
def _weighed(
    x: Floats, prior: Floats, value: float, variance: float, wrong: float, about: float, out: Floats
) -> float:
    """Normalised log weights after a reading in `out`; how many particles these are worth."""
    no, yes, highest = _wrong(wrong, value, about), math.log1p(-wrong), -math.inf
    for j in range(len(x)):
        out[j] = prior[j] + _added(yes + _log_density(value - x[j], variance), no)
        highest = max(highest, out[j])
    if not highest > -math.inf:  # it excludes all of them: it says nothing
        out[:] = prior
        return float(len(x))
    total = square = 0.0
    for j in range(len(x)):
        w = math.exp(out[j] - highest)
        total += w
        square += w * w
    for j in range(len(x)):
        out[j] -= highest + math.log(total)
    return total * total / square


@_njit
def _all_of_them(ensemble: Ensemble, readings: Readings, made: NDArray[np.bool_]) -> None:
    p = ensemble.x.shape[1]
    mean, cov = np.empty(DIMENSIONS), np.empty((DIMENSIONS, DIMENSIONS))
    centre, weight = np.empty((p, DIMENSIONS)), np.empty(p)
    for n in range(len(readings.row)):
        i, value, variance = readings.row[n], readings.value[n], readings.sd[n] ** 2
        x, prior = ensemble.x[i], ensemble.log_weight[i]
        _moments(ensemble, i, mean, cov)
        worth = _weighed(x, prior, value, variance, readings.wrong[n], mean[0], weight)
        if worth >= ENOUGH * p and variance >= cov[0, 0]:
            prior[:] = weight
            continue
        _drawn_together(ensemble, i, mean, centre)
        gauss = _log_density(value - mean[0], cov[0, 0] + variance)
        cov *= KERNEL * KERNEL
        near = _right(centre[:, 0], prior, value, cov[0, 0] + variance, weight)
        right = _probability(max(near, gauss), readings.wrong[n], value, mean[0])
        made[n] = right >= SURELY_WRONG
        if made[n]:
            _renew(ensemble, readings, n, right, weight, centre, cov)


@_njit
def _drawn_together(ensemble: Ensemble, i: int, mean: Floats, centre: Floats) -> None:
    """The centres of the kernels: with these, all has the covariance of the particles."""
    shrink = math.sqrt(1.0 - KERNEL * KERNEL)
    for j in range(len(centre)):
        centre[j, 0] = mean[0] + shrink * (ensemble.x[i, j] - mean[0])
        centre[j, 1] = mean[1] + shrink * (ensemble.first[i, j] - mean[1])
        centre[j, 2] = mean[2] + shrink * (ensemble.second[i, j] - mean[2])


@_njit
def _renew(
    ensemble: Ensemble, readings: Readings, n: int, right: float, weight: Floats, centre: Floats,
    cov: Floats,
) -> None:  # fmt: skip
    """New particles: with the probability `right` from kernels after the reading, else before."""
    i, epoch, value = readings.row[n], readings.epoch[n], readings.value[n]
    key, prior, p = ensemble.key[i], ensemble.log_weight[i], len(weight)
    total = cov[0, 0] + readings.sd[n] ** 2
    after = np.empty((DIMENSIONS, DIMENSIONS))
    for r in range(DIMENSIONS):
        for s in range(DIMENSIONS):
            after[r, s] = cov[r, s] - cov[r, 0] * cov[0, s] / total
    roots = np.empty((2, DIMENSIONS, DIMENSIONS))
    _root(after, roots[0])
    _root(cov, roots[1])
    floor, new, z = np.empty(p), np.empty((p, DIMENSIONS)), np.empty(DIMENSIONS)
    start = uniform(key, epoch, 0, START)
    sure, unsure, one, other = math.exp(weight[0]), math.exp(prior[0]), 0, 0
    for j in range(p):
        mark = (j + start) / p
        while sure < mark and one < p - 1:
            one += 1
            sure += math.exp(weight[one])
        while unsure < mark and other < p - 1:
            other += 1
            unsure += math.exp(prior[other])
        is_right = uniform(key, epoch, j, WRONG) < right
        k, root = (one, roots[0]) if is_right else (other, roots[1])
        off = (value - centre[k, 0]) / total if is_right else 0.0
        for r in range(DIMENSIONS):
            z[r] = normal(key, epoch, j, NOISE + r)
        for r in range(DIMENSIONS):
            new[j, r] = centre[k, r] + cov[r, 0] * off
            for s in range(r + 1):
                new[j, r] += root[r, s] * z[s]
        floor[j] = ensemble.least[i, k]
        ensemble.parent[i, j] = k
    for j in range(p):
        ensemble.x[i, j] = min(max(new[j, 0], floor[j]), readings.most[n])
        ensemble.first[i, j], ensemble.second[i, j] = new[j, 1], new[j, 2]
        ensemble.least[i, j] = floor[j]
        ensemble.log_weight[i, j] = -math.log(p)


def _compiled(sources: int) -> Callable[[Ensemble, Readings, NDArray[np.bool_]], None]:
    @njit(cache=True, nogil=True, error_model="numpy")
    def assimilated(ensemble: Ensemble, readings: Readings, made: NDArray[np.bool_]) -> None:
        if sources >= 0:
            _all_of_them(ensemble, readings, made)

    return assimilated


_assimilate = _compiled(stamp("compiled", "filters/draws", "filters/reading"))


def assimilate(ensemble: Ensemble, readings: Readings) -> NDArray[np.bool_]:
    """Let readings act on their rows, in place; of which rows the particles are new ones."""
    made = np.zeros(len(readings.row), np.bool_)
    _assimilate(ensemble, readings, made)
    return made
