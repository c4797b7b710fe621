"""Weights of particles: in logarithms, each row for itself, in an order that no batch changes."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.filters.elementary import exp

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@njit(cache=True, nogil=True)
def _normalise(log_weight: Floats) -> None:
    for row in log_weight:
        highest = -math.inf
        for value in row:
            highest = max(highest, value)
        if not (-math.inf < highest < math.inf):  # nothing is told apart: all are as likely
            row[:] = -math.log(len(row))
            continue
        total = 0.0
        for value in row:
            total += math.exp(value - highest)
        shift = highest + math.log(total)
        for j in range(len(row)):
            row[j] -= shift


def normalised(log_weight: Floats) -> Floats:
    """Log weights (n, p) whose weights sum to 1; a row that excludes all, or is NaN, is even."""
    after = np.where(np.isnan(log_weight), -math.inf, log_weight)
    _normalise(after)
    return after


@njit(cache=True, nogil=True)
def _effective(log_weight: Floats, out: Floats) -> None:
    for i in range(len(log_weight)):
        total = 0.0
        for value in log_weight[i]:
            total += math.exp(2.0 * value)
        out[i] = 1.0 / total


def effective(log_weight: Floats) -> Floats:
    """How many particles (n,) the normalised log weights (n, p) are worth."""
    out = np.empty(len(log_weight))
    _effective(log_weight, out)
    return out


@njit(cache=True, nogil=True)
def _chosen(log_weight: Floats, start: Floats, out: Ints) -> None:
    p, many = log_weight.shape[1], out.shape[1]
    for i in range(len(log_weight)):
        reached, k = math.exp(log_weight[i, 0]), 0
        for j in range(many):
            mark = (j + start[i]) / many
            while reached < mark and k < p - 1:
                k += 1
                reached += math.exp(log_weight[i, k])
            out[i, j] = k


def resampled(log_weight: Floats, start: Floats, many: int) -> Ints:
    """Who each of `many` particles comes from (n, many): systematic resampling (Kitagawa 1996).

    `log_weight` (n, p) is normalised, `start` (n,) uniform within 0 … 1. A particle of weight w is
    chosen many·w times, rounded up or down, and so often in the mean.
    """
    out = np.empty((len(log_weight), many), np.int64)
    _chosen(log_weight, start, out)
    return out


@njit(cache=True, nogil=True)
def _quantiles(value: Floats, log_weight: Floats, probability: Floats, out: Floats) -> None:
    p = value.shape[1]
    middle = np.empty(p)
    for i in range(len(value)):
        order, before = np.argsort(value[i], kind="mergesort"), 0.0
        for j in range(p):
            weight = math.exp(log_weight[i, order[j]])
            middle[j] = before + 0.5 * weight
            before += weight
        j = 0
        for k in range(len(probability)):
            wanted = probability[k] * before
            while j < p and middle[j] < wanted:
                j += 1
            if j == 0:
                out[i, k] = value[i, order[0]]
            elif j == p:
                out[i, k] = value[i, order[p - 1]]
            else:
                low, high = value[i, order[j - 1]], value[i, order[j]]
                share = (wanted - middle[j - 1]) / (middle[j] - middle[j - 1])
                out[i, k] = low if low == high else low + share * (high - low)


def quantiles(value: Floats, log_weight: Floats, probability: Floats) -> Floats:
    """Quantiles (n, k) of weighted values (n, p) at rising probabilities (k,).

    Between the middles of the weights of two values it is interpolated; ∞ may be among the values:
    what lies between a number and ∞ is ∞.
    """
    out = np.empty((len(value), len(probability)))
    _quantiles(np.ascontiguousarray(value), log_weight, probability, out)
    return out


def mean_and_sd(value: Floats, log_weight: Floats) -> tuple[Floats, Floats]:
    """Weighted means and standard deviations (n,) of values (n, p), particle by particle."""
    mean, square = np.zeros(len(value)), np.zeros(len(value))
    weight = exp(log_weight)
    for j in range(value.shape[1]):
        mean += weight[:, j] * value[:, j]
    for j in range(value.shape[1]):
        square += weight[:, j] * (value[:, j] - mean) ** 2
    return mean, np.sqrt(square)
