"""Samples judged one after the other, one watch per component: which of them count.

Every sample is worked off as if it were the last, and all that is remembered is in `Watch`: how a
series is cut into messages changes no bit of what counts.

- A null code, a stress or strain out of reach, a sample at a registered rail: set aside on sight.
  A code that a part can bear is none where the signal comes to it by a step as it makes anyway.
- A lone spike: a sample that jumps by `FAR` times the largest step of late (which fades over
  `MEMORY` samples), and by `Gauge.spike`, and comes back at once. It is held until the next sample
  shows that it came back, and for `PAIR` more: a second one in that time is no accident, and both
  count, in their order. So do those that crowd: an undersampled load looks like that.
- Equal samples at an extreme, to which the signal came by a step: clipped, perhaps. Told, counted.
- Equal samples for long: stuck. Told, counted; they are no cycles.

What is in doubt counts: an overload is no spike, and the first `GRACE` samples have no scale.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sensors.quality import (
    CLIPPING,
    NULL,
    NUMBERS,
    RAIL,
    RANGE,
    REASONS,
    SPIKE,
    STUCK,
    Bounds,
    Kinds,
    kinds,
)  # fmt: skip

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

FAR = 15.0  # a jump over the largest step of late [1]
MEMORY = 1024  # samples over which a large step fades
GRACE = 8  # samples without a scale
PAIR = 8  # samples after a lone one in which a second makes both count
CROWD = 3  # lone ones, less one for every `THIN` samples between, beyond which they count
THIN = 256
CLIP_SEEN = 64  # samples before an extreme means anything
CLIP_STEP = 1e6  # [Pa] the least step into a flat top that is no quantised turn

# Columns of `Watch.real`; tension and shear lie side by side.
LAST, SCALE, HELD, PAUSED, BACK = 0, 2, 4, 6, 8
PREVIOUS, HIGH, LOW, STEP, STEP_BEFORE = 10, 11, 12, 13, 14
REALS = 15
# Columns of `Watch.whole`.
SEEN, HOLDS, SINCE, CROWDED, CROWDED_AT = 0, 1, 2, 3, 4
RUN, RUN_NS, IS_STUCK, TOLD_HIGH, TOLD_LOW = 5, 6, 7, 8, 9
DOUBT, SET_ASIDE = 10, 11
COUNTS = 12
# Places in `Bounds.numbers`.
MAX_STRESS, REACH, AT_RAIL, SPIKE_STRESS, CLIP_SAMPLES, STUCK_SAMPLES, STUCK_S = range(7)

_FADE = math.exp(-1.0 / MEMORY)


class Watch(NamedTuple):
    """What is remembered of each component's channel; moved on in place."""

    real: Floats  # (n, REALS)
    whole: Ints  # (n, COUNTS)


class Samples(NamedTuple):
    """Series of several components, one after the other; row i is offset[i]:offset[i+1]."""

    raw: Floats  # (k,) tension as it comes [Pa] or [m/m]
    raw_shear: Floats  # (k,)
    stress: Floats  # (k,) after calibration [Pa]
    shear: Floats  # (k,) [Pa]
    offset: Ints  # (m+1,)
    row: Ints  # (m,) of the watch
    continues: Bools  # (m,) False: the series starts after a gap
    rate_hz: Floats  # (m,)


class Accepted(NamedTuple):
    """What counts, and what was found."""

    stress: Floats  # (k',) [Pa]
    shear: Floats  # (k',) [Pa]
    offset: Ints  # (m+1,)
    found: Ints  # (m, reasons) how many samples, or how often
    example: Floats  # (m, reasons) one of them as it came; a spike after calibration [Pa]


def watch(n: int) -> Watch:
    """Watches of `n` components that have seen nothing."""
    return Watch(np.zeros((n, REALS)), np.zeros((n, COUNTS), np.int64))


