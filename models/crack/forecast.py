"""How cracks go on: deterministic rollouts under a repeating mix of blocks.

Load interaction is left out of forecasts: Wheeler and Willenborg only lengthen lives, and a rare
overload in a mix says nothing of when it comes, so what is forecast is on the safe side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from models.crack.growth import lanes
from models.crack.state import CrackState, limit_of
from models.fatigue.exposure import Exposure, exposed, typical_blocks
from models.fatigue.exposure_kernel import FREE
from models.fatigue.integration import Speed, advanced
from models.fatigue.rainflow import Cycles, Turning, open_half_cycles
from models.fatigue.retardation import NoRetardation

BISECTIONS = 40  # of the length at which a crack breaks
QUADRATURE_POINTS = 257  # over ln a; odd, for Simpson's rule


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


def rollout(
    state: CrackState, blocks: Cycles, cycles: Tensor, go_on: Callable[[], None] = lambda: None
) -> Tensor:
    """Crack length (n, p, T) [m] after `cycles` (T,) rising, of the mix `blocks` of each row.

    A crack that breaks stays at its geometry's limit. `go_on` is called before each, and may
    raise. Raises ValueError where `cycles` do not
    rise from 0 on.
    """
    steps = cycles.diff(prepend=cycles.new_zeros(1)).tolist()
    if not all(math.isfinite(step) and step >= 0.0 for step in steps):
        raise ValueError(f"cycles must rise from 0 on: {cycles.tolist()}")
    a, limit = state.length.reshape(-1), limit_of(state)
    lengths = []
    speed = lanes(state, mix(blocks), NoRetardation()) if blocks.range.numel() else None
    for step in steps:
        go_on()
        if step > 0.0 and speed is not None:
            a = advanced(a, Scaled(speed, step), limit).a
        lengths.append(a)
    return torch.stack(lengths, 1).view(*state.a.shape, len(steps))


def life(
    state: CrackState, blocks: Cycles, a_to: Tensor | float, points: int = QUADRATURE_POINTS
) -> Tensor:
    """Cycles (n, p) from the believed length to `a_to` (float, (n, 1) or (n, p)) [m] under a mix.

    ∞ where the crack arrests, 0 where it is there already; a fracture on the way ends the life.
    Simpson's rule over ln a with an odd number of `points`.
    """
    a, limit = state.length.reshape(-1), limit_of(state)
    goal = torch.as_tensor(a_to, dtype=a.dtype, device=a.device).expand_as(state.a).reshape(-1)
    if blocks.range.numel() == 0:
        return torch.where(a >= goal, 0.0, torch.full_like(a, math.inf)).view_as(state.a)
    speed = lanes(state, mix(blocks), NoRetardation())
    end = torch.minimum(goal, limit).clamp(min=a)
    cycles, last = _simpson(speed, a, end, points)
    index = (last < end).nonzero().squeeze(1)  # a fracture comes first: its length is looked for
    if index.numel():
        some, start = speed.among(index), a[index]
        width = torch.log(end[index] / start) / (points - 1)
        broken = _fracture(some, last[index], last[index] * torch.exp(width))
        cycles = cycles.index_copy(0, index, _simpson(some, start, broken, points)[0])
    return cycles.view_as(state.a)


def _simpson(speed: Speed, a: Tensor, end: Tensor, points: int) -> tuple[Tensor, Tensor]:
    """Cycles (k,) from `a` to `end` [m], and the last point (k,) [m] that no fracture precedes."""
    width, total, last = torch.log(end / a) / (points - 1), torch.zeros_like(a), a
    whole = torch.ones_like(a, dtype=torch.bool)
    for i in range(points):
        at = end if i == points - 1 else a * torch.exp(width * i)
        growth = speed(at)
        total = total + _weight(i, points) * (at / growth)
        whole = whole & torch.isfinite(growth)
        last = torch.where(whole, at, last)
    return torch.where(width > 0.0, total * width / 3.0, 0.0), last


def _fracture(speed: Speed, sound: Tensor, broken: Tensor) -> Tensor:
    """The longest crack (k,) [m] that grows and does not break, between two that do each."""
    for _ in range(BISECTIONS):
        middle = 0.5 * (sound + broken)
        holds = torch.isfinite(speed(middle))
        sound, broken = torch.where(holds, middle, sound), torch.where(holds, broken, middle)
    return sound


def _weight(i: int, points: int) -> float:
    """Simpson's weights 1 4 2 4 … 4 1."""
    if i in (0, points - 1):
        return 1.0
    return 4.0 if i % 2 else 2.0


def remaining(state: CrackState, points: int = QUADRATURE_POINTS) -> Tensor:
    """Cycles (n, p) to `a_limit` under the exposure so far; ∞ without growth, 0 at the limit."""
    cycles = life(state, load_so_far(state), state.a_limit[:, None], points)
    return torch.where(state.fractured[:, None], 0.0, cycles)


class _Loaded(Protocol):
    """What of a state says which load it has seen."""

    @property
    def exposure(self) -> Exposure: ...
    @property
    def counter(self) -> Turning: ...


def has_load(state: _Loaded) -> Tensor:
    """Whether (n,) any cycle was seen, closed or open, so that there is a load to go on with."""
    return (state.exposure.key < FREE).any(1) | (state.counter.depth > 1)


def load_so_far(state: _Loaded) -> Cycles:
    """The mix of all cycles so far as ragged blocks, what is open as half cycles among them."""
    return typical_blocks(exposed(state.exposure, open_half_cycles(state.counter)))
