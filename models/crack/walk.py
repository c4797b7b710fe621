"""Cracks under their messages, one after the other, in compiled code.

Sample by sample the series is counted, its peaks pass, and the cycles that close grow the crack;
then each block does. A turning point is marked with the crack that its peak met, on which the cycle
acts when it closes. Nothing hangs on what else is in the batch, nor on how messages are put
together into runs: a run has the bits of its messages one by one.
"""

# Over 300 lines: what is at hand of a particle is known to these functions alone, compiled as one.

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from models.compiled import part
from models.crack.cycle import Cycle, advance, breaks, one_cycle, peak_intensity
from models.fatigue.exposure_kernel import add
from models.fatigue.rainflow import (
    COUNTED,
    MARKS,
    Bools,
    Floats,
    Ints,
    emitted,
    forget,
    halved,
    taken,
    turns,
    unsettled,
)
from models.fatigue.scalar_geometry import units
from models.fatigue.scalar_laws import LIMIT, TOUGHNESS, YIELD, Kinds
from models.fatigue.scalar_retardation import NONE, felt, reaches_further

# What is at hand of each particle while a message acts: its believed length [m], its length by the
# cycles counted before [m], its growth by the message [m], the overload's place [m] and K_max
# [Pa √m]; of the length AT [m], K of a unit stress by mode [√m] and the net section [1]; and of
# the length that a peak met last K again, for the ranges on both sides of a peak ask one after
# the other, and the cycle that they close does.
# At last its length by the mean of all when the message came: marks tell the mean of all.
LENGTH, COUNTED_A, GROWN, A_OVER, K_OVER, AT, UNIT, UNIT_II, BEARS, MET, MET_I, MET_II = range(12)
SHARE = MET_II + 1
HELD = SHARE + 1
NEVER = -1.0  # a length that no crack has


class Cracks(NamedTuple):
    """What of `CrackState` loads change, but for counter and exposure; all are written."""

    a: Floats  # (n, p) [m]
    length: Floats  # (n, p) [m]
    open_growth: Floats  # (n, p) [m]
    rate: Floats  # (n, p) [m/cycle]
    a_over: Floats  # (n, p) [m]
    K_over: Floats  # (n, p) [Pa √m]
    cycles: Floats  # (n,) [1]
    fractured: Bools  # (n,)
    t_broken_ns: Ints  # (n,)
    t_ns: Ints  # (n,)


class Counters(NamedTuple):
    """`Turning` as arrays; written where a message has samples, or comes after a gap."""

    residue: Floats  # (n, capacity) [Pa]
    companion: Floats  # (n, capacity) [Pa]
    mark: Floats  # (n, capacity, 2)
    depth: Ints  # (n,)
    gate: Floats  # (n,) [Pa]
    overflows: Ints  # (n,)


class Memories(NamedTuple):
    """`Exposure` as arrays; written where a message has cycles."""

    key: Ints  # (n, SLOTS)
    sums: Floats  # (n, SLOTS, SUMS)
    top: Floats  # (n, SLOTS, KEPT)


class Messages(NamedTuple):
    """A run of loads: `CrackLoad` as arrays, each for one row of the state."""

    row: Ints  # (k,)
    t_ns: Ints  # (k,)
    samples: Floats  # (m,) [Pa]
    companion: Floats  # (m,) [Pa]
    sample_offset: Ints  # (k+1,)
    continues: Bools  # (k,)
    blocks: Floats  # (b, 5) as the first columns of `Cycles`
    offset: Ints  # (k+1,)


