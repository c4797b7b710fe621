"""Cycles summed up with their like, one after the other, in compiled code; see `exposure`.

One file, for what numba has compiled it looks up by the file that holds the outermost function.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from models.compiled import cached_part
from models.fatigue.rainflow import Floats, Ints

SLOTS = 20  # classes that a component may have
BINS = 32  # of the opening range, two to an octave; smaller and larger ones go to the outermost
LOWEST = 2.0**15  # where they begin [Pa]
RATIOS = np.array([0.0, 0.5, 0.75, 0.875])  # of valley to peak, between classes [1]
SHEARS = np.array([-1.6, -1.0, -0.6, -0.3, -0.05, 0.05, 0.3, 0.6, 1.0, 1.6])  # to the range [1]
CLOSED = 0  # the class of cycles that never open the crack
FREE = 2**31  # of a slot without a class; greater than any
COUNT, RANGE, MEAN, SHEAR_MEAN, SHEAR, PEAK, BESIDE, ORIGIN, FIRST, SECOND, THIRD = range(11)
SUMS = 11  # what is summed up of a class; the last five see `_put`
OFTEN, SPAN, MIDDLE, TURN, TURN_MEAN = range(5)  # what is kept of the cycle with the highest peak
KEPT = 5


@njit(cache=True, nogil=True)
def add_rows(
    key: Ints,
    sums: Floats,
    top: Floats,
    offset: Ints,
    span: Floats,
    mean: Floats,
    count: Floats,
    shear: Floats,
    shear_mean: Floats,
) -> None:
    """Add the cycles of each row to the first three, one after the other."""
    for i in range(len(offset) - 1):
        for j in range(offset[i], offset[i + 1]):
            add(key[i], sums[i], top[i], span[j], mean[j], count[j], shear[j], shear_mean[j])


@cached_part
def add(
    key: Ints,
    sums: Floats,
    top: Floats,
    span: float,
    mean: float,
    count: float,
    shear: float,
    shear_mean: float,
) -> None:
    """Add equal cycles to the memory of one row: its first three."""
    if not count > 0.0:
        return
    peak, valley = mean + 0.5 * span, mean - 0.5 * span
    opening = max(peak, 0.0) - max(valley, 0.0)
    wanted, at = _class(peak, valley, opening, shear), 0
    while at < SLOTS and key[at] < wanted:
        at += 1
    if at == SLOTS or key[at] != wanted:
        at = _new_slot(key, sums, top, wanted)
    best = top[at]
    highest = best[MIDDLE] + 0.5 * best[SPAN]
    if wanted == CLOSED or peak < highest:
        _put(sums[at], count, span, mean, shear, shear_mean)
    elif (
        peak == highest
        and span == best[SPAN]
        and mean == best[MIDDLE]
        and shear == best[TURN]
        and shear_mean == best[TURN_MEAN]
    ):
        best[OFTEN] += count
    elif peak == highest and best[OFTEN] > 0.0:
        _put(sums[at], count, span, mean, shear, shear_mean)
    else:
        if best[OFTEN] > 0.0:
            _put(sums[at], best[0], best[1], best[2], best[3], best[4])
        best[OFTEN], best[SPAN], best[MIDDLE] = count, span, mean
        best[TURN], best[TURN_MEAN] = shear, shear_mean


@cached_part
def _put(
    into: Floats, count: float, span: float, mean: float, shear: float, shear_mean: float
) -> None:
    """Add cycles to the sums of a class. All about ORIGIN, so that equal ones leave no trace."""
    peak, valley = mean + 0.5 * span, mean - 0.5 * span
    opening = max(peak, 0.0) - max(valley, 0.0)
    square = opening * opening
    if into[COUNT] == 0.0:
        into[ORIGIN] = square * square
    off = square * square - into[ORIGIN]
    into[COUNT] += count
    into[RANGE] += count * span
    into[MEAN] += count * mean
    into[SHEAR_MEAN] += count * shear_mean
    into[SHEAR] += count * square * shear * abs(shear)
    into[PEAK] += count * square * peak * peak
    into[BESIDE] += count * off * square * peak * peak
    into[FIRST] += count * off
    into[SECOND] += count * off * off
    into[THIRD] += count * off * off * off


@cached_part
def _class(peak: float, valley: float, opening: float, shear: float) -> int:
    """Cycles alike in opening range, load ratio and shear have the same number, rising with it."""
    if peak <= 0.0:
        return CLOSED
    part, octave = math.frexp(opening / LOWEST)
    size = min(max(2 * octave - (1 if part >= 0.75 else 2), 0), BINS - 1)
    ratio, turn = 0, len(SHEARS) // 2
    while ratio < len(RATIOS) and valley > RATIOS[ratio] * peak:
        ratio += 1
    if shear != 0.0:
        turn = 0
        while turn < len(SHEARS) and shear > SHEARS[turn] * (peak - valley):
            turn += 1
    return (size * (len(RATIOS) + 1) + ratio) * (len(SHEARS) + 1) + turn + 1


@njit(cache=True, nogil=True, _nrt=False, inline="always")  # a call costs more than it does
def _new_slot(key: Ints, sums: Floats, top: Floats, wanted: int) -> int:
    """An empty slot for a class that has none; if need be what matters least makes room."""
    if key[SLOTS - 1] != FREE:
        _make_room(key, sums, top)
    at = 0
    while key[at] != FREE:
        at += 1
    while at > 0 and key[at - 1] > wanted:
        _move(key, sums, top, at - 1, at)
        at -= 1
    key[at] = wanted
    _clear(sums, top, at)
    return at


@cached_part
def _move(key: Ints, sums: Floats, top: Floats, source: int, target: int) -> None:
    key[target] = key[source]
    for k in range(SUMS):
        sums[target, k] = sums[source, k]
    for k in range(KEPT):
        top[target, k] = top[source, k]


@cached_part
def _clear(sums: Floats, top: Floats, at: int) -> None:
    for k in range(SUMS):
        sums[at, k] = 0.0
    for k in range(KEPT):
        top[at, k] = 0.0


@cached_part
def _make_room(key: Ints, sums: Floats, top: Floats) -> None:
    """The class that grows a crack least joins the nearest; what is closed stays by itself."""
    first = 1 if key[0] == CLOSED else 0
    least, lowest = first, math.inf
    for k in range(first, len(key)):
        fourth = _fourth(sums[k], top[k])
        if fourth < lowest:
            least, lowest = k, fourth
    nearest, gap = first, FREE
    for k in range(first, len(key)):
        apart = _apart(key[k], key[least])
        if k != least and apart < gap:
            nearest, gap = k, apart
    _join(sums[nearest], top[nearest], sums[least], top[least])
    for k in range(least, len(key) - 1):
        _move(key, sums, top, k + 1, k)
    key[-1] = FREE
    _clear(sums, top, len(key) - 1)


@cached_part
def _fourth(sums: Floats, top: Floats) -> float:
    """What a class does by ΔK⁴ [Pa⁴]."""
    peak, valley = top[MIDDLE] + 0.5 * top[SPAN], top[MIDDLE] - 0.5 * top[SPAN]
    opening = max(peak, 0.0) - max(valley, 0.0)
    return float(sums[COUNT] * sums[ORIGIN] + sums[FIRST] + top[OFTEN] * (opening * opening) ** 2)


@cached_part
def _join(sums: Floats, top: Floats, more: Floats, other: Floats) -> None:
    """Add the class of `more` and `other` to that of `sums` and `top`."""
    if more[COUNT] > 0.0:
        if sums[COUNT] == 0.0:
            sums[ORIGIN] = more[ORIGIN]
        d, n, first, second = more[ORIGIN] - sums[ORIGIN], more[COUNT], more[FIRST], more[SECOND]
        for k in range(BESIDE):
            sums[k] += more[k]
        sums[BESIDE] += more[BESIDE] + d * more[PEAK]
        sums[FIRST] += first + d * n
        sums[SECOND] += second + d * (2.0 * first + d * n)
        sums[THIRD] += more[THIRD] + d * (3.0 * second + d * (3.0 * first + d * n))
    if other[MIDDLE] + 0.5 * other[SPAN] > top[MIDDLE] + 0.5 * top[SPAN]:
        _put(sums, top[0], top[1], top[2], top[3], top[4])
        for k in range(KEPT):
            top[k] = other[k]
    else:
        _put(sums, other[0], other[1], other[2], other[3], other[4])


@cached_part
def _apart(one: int, other: int) -> int:
    """How unlike two classes of open cycles are: another size is less than another kind."""
    turns, ratios = len(SHEARS) + 1, len(RATIOS) + 1
    a, b = one - 1, other - 1
    turn = abs(a % turns - b % turns)
    ratio = abs(a // turns % ratios - b // turns % ratios)
    return int(abs(a // (turns * ratios) - b // (turns * ratios)) + 2 * ratio + 2 * turn)
