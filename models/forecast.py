"""How cracks go on: deterministic rollouts under a repeating mix of blocks.

Load interaction is left out of forecasts: Wheeler and Willenborg only lengthen lives, and a rare
overload in a mix says nothing of when it comes, so what is forecast is on the safe side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from models.crack_growth import lanes
from models.crack_state import CrackState, limit_of
from models.exposure import typical_blocks
from models.integration import Speed, advanced
from models.rainflow import Cycles
from models.retardation import NoRetardation

POINTS = 257  # of the quadrature over ln a; odd, for Simpson's rule


@dataclass(frozen=True, slots=True)
class Scaled:
    """A speed times a number of cycles."""

    speed: Speed
    factor: Tensor | float

    def __call__(self, a: Tensor) -> Tensor:
        """da/dλ (k,) [m]."""
        return self.factor * self.speed(a)

    def reach(self, a: Tensor) -> Tensor:
        """The longest stride (k,) [m]."""
        return self.speed.reach(a)

    def among(self, index: Tensor) -> Scaled:
        """The speed of the cracks at `index` alone."""
        return Scaled(self.speed.among(index), self.factor)


def mix(blocks: Cycles) -> Cycles:
    """The blocks with counts that sum to 1 in each row."""
    rows = len(blocks.offset) - 1
    index = torch.repeat_interleave(
        torch.arange(rows, device=blocks.offset.device), blocks.offset.diff()
    )
    total = blocks.count.new_zeros(rows).index_add_(0, index, blocks.count)[index]
    share = torch.where(total > 0.0, blocks.count / torch.where(total > 0.0, total, 1.0), 0.0)
    return blocks._replace(count=share)


def rollout(state: CrackState, blocks: Cycles, cycles: Tensor) -> Tensor:
    """Crack length (n, p, T) [m] after `cycles` (T,) rising, of the mix `blocks` of each row.

    A crack that breaks stays at its geometry's limit. Raises ValueError where `cycles` do not
    rise from 0 on.
    """
    steps = cycles.diff(prepend=cycles.new_zeros(1)).tolist()
    if not all(math.isfinite(step) and step >= 0.0 for step in steps):
        raise ValueError(f"cycles must rise from 0 on: {cycles.tolist()}")
    a, limit = state.a.reshape(-1), limit_of(state)
    lengths = []
    speed = lanes(state, mix(blocks), NoRetardation()) if blocks.range.numel() else None
    for step in steps:
        if step > 0.0 and speed is not None:
            a = advanced(a, Scaled(speed, step), limit).a
        lengths.append(a)
    return torch.stack(lengths, 1).view(*state.a.shape, len(steps))


def life(state: CrackState, blocks: Cycles, a_to: Tensor | float, points: int = POINTS) -> Tensor:
    """Cycles (n, p) from `state.a` to `a_to` (float, (n, 1) or (n, p)) [m] under the mix `blocks`.

    ∞ where the crack arrests, 0 where it is there already; a fracture on the way ends the life.
    Simpson's rule over ln a with an odd number of `points`.
    """
    a, limit = state.a.reshape(-1), limit_of(state)
    goal = torch.as_tensor(a_to, dtype=a.dtype, device=a.device).expand_as(state.a).reshape(-1)
    if blocks.range.numel() == 0:
        return torch.where(a >= goal, 0.0, math.inf).to(a.dtype).view_as(state.a)
    speed = lanes(state, mix(blocks), NoRetardation())
    width = torch.log(torch.minimum(goal, limit).clamp(min=a) / a) / (points - 1)
    total = torch.zeros_like(a)
    for i in range(points):
        at = a * torch.exp(width * i)
        total = total + _weight(i, points) * (at / speed(at))
    cycles = torch.where(width > 0.0, total * width / 3.0, 0.0)
    return cycles.view_as(state.a)


def _weight(i: int, points: int) -> float:
    """Simpson's weights 1 4 2 4 … 4 1."""
    if i in (0, points - 1):
        return 1.0
    return 4.0 if i % 2 else 2.0


def remaining(state: CrackState, points: int = POINTS) -> Tensor:
    """Cycles (n, p) to `a_limit` under the exposure so far; ∞ without growth, 0 at the limit."""
    cycles = life(state, typical_blocks(state.exposure), state.a_limit[:, None], points)
    return torch.where(state.fractured[:, None], 0.0, cycles)