@njit(nogil=True, error_model="numpy")
def walk(
    kinds: Kinds,
    constants: Floats,
    cracks: Cracks,
    counter: Counters,
    memory: Memories,
    load: Messages,
    length: Floats,
    fractured: Bools,
) -> None:
    """All messages; `length` (k, p) and `fractured` (k,) are what each has left."""
    p, capacity = cracks.a.shape[1], counter.residue.shape[1]
    w, out = np.empty((p, HELD)), np.empty((COUNTED, 2 * capacity + 2))
    met = np.empty((capacity if p > 1 else 0, p, MARKS))  # by peaks, of several particles
    opened = np.zeros((p, capacity))  # growth by the first ranges of the residue, if these closed
    none = int(np.int64(0))  # as a literal it would have functions compiled for it alone
    before, known = (
        int(np.int64(-1)),
        none,
    )  # the row of the last message, and the ranges known of it
    for j in range(len(load.row)):
        i = load.row[j]
        c, judged = constants[i], _judged(constants[i])
        if i != before or p > 1:
            before, known = i, none
        _begin(c, w, cracks, i)
        first, last, total = load.sample_offset[j], load.sample_offset[j + 1], 0.0
        is_none = last == first and load.continues[j] and load.offset[j] == load.offset[j + 1]
        if is_none and p > 1:  # what is open hangs on all particles, and would be told anew
            for k in range(p):
                length[j, k] = w[k, LENGTH]
            fractured[j] = cracks.fractured[i]
            known = none
            continue
        if last > first or not load.continues[j]:
            total, known = _series(
                kinds, c, w, met, opened, known, counter, memory, load, i, j, out, judged
            )
        total += _blocks(kinds, c, w, memory, load, i, j)
        points, others, marks = counter.residue[i], counter.companion[i], counter.mark[i]
        d = counter.depth[i]
        ranges = none if unsettled(points, d, counter.gate[i]) else max(d - 1, none)
        _open(kinds, c, w, met, opened, known, ranges, points, others, marks, out)
        _rate(c, w, cracks, i, total)
        _reach(c, w, opened, ranges)
        known = none
        if last > first:
            if judged:  # growth by the last sample counts
                _break(kinds, c, w, load.samples[last - 1], load.companion[last - 1])
            _mark(kinds, c, w, met, marks, d)
            known = max(ranges - 1, none)  # the last one may still move
        for k in range(p):
            _believe(c, w, opened[k, ranges], cracks, i, k)
            length[j, k] = w[k, LENGTH]
        fractured[j] = _tell(c, w, cracks, load, i, j)


@part
def _begin(c: Floats, w: Floats, cracks: Cracks, i: int) -> None:
    """Have row `i` at hand."""
    total, whole = 0.0, 0
    for k in range(len(w)):
        if cracks.length[i, k] < c[_own(c, k)][LIMIT]:
            total, whole = total + cracks.length[i, k], whole + 1
    for k in range(len(w)):
        w[k, SHARE] = 1.0
        if whole > 1 and cracks.length[i, k] < c[_own(c, k)][LIMIT]:
            w[k, SHARE] = cracks.length[i, k] * whole / total
        w[k, LENGTH], w[k, COUNTED_A] = cracks.length[i, k], cracks.a[i, k]
        w[k, GROWN], w[k, AT], w[k, MET] = 0.0, NEVER, NEVER
        w[k, A_OVER], w[k, K_OVER] = cracks.a_over[i, k], cracks.K_over[i, k]


@part
def _series(
    kinds: Kinds,
    c: Floats,
    w: Floats,
    met: Floats,
    opened: Floats,
    known: int,
    counter: Counters,
    memory: Memories,
    load: Messages,
    i: int,
    j: int,
    out: Floats,
    judged: bool,
) -> tuple[float, int]:
    """Let the samples act; how many cycles closed, and how many ranges are known of what is open.

    At each turn what is open so far is believed: so hardly anything hangs on where a series is cut.
    """
    points, others, marks = counter.residue[i], counter.companion[i], counter.mark[i]
    key, sums, top = memory.key[i], memory.sums[i], memory.top[i]
    d, gate, total, none = counter.depth[i], counter.gate[i], 0.0, int(np.int64(0))
    highest = d
    if not load.continues[j]:
        m = halved(points, others, marks, d, gate, out, none)
        total += _closed(kinds, c, w, met, key, sums, top, out, m)
        d = known = none
        _reach(c, w, opened, none)
    for s in range(load.sample_offset[j], load.sample_offset[j + 1]):
        x, shear = load.samples[s], load.companion[s]
        if judged:
            _break(kinds, c, w, x, shear)
        highest = max(highest, min(d + 1, len(points)))
        fresh = d < 2 or unsettled(points, d, gate)
        if not fresh and turns(points, d, gate, x):
            if points[d - 1] > points[d - 2]:
                _pass(kinds, c, w, met, points, others, marks, d, d - 1)
            _open(kinds, c, w, met, opened, known, d - 1, points, others, marks, out)
            known = d - 1
            _reach(c, w, opened, known)
            if judged:  # growth by the peak itself counts
                _break(kinds, c, w, points[d - 1], others[d - 1])
        d, m, lost = taken(points, others, marks, d, gate, x, shear, out, none)
        counter.overflows[i] += lost
        known = none if lost or fresh else max(min(known, d - 2), none)
        if fresh and d == 2 and not unsettled(points, d, gate):
            _pass(kinds, c, w, met, points, others, marks, d, 0 if points[0] > points[1] else 1)
        total += _closed(kinds, c, w, met, key, sums, top, out, m)
    if load.sample_offset[j + 1] > load.sample_offset[j]:
        _pass_newest(kinds, c, w, met, points, others, marks, d)
    forget(points, others, marks, d, highest)
    counter.depth[i] = d
    return total, known


