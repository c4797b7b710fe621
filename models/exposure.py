"""The load seen so far, in few numbers: sums over classes of cycles.

Remaining life asks how the load goes on; the answer is a repeating mix of what has been. What a
cycle does hangs on the part of its range that opens the crack, on its load ratio and on its shear,
and not in proportion: so cycles are summed up with their like alone. Each class keeps sums rather
than a centre, so that constant amplitude comes back to the last digits. Of the opening range T its
fourth power is kept, of peak / T and shear / T the square, weighted by that: the mean of a class
then grows a crack as its cycles do by ΔK⁴, and too fast by less.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from models.rainflow import Cycles, Floats, Ints

SLOTS = 20  # classes that a component may have
BINS = 32  # of the opening range, two to an octave; smaller and larger ones go to the outermost
LOWEST = 2.0**15  # where they begin [Pa]
RATIOS = np.array([0.0, 0.5, 0.75, 0.875])  # of valley to peak, between classes [1]
SHEARS = np.array([-1.6, -1.0, -0.6, -0.3, -0.05, 0.05, 0.3, 0.6, 1.0, 1.6])  # to the range [1]
CLOSED = 0  # the class of cycles that never open the crack
FREE = 2**31  # of a slot without a class; greater than any
COUNT, RANGE, MEAN, SHEAR_MEAN, SHEAR, PEAK, FOURTH = range(7)  # what is summed up of a class
SUMS = 7


class Exposure(NamedTuple):
    """Sums over all cycles so far, class by class; the classes of a row rise."""

    key: Tensor  # (n, SLOTS) int64, FREE behind the last
    sums: Tensor  # (n, SLOTS, SUMS) float64 [1], [Pa] and [Pa⁴]: counts times each


def exposure(n: int) -> Exposure:
    """`n` components that have seen nothing."""
    return Exposure(torch.full((n, SLOTS), FREE), torch.zeros(n, SLOTS, SUMS, dtype=torch.float64))


def row_of(offset: Tensor) -> Tensor:
    """The row of each entry of ragged rows, (m,) int64, from their `offset` (n+1,)."""
    index = torch.arange(len(offset) - 1, device=offset.device)
    return torch.repeat_interleave(index, offset.diff())


def exposed(memory: Exposure, cycles: Cycles) -> Exposure:
    """The memory after `cycles`; how they are cut into messages changes no bit."""
    if cycles.range.numel() == 0:
        return memory
    after = Exposure(*(leaf.clone(memory_format=torch.contiguous_format) for leaf in memory))
    each = (leaf.to(torch.float64).contiguous().numpy() for leaf in cycles[:5])
    _add(after.key.numpy(), after.sums.numpy(), cycles.offset.numpy(), *each)
    return after


def typical_blocks(memory: Exposure) -> Cycles:
    """The mix so far as ragged blocks; the counts of a row with any load sum to 1."""
    seen = memory.key < FREE
    sums, count = memory.sums[seen], memory.sums[..., COUNT]
    total = count.sum(1, keepdim=True).expand_as(seen)[seen]
    offset = torch.cat((seen.new_zeros(1, dtype=torch.int64), seen.sum(1).cumsum(0)))
    span, mean, shear_mean = (sums[:, i] / sums[:, COUNT] for i in (RANGE, MEAN, SHEAR_MEAN))
    opens, alike = sums[:, FOURTH] > 0.0, torch.where(sums[:, FOURTH] > 0.0, sums[:, FOURTH], 1.0)
    opening = torch.sqrt(torch.sqrt(alike / sums[:, COUNT]))
    more = torch.where(opens, opening / _opening_range(span, mean).clamp(min=1e-300), 1.0)
    peak = opening * torch.sqrt(sums[:, PEAK] / alike)
    shear = opening * torch.sign(sums[:, SHEAR]) * torch.sqrt(sums[:, SHEAR].abs() / alike)
    size = torch.where(mean > 0.5 * span, opening, more * span)  # all of it opens, or a part
    return Cycles(
        range=torch.where(opens, size, span),
        mean=torch.where(opens, peak - 0.5 * size, mean),
        count=sums[:, COUNT] / total,
        shear=torch.where(opens, shear, 0.0),
        shear_mean=more * shear_mean,
        offset=offset,
    )


def load_ratios(memory: Exposure) -> tuple[Tensor, Tensor]:
    """The load ratio of each class (n, SLOTS) [1], and its share of all ΔK⁴ (n, SLOTS) [1].

    Within a class the mean that its growth goes by; the share is about that of the growth. Zero
    for what never opens the crack.
    """
    sums = memory.sums
    fourth = torch.where(memory.key < FREE, sums[..., FOURTH], 0.0)
    opens = fourth > 0.0
    alike = torch.where(opens, fourth, 1.0)
    peak = torch.where(opens, sums[..., PEAK], 1.0) / alike  # (peak / range in tension)²
    ratio = 1.0 - 1.0 / torch.sqrt(peak.clamp(min=1.0))
    half, mean = 0.5 * sums[..., RANGE], sums[..., MEAN]
    reversed_ = opens & (mean < half)  # some of it is compression, which the range has lost
    ratio = torch.where(reversed_, (mean - half) / torch.where(opens, mean + half, 1.0), ratio)
    total = fourth.sum(1, keepdim=True)
    return torch.where(opens, ratio, 0.0), fourth / torch.where(total > 0.0, total, 1.0)


def warm() -> None:
    """Compile, or load what was compiled before, so that the first message does not wait."""
    one = torch.ones(1, dtype=torch.float64)
    exposed(exposure(1), Cycles(one, one, one, one, one, torch.tensor([0, 1])))


def _opening_range(span: Tensor, mean: Tensor) -> Tensor:
    """The part of the range in tension [Pa]."""
    peak, valley = mean + 0.5 * span, mean - 0.5 * span
    return peak.clamp(min=0.0) - valley.clamp(min=0.0)


@njit(cache=True, nogil=True)
def _add(
    key: Ints,
    sums: Floats,
    offset: Ints,
    span: Floats,
    mean: Floats,
    count: Floats,
    shear: Floats,
    shear_mean: Floats,
) -> None:
    """Add the cycles of each row to `key` and `sums`, one after the other."""
    for i in range(len(offset) - 1):
        for j in range(offset[i], offset[i + 1]):
            if not count[j] > 0.0:
                continue
            peak, valley = mean[j] + 0.5 * span[j], mean[j] - 0.5 * span[j]
            opening = max(peak, 0.0) - max(valley, 0.0)
            wanted, at = _class(peak, valley, opening, shear[j]), 0
            while at < SLOTS and key[i, at] < wanted:
                at += 1
            if at == SLOTS or key[i, at] != wanted:
                at = _new_slot(key, sums, i, wanted)
            into = sums[i, at]
            square = count[j] * opening * opening
            into[COUNT] += count[j]
            into[RANGE] += count[j] * span[j]
            into[MEAN] += count[j] * mean[j]
            into[SHEAR_MEAN] += count[j] * shear_mean[j]
            into[SHEAR] += square * shear[j] * abs(shear[j])
            into[PEAK] += square * peak * peak
            into[FOURTH] += square * opening * opening


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True, inline="always")  # a call costs more than it does
def _new_slot(key: Ints, sums: Floats, i: int, wanted: int) -> int:
    """An empty slot for a class that has none; if need be what matters least makes room."""
    if key[i, SLOTS - 1] != FREE:
        _make_room(key[i], sums[i])
    at = 0
    while key[i, at] != FREE:
        at += 1
    while at > 0 and key[i, at - 1] > wanted:
        key[i, at] = key[i, at - 1]
        for k in range(SUMS):
            sums[i, at, k] = sums[i, at - 1, k]
        at -= 1
    key[i, at] = wanted
    for k in range(SUMS):
        sums[i, at, k] = 0.0
    return at


@njit(cache=True, nogil=True)
def _make_room(key: Ints, sums: Floats) -> None:
    """The class that grows a crack least joins the nearest; what is closed stays by itself."""
    first = 1 if key[0] == CLOSED else 0
    least = first + np.argmin(sums[first:, FOURTH])
    nearest, gap = first, FREE
    for k in range(first, len(key)):
        apart = _apart(key[k], key[least])
        if k != least and apart < gap:
            nearest, gap = k, apart
    sums[nearest] += sums[least]
    for k in range(least, len(key) - 1):
        key[k], sums[k] = key[k + 1], sums[k + 1]
    key[-1], sums[-1] = FREE, 0.0


@njit(cache=True, nogil=True)
def _apart(one: int, other: int) -> int:
    """How unlike two classes of open cycles are: another size is less than another kind."""
    turns, ratios = len(SHEARS) + 1, len(RATIOS) + 1
    a, b = one - 1, other - 1
    turn = abs(a % turns - b % turns)
    ratio = abs(a // turns % ratios - b // turns % ratios)
    return int(abs(a // (turns * ratios) - b // (turns * ratios)) + 2 * ratio + 2 * turn)
