"""The models of `retardation`, and mixed mode, for one cycle of one crack, in compiled code.

As in `models.fatigue.scalar_laws`; the constants of the model stand from `RETARDATION` on.
"""

from __future__ import annotations

import math

from models.compiled import part
from models.fatigue.rainflow import Floats
from models.fatigue.retardation import (
    ALIKE,
    RESOLUTION,
    TINY,
    GeneralisedWillenborg,
    NoRetardation,
    Retardation,
    Wheeler,
)
from models.fatigue.scalar_laws import RETARDATION, Kinds, law_growth

NONE, WHEELER, WILLENBORG = range(3)
CODES: dict[type[Retardation], int] = {
    NoRetardation: NONE,
    Wheeler: WHEELER,
    GeneralisedWillenborg: WILLENBORG,
}


@part
def zone(model: int, c: Floats, K_max: float) -> float:
    """The plastic zone [m] of a peak of `K_max` [Pa √m]."""
    r = RETARDATION
    stress, share = (c[r + 1], c[r + 2]) if model == WHEELER else (c[r], c[r + 1])
    ratio = K_max / stress
    return share * (ratio * ratio)


@part
def felt(model: int, c: Floats, a_over: float, K_over: float, a: float) -> float:
    """What a cycle at the length `a` [m] feels of the overload; 0: nothing."""
    if model == NONE:
        return 0.0
    size = zone(model, c, K_over)
    if model == WHEELER:
        return max(a_over + size - a, 0.0)
    return K_over * math.sqrt(max(1.0 - (a - a_over) / max(size, TINY), 0.0))


@part
def retarded(kinds: Kinds, c: Floats, K_max: float, R: float, a: float, feels: float) -> float:
    """Growth [m/cycle] of a cycle with `K_max` [Pa √m] and load ratio `R` [1] that `feels`."""
    alone = law_growth(kinds, c, K_max * (1.0 - R), R, a)
    r, model = RETARDATION, kinds.retardation
    if model == NONE:
        return alone
    if model == WHEELER:
        own = zone(model, c, K_max)
        return (own / feels) ** c[r] * alone if own < feels else alone
    phi = min(max((1.0 - c[r + 3] / max(K_max, TINY)) / (c[r + 2] - 1.0), 0.0), 1.0)
    K_red = phi * (feels - K_max) if feels > K_max * (1.0 + ALIKE) else 0.0
    if not (K_red > 0.0 and alone < math.inf):
        return alone
    top = max(K_max - K_red, 0.0)
    bottom = min(max(R * K_max - K_red, c[r + 4]), top)
    ratio = bottom / max(top, TINY) if top > 0.0 else 0.0
    return law_growth(kinds, c, top - bottom, ratio, a)


@part
def reaches_further(
    model: int, c: Floats, a: float, K_max: float, a_over: float, K_over: float
) -> bool:
    """Whether the zone of a peak of `K_max` at `a` reaches as far as that of the overload."""
    return K_max > 0.0 and a + zone(model, c, K_max) >= a_over + zone(model, c, K_over)


@part
def smooth(model: int, c: Floats, a_over: float, K_over: float, a: float) -> float:
    """The longest stride [m] from `a` over which growth varies smoothly; ∞ outside zones."""
    if model == NONE:
        return math.inf
    size = zone(model, c, K_over)
    return RESOLUTION * size if size > 0.0 and a < a_over + size else math.inf


@part
def half_tangent(K_I: float, K_II: float) -> float:
    """tan(θ/2) of the kink of an open crack, K_I > 0; see `models.fatigue.mixed_mode`."""
    return -2.0 * K_II / (K_I + math.sqrt(K_I * K_I + 8.0 * (K_II * K_II)))


@part
def equivalent(K_I: float, K_II: float) -> float:
    """The equivalent stress intensity [Pa √m] of mixed mode; see `models.fatigue.mixed_mode`."""
    if not K_I > 0.0:
        return 0.0
    tangent = half_tangent(K_I, K_II)
    secant2 = 1.0 + tangent * tangent
    return (K_I - 3.0 * (K_II * tangent)) / (secant2 * math.sqrt(secant2))
