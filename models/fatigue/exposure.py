"""The load seen so far, in few numbers: sums over classes of cycles.

Remaining life asks how the load goes on; the answer is a repeating mix of what has been. What a
cycle does hangs on the part of its range that opens the crack, on its load ratio and on its shear,
and not in proportion: so cycles are summed up with their like alone.

* **The cycle with the highest peak of each class is kept as it was,** with how often it came: what
  breaks a part, or is the only one to grow its crack, is no mean.
* **Of all others of a class three moments are kept** of x = T⁴, T the opening range, about the x of
  the first of them; peak and shear with them. Two cycles in some proportion come back for them,
  Gauss's: so growth is summed up without error as far as it is a cubic in ΔK⁴, and what straddles a
  threshold stays on both of its sides.

One, two or three cycles in a class, in any proportion, come back as they were: three with shear
in proportion, and as much of their range in compression.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from models.fatigue.exposure_kernel import (
    BESIDE,
    COUNT,
    FIRST,
    FREE,
    KEPT,
    MEAN,
    MIDDLE,
    OFTEN,
    ORIGIN,
    PEAK,
    RANGE,
    SECOND,
    SHEAR,
    SHEAR_MEAN,
    SLOTS,
    SPAN,
    SUMS,
    THIRD,
    TURN,
    TURN_MEAN,
    add_rows,
)
from models.fatigue.rainflow import Cycles

ALIKE = 1e-12  # variance of x to its mean squared, up to which cycles are one
NEAR = 9.0  # square of the distance from the others [σ] up to which a peak is told among them
LITTLE = 1e-3  # share of all ΔK⁴ up to which a class is told by one cycle, and its highest peak


class Exposure(NamedTuple):
    """What is known of all cycles so far, class by class; the classes of a row rise."""

    key: Tensor  # (n, SLOTS) int64, FREE behind the last
    sums: Tensor  # (n, SLOTS, SUMS) float64 [1], [Pa] to [Pa¹²]: counts times each
    top: Tensor  # (n, SLOTS, KEPT) float64 count [1], range, mean, shear and its mean [Pa]


def exposure(n: int) -> Exposure:
    """`n` components that have seen nothing."""
    sums, top = (torch.zeros(n, SLOTS, k, dtype=torch.float64) for k in (SUMS, KEPT))
    return Exposure(torch.full((n, SLOTS), FREE), sums, top)


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
    add_rows(*(leaf.numpy() for leaf in after), cycles.offset.numpy(), *each)
    return after


def typical_blocks(memory: Exposure) -> Cycles:
    """The mix so far as ragged blocks; the counts of a row with any load sum to 1.

    The highest peak of a row is always among them. Others that are no rarity in their class, and
    classes that do little, are not told apart: every block costs time in every remaining life.
    """
    seen = memory.key < FREE
    much, apart = (leaf[seen] for leaf in _notable(memory))
    top = memory.top[seen]
    sums, apart = _told_among(memory.sums[seen], top, apart)
    rest = _rest(sums, top, much)
    count = torch.stack((*rest.count, torch.where(apart, top[:, OFTEN], 0.0)), 1)
    there = count > 0.0
    each = torch.zeros_like(memory.key).masked_scatter(seen, there.sum(1)).sum(1)
    offset = torch.cat((each.new_zeros(1), each.cumsum(0)))
    total = (memory.sums[..., COUNT] + memory.top[..., OFTEN]).sum(1)[row_of(offset)]
    size, mean, shear, shear_mean = (
        torch.stack((*two, top[:, i]), 1)[there]
        for two, i in zip(rest[1:], (SPAN, MIDDLE, TURN, TURN_MEAN), strict=True)
    )
    return Cycles(size, mean, count[there] / total, shear, shear_mean, offset)


def _notable(memory: Exposure) -> tuple[Tensor, Tensor]:
    """Which classes (n, SLOTS) do not do little, and which have the highest peak of their row."""
    top, sums = memory.top, memory.sums
    peak = top[..., MIDDLE] + 0.5 * top[..., SPAN]
    fourth = sums[..., COUNT] * sums[..., ORIGIN] + sums[..., FIRST] + top[..., OFTEN] * _x(top)
    much = fourth > LITTLE * fourth.sum(1, keepdim=True)
    return much, peak == peak.amax(1, keepdim=True)


def _told_among(sums: Tensor, top: Tensor, highest: Tensor) -> tuple[Tensor, Tensor]:
    """The sums (k, SUMS) with the peaks that are no rarity added, and which stay apart (k,)."""
    count = torch.where(sums[:, COUNT] > 0.0, sums[:, COUNT], 1.0)
    first, variance = _spread(sums, count)
    off = _x(top) - sums[:, ORIGIN]
    apart = highest | ~(variance > 0.0) | ((off - first) ** 2 >= NEAR * variance)
    square, peak = torch.sqrt(_x(top)), top[:, MIDDLE] + 0.5 * top[:, SPAN]
    pull = square * peak * peak
    turn = square * top[:, TURN] * top[:, TURN].abs()
    each = torch.ones_like(off), *(top[:, i] for i in (SPAN, MIDDLE, TURN_MEAN))
    more = torch.stack(
        (*each, turn, pull, off * pull, 0.0 * off, off, off * off, off * off * off), 1
    )
    return sums + torch.where(apart, 0.0, top[:, OFTEN])[:, None] * more, apart


def _x(top: Tensor) -> Tensor:
    """T⁴ [Pa⁴] of highest peaks."""
    square = _opening_range(top[..., SPAN], top[..., MIDDLE]) ** 2
    return square * square


def _spread(sums: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of x about ORIGIN and variance of x (k,), 0 where cycles are alike."""
    first = sums[:, FIRST] / count
    variance = sums[:, SECOND] / count - first * first
    alike = variance <= ALIKE * (sums[:, ORIGIN] + first) ** 2
    return first, torch.where(alike, 0.0, variance)


