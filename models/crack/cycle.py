"""What one block of cycles does to one crack, in compiled code.

A cycle acts on the crack that its peak has met. Of a block that is counted already, peaks pass
while it acts: it is integrated as `models.fatigue.integration` does it, whose text says how. A
block of one cycle at most is one step: within a cycle its own growth does not count.
"""

from __future__ import annotations

import math

from models.compiled import part
from models.fatigue.integration import MAX_STRIDES, NEWTON_STEPS, OVERSHOOT, SMALL, STRIDE
from models.fatigue.rainflow import Floats
from models.fatigue.scalar_geometry import units
from models.fatigue.scalar_laws import LIMIT, TOUGHNESS, YIELD, Kinds
from models.fatigue.scalar_retardation import equivalent, felt, retarded, smooth

Cycle = tuple[float, float, float, float, float]  # as the first five columns of `rainflow.Cycles`
Met = tuple[float, float, float, float]  # length [m], K_I, K_II of a unit stress [√m], what it felt


@part
def peak_intensity(tension: float, shear: float, unit: float, unit_II: float) -> float:
    """K_max [Pa √m] at an instant; 0 where the crack is closed."""
    if not tension > 0.0:
        return 0.0
    if shear == 0.0:
        return tension * unit
    return equivalent(tension * unit, shear * unit_II)


@part
def one_cycle(kinds: Kinds, c: Floats, cycle: Cycle, met: Met) -> float:
    """Growth [m] by one cycle; in mixed mode R makes the equivalent range K_max (1 − R)."""
    span, mean, _, shear, shear_mean = cycle
    a, unit, unit_II, feels = met
    half = 0.5 * span
    peak, valley, shear_peak = mean + half, mean - half, shear_mean + 0.5 * shear
    if not peak > 0.0:
        return 0.0
    R = valley / peak
    if shear == 0.0 and shear_peak == 0.0:
        K_max = peak * unit
    else:
        K_max = equivalent(peak * unit, shear_peak * unit_II)
        dK = equivalent(span * unit, shear * unit_II)
        if dK > 0.0 and K_max > 0.0:
            R = 1.0 - dK / K_max
    return retarded(kinds, c, K_max, R, a, feels)


@part
def breaks(
    c: Floats, tension: float, shear: float, unit: float, unit_II: float, bears: float
) -> bool:
    """Whether stresses break a part at once, by its toughness or what its section bears."""
    if not tension > 0.0:
        return False
    K = peak_intensity(tension, shear, unit, unit_II)
    return c[TOUGHNESS] <= K or tension >= c[YIELD] * bears


@part
def speed(kinds: Kinds, c: Floats, cycle: Cycle, a_over: float, K_over: float, a: float) -> float:
    """da/dλ [m] of a block at the length `a` [m], ∞ where its peak breaks the part."""
    span, mean, count, shear, shear_mean = cycle
    peak = mean + 0.5 * span
    if not (count > 0.0 and peak > 0.0):
        return 0.0
    unit, unit_II, bears = units(kinds, c, a)
    if breaks(c, peak, shear_mean + 0.5 * shear, unit, unit_II, bears):
        return math.inf
    met = (a, unit, unit_II, felt(kinds.retardation, c, a_over, K_over, a))
    return count * one_cycle(kinds, c, cycle, met)


@part
def advance(kinds: Kinds, c: Floats, cycle: Cycle, a_over: float, K_over: float, a: float) -> float:
    """Growth [m] of a crack of length `a` [m] through a block; ∞: it breaks."""
    start = speed(kinds, c, cycle, a_over, K_over, a)
    reach = min(STRIDE * a, smooth(kinds.retardation, c, a_over, K_over, a))
    if cycle[2] <= 1.0 or start <= SMALL * reach or start == math.inf:
        return start
    grown, left, slow = 0.0, 1.0, 1.0 / start
    for _ in range(MAX_STRIDES):
        at = a + grown
        reach = min(STRIDE * at, smooth(kinds.retardation, c, a_over, K_over, at))
        span = min(min(reach, OVERSHOOT * left / slow), c[LIMIT] - at)
        middle = end = slow
        for share in (0.5, 1.0):
            ahead = speed(kinds, c, cycle, a_over, K_over, at + share * span)
            middle, end = end, min(1.0 / ahead, 1e6 * slow)
        taken = span * ((slow + 4.0 * middle + end) / 6.0)
        if taken >= left:
            return grown + span * part_of(slow, middle, end, left / span)
        grown += span
        if not (end > 0.0 and a + grown < c[LIMIT]):
            break
        left, slow = left - taken, end
    return math.inf


@part
def part_of(f0: float, fm: float, f1: float, target: float) -> float:
    """Where in 0…1 the integral of the parabola through f0, fm, f1 reaches `target`."""
    b, c = 4.0 * fm - 3.0 * f0 - f1, 2.0 * (f0 + f1) - 4.0 * fm
    s = min(max(target / ((f0 + 4.0 * fm + f1) / 6.0), 0.0), 1.0)
    for _ in range(NEWTON_STEPS):
        slope = f0 + s * (b + s * c)
        value = s * (f0 + s * (b / 2.0 + s * (c / 3.0)))
        s = min(max(s - (value - target) / max(slope, 1e-3 * f0), 0.0), 1.0)
    return s