def accepted(state: Watch, samples: Samples, bounds: Kinds) -> Accepted:
    """What of `samples` counts, by the bounds of each of the m rows; moves `state` on in place."""
    m, k = len(samples.row), len(samples.raw)
    out = np.empty((2, 2 * k + 3 * m))  # touched as it fills
    ends = np.zeros(m + 1, np.int64)
    found, example = np.zeros((m, len(REASONS)), np.int64), np.zeros((m, len(REASONS)))
    _watch(*state, *samples, *bounds, out, ends, found, example)
    stress, shear = out[:, : ends[-1]]
    return Accepted(stress, shear, ends, found, example)


def warm() -> None:
    """Compile, or load what was compiled before, so that the first message does not wait."""
    one, two = np.zeros(1), np.array([0, 1])
    series = Samples(one, one, one, one, two, two[:1], np.array([False]), one + 1.0)
    accepted(watch(1), series, kinds([Bounds((math.inf,) * NUMBERS, ())]))


@njit(cache=True, nogil=True)
def _watch(
    real: Floats,
    count: Ints,
    raw: Floats,
    raw_shear: Floats,
    stress: Floats,
    shear: Floats,
    offset: Ints,
    row: Ints,
    continues: Bools,
    rate_hz: Floats,
    numbers: Floats,
    codes: Floats,
    index: Ints,
    out: Floats,
    ends: Ints,
    found: Ints,
    example: Floats,
) -> None:
    """All rows one after the other; the first two and the last four arguments are written."""
    m = 0
    for i in range(len(row)):
        r, c, told, shown = real[row[i]], count[row[i]], found[i], example[i]
        bound, code = numbers[index[i]], codes[index[i]]
        if not continues[i]:
            _broken_off(r, c, told, shown)
        here = slice(offset[i], offset[i + 1])
        m = _row(
            r, c, raw[here], raw_shear[here], stress[here], shear[here], round(1e9 / rate_hz[i]),
            bound, code, out, m, told, shown,
        )  # fmt: skip
        _sum_up(c, told)
        ends[i + 1] = m


@njit(cache=True, nogil=True)
def _row(
    r: Floats,
    c: Ints,
    raw: Floats,
    raw_shear: Floats,
    stress: Floats,
    shear: Floats,
    every_ns: int,
    bound: Floats,
    code: Floats,
    out: Floats,
    m: int,
    told: Ints,
    shown: Floats,
) -> int:
    """What counts of one series, into `out` from column m on."""
    most, spike = bound[MAX_STRESS], bound[SPIKE_STRESS]
    least = min(code[0], bound[AT_RAIL], bound[REACH])
    for j in range(len(raw)):
        x, y = stress[j], shear[j]
        if not (max(abs(x), abs(y)) <= most and max(abs(raw[j]), abs(raw_shear[j])) < least):
            why = _refused(r, c, raw[j], raw_shear[j], x, y, bound, code)
            if why >= 0:
                _tell(told, shown, why, raw[j] if abs(raw[j]) > abs(raw_shear[j]) else raw_shear[j])
                continue
        if x == r[PREVIOUS] and c[SEEN] + c[RUN] > 0:
            _stays(r, c, x, raw[j], every_ns, bound, told, shown)
        else:
            _moves(r, c, x, every_ns)
        step, step_shear = abs(x - r[LAST]), abs(y - r[LAST + 1])
        usual = c[HOLDS] == 0 and c[SINCE] == 0 and max(step, step_shear) <= spike
        if usual and c[SEEN] > 0:  # as in `_counts`, without a call
            r[SCALE] = max(step, _FADE * r[SCALE])
            r[SCALE + 1] = max(step_shear, _FADE * r[SCALE + 1])
            r[LAST], r[LAST + 1] = x, y
            c[SEEN] += 1
            out[0, m], out[1, m] = x, y
            m += 1
        else:
            m = _let_through(r, c, x, y, spike, out, m, told, shown)
    return m


