"""The loop of `sensors.watch`: each sample judged as if it were the last.

One file, for what numba has compiled it looks up by the file that holds the outermost function: a
change in another one would go unnoticed.
"""

# Over 300 lines: numba looks up what it has compiled by the file of the outermost function.

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sensors.quality import CLIPPING, NULL, RAIL, RANGE, REASONS, SPIKE, STUCK

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
CUT_HIGH, CUT_LOW = 15, 16  # where the channel is clipped [Pa]
REALS = 17
# Columns of `Watch.whole`.
JUDGED, HOLDS, SINCE, CROWDED, CROWDED_AT = 0, 1, 2, 3, 4
RUN, RUN_NS, IS_STUCK, IS_CUT_HIGH, IS_CUT_LOW = 5, 6, 7, 8, 9
DOUBT = 10  # what was doubtful of the last load, a bit for each reason
FOUND = 11  # and how much was found so far, a column for each reason
COUNTS = FOUND + len(REASONS)
# Places in `GaugeBounds.numbers`.
MAX_STRESS, REACH, AT_RAIL, SPIKE_STRESS, CLIP_SAMPLES, STUCK_SAMPLES, STUCK_S = range(7)
FILL_LOW, FILL_HIGH = 7, 8

_FADE = math.exp(-1.0 / MEMORY)


@njit(cache=True, nogil=True)
def watch_all(
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
    least = min(code[0], bound[AT_RAIL], bound[REACH], bound[FILL_LOW])
    for j in range(len(raw)):
        x, y = stress[j], shear[j]
        if not (max(abs(x), abs(y)) <= most and max(abs(raw[j]), abs(raw_shear[j])) < least):
            why = _refused(r, c, raw[j], raw_shear[j], x, y, bound, code)
            if why >= 0:
                _tell(told, shown, why, raw[j] if abs(raw[j]) > abs(raw_shear[j]) else raw_shear[j])
                continue
        if x == r[PREVIOUS] and c[JUDGED] + c[RUN] > 0:
            _stays(r, c, x, raw[j], every_ns, bound, told, shown)
        else:
            _moves(r, c, x, every_ns)
        step, step_shear = abs(x - r[LAST]), abs(y - r[LAST + 1])
        usual = c[HOLDS] == 0 and c[SINCE] == 0 and max(step, step_shear) <= spike
        if usual and c[JUDGED] > 0:  # as in `_counts`, without a call
            r[SCALE] = max(step, _FADE * r[SCALE])
            r[SCALE + 1] = max(step_shear, _FADE * r[SCALE + 1])
            r[LAST], r[LAST + 1] = x, y
            c[JUDGED] += 1
            out[0, m], out[1, m] = x, y
            m += 1
        else:
            m = _let_through(r, c, x, y, spike, out, m, told, shown)
    return m


@njit(cache=True, nogil=True)
def _sum_up(c: Ints, told: Ints) -> None:
    """Remember what was doubtful of this load, and how much of all so far."""
    c[DOUBT] = 0
    for why in range(len(told)):
        if told[why] > 0:
            c[DOUBT] |= 1 << why
        c[FOUND + why] += told[why]


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
    fresh = c[JUDGED] < GRACE
    if _is_code(top, bound, code) and (beyond or fresh or abs(x - r[LAST]) > r[SCALE]):
        return NULL
    usual = abs(y - r[LAST + 1]) <= r[SCALE + 1] and not (beyond_shear or fresh)
    if _is_code(top_shear, bound, code) and not usual:
        return NULL
    if beyond or beyond_shear:
        return RANGE
    return RAIL if max(top, top_shear) >= bound[AT_RAIL] else -1


@njit(cache=True, nogil=True)
def _is_code(top: float, bound: Floats, code: Floats) -> bool:
    """As `quality.missing`, for one magnitude."""
    if bound[FILL_LOW] <= top <= bound[FILL_HIGH]:
        return True
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
    if c[RUN] == bound[CLIP_SAMPLES] and c[JUDGED] >= CLIP_SEEN and raw != 0.0:  # zero is rest
        step = max(abs(r[STEP]), abs(r[STEP_BEFORE]))  # the last one is cut off
        abrupt = step >= max(CLIP_STEP, 0.25 * r[SCALE])
        if abrupt and x >= r[HIGH] and r[STEP] > 0.0:
            if c[IS_CUT_HIGH] == 0:
                _tell(told, shown, CLIPPING, raw)
            c[IS_CUT_HIGH], r[CUT_HIGH] = 1, x
        if abrupt and x <= r[LOW] and r[STEP] < 0.0:
            if c[IS_CUT_LOW] == 0:
                _tell(told, shown, CLIPPING, raw)
            c[IS_CUT_LOW], r[CUT_LOW] = 1, x
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
    if c[JUDGED] == 0:
        r[HIGH] = r[LOW] = x
    r[HIGH], r[LOW] = max(r[HIGH], x), min(r[LOW], x)
    if x > r[CUT_HIGH]:
        c[IS_CUT_HIGH] = 0  # the level of before was no rail
    if x < r[CUT_LOW]:
        c[IS_CUT_LOW] = 0


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
    if jumps and c[JUDGED] >= GRACE and not _is_crowded(c):
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
    if c[JUDGED] > 0:
        r[SCALE] = max(abs(x - r[LAST]), _FADE * r[SCALE])
        r[SCALE + 1] = max(abs(y - r[LAST + 1]), _FADE * r[SCALE + 1])
    r[LAST], r[LAST + 1] = x, y
    c[JUDGED] += 1
    out[0, m], out[1, m] = x, y
    return m + 1


@njit(cache=True, nogil=True)
def _is_crowded(c: Ints) -> bool:
    return bool(c[CROWDED] - (c[JUDGED] - c[CROWDED_AT]) // THIN >= CROWD)


@njit(cache=True, nogil=True)
def _was_lone(r: Floats, c: Ints, told: Ints, shown: Floats) -> None:
    """What was held has stayed alone: it does not count."""
    c[SINCE] = 0
    c[CROWDED] = max(0, c[CROWDED] - (c[JUDGED] - c[CROWDED_AT]) // THIN) + 1
    c[CROWDED_AT] = c[JUDGED]
    far = abs(r[PAUSED] - r[BACK]) >= abs(r[PAUSED + 1] - r[BACK + 1])
    _tell(told, shown, SPIKE, r[PAUSED] if far else r[PAUSED + 1])


@njit(cache=True, nogil=True)
def _broken_off(r: Floats, c: Ints, told: Ints, shown: Floats) -> None:
    """The series has a gap: nothing is compared across it; what the channel is stands."""
    if c[SINCE] > 0:
        _was_lone(r, c, told, shown)
    if c[HOLDS]:
        _tell(told, shown, SPIKE, r[HELD])
    r[:PREVIOUS] = 0.0
    r[HIGH], r[LOW], r[STEP], r[STEP_BEFORE] = r[PREVIOUS], r[PREVIOUS], 0.0, 0.0
    c[:RUN] = 0
