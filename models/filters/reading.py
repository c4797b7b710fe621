"""What a measured length says of particles, in compiled code.

A reading that tells the particles hardly apart changes their weights alone. One that is more exact
than what is believed, or leaves less than half of them of any worth, makes new ones: each particle stands for a normal kernel (Musso,
Oudjane and Le Gland 2001), whose centres are drawn together so far that all of them have the mean
and the covariance that the particles have (West 1993; Liu and West 2001). Kernels are updated
by the reading as in a Kalman filter, and particles drawn from them. So no parameter collapses, and
a reading far more exact than what is believed leaves no single particle.

A reading can be wrong altogether: then it says nothing. How likely that is, and how far a wrong
one may lie, is part of what it says.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.compiled import cached_part
from models.filters.draws import normal, uniform

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

KERNEL = 0.3  # width of a kernel, relative to the spread of all particles
ENOUGH = 0.5  # of the particles that have to be of worth for them to stay as they are
WIDE = 1.5  # standard deviation of ln of a wrong reading about what is believed
SURELY_WRONG = 1e-6  # probability that a reading is right, up to which it changes nothing
DIMENSIONS = 3
# What a draw is for, beyond the cells of a crack
START, WRONG, FIRST, SECOND, THIRD, AHEAD, AT_FIRST = (2**24 + k for k in range(7))


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


@cached_part
def _log_density(off: float, variance: float) -> float:
    return -0.5 * (off * off / variance + math.log(2.0 * math.pi * variance))


@cached_part
def _added(one: float, other: float) -> float:
    """ln(e^one + e^other)."""
    high, low = max(one, other), min(one, other)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


@njit(cache=True, nogil=True, error_model="numpy")
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


@njit(cache=True, nogil=True, error_model="numpy")
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


@cached_part
def _probability(log_right: float, wrong: float, value: float, about: float) -> float:
    """That a reading is right which has the density e^`log_right` if it is."""
    no = _wrong(wrong, value, about)
    return math.exp(math.log1p(-wrong) + log_right - _added(math.log1p(-wrong) + log_right, no))


@cached_part
def _wrong(wrong: float, value: float, about: float) -> float:
    """ln of the density of a wrong reading where lengths `about` are believed."""
    if not (wrong > 0.0 and value > 0.0 and about > 0.0):
        return -math.inf
    return math.log(wrong) + _log_density(math.log(value / about), WIDE * WIDE) - math.log(value)


@njit(cache=True, nogil=True, error_model="numpy")
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


@njit(cache=True, nogil=True, error_model="numpy")
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


@njit(cache=True, nogil=True, error_model="numpy")
def _assimilate(ensemble: Ensemble, readings: Readings, made: NDArray[np.bool_]) -> None:
    p = ensemble.x.shape[1]
    mean, cov = np.empty(DIMENSIONS), np.empty((DIMENSIONS, DIMENSIONS))
    root = np.empty((DIMENSIONS, DIMENSIONS))
    centre, weight = np.empty((p, DIMENSIONS)), np.empty(p)
    post, floor, new = np.empty((DIMENSIONS, DIMENSIONS)), np.empty(p), np.empty((p, DIMENSIONS))
    for n in range(len(readings.row)):
        i, value, variance = readings.row[n], readings.value[n], readings.sd[n] ** 2
        wrong, epoch, key = readings.wrong[n], readings.epoch[n], ensemble.key[readings.row[n]]
        x = ensemble.x[i]
        _moments(ensemble, i, mean, cov)
        worth = _weighed(x, ensemble.log_weight[i], value, variance, wrong, mean[0], weight)
        made[n] = worth < ENOUGH * p or variance < cov[0, 0]
        if not made[n]:
            ensemble.log_weight[i, :] = weight
            continue
        shrink = math.sqrt(1.0 - KERNEL * KERNEL)
        for j in range(p):
            centre[j, 0] = mean[0] + shrink * (x[j] - mean[0])
            centre[j, 1] = mean[1] + shrink * (ensemble.first[i, j] - mean[1])
            centre[j, 2] = mean[2] + shrink * (ensemble.second[i, j] - mean[2])
        all_of_them = _log_density(value - mean[0], cov[0, 0] + variance)
        cov *= KERNEL * KERNEL
        total, prior = cov[0, 0] + variance, ensemble.log_weight[i]
        near = _right(centre[:, 0], prior, value, total, weight)
        right = _probability(max(near, all_of_them), wrong, value, mean[0])
        if right < SURELY_WRONG:
            made[n] = False
            continue
        for r in range(DIMENSIONS):
            for s in range(DIMENSIONS):
                post[r, s] = cov[r, s] - cov[r, 0] * cov[0, s] / total
        start = uniform(key, epoch, 0, START)
        sure, unsure = math.exp(weight[0]), math.exp(prior[0])
        one = other = 0
        for j in range(p):
            mark = (j + start) / p
            while sure < mark and one < p - 1:
                one += 1
                sure += math.exp(weight[one])
            while unsure < mark and other < p - 1:
                other += 1
                unsure += math.exp(prior[other])
            is_right = uniform(key, epoch, j, WRONG) < right
            k = one if is_right else other
            _root(post if is_right else cov, root)
            z0, z1, z2 = (
                normal(key, epoch, j, FIRST),
                normal(key, epoch, j, SECOND),
                normal(key, epoch, j, THIRD),
            )
            off = (value - centre[k, 0]) / total if is_right else 0.0
            for r in range(DIMENSIONS):
                noise = root[r, 0] * z0 + root[r, 1] * z1 + root[r, 2] * z2
                new[j, r] = centre[k, r] + cov[r, 0] * off + noise
            floor[j] = ensemble.least[i, k]
            ensemble.parent[i, j] = k
        for j in range(p):
            ensemble.x[i, j] = min(max(new[j, 0], floor[j]), readings.most[n])
            ensemble.first[i, j], ensemble.second[i, j] = new[j, 1], new[j, 2]
            ensemble.least[i, j] = floor[j]
            ensemble.log_weight[i, j] = -math.log(p)


def assimilate(ensemble: Ensemble, readings: Readings) -> NDArray[np.bool_]:
    """Let readings act on their rows, in place; of which rows the particles are new ones."""
    made = np.zeros(len(readings.row), np.bool_)
    _assimilate(ensemble, readings, made)
    return made