@njit(cache=True, nogil=True)
def _sum_up(c: Ints, told: Ints) -> None:
    """Remember what was doubtful of this load."""
    c[DOUBT] = 0
    for why in range(len(told)):
        if told[why] > 0:
            c[DOUBT] |= 1 << why
        if why < CLIPPING:  # told alone
            c[SET_ASIDE] += told[why]


@njit(cache=True, nogil=True)
def _tell(told: Ints, shown: Floats, why: int, value: float) -> None:
    if told[why] == 0:
        shown[why] = value
    told[why] += 1


@njit(cache=True, nogil=True)
def _refused(
    r: Floats,
    c: Ints,
    raw: float,
    raw_shear: float,
    x: float,
    y: float,
    bound: Floats,
    code: Floats,
) -> int:
    """Why a sample cannot be meant, or -1."""
    top, top_shear = abs(raw), abs(raw_shear)
    if not (math.isfinite(x) and math.isfinite(y)):
        return -1  # calibration has done that: the whole load is refused
    beyond = abs(x) > bound[MAX_STRESS] or top > bound[REACH]
    beyond_shear = abs(y) > bound[MAX_STRESS] or top_shear > bound[REACH]
    fresh = c[SEEN] < GRACE
    if _is_code(top, code) and (beyond or fresh or abs(x - r[LAST]) > r[SCALE]):
        return NULL
    if _is_code(top_shear, code) and (beyond_shear or fresh or abs(y - r[LAST + 1]) > r[SCALE + 1]):
        return NULL
    if beyond or beyond_shear:
        return RANGE
    return RAIL if max(top, top_shear) >= bound[AT_RAIL] else -1


@njit(cache=True, nogil=True)
def _is_code(top: float, code: Floats) -> bool:
    if top < code[0]:
        return False
    at = np.searchsorted(code, top)
    return bool(code[at] == top)


@njit(cache=True, nogil=True)
def _stays(
    r: Floats,
    c: Ints,
    x: float,
    raw: float,
    every_ns: int,
    bound: Floats,
    told: Ints,
    shown: Floats,
) -> None:
    """One more equal sample: clipped perhaps, or stuck."""
    c[RUN] += 1
    c[RUN_NS] += every_ns
    if c[RUN] == bound[CLIP_SAMPLES] and c[SEEN] >= CLIP_SEEN and raw != 0.0:  # zero is rest
        step = max(abs(r[STEP]), abs(r[STEP_BEFORE]))  # the last one is cut off
        abrupt = step >= max(CLIP_STEP, 0.25 * r[SCALE])
        if abrupt and x >= r[HIGH] and r[STEP] > 0.0 and c[TOLD_HIGH] == 0:
            c[TOLD_HIGH] = 1
            _tell(told, shown, CLIPPING, raw)
        if abrupt and x <= r[LOW] and r[STEP] < 0.0 and c[TOLD_LOW] == 0:
            c[TOLD_LOW] = 1
            _tell(told, shown, CLIPPING, raw)
    long = c[RUN] >= bound[STUCK_SAMPLES] and c[RUN_NS] >= 1e9 * bound[STUCK_S]
    if long and c[IS_STUCK] == 0:
        c[IS_STUCK] = 1
        _tell(told, shown, STUCK, raw)


@njit(cache=True, nogil=True)
def _moves(r: Floats, c: Ints, x: float, every_ns: int) -> None:
    """A sample that is another one than the last."""
    r[STEP_BEFORE], r[STEP] = r[STEP], x - r[PREVIOUS]
    r[PREVIOUS] = x
    c[RUN] = 1
    c[RUN_NS] = every_ns
    c[IS_STUCK] = 0
    if c[SEEN] == 0:
        r[HIGH] = r[LOW] = x
    if x > r[HIGH]:
        r[HIGH] = x
        c[TOLD_HIGH] = 0  # the level of before was no rail
    if x < r[LOW]:
        r[LOW] = x
        c[TOLD_LOW] = 0