@part
def _blocks(
    kinds: Kinds, c: Floats, w: Floats, memory: Memories, load: Messages, i: int, j: int
) -> float:
    """Let the blocks act; how many cycles these are."""
    key, sums, top, total = memory.key[i], memory.sums[i], memory.top[i], 0.0
    for b in range(load.offset[j], load.offset[j + 1]):
        block = load.blocks[b]
        cycle = (block[0], block[1], block[2], block[3], block[4])
        add(key, sums, top, cycle[0], cycle[1], cycle[2], cycle[3], cycle[4])
        _block(kinds, c, w, cycle)
        total += cycle[2]
    return total


@part
def _rate(c: Floats, w: Floats, cracks: Cracks, i: int, total: float) -> None:
    """Tell the mean growth of the cycles of a message; the jump of a fracture is no rate."""
    cracks.cycles[i] += total
    if total > 0.0 and not _ended(c, w):
        for k in range(len(w)):
            cracks.rate[i, k] = w[k, GROWN] / total


@part
def _tell(c: Floats, w: Floats, cracks: Cracks, load: Messages, i: int, j: int) -> bool:
    """Tell whether the part is broken, and when what happened."""
    broken = _ended(c, w)
    if broken and not cracks.fractured[i]:
        cracks.t_broken_ns[i] = load.t_ns[j]
    cracks.fractured[i] = broken
    samples = load.sample_offset[j + 1] - load.sample_offset[j]
    if samples + load.offset[j + 1] - load.offset[j] > 0:
        cracks.t_ns[i] = max(cracks.t_ns[i], load.t_ns[j])
    return broken


@part
def _own(c: Floats, k: int) -> int:
    """Where the constants of particle `k` stand: all may have the same."""
    return k if k < len(c) else 0


@part
def _fit(kinds: Kinds, c: Floats, w: Floats, k: int) -> None:
    """Have at hand what holds for particle `k`, of constants `c`, at the length it has now."""
    a = w[k, LENGTH]
    if w[k, AT] != a:
        w[k, AT] = a
        w[k, UNIT], w[k, UNIT_II], w[k, BEARS] = units(kinds, c, a)


@part
def _judged(c: Floats) -> bool:
    """Whether anything is known of what breaks the part."""
    for q in range(len(c)):  # noqa: SIM110  compiled
        if c[q, TOUGHNESS] < math.inf or c[q, YIELD] < math.inf:
            return True
    return False


@part
def _ended(c: Floats, w: Floats) -> bool:
    """Whether all particles are at the limit."""
    for k in range(len(w)):  # noqa: SIM110  compiled
        if w[k, LENGTH] < c[_own(c, k)][LIMIT]:
            return False
    return True


@part
def _break(kinds: Kinds, c: Floats, w: Floats, x: float, shear: float) -> None:
    """Run those particles to the limit that a sample breaks."""
    if not x > 0.0:
        return
    for k in range(len(w)):
        own = c[_own(c, k)]
        if w[k, LENGTH] < own[LIMIT]:
            _fit(kinds, own, w, k)
            if breaks(own, x, shear, w[k, UNIT], w[k, UNIT_II], w[k, BEARS]):
                w[k, LENGTH] = own[LIMIT]


@part
def _pass_newest(
    kinds: Kinds,
    c: Floats,
    w: Floats,
    met: Floats,
    points: Floats,
    others: Floats,
    marks: Floats,
    d: int,
) -> None:
    """Let the running peak pass at the end of a series: only if it rises further it does again."""
    falls = d > 1 and points[d - 1] < points[d - 2]
    newest = d - 2 if falls and d == 2 else d - 1
    if d > 0 and (d <= 2 or not falls):
        _pass(kinds, c, w, met, points, others, marks, d, newest)