class _Two(NamedTuple):
    """Two cycles that stand for many; each a pair of (k,), the smaller first."""

    count: tuple[Tensor, Tensor]  # type: ignore[assignment]  # the second may be 0; hides tuple's
    range: tuple[Tensor, Tensor]  # [Pa]
    mean: tuple[Tensor, Tensor]  # [Pa]
    shear: tuple[Tensor, Tensor]  # [Pa]
    shear_mean: tuple[Tensor, Tensor]  # [Pa]


def _rest(sums: Tensor, top: Tensor, much: Tensor) -> _Two:
    """What stands for the `sums` (k, SUMS) of all but what is apart; for little, one cycle."""
    count = sums[:, COUNT]
    some = torch.where(count > 0.0, count, 1.0)
    first, variance = _spread(sums, some)
    second, third, beside, square = (sums[:, i] / some for i in (SECOND, THIRD, BESIDE, PEAK))
    x, two = sums[:, ORIGIN] + first, much & (variance > 0.0)
    deviation = torch.sqrt(torch.where(two, variance, 1.0))
    skew = (third - first * (3.0 * second - 2.0 * first * first)) / (deviation * variance)
    far = 0.5 * (skew.abs() + torch.sqrt(skew * skew + 4.0))
    far, near = torch.where(skew < 0.0, 1.0 / far, far), torch.where(skew < 0.0, far, 1.0 / far)
    slope = (beside - first * square) / torch.where(two, variance, 1.0)
    upper = count * near / (far + near)
    peak = top[:, MIDDLE] + 0.5 * top[:, SPAN]
    nodes = [
        _node(sums, x + more, square + more * slope, peak)
        for more in (torch.where(two, side, 0.0) for side in (-near * deviation, far * deviation))
    ]
    counts = torch.where(two, count - upper, count), torch.where(two, upper, 0.0)
    return _Two(counts, *zip(*nodes, strict=True))


def _node(sums: Tensor, x: Tensor, square: Tensor, highest: Tensor) -> tuple[Tensor, ...]:
    """Range, mean, shear and its mean (k,) [Pa] of a cycle of x = T⁴ and T² peak² = `square`.

    Its peak is between T, and the `highest` that the class has had.
    """
    means = sums / torch.where(sums[:, COUNT] > 0.0, sums[:, COUNT], 1.0)[:, None]
    span, mean, shear = means[:, RANGE], means[:, MEAN], means[:, SHEAR]
    mean_x = sums[:, ORIGIN] + means[:, FIRST]
    opens, alike = mean_x > 0.0, torch.where(mean_x > 0.0, mean_x, 1.0)
    opening = torch.sqrt(torch.sqrt(x.clamp(min=0.0)))
    more = torch.where(opens, opening / _opening_range(span, mean).clamp(min=1e-300), 1.0)
    peak = torch.sqrt(square.clamp(min=0.0)) / torch.where(opening > 0.0, opening, 1.0)
    peak = torch.maximum(torch.minimum(peak, highest), opening)
    turn = opening * torch.sign(shear) * torch.sqrt(shear.abs() / alike)
    size = torch.where(mean > 0.5 * span, opening, more * span)  # all of it opens, or a part
    return (
        torch.where(opens, size, span),
        torch.where(opens, peak - 0.5 * size, mean),
        torch.where(opens, turn, 0.0),
        more * means[:, SHEAR_MEAN],
    )


def load_ratios(memory: Exposure) -> tuple[Tensor, Tensor]:
    """Load ratios (n, 2 SLOTS) [1] of what was seen, and the share of each of all ΔK⁴ [1].

    Those of the highest peaks are exact; the others of a class have the mean that their growth goes
    by. The share is about that of the growth. Zero for what never opens the crack.
    """
    sums, top = memory.sums, memory.top
    count = torch.where(sums[..., COUNT] > 0.0, sums[..., COUNT], 1.0)
    span, mean = sums[..., RANGE] / count, sums[..., MEAN] / count
    fourth = sums[..., COUNT] * sums[..., ORIGIN] + sums[..., FIRST]
    alike = torch.where(fourth > 0.0, fourth, 1.0)
    peak = torch.where(fourth > 0.0, sums[..., PEAK], 1.0) / alike  # (peak / range in tension)²
    ratio = 1.0 - 1.0 / torch.sqrt(peak.clamp(min=1.0))
    ratio = torch.where(mean < 0.5 * span, _ratio(span, mean), ratio)  # compression is not in it
    share = torch.cat((fourth, top[..., OFTEN] * _x(top)), 1)
    ratio = torch.cat((ratio, _ratio(top[..., SPAN], top[..., MIDDLE])), 1)
    total = share.sum(1, keepdim=True)
    return torch.where(share > 0.0, ratio, 0.0), share / torch.where(total > 0.0, total, 1.0)


def _ratio(span: Tensor, mean: Tensor) -> Tensor:
    """Valley to peak [1], 0 where the peak opens nothing."""
    peak = mean + 0.5 * span
    return torch.where(peak > 0.0, (mean - 0.5 * span) / torch.where(peak > 0.0, peak, 1.0), 0.0)


def warm() -> None:
    """Compile, or load what was compiled before, so that the first message does not wait."""
    one = torch.ones(1, dtype=torch.float64)
    exposed(exposure(1), Cycles(one, one, one, one, one, torch.tensor([0, 1])))


def _opening_range(span: Tensor, mean: Tensor) -> Tensor:
    """The part of the range in tension [Pa]."""
    peak, valley = mean + 0.5 * span, mean - 0.5 * span
    return peak.clamp(min=0.0) - valley.clamp(min=0.0)
