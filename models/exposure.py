"""The load seen so far, in few numbers: sums over bins of the stress range.

Remaining life asks how the load goes on; the answer is a repeating mix of what has been. Each
bin keeps sums rather than a centre, so that constant amplitude comes back exactly.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from models.rainflow import Cycles

BINS = 24
LOWEST, HIGHEST = 1e5, 2e9  # [Pa]; smaller and larger ranges go to the outermost bins
EDGES = tuple(LOWEST * (HIGHEST / LOWEST) ** (i / BINS) for i in range(1, BINS))  # [Pa]


class Exposure(NamedTuple):
    """Sums over all cycles so far, bin by bin of the stress range."""

    count: Tensor  # type: ignore[assignment]  # (n, bins) [1]; hides tuple.count
    range_sum: Tensor  # (n, bins) [Pa]
    mean_sum: Tensor  # (n, bins) [Pa]
    shear_sum: Tensor  # (n, bins) signed [Pa]
    shear_mean_sum: Tensor  # (n, bins) [Pa]


def exposure(n: int, device: torch.device | str = "cpu") -> Exposure:
    """`n` components that have seen nothing."""
    return Exposure(*torch.zeros(5, n, BINS, dtype=torch.float64, device=device).unbind())


def row_of(offset: Tensor) -> Tensor:
    """The row of each entry of ragged rows, (m,) int64, from their `offset` (n+1,)."""
    index = torch.arange(len(offset) - 1, device=offset.device)
    return torch.repeat_interleave(index, offset.diff())


def exposed(memory: Exposure, cycles: Cycles) -> Exposure:
    """The memory after `cycles`."""
    if cycles.range.numel() == 0:
        return memory
    edges = torch.tensor(EDGES, dtype=torch.float64, device=cycles.range.device)
    place = row_of(cycles.offset) * BINS + torch.bucketize(cycles.range.to(torch.float64), edges)
    count = cycles.count.to(torch.float64)
    each = (cycles.range, cycles.mean, cycles.shear, cycles.shear_mean)
    weights = (count, *(count * leaf for leaf in each))
    return Exposure(
        *(
            leaf.flatten().index_add(0, place, more.to(leaf.dtype)).view(-1, BINS)
            for leaf, more in zip(memory, weights, strict=True)
        )
    )


def typical_blocks(memory: Exposure) -> Cycles:
    """The mix so far as ragged blocks; the counts of a row with any load sum to 1."""
    seen = memory.count > 0.0
    count = memory.count[seen]
    total = memory.count.sum(1, keepdim=True).expand_as(seen)[seen]
    offset = torch.cat((seen.new_zeros(1, dtype=torch.int64), seen.sum(1).cumsum(0)))
    return Cycles(
        range=memory.range_sum[seen] / count,
        mean=memory.mean_sum[seen] / count,
        count=count / total,
        shear=memory.shear_sum[seen] / count,
        shear_mean=memory.shear_mean_sum[seen] / count,
        offset=offset,
    )
