"""What pulls at cracks along paths: blocks of cycles, their growth and their directions.

The blocks of one load act together: the growth of a cycle is the law's at the equivalent
intensity of the maximum tangential stress criterion, and the crack heads where the mean of the
directions of all cycles points, each weighted by what it grows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from models.fatigue.exposure import row_of
from models.fatigue.integration import load_ratio, padded
from models.fatigue.laws import Law
from models.fatigue.mixed_mode import equivalent, half_tangent
from models.fatigue.rainflow import Cycles
from models.fatigue.strength import Strength
from models.tree import mapped, rows


class Lane(NamedTuple):
    """What drives each lane: a block of equal cycles; all leaves (M,), filled up."""

    law: Law
    K_c: Tensor  # toughness, ∞: none is known [Pa √m]
    range: Tensor  # [Pa]
    peak: Tensor  # [Pa], zero for a cycle in compression
    shear: Tensor  # range, signed as that of the tension is positive [Pa]
    shear_peak: Tensor  # where the tension has its peak [Pa]
    R: Tensor  # of the tension [1]
    count: Tensor  # type: ignore[assignment]  # [1], zero in compression; hides tuple.count


@dataclass(frozen=True, slots=True)
class Pull:
    """All cycles that pull at `tracks` cracks."""

    lane: Lane
    track: Tensor  # (M,) int64, which crack
    used: int  # lanes before those that fill up
    tracks: int

    def growth(self, k: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
        """Growth (used,) [m] of each block, and tan(θ/2) of its direction [1].

        `k` (tracks, 2, 2) [√m] and `a` (tracks,) [m] are those of the cracks.
        """
        lane, at = self.lane, self.track
        per_load = k.reshape(-1, 4).index_select(0, at)
        ranges, peaks = (
            (
                tension * per_load[:, 0] + shear * per_load[:, 2],
                tension * per_load[:, 1] + shear * per_load[:, 3],
            )
            for tension, shear in ((lane.range, lane.shear), (lane.peak, lane.shear_peak))
        )
        tangent, dK, K_max = half_tangent(*ranges), equivalent(*ranges), equivalent(*peaks)
        R = load_ratio(dK, K_max, lane.R)
        per_cycle = lane.law(K_max * (1.0 - R), R, a.index_select(0, at))
        per_cycle = torch.where(K_max >= lane.K_c, math.inf, per_cycle)
        grows = (lane.count > 0.0) & (dK > 0.0) & (K_max > 0.0)
        return torch.where(grows, lane.count * per_cycle, 0.0)[: self.used], tangent[: self.used]

    def __call__(self, k: Tensor, a: Tensor) -> Tensor:
        """Growth (tracks,) [m] of all blocks together."""
        return self._sum(self.growth(k, a)[0])

    def heading(self, k: Tensor, a: Tensor) -> Tensor:
        """Where they turn the crack: unit vectors (tracks, 2) from its own direction."""
        growth, t = self.growth(k, a)
        weight = growth.clamp(max=1e100)
        scale = 1.0 / (1.0 + t * t)
        x = self._sum(weight * ((1.0 - t * t) * scale))
        y = self._sum(weight * (2.0 * t * scale))
        size = torch.sqrt(x * x + y * y)
        grows = size > 0.0
        size = torch.where(grows, size, 1.0)
        return torch.stack((torch.where(grows, x / size, 1.0), y / size), 1)

    def _sum(self, value: Tensor) -> Tensor:
        return value.new_zeros(self.tracks).index_add_(0, self.track[: self.used], value)

    def among(self, index: Tensor) -> Pull:
        """What pulls at the cracks at `index` (rising) alone."""
        if len(index) == self.tracks:
            return self
        place = index.new_full((self.tracks,), -1)
        place[index] = torch.arange(len(index), device=index.device)
        chosen = (place[self.track[: self.used]] >= 0).nonzero()[:, 0]
        fill = padded(chosen)
        track = place[self.track[fill]].clamp(min=0)
        return Pull(rows(self.lane, fill), track, len(chosen), len(index))


def pull(law: Law, cycles: Cycles, strength: Strength | None = None) -> Pull:
    """What `cycles` do to cracks that grow by `law` and break by `strength` (leaves (n, 1))."""
    row = row_of(cycles.offset)
    track = padded(row)
    of = padded(torch.arange(len(row), device=row.device))
    span, mean, count, shear, shear_mean = (leaf.index_select(0, of) for leaf in cycles[:5])
    peak, valley = mean + 0.5 * span, mean - 0.5 * span
    opened = (peak > 0.0) & (span > 0.0)
    lane = Lane(
        law=mapped(lambda leaf: leaf[:, 0].index_select(0, track), law),
        K_c=_toughness(strength, track),
        range=span,
        peak=torch.where(opened, peak, 0.0),
        shear=shear,
        shear_peak=shear_mean + 0.5 * shear,
        R=torch.where(opened, valley / torch.where(opened, peak, 1.0), 0.0),
        count=torch.where(opened, count, 0.0),
    )
    return Pull(lane, track, len(row), len(cycles.offset) - 1)


def _toughness(strength: Strength | None, track: Tensor) -> Tensor:
    """Toughness (M,) of each lane [Pa √m]."""
    if strength is None:
        return torch.full(track.shape, math.inf, dtype=torch.float64)
    return strength.K_c[:, 0].index_select(0, track)
