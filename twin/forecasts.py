"""How a crack goes on under a load, as a page of quantiles."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from models import path_forecast as path
from models import tree
from models.crack import CrackState
from models.exposure import typical_blocks
from models.forecast import life, rollout
from models.path_crack import PathStepper
from models.path_front import nodes
from models.rainflow import Cycles
from twin.cohort import AnyState, Cohort

QUANTILES = (0.05, 0.5, 0.95)
BEYOND = 1.1  # how far beyond the limit a forecast looks, in lives
HORIZON = 1e6  # cycles where there is no growth


class Question(NamedTuple):
    """What is asked of the future."""

    blocks: Cycles | None  # a mix that repeats; None: the load seen so far
    horizon: float | None  # cycles; None: a little beyond the limit
    points: int


def has_load(cohort: Cohort, row: int) -> bool:
    """Whether any cycle was counted, so that there is a load to go on with."""
    return bool(cohort.state.exposure.count[row].any())


def mix(rows: list[tuple[float, float, float]], shear_ratio: float) -> Cycles:
    """Ragged blocks of one component from rows of range [Pa], mean [Pa] and count."""
    span, mean, count = torch.tensor(rows, dtype=torch.float64).T.contiguous().unbind()
    return Cycles(span, mean, count, span * shear_ratio, torch.tensor([0, len(rows)]))


def forecast(cohort: Cohort, row: int, question: Question) -> dict[str, Any]:
    """Crack length [m] against cycles, and cycles to the limit, as quantiles."""
    state = tree.rows(cohort.state, torch.tensor([row]))
    load = typical_blocks(state.exposure) if question.blocks is None else question.blocks
    left = _left(cohort, state, load)  # (p,)
    horizon = question.horizon or _horizon(left)
    cycles = torch.linspace(0.0, horizon, question.points, dtype=torch.float64)
    lengths, paths = _rollout(cohort, state, load, cycles)  # (p, T)
    return {
        "paths": paths,
        "deterministic": len(left) == 1,
        "cycles": cycles.tolist(),
        "crack_length": {str(q): _quantile(lengths, q).tolist() for q in QUANTILES},
        "crack_limit": float(state.a_limit[0]),
        "remaining_cycles": {str(q): float(_quantile(left, q)) for q in QUANTILES},
        "remaining_cycles_is": "finite" if math.isfinite(_quantile(left, 0.5)) else "unbounded",
    }


def _left(cohort: Cohort, state: AnyState, load: Cycles) -> Tensor:
    """Cycles (p,) to the limit."""
    if isinstance(state, CrackState):
        return life(state, load, state.a_limit[:, None])[0]
    find = cast(PathStepper, cohort.stepper).find
    ahead = path.outlook(state, load, state.a_limit, find)
    return path.life(state, ahead, load, state.a_limit)


def _rollout(
    cohort: Cohort, state: AnyState, load: Cycles, cycles: Tensor
) -> tuple[Tensor, dict[str, Any] | None]:
    """Lengths (p, T) [m] after `cycles` (T,), and the paths to there by method, if any is drawn."""
    if isinstance(state, CrackState):
        return rollout(state, load, cycles)[0], None
    find = cast(PathStepper, cohort.stepper).find
    lengths, front = path.rollout(state, load, cycles, find)
    return lengths[0], {"physics": nodes(front)}


def _horizon(left: Tensor) -> float:
    longest = float(left.max())
    return BEYOND * longest if 0.0 < longest < math.inf else HORIZON


def _quantile(x: Tensor, q: float) -> Tensor:
    """The quantile along axis 0, the lower neighbour, so that ∞ does not spread as NaN."""
    return torch.quantile(x, q, dim=0, interpolation="lower")
