"""Questions about the future of one component, and what a kind answers."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from models.fatigue.rainflow import Cycles

BEYOND = 1.1  # how far beyond the limit a forecast looks, in lives
HORIZON = 1e6  # cycles where there is no growth


class Question(NamedTuple):
    """What is asked of the future."""

    blocks: Cycles | None  # a mix that repeats; None: the load seen so far
    horizon: float | None  # cycles; None: a little beyond the limit
    points: int

    @property
    def largest_range(self) -> float | None:
        """Of what repeats [Pa]."""
        return None if self.blocks is None else float(self.blocks.range.max())

    def cycles(self, left: Tensor) -> Tensor:
        """Where (points,) lengths are told, if `left` (p,) cycles are left to the limit."""
        longest = float(left.max())
        ahead = BEYOND * longest if 0.0 < longest < math.inf else HORIZON
        return torch.linspace(0.0, self.horizon or ahead, self.points, dtype=torch.float64)


class Ahead(NamedTuple):
    """What the models say of one component."""

    left: Tensor  # (p,) cycles to the limit
    cycles: Tensor  # (T,)
    lengths: Tensor  # (p, T) after `cycles` [m]
    paths: dict[str, Any] | None = None  # see `schema.Paths`
    operator: int = 0  # stress intensities that the operator found
    xfem: int = 0  # and those that XFEM found