@part
def _pass(
    kinds: Kinds,
    c: Floats,
    w: Floats,
    met: Floats,
    points: Floats,
    others: Floats,
    marks: Floats,
    d: int,
    i: int,
) -> None:
    """Let peak `i` pass, unless it has: it makes its zone, and is marked with what it meets."""
    if marks[i, 0] != 0.0:
        return
    slot = _free(marks, d, len(met)) if len(met) else -1
    for k in range(len(w)):
        feels = 0.0
        if kinds.retardation != NONE:
            own = c[_own(c, k)]
            _zone(kinds, own, w, k, _intensity(kinds, own, w, k, points[i], others[i]))
            feels = felt(kinds.retardation, own, w[k, A_OVER], w[k, K_OVER], w[k, LENGTH])
        if slot < 0:
            marks[i, 0], marks[i, 1] = w[k, LENGTH], feels
        else:
            met[slot, k, 0], met[slot, k, 1] = w[k, LENGTH], feels
    if slot >= 0:
        marks[i, 0] = -1.0 - slot


@part
def _free(marks: Floats, d: int, slots: int) -> int:
    """A place for what a peak meets that no open point names."""
    for slot in range(slots):
        named = False
        for i in range(d):
            named = named or marks[i, 0] == -1.0 - slot
        if not named:
            return slot
    return -1  # there are as many as points, and that which asks has none


@part
def _intensity(kinds: Kinds, c: Floats, w: Floats, k: int, peak: float, shear: float) -> float:
    """K_max [Pa √m] of a peak at the length that particle `k` has now."""
    _fit(kinds, c, w, k)
    return peak_intensity(peak, shear, w[k, UNIT], w[k, UNIT_II])


@part
def _zone(kinds: Kinds, c: Floats, w: Floats, k: int, K_max: float) -> None:
    """Remember a peak that particle `k` has met, if its zone reaches furthest."""
    if reaches_further(kinds.retardation, c, w[k, LENGTH], K_max, w[k, A_OVER], w[k, K_OVER]):
        w[k, A_OVER], w[k, K_OVER] = w[k, LENGTH], K_max


@part
def _closed(
    kinds: Kinds,
    c: Floats,
    w: Floats,
    met: Floats,
    key: Ints,
    sums: Floats,
    top: Floats,
    out: Floats,
    m: int,
) -> float:
    """Let the first `m` columns act, which have closed; how many cycles these are."""
    total = 0.0
    for j in range(m):
        cycle = (out[0, j], out[1, j], out[2, j], out[3, j], out[4, j])
        add(key, sums, top, cycle[0], cycle[1], cycle[2], cycle[3], cycle[4])
        total += cycle[2]
        _act(kinds, c, w, met, cycle, out[5, j], out[6, j])
    return total


@part
def _block(kinds: Kinds, c: Floats, w: Floats, cycle: Cycle) -> None:
    """Let a block act whose peaks pass while it does, and leave the zone of the last at the tip."""
    if not cycle[2] > 0.0:
        return
    peak, shear = cycle[1] + 0.5 * cycle[0], cycle[4] + 0.5 * cycle[3]
    for k in range(len(w)):
        own, K_max = c[_own(c, k)], 0.0
        if not w[k, LENGTH] < own[LIMIT]:
            continue
        if kinds.retardation != NONE and cycle[2] <= 1.0:
            K_max = _intensity(kinds, own, w, k, peak, shear)
        _grow(kinds, own, w, k, cycle)
        if kinds.retardation != NONE:
            if cycle[2] > 1.0:
                K_max = _intensity(kinds, own, w, k, peak, shear)
            _zone(kinds, own, w, k, K_max)


@part
def _act(
    kinds: Kinds, c: Floats, w: Floats, met: Floats, cycle: Cycle, mark: float, feels: float
) -> None:
    """Let a cycle act that has closed; what it grows is believed since its peak has passed."""
    for k in range(len(w)):
        own = c[_own(c, k)]
        if w[k, LENGTH] < own[LIMIT]:
            if mark == 0.0:  # it has not passed
                _grow(kinds, own, w, k, cycle)
            else:
                w[k, GROWN] += _past(kinds, own, w, met, k, cycle, mark, feels)


@part
def _grow(kinds: Kinds, c: Floats, w: Floats, k: int, cycle: Cycle) -> None:
    """Let particle `k` grow by cycles whose peaks pass now, and may break it."""
    a = w[k, LENGTH]
    growth = advance(kinds, c, cycle, w[k, A_OVER], w[k, K_OVER], a)
    if a + growth < c[LIMIT]:
        w[k, LENGTH] = a + growth
        w[k, GROWN] += growth
    else:
        w[k, LENGTH] = c[LIMIT]