@njit(cache=True, nogil=True)
def _let_through(
    r: Floats,
    c: Ints,
    x: float,
    y: float,
    least: float,
    out: Floats,
    m: int,
    told: Ints,
    shown: Floats,
) -> int:
    """What counts now that the sample (x, y) is here, into `out` from column m on."""
    if c[SINCE] > 0:
        c[SINCE] += 1
        if c[SINCE] > PAIR + 1:
            _was_lone(r, c, told, shown)
    jumps = _is_far(r, LAST, x, y, least)
    if c[HOLDS]:
        c[HOLDS] = 0
        if jumps or not _is_far(r, HELD, x, y, least):  # it does not come back: the load has moved
            m = _counts(r, c, r[HELD], r[HELD + 1], out, m)
            jumps = _is_far(r, LAST, x, y, least)
        elif c[SINCE] > 0:  # a second one: neither is lone
            c[SINCE] = 0
            m = _counts(r, c, r[PAUSED], r[PAUSED + 1], out, m)
            m = _counts(r, c, r[BACK], r[BACK + 1], out, m)
            m = _counts(r, c, r[HELD], r[HELD + 1], out, m)
        else:
            c[SINCE] = 1
            r[PAUSED], r[PAUSED + 1], r[BACK], r[BACK + 1] = r[HELD], r[HELD + 1], x, y
    if jumps and c[SEEN] >= GRACE and not _is_crowded(c):
        c[HOLDS] = 1
        r[HELD], r[HELD + 1] = x, y
        return m
    return int(_counts(r, c, x, y, out, m))


@njit(cache=True, nogil=True)
def _is_far(r: Floats, other: int, x: float, y: float, least: float) -> bool:
    """Whether a sample is far from another, in columns `other` of what is remembered."""
    far = abs(x - r[other]) > max(FAR * r[SCALE], least)
    return bool(far or abs(y - r[other + 1]) > max(FAR * r[SCALE + 1], least))


@njit(cache=True, nogil=True)
def _counts(r: Floats, c: Ints, x: float, y: float, out: Floats, m: int) -> int:
    """The sample into column m; its step becomes part of the scale."""
    if c[SEEN] > 0:
        r[SCALE] = max(abs(x - r[LAST]), _FADE * r[SCALE])
        r[SCALE + 1] = max(abs(y - r[LAST + 1]), _FADE * r[SCALE + 1])
    r[LAST], r[LAST + 1] = x, y
    c[SEEN] += 1
    out[0, m], out[1, m] = x, y
    return m + 1


@njit(cache=True, nogil=True)
def _is_crowded(c: Ints) -> bool:
    return bool(c[CROWDED] - (c[SEEN] - c[CROWDED_AT]) // THIN >= CROWD)


@njit(cache=True, nogil=True)
def _was_lone(r: Floats, c: Ints, told: Ints, shown: Floats) -> None:
    """What was held has stayed alone: it does not count."""
    c[SINCE] = 0
    c[CROWDED] = max(0, c[CROWDED] - (c[SEEN] - c[CROWDED_AT]) // THIN) + 1
    c[CROWDED_AT] = c[SEEN]
    far = abs(r[PAUSED] - r[BACK]) >= abs(r[PAUSED + 1] - r[BACK + 1])
    _tell(told, shown, SPIKE, r[PAUSED] if far else r[PAUSED + 1])


@njit(cache=True, nogil=True)
def _broken_off(r: Floats, c: Ints, told: Ints, shown: Floats) -> None:
    """The series has a gap: nothing is compared across it; whether it moves is."""
    if c[SINCE] > 0:
        _was_lone(r, c, told, shown)
    if c[HOLDS]:
        _tell(told, shown, SPIKE, r[HELD])
    previous, run, run_ns = r[PREVIOUS], c[RUN], c[RUN_NS]
    stuck, aside = c[IS_STUCK], c[SET_ASIDE]
    r[:], c[:] = 0.0, 0
    r[PREVIOUS], c[RUN], c[RUN_NS] = previous, run, run_ns
    c[IS_STUCK], c[SET_ASIDE] = stuck, aside
