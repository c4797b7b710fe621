"""Draws that are a function of what they are for: a counter-based generator, in compiled code.

What is drawn hangs on nothing but its key and its counter, so that it does not matter who asks
first, in which batch, or how often: a fold that draws stays a fold. The generator is Philox-4x32
of ten rounds (Salmon, Moraes, Dror and Shaw 2011); uniform numbers become normal ones by the
inverse of the normal distribution (Wichura 1988, AS 241).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.compiled import cached_part

Keys = NDArray[np.int64]
Floats = NDArray[np.float64]

ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_BITS = np.uint64(11)  # of 64 that are more than a float holds
_UNIT = 2.0**-53


@cached_part
def philox(
    c0: int, c1: int, c2: int, c3: int, k0: int, k1: int
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Four words of 32 bits for a counter of four and a key of two, all as uint64."""
    a, b, c, d = np.uint64(c0), np.uint64(c1), np.uint64(c2), np.uint64(c3)
    one, two = np.uint64(k0), np.uint64(k1)
    for _ in range(ROUNDS):
        first, second = _M0 * a, _M1 * c
        a, c = (second >> _HALF) ^ b ^ one, (first >> _HALF) ^ d ^ two
        b, d = second & _LOW, first & _LOW
        one, two = (one + _W0) & _LOW, (two + _W1) & _LOW
    return a, b, c, d


@cached_part
def uniform(key: int, epoch: int, particle: int, purpose: int) -> float:
    """A number within 0 … 1, neither of both, of 53 bits.

    `key` is of the component, `epoch` of the line of evidence, int64 each; `particle` and `purpose`
    are numbers of 32 bits.
    """
    k, e = np.uint64(key), np.uint64(epoch)
    a, b, _, _ = philox(
        np.uint64(particle) & _LOW,
        np.uint64(purpose) & _LOW,
        e & _LOW,
        e >> _HALF,
        k & _LOW,
        k >> _HALF,
    )
    return (float(((a << _HALF) | b) >> _BITS) + 0.5) * _UNIT


@cached_part
def normal(key: int, epoch: int, particle: int, purpose: int) -> float:
    """A standard normal number; arguments as for `uniform`."""
    return inverse_normal(uniform(key, epoch, particle, purpose))


@cached_part
def inverse_normal(p: float) -> float:
    """The standard normal number that is exceeded with probability 1 − `p`, 0 < p < 1."""
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        return q * _ratio(r, 0)
    r = math.sqrt(-math.log(p if q < 0.0 else 1.0 - p))
    x = _ratio(r - 1.6, 1) if r <= 5.0 else _ratio(r - 5.0, 2)
    return -x if q < 0.0 else x


# Wichura's coefficients: numerator and denominator of the middle, the tails, and the far tails
_ABOVE = np.array([
    [3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
     1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
     3.3430575583588128105e4, 2.5090809287301226727e3],
    [1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
     3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
     2.27238449892691845833e-2, 7.74545014278341407640e-4],
    [6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
     2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
     2.71155556874348757815e-5, 2.01033439929228813265e-7],
])  # fmt: skip
_BELOW = np.array([
    [1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
     5.2264952788528545610e3],
    [1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
     1.05075007164441684324e-9],
    [1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
     2.04426310338993978564e-15],
])  # fmt: skip


@cached_part
def _ratio(r: float, which: int) -> float:
    """The ratio of two polynomials of degree seven at `r`."""
    above, below = _ABOVE[which, 7], _BELOW[which, 7]
    for k in range(6, -1, -1):
        above, below = above * r + _ABOVE[which, k], below * r + _BELOW[which, k]
    return float(above / below)


@njit(cache=True, nogil=True)
def _scores(key: Keys, epoch: Keys, purpose: int, against: Floats, out: Floats) -> None:
    n, many, p = against.shape
    drawn, others = np.empty(p), np.empty((many, p))
    for i in range(n):
        for j in range(p):
            drawn[j] = uniform(key[i], epoch[i], j, purpose)
        order = np.argsort(drawn, kind="mergesort")
        for r in range(p):
            out[i, order[r]] = inverse_normal((r + 0.5) / p)
        for d in range(many):
            others[d] = against[i, d] - against[i, d].mean()
            size = math.sqrt((others[d] ** 2).sum())
            for e in range(d):
                others[d] -= (others[d] * others[e]).sum() * others[e]
            rest = math.sqrt((others[d] ** 2).sum())
            others[d] *= 1.0 / rest if rest > 1e-9 * size else 0.0
            out[i] -= (out[i] * others[d]).sum() * others[d]
        out[i] *= math.sqrt(p / (out[i] ** 2).sum())


def scores(key: Keys, epoch: Keys, purpose: int, against: Floats) -> Floats:
    """Standard normal scores (n, p) in an order drawn for keys and epochs (n,) int64.

    Each row has the mean 0 and the variance 1 (over p), and no correlation with the rows `against`
    (n, d, p), d < p − 2, whatever they are. Against none it is the p middle quantiles, exactly.
    """
    out = np.empty((len(key), against.shape[2]))
    _scores(key, epoch, purpose, np.ascontiguousarray(against), out)
    return out
