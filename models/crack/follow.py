"""Particles that follow guides, in compiled code.

Guides are few cracks that are stepped exactly, under the same loads, at lengths and growth factors
that span those of the particles. What a message has grown the guides says how fast a crack of each
length grows under it; a particle grows as fast as a crack of its length, times its own factor.
Between and beyond the guides growth is a power of the length. So particles feel what guides feel:
every load, overloads, open cycles; and a message costs hardly more than that of one crack.

Each particle has a factor of its own that stays, and one that wanders along the crack: constant in
each cell of ln a, and from cell to cell a stationary Gaussian process of first order.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from models.compiled import part
from models.crack.cycle import breaks
from models.crack.walk import Messages
from models.fatigue.rainflow import Floats, Ints
from models.fatigue.scalar_geometry import units
from models.fatigue.scalar_laws import LIMIT, TOUGHNESS, YIELD, Kinds
from models.filters.draws import normal

CELL = 0.05  # of ln a, in which the wandering factor of a particle is constant
STEEPEST = 60.0  # power of the length by which growth may rise or fall between guides
APART = 1e-4  # of ln a: guides nearer to each other do not tell how growth hangs on length
OFF = 0.2  # of ln a, that the middle guide may be off the particles
FEW = 0.02  # of the particles, that are no longer told apart
LITTLE = 1e-3  # growth by a message, relative to the crack, that is taken in one piece


class Followers(NamedTuple):
    """`Particles` as arrays; those before `growth` are written."""

    a: Floats  # (n, p) [m]
    local: Floats  # (n, p)
    edge: Floats  # (n, p) [m]
    slope: Floats  # (n,)
    growth: Floats  # (n, p)
    key: Ints  # (n,)
    epoch: Ints  # (n,)
    factor: Floats  # (n, g)
    local_sd: Floats  # (n,)
    local_length: Floats  # (n,)


class Trails(NamedTuple):
    """Where guides were before the first message of each row, and after each message."""

    start: Floats  # (n, g) [m]
    length: Floats  # (k, g) [m]


@part
def follow(
    kinds: Kinds, constants: Floats, particles: Followers, trails: Trails, load: Messages,
    length: Floats, stop: Ints, pace: Floats,
) -> None:  # fmt: skip
    """Move all particles by all messages; `length` (k, p) are theirs after each.

    Stops at the message `stop` (n,) of a row behind which its guides have to be seated anew: what
    comes after it does not count. `pace` (3, g) is working space.
    """
    for j in range(len(load.row)):
        i = load.row[j]
        if stop[i] < j:
            continue
        before = trails.start[i]
        if j > 0 and load.row[j - 1] == i:
            before = trails.length[j - 1]
        c = constants[i, 0]
        live = _paces(before, trails.length[j], particles.factor[i], c[LIMIT], pace)
        if live == 0:
            _ended(kinds, c, particles.a[i], before, load, j)
        elif _slopes(particles, i, pace, live):
            for q in range(particles.a.shape[1]):
                _move(particles, i, q, pace, live, c[LIMIT])
        if live > 0 and (c[TOUGHNESS] < math.inf or c[YIELD] < math.inf):
            _break(kinds, c, particles.a[i], load, j)
        if _astray(particles, i, trails.length[j], c[LIMIT], live):
            stop[i] = j
        for q in range(particles.a.shape[1]):
            length[j, q] = particles.a[i, q]


@part
def _ended(kinds: Kinds, c: Floats, a: Floats, before: Floats, load: Messages, j: int) -> None:
    """Break all particles with the last guides, but for those that a peak is too low for.

    Where guides have grown until they broke, nobody knows how far the others did.
    """
    shortest = c[LIMIT]
    for k in range(len(before)):
        shortest = min(shortest, before[k])
    peak, shear = _peak(load, j)
    at_once = shortest < c[LIMIT] and _breaks(kinds, c, peak, shear, shortest)
    for q in range(len(a)):
        if not (at_once and a[q] < c[LIMIT] and not _breaks(kinds, c, peak, shear, a[q])):
            a[q] = c[LIMIT]


@part
def _astray(particles: Followers, i: int, guides: Floats, limit: float, live: int) -> bool:
    """Whether guides are no longer where the particles are, so that they tell them too little.

    Particles that are hardly any more are given up: they break with the last guide.
    """
    whole, middle = 0, 0.0
    for q in range(particles.a.shape[1]):
        if particles.a[i, q] < limit:
            whole += 1
            middle += math.log(particles.a[i, q])
    if whole <= FEW * particles.a.shape[1]:
        if live == 0:
            particles.a[i, :] = limit
        return False
    if live < len(guides):
        return True
    return abs(middle / whole - math.log(guides[len(guides) // 2])) > OFF


MIDDLE, SPEED, REACH = range(3)  # of `pace`: length [m], growth of factor 1 [m], and see `_paces`


@part
def _paces(before: Floats, after: Floats, factor: Floats, limit: float, pace: Floats) -> int:
    """Have at hand how far guides of factor 1 would grow; how many guides are not broken."""
    live = 0
    for k in range(len(before)):
        if before[k] < limit and after[k] < limit:
            pace[MIDDLE, live] = math.sqrt(before[k] * after[k])
            pace[SPEED, live] = (after[k] - before[k]) / math.exp(factor[k])
            pace[REACH, live] = after[k] / before[k]
            live += 1
    return live


@part
def _slopes(particles: Followers, i: int, pace: Floats, live: int) -> bool:
    """Have at hand the power by which growth rises; whether anything has grown."""
    low, high = pace[SPEED, 0], pace[SPEED, live - 1]
    span = math.log(pace[MIDDLE, live - 1] / pace[MIDDLE, 0])
    if span > APART and low > 0.0 and high > 0.0:
        slope = math.log(high / low) / span
        particles.slope[i] = min(max(slope, -STEEPEST), STEEPEST)
    for k in range(live):  # noqa: SIM110  compiled
        if pace[SPEED, k] > 0.0:
            return True
    return False


@part
def _power(pace: Floats, k: int, slope: float) -> float:
    """The power between guide `k` and the next."""
    low, high = pace[SPEED, k], pace[SPEED, k + 1]
    span = math.log(pace[MIDDLE, k + 1] / pace[MIDDLE, k])
    if not (span > APART and low > 0.0 and high > 0.0):
        return slope
    return min(max(math.log(high / low) / span, -STEEPEST), STEEPEST)


@part
def _bend(pace: Floats, live: int, a: float, slope: float) -> float:
    """How the power changes with ln of the length, for a crack beyond the guides; 0 for others.

    By the parabola through the last three guides, as growth bends upwards where the net section
    ends. Where it bends downwards, by a threshold, that is left out: nobody knows where it ends.
    """
    is_below, is_above = a < pace[MIDDLE, 0], a > pace[MIDDLE, live - 1]
    if live < 3 or not (is_below or is_above):
        return 0.0
    first = 0 if is_below else live - 3
    span = math.log(pace[MIDDLE, first + 2] / pace[MIDDLE, first])
    slowest = min(pace[SPEED, first], pace[SPEED, first + 1], pace[SPEED, first + 2])
    if not (span > APART and slowest > 0.0):
        return 0.0
    bend = (_power(pace, first + 1, slope) - _power(pace, first, slope)) / span
    return max(bend, 0.0)


@part
def _move(particles: Followers, i: int, q: int, pace: Floats, live: int, limit: float) -> None:
    """Move one particle by a message, cell by cell."""
    a = particles.a[i, q]
    if not a < limit:
        return
    k = 0
    while k < live - 1 and pace[MIDDLE, k + 1] <= a:
        k += 1
    if a > pace[MIDDLE, k] and pace[SPEED, k] <= 0.0 and k < live - 1:
        k += 1  # growth begins between the two: nobody knows where
    power, middle = particles.slope[i], pace[MIDDLE, k]
    if live > 1:
        power = _power(pace, min(k, live - 2), power)
    left = _reach(pace[SPEED, k], middle, pace[REACH, k], power)
    bend = _bend(pace, live, a, particles.slope[i])
    if bend > 0.0:  # as fast as the parabola says where the crack is, and as steep
        beside = pace[MIDDLE, 1] if k == 0 else pace[MIDDLE, live - 2]
        off, on = math.log(a / middle), math.log(a / beside)
        left *= math.exp((power - 1.0 + bend * on) * off)
        power, middle = min(max(power + bend * (on + off), -STEEPEST), STEEPEST), a
    while True:
        own = math.exp(particles.growth[i, q] + particles.local[i, q])
        here, edge = a / middle, particles.edge[i, q]
        step = own * left * here**power
        step *= 1.0 + 0.5 * power * step / here  # to second order
        if step <= LITTLE * here and a + step * middle < edge:
            a += step * middle
            break
        needed = _way(here, edge / middle, power)
        if own * left < needed:
            a = min(max(a, middle * _far(here, own * left, power)), edge)
            break
        left -= needed / own
        a = edge
        if a >= limit:
            break
        _next_cell(particles, i, q)
    particles.a[i, q] = min(a, limit)


@part
def _reach(speed: float, middle: float, ratio: float, power: float) -> float:
    """What a crack of factor 1 has of the integral of du / uⁿ, u its length by that of a guide."""
    root = math.sqrt(ratio)
    if ratio - 1.0 <= LITTLE:
        return speed / middle
    grown = (root - 1.0 / root) * middle
    return _way(1.0 / root, root, power) * speed / grown


@part
def _way(u0: float, u1: float, power: float) -> float:
    """∫ du / uⁿ from u0 to u1."""
    off = 1.0 - power
    if abs(off) * abs(math.log(u1 / u0)) < 1e-9:
        return math.log(u1 / u0)
    return (u1**off - u0**off) / off


@part
def _far(u0: float, way: float, power: float) -> float:
    """Where a crack from u0 comes in ∫ du / uⁿ = `way`; ∞ where it runs away before."""
    off = 1.0 - power
    if abs(off) < 1e-9:
        return u0 * math.exp(way)
    base = u0**off + off * way
    return base ** (1.0 / off) if base > 0.0 else math.inf


@part
def _next_cell(particles: Followers, i: int, q: int) -> None:
    """Let a particle enter the next cell of ln a, with a factor that goes on from the last one."""
    cell = round(math.log(particles.edge[i, q]) / CELL)
    sd, stays = particles.local_sd[i], math.exp(-CELL / particles.local_length[i])
    if sd > 0.0:
        z = normal(particles.key[i], particles.epoch[i], q, cell + 2**20)
        new = sd * math.sqrt(1.0 - stays * stays) * z
        particles.local[i, q] = stays * particles.local[i, q] + new
    particles.edge[i, q] = math.exp(CELL * (cell + 1))


@part
def _break(kinds: Kinds, c: Floats, a: Floats, load: Messages, j: int) -> None:
    """Run those particles to the limit that the highest peak of a message breaks."""
    longest, (peak, shear) = 0.0, _peak(load, j)
    for q in range(len(a)):
        if a[q] < c[LIMIT]:
            longest = max(longest, a[q])
    if longest > 0.0 and _breaks(kinds, c, peak, shear, longest):
        for q in range(len(a)):
            if a[q] < c[LIMIT] and _breaks(kinds, c, peak, shear, a[q]):
                a[q] = c[LIMIT]


@part
def _peak(load: Messages, j: int) -> tuple[float, float]:
    """The highest tension of a message [Pa], and the shear with it."""
    peak = shear = 0.0
    for s in range(load.sample_offset[j], load.sample_offset[j + 1]):
        if load.samples[s] > peak:
            peak, shear = load.samples[s], load.companion[s]
    for b in range(load.offset[j], load.offset[j + 1]):
        block = load.blocks[b]
        if block[2] > 0.0 and block[1] + 0.5 * block[0] > peak:
            peak, shear = block[1] + 0.5 * block[0], block[4] + 0.5 * block[3]
    return peak, shear


@part
def _breaks(kinds: Kinds, c: Floats, peak: float, shear: float, a: float) -> bool:
    unit, unit_II, bears = units(kinds, c, a)
    return breaks(c, peak, shear, unit, unit_II, bears)