@part
def _past(
    kinds: Kinds,
    c: Floats,
    w: Floats,
    met: Floats,
    k: int,
    cycle: Cycle,
    mark: float,
    feels: float,
) -> float:
    """Growth [m] by a cycle whose peak has passed: what it grew then. It breaks nothing now."""
    a = mark * w[k, SHARE]
    if mark < 0.0:
        slot = int(-1.0 - mark)
        a, feels = met[slot, k, 0], met[slot, k, 1]
    if w[k, MET] != a:
        w[k, MET] = a
        if w[k, AT] == a:
            w[k, MET_I], w[k, MET_II] = w[k, UNIT], w[k, UNIT_II]
        else:
            w[k, MET_I], w[k, MET_II], _ = units(kinds, c, a)
    growth = cycle[2] * one_cycle(kinds, c, cycle, (a, w[k, MET_I], w[k, MET_II], feels))
    return growth if growth < math.inf else 0.0


@part
def _mark(kinds: Kinds, c: Floats, w: Floats, met: Floats, marks: Floats, d: int) -> None:
    """Mark the open points that have none yet with what they meet.

    Of several particles, the mean of those that are not broken.
    """
    is_over = _ended(c, w)
    for i in range(d):
        mark, length, feels, whole = marks[i, 0], 0.0, 0.0, 0
        if mark > 0.0:
            continue
        for k in range(len(w)):
            if not (is_over or w[k, LENGTH] < c[_own(c, k)][LIMIT]):
                continue
            whole += 1
            if mark < 0.0:
                slot = int(-1.0 - mark)
                length += met[slot, k, 0]
                feels += met[slot, k, 1]
            else:
                a = w[k, LENGTH]
                length += a
                feels += felt(kinds.retardation, c[_own(c, k)], w[k, A_OVER], w[k, K_OVER], a)
        marks[i, 0], marks[i, 1] = length / whole, feels / whole


@part
def _open(
    kinds: Kinds,
    c: Floats,
    w: Floats,
    met: Floats,
    opened: Floats,
    known: int,
    ranges: int,
    points: Floats,
    others: Floats,
    marks: Floats,
    out: Floats,
) -> None:
    """Have in `opened` what the first `ranges` of the residue would grow as half cycles [m].

    It is evaluated, never consumed: `known` of them are there already.
    """
    for r in range(known, ranges):
        emitted(points, others, marks, r, 0.5, out, int(np.int64(0)))
        cycle = (out[0, 0], out[1, 0], out[2, 0], out[3, 0], out[4, 0])
        for k in range(len(w)):
            own, mark, feels = c[_own(c, k)], out[5, 0], out[6, 0]
            if mark == 0.0:
                mark = w[k, LENGTH] / w[k, SHARE]
                feels = felt(kinds.retardation, own, w[k, A_OVER], w[k, K_OVER], w[k, LENGTH])
            more = _past(kinds, own, w, met, k, cycle, mark, feels)
            opened[k, r + 1] = opened[k, r] + more


@part
def _reach(c: Floats, w: Floats, opened: Floats, ranges: int) -> None:
    """Believe what the first `ranges` of the residue have grown; what is believed never shrinks.

    A part that its open cycles grow to its limit is broken.
    """
    for k in range(len(w)):
        limit, long = c[_own(c, k)][LIMIT], w[k, COUNTED_A] + w[k, GROWN] + opened[k, ranges]
        if w[k, LENGTH] < limit:
            w[k, LENGTH] = min(max(w[k, LENGTH], long), limit)


@part
def _believe(c: Floats, w: Floats, more: float, cracks: Cracks, i: int, k: int) -> None:
    """What is told of particle `k` after a message, with the growth `more` [m] of the residue."""
    a, long = w[k, COUNTED_A] + w[k, GROWN], w[k, LENGTH]
    if not long < c[_own(c, k)][LIMIT]:
        a, more = long, 0.0
    elif a + more < long:
        more = long - a
    cracks.a[i, k], cracks.length[i, k], cracks.open_growth[i, k] = a, long, more
    cracks.a_over[i, k], cracks.K_over[i, k] = w[k, A_OVER], w[k, K_OVER]
