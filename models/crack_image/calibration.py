"""Setting, from measurements whose truth is known, what is believed and how uncertain it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from models.crack_image.measures import Score
from models.crack_image.trust import (
    LENGTH,
    ODDS,
    TIP,
    TRUST,
    Doubts,
    Trust,
    chance_right,
    length_parts,
    length_sd,
    tip_parts,
)

Floats = NDArray[np.floating]

WRONG = 0.035  # share of the trusted measurements
WITHIN = 0.95  # of the errors of those that are right
TAIL = 3.0  # degrees of freedom of Student's distribution, which the errors are taken to follow
FEW = 20  # measurements by which nothing can be set: then none is trusted
LEAST, SHARES = (0.0, 4.0), (-7.0, 4.0)  # bounds of logarithms: of pixels, and of shares
WEIGHED = 3  # doubts by which the odds are set; the others told no more of what is wrong
STIFF = 0.001  # pull of the weights to zero
ROUNDS = 3


class ScoredMeasurement(NamedTuple):
    """A measurement of a picture whose crack is known, and how it turned out."""

    against: Doubts
    score: Score


def calibrated(found: Sequence[ScoredMeasurement], allowance: float = 1.0) -> Trust:
    """Odds, least chance and uncertainties from measurements, trusted or not, of known cracks.

    The odds of a right measurement are a logistic regression. The least chance is the smallest
    that leaves at most `WRONG` of the trusted measurements wrong. The parts of the standard
    deviations are the likeliest for errors of Student's distribution; then all are scaled to cover
    `WITHIN` of the errors of trusted measurements that are right, and by the allowance.
    """
    trust = _with_odds(found)
    for _ in range(ROUNDS):  # what is too uncertain is not trusted: one hangs on the other
        trust = trust._replace(chance=_least_chance(trust, found))
        good = [f for f in found if _is_trusted(trust, f) and f.score.is_right]
        if len(good) < FEW:
            return trust._replace(chance=1.0)
        trust = _with_lengths(trust, good, allowance)
        trust = _with_tips(trust, good, allowance)
    return trust


def _with_odds(found: Sequence[ScoredMeasurement]) -> Trust:
    x = np.array([f.against[:WEIGHED] for f in found])
    right = np.array([f.score.is_right for f in found], dtype=float)
    scale = x.std(axis=0) + 1e-9

    def unlikely(p: Floats) -> float:
        z = p[0] - x / scale @ p[1:]
        return float(np.mean(np.logaddexp(0.0, z) - right * z) + STIFF * np.sum(p[1:] ** 2))

    # nothing that speaks against a measurement may speak for it
    bounds = [(None, None)] + [(0.0, None)] * x.shape[1]
    p = minimize(unlikely, np.append(1.0, np.ones(x.shape[1])), bounds=bounds).x
    return _with(TRUST, ODDS, np.append(p[0], p[1:] / scale))


def _least_chance(trust: Trust, found: Sequence[ScoredMeasurement]) -> float:
    """The smallest that leaves few of the trusted measurements wrong, one more being counted."""
    open_to = trust._replace(chance=0.0)
    chances = [(chance_right(trust, f.against), f) for f in found if _is_trusted(open_to, f)]
    ranked = sorted(chances, key=lambda pair: -pair[0])
    wrong = 1 + np.cumsum([not f.score.is_right for _, f in ranked])
    few = np.flatnonzero(wrong <= WRONG * (1 + np.arange(1, len(ranked) + 1)))
    return ranked[few[-1]][0] if len(few) else 1.0


def _is_trusted(trust: Trust, f: ScoredMeasurement) -> bool:
    length = f.score.length
    return (
        length >= trust.shortest
        and chance_right(trust, f.against) >= trust.chance
        and length_sd(trust, f.against, length) <= trust.relative * length
    )


def _with_lengths(trust: Trust, good: Sequence[ScoredMeasurement], allowance: float) -> Trust:
    errors = np.array([abs(f.score.error) for f in good])
    parts = np.array([length_parts(f.against, f.score.length) for f in good])
    shares = _likeliest(np.array(trust[LENGTH : LENGTH + parts.shape[1]]), parts, errors)
    factor = np.quantile(errors / (1.96 * _sds(shares, parts)), WITHIN)
    return _with(trust, LENGTH, allowance * factor * shares)


def _with_tips(trust: Trust, good: Sequence[ScoredMeasurement], allowance: float) -> Trust:
    """The same of the ends, whose distances have two coordinates."""
    apart = np.array([f.score.ends for f in good])
    lengths = [length_sd(trust, f.against, f.score.length) / allowance for f in good]
    parts = np.array([tip_parts(f.against, sd) for f, sd in zip(good, lengths, strict=True)])
    both = np.repeat(parts, 2, axis=0)
    shares = _likeliest(np.array([1.0, 1.0, 0.3]), both, apart.ravel() / np.sqrt(2.0))
    factor = np.quantile(apart.ravel() / (2.45 * _sds(shares, both)), WITHIN)
    shares = factor * shares * (allowance, allowance, 1.0)  # the length's has its own already
    return _with(trust, TIP, shares)


def _likeliest(start: Floats, parts: Floats, errors: Floats) -> Floats:
    """Shares (k,) of the parts (n, k) of the standard deviations of errors (n,)."""

    def unlikely(logs: Floats) -> float:
        sd = _sds(np.exp(logs), parts)
        tail = 0.5 * (TAIL + 1.0) * np.log1p((errors / sd) ** 2 / TAIL)
        return float(np.mean(np.log(sd) + tail))

    first = np.log(np.maximum(start, 0.01))
    bounds = [LEAST] + [SHARES] * (len(start) - 1)
    return np.asarray(np.exp(minimize(unlikely, first, bounds=bounds).x))


def _sds(shares: Floats, parts: Floats) -> Floats:
    return np.asarray(np.sqrt(((shares * parts) ** 2).sum(axis=1)))


def _with(trust: Trust, first: int, values: Floats) -> Trust:
    """Trust with the fields from number `first` on replaced."""
    new = list(trust)
    new[first : first + len(values)] = [float(v) for v in values]
    return Trust(*new)
