"""Cracks under their messages, one after the other, in compiled code.

Sample by sample the series is counted, its peaks pass, and the cycles that close grow the crack;
then each block does. A turning point is marked with the crack that it met, on which its cycle acts
when it closes. Nothing hangs on what else is in the batch, nor on how messages are put together
into runs: a run has the bits of its messages one by one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from models.crack_cycle import (
    LIMIT,
    TOUGHNESS,
    YIELD,
    Cycle,
    Kinds,
    advance,
    breaks,
    one_cycle,
    peak_intensity,
)
from models.exposure import Exposure, add
from models.rainflow import (
    COUNTED,
    MARKS,
    Bools,
    Floats,
    Ints,
    Turning,
    forget,
    halved,
    taken,
    turns,
    unsettled,
)
from models.scalar_geometry import units
from models.scalar_laws import Tables
from models.scalar_retardation import NONE, felt, reaches_further

NEVER = -1.0  # a length that no crack has
AT, UNIT, UNIT_II, BEARS = range(4)  # what is known of a crack of the length AT


class Cracks(NamedTuple):
    """What of `CrackState` loads change; all are written."""

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


class Messages(NamedTuple):
    """A run of loads: `CrackLoad` as arrays, each for one row of the state."""

    row: Ints  # (k,)
    t_ns: Ints  # (k,)
    samples: Floats  # (m,) [Pa]
    companion: Floats  # (m,) [Pa]
    sample_offset: Ints  # (k+1,)
    continues: Bools  # (k,)
    span: Floats  # (b,) [Pa]
    mean: Floats  # (b,) [Pa]
    count: Floats  # type: ignore[assignment]  # (b,) [1]; hides tuple.count
    shear: Floats  # (b,) [Pa]
    shear_mean: Floats  # (b,) [Pa]
    offset: Ints  # (k+1,)


class Part(NamedTuple):
    """One row of all: views (p,) of what a message changes, and what is at hand meanwhile."""

    c: Floats  # (q, CONSTANTS)
    R: Floats  # (q, r)
    growth: Floats  # (q, k)
    dK: Floats  # (q, r, k)
    lengths: Floats  # (q, m)
    beta: Floats  # (q, m)
    length: Floats  # (p,) [m]
    a_over: Floats  # (p,) [m]
    K_over: Floats  # (p,) [Pa √m]
    grown: Floats  # (p,) by this message [m]
    now: Floats  # (p, 4) see AT
    met: Floats  # (slots, p, 2) what peaks met, of several particles


@njit(nogil=True, error_model="numpy")
def walk(
    kinds: Kinds,
    constants: Floats,
    tables: Tables,
    cracks: Cracks,
    counter: Turning,
    memory: Exposure,
    load: Messages,
    length: Floats,
    fractured: Bools,
) -> None:
    """All messages; `length` (k, p) and `fractured` (k,) are what each has left."""
    p, capacity = cracks.a.shape[1], counter.residue.shape[1]
    grown, now = np.zeros(p), np.zeros((p, 4))
    met = np.zeros((capacity if p > 1 else 0, p, MARKS))
    out = np.empty((COUNTED, 2 * capacity + 2))
    for j in range(len(load.row)):
        i = load.row[j]
        part = Part(
            constants[i],
            tables.R[i],
            tables.growth[i],
            tables.dK[i],
            tables.a[i],
            tables.beta[i],
            cracks.length[i],
            cracks.a_over[i],
            cracks.K_over[i],
            grown,
            now,
            met,
        )
        _acted(kinds, part, cracks, counter, memory, load, i, j, out)
        length[j] = cracks.length[i]
        fractured[j] = cracks.fractured[i]


@njit(nogil=True, error_model="numpy")
def _acted(
    kinds: Kinds,
    part: Part,
    cracks: Cracks,
    counter: Turning,
    memory: Exposure,
    load: Messages,
    i: int,
    j: int,
    out: Floats,
) -> None:
    """What message `j` does to row `i`."""
    points, others, marks = counter.residue[i], counter.companion[i], counter.mark[i]
    key, sums, top = memory.key[i], memory.sums[i], memory.top[i]
    begun, judged = part.length.copy(), _judged(part.c)
    part.grown[:] = 0.0
    part.now[:, AT] = NEVER
    first, last, total = load.sample_offset[j], load.sample_offset[j + 1], 0.0
    if last > first or not load.continues[j]:
        d, gate = counter.depth[i], counter.gate[i]
        highest = d
        if not load.continues[j]:
            m = halved(points, others, marks, d, gate, out, 0)
            total += _closed(kinds, part, key, sums, top, out, m)
            d = 0
        for s in range(first, last):
            x, shear = load.samples[s], load.companion[s]
            if judged:
                _break(kinds, part, x, shear)
            highest = max(highest, min(d + 1, len(points)))
            fresh = d < 2 or unsettled(points, d, gate)
            if not fresh and points[d - 1] > points[d - 2] and turns(points, d, gate, x):
                _pass(kinds, part, points, others, marks, d, d - 1)
            d, m, lost = taken(points, others, marks, d, gate, x, shear, out, 0)
            counter.overflows[i] += lost
            if fresh and d == 2 and not unsettled(points, d, gate):
                _pass(kinds, part, points, others, marks, d, 0 if points[0] > points[1] else 1)
            if m > 0:
                total += _closed(kinds, part, key, sums, top, out, m)
                if judged:
                    _break(kinds, part, x, shear)
        if last > first and d > 0:
            newest = 0 if d == 1 or (d == 2 and points[0] > points[1]) else d - 1
            if newest == 0 or points[newest] > points[newest - 1]:
                _pass(kinds, part, points, others, marks, d, newest)
        forget(points, others, marks, d, highest)
        counter.depth[i] = d
    for b in range(load.offset[j], load.offset[j + 1]):
        cycle = (load.span[b], load.mean[b], load.count[b], load.shear[b], load.shear_mean[b])
        total += cycle[2]
        add(key, sums, top, cycle[0], cycle[1], cycle[2], cycle[3], cycle[4])
        _block(kinds, part, cycle)
    if last > first:
        _mark(kinds, part, marks, counter.depth[i])
    if total > 0.0 and not _ended(part):
        for k in range(len(part.grown)):
            cracks.rate[i, k] = part.grown[k] / total
    cracks.cycles[i] += total
    was = cracks.fractured[i]
    _opened(kinds, part, cracks, counter, i, begun, out)
    if last > first and judged:
        x, shear = load.samples[last - 1], load.companion[last - 1]
        _break_at_last(kinds, part, cracks, i, x, shear)
    cracks.fractured[i] = _ended(part)
    if cracks.fractured[i] and not was:
        cracks.t_broken_ns[i] = load.t_ns[j]
    if last > first or load.offset[j + 1] > load.offset[j]:
        cracks.t_ns[i] = max(cracks.t_ns[i], load.t_ns[j])


@njit(nogil=True, error_model="numpy")
def _at(part: Part, k: int) -> tuple[Floats, Tables]:
    """Constants and tables of particle `k`."""
    q = k if k < len(part.c) else 0
    return part.c[q], Tables(
        part.R[min(k, len(part.R) - 1)],
        part.growth[min(k, len(part.growth) - 1)],
        part.dK[min(k, len(part.dK) - 1)],
        part.lengths[min(k, len(part.lengths) - 1)],
        part.beta[min(k, len(part.beta) - 1)],
    )


@njit(nogil=True, error_model="numpy")
def _fit(kinds: Kinds, part: Part, c: Floats, tables: Tables, k: int) -> None:
    """Have at hand what holds for particle `k` at the length that it has now."""
    a = part.length[k]
    if part.now[k, AT] != a:
        unit, unit_II, bears = units(kinds[1], c, tables, a)
        part.now[k, AT], part.now[k, UNIT] = a, unit
        part.now[k, UNIT_II], part.now[k, BEARS] = unit_II, bears


@njit(nogil=True, error_model="numpy")
def _judged(c: Floats) -> bool:
    """Whether anything is known of what breaks the part."""
    for q in range(len(c)):
        if c[q, TOUGHNESS] < math.inf or c[q, YIELD] < math.inf:
            return True
    return False


@njit(nogil=True, error_model="numpy")
def _ended(part: Part) -> bool:
    """Whether all particles are at the limit."""
    for k in range(len(part.length)):
        if part.length[k] < part.c[k if k < len(part.c) else 0, LIMIT]:
            return False
    return True


@njit(nogil=True, error_model="numpy")
def _break(kinds: Kinds, part: Part, x: float, shear: float) -> None:
    """Run those particles to the limit that a sample breaks."""
    if not x > 0.0:
        return
    for k in range(len(part.length)):
        c, tables = _at(part, k)
        if part.length[k] < c[LIMIT]:
            _fit(kinds, part, c, tables, k)
            now = part.now[k]
            if breaks(c, x, shear, now[UNIT], now[UNIT_II], now[BEARS]):
                part.length[k] = c[LIMIT]


@njit(nogil=True, error_model="numpy")
def _pass(
    kinds: Kinds, part: Part, points: Floats, others: Floats, marks: Floats, d: int, i: int
) -> None:
    """Let peak `i` pass, unless it has: it makes its zone, and is marked with what it meets."""
    if marks[i, 0] != 0.0:
        return
    slot = _free(marks, d, len(part.met)) if len(part.met) else -1
    for k in range(len(part.length)):
        c, tables = _at(part, k)
        feels = 0.0
        if kinds[2] != NONE:
            _zoned(kinds, part, c, tables, k, points[i], others[i])
            feels = felt(kinds[2], c, part.a_over[k], part.K_over[k], part.length[k])
        if slot < 0:
            marks[i, 0], marks[i, 1] = part.length[k], feels
        else:
            part.met[slot, k, 0], part.met[slot, k, 1] = part.length[k], feels
    if slot >= 0:
        marks[i, 0], marks[i, 1] = -1.0 - slot, 0.0


@njit(nogil=True, error_model="numpy")
def _free(marks: Floats, d: int, slots: int) -> int:
    """A place for what a peak meets that no open point names."""
    for slot in range(slots):
        named = False
        for i in range(d):
            named = named or marks[i, 0] == -1.0 - slot
        if not named:
            return slot
    return -1


@njit(nogil=True, error_model="numpy")
def _zoned(
    kinds: Kinds, part: Part, c: Floats, tables: Tables, k: int, peak: float, shear: float
) -> None:
    """Remember a peak that passes, if its zone reaches furthest."""
    _fit(kinds, part, c, tables, k)
    K_max = peak_intensity(peak, shear, part.now[k, UNIT], part.now[k, UNIT_II])
    a = part.length[k]
    if reaches_further(kinds[2], c, a, K_max, part.a_over[k], part.K_over[k]):
        part.a_over[k], part.K_over[k] = a, K_max


@njit(nogil=True, error_model="numpy")
def _closed(
    kinds: Kinds, part: Part, key: Ints, sums: Floats, top: Floats, out: Floats, m: int
) -> float:
    """Let the first `m` columns act, as they have closed; how many cycles these are."""
    total = 0.0
    for j in range(m):
        cycle = (out[0, j], out[1, j], out[2, j], out[3, j], out[4, j])
        add(key, sums, top, cycle[0], cycle[1], cycle[2], cycle[3], cycle[4])
        total += cycle[2]
        for k in range(len(part.length)):
            c, tables = _at(part, k)
            if not part.length[k] < c[LIMIT]:
                continue
            if out[5, j] == 0.0:
                growth = advance(
                    kinds, c, tables, cycle, part.a_over[k], part.K_over[k], part.length[k]
                )
            else:
                growth = _past(kinds, part, c, tables, k, cycle, out[5, j], out[6, j])
            _grow(part, c, k, growth)
    return total


@njit(nogil=True, error_model="numpy")
def _past(
    kinds: Kinds,
    part: Part,
    c: Floats,
    tables: Tables,
    k: int,
    cycle: Cycle,
    mark: float,
    feels: float,
) -> float:
    """Growth [m] by a cycle whose peak has passed: what it grew then. It breaks nothing now."""
    a = mark
    if mark < 0.0:
        slot = int(-1.0 - mark)
        a, feels = part.met[slot, k, 0], part.met[slot, k, 1]
    if a == part.length[k]:
        _fit(kinds, part, c, tables, k)
        unit, unit_II = part.now[k, UNIT], part.now[k, UNIT_II]
    else:
        unit, unit_II, _ = units(kinds[1], c, tables, a)
    growth = cycle[2] * one_cycle(kinds, c, tables, cycle, (a, unit, unit_II, feels))
    return growth if growth < math.inf else 0.0


@njit(nogil=True, error_model="numpy")
def _grow(part: Part, c: Floats, k: int, growth: float) -> None:
    """Let particle `k` grow, or break."""
    if part.length[k] + growth < c[LIMIT]:
        part.length[k] += growth
        part.grown[k] += growth
    else:
        part.length[k] = c[LIMIT]


@njit(nogil=True, error_model="numpy")
def _block(kinds: Kinds, part: Part, cycle: Cycle) -> None:
    """Let a block act whose peaks pass while it does; after it, the last one has made its zone."""
    if not cycle[2] > 0.0:
        return
    for k in range(len(part.length)):
        c, tables = _at(part, k)
        if part.length[k] < c[LIMIT]:
            over = part.a_over[k], part.K_over[k]
            growth = advance(kinds, c, tables, cycle, over[0], over[1], part.length[k])
            _grow(part, c, k, growth)
            if kinds[2] != NONE:
                peak, shear = cycle[1] + 0.5 * cycle[0], cycle[4] + 0.5 * cycle[3]
                _zoned(kinds, part, c, tables, k, peak, shear)


@njit(nogil=True, error_model="numpy")
def _mark(kinds: Kinds, part: Part, marks: Floats, d: int) -> None:
    """Mark the open points that have no mark yet; several particles, by their mean."""
    p = len(part.length)
    for i in range(d):
        mark = marks[i, 0]
        if mark > 0.0:
            continue
        length, feels = 0.0, 0.0
        for k in range(p):
            c, _ = _at(part, k)
            if mark < 0.0:
                slot = int(-1.0 - mark)
                length, feels = length + part.met[slot, k, 0], feels + part.met[slot, k, 1]
            else:
                a = part.length[k]
                length += a
                feels += felt(kinds[2], c, part.a_over[k], part.K_over[k], a)
        marks[i, 0], marks[i, 1] = length / p, feels / p


@njit(nogil=True, error_model="numpy")
def _opened(
    kinds: Kinds, part: Part, cracks: Cracks, counter: Turning, i: int, begun: Floats, out: Floats
) -> None:
    """Believe what the residue would grow if it closed; evaluated, never consumed.

    What is believed never shrinks from the lengths `begun` (p,) [m]. A part that its open cycles
    grow to its limit is broken.
    """
    for k in range(len(part.length)):
        c, tables = _at(part, k)
        a = part.length[k]
        if a < c[LIMIT]:
            more = min(_open(kinds, part, c, tables, k, counter, i, out), c[LIMIT] - a)
            a = cracks.a[i, k] + part.grown[k]
            more = max(more, begun[k] - a)
            if not a + more < c[LIMIT]:
                a, more = max(c[LIMIT], a), 0.0
        else:
            more = 0.0
        cracks.a[i, k], cracks.open_growth[i, k], part.length[k] = a, more, a + more


@njit(nogil=True, error_model="numpy")
def _open(
    kinds: Kinds,
    part: Part,
    c: Floats,
    tables: Tables,
    k: int,
    counter: Turning,
    i: int,
    out: Floats,
) -> float:
    """Growth [m] of particle `k` if the residue closed now as half cycles."""
    m, more = halved(
        counter.residue[i],
        counter.companion[i],
        counter.mark[i],
        counter.depth[i],
        counter.gate[i],
        out,
        0,
    ), 0.0
    for j in range(m):
        cycle = (out[0, j], out[1, j], out[2, j], out[3, j], out[4, j])
        mark = out[5, j] if out[5, j] > 0.0 else part.length[k]
        feels = out[6, j]
        if not out[5, j] > 0.0:
            feels = felt(kinds[2], c, part.a_over[k], part.K_over[k], mark)
        more += _past(kinds, part, c, tables, k, cycle, mark, feels)
    return more


@njit(nogil=True, error_model="numpy")
def _break_at_last(
    kinds: Kinds, part: Part, cracks: Cracks, i: int, x: float, shear: float
) -> None:
    """Judge the last sample by what is believed after it: its own growth counts."""
    _break(kinds, part, x, shear)
    for k in range(len(part.length)):
        c, _ = _at(part, k)
        if not part.length[k] < c[LIMIT] and cracks.a[i, k] < c[LIMIT]:
            cracks.a[i, k], cracks.open_growth[i, k] = part.length[k], 0.0
