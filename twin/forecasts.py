"""How a crack goes on under a load, as a page of quantiles."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from models import crack_steppers, tree
from models import path_forecast as path
from models.crack import CrackState
from models.crack_steppers import SLICE, PictureStepper, SliceLoad, default_stepper
from models.exposure import typical_blocks
from models.forecast import life, rollout
from models.path_crack import PathState, PathStepper
from models.path_forecast import ratio
from models.path_front import nodes
from models.path_plate import CLOSURES
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
    paths: dict[str, Any] = {"physics": nodes(front)}
    if (ahead := _spiking(state, load, paths["physics"][-1][0])) is not None:
        paths["spiking"] = ahead
    return lengths[0], paths


def _spiking(state: PathState, load: Cycles, x_to: float) -> list[list[float]] | None:
    """The path up to `x_to` [m] as the spiking stepper draws it; None for plates it knows not.

    It knows the direction of the load alone, not the cycles, so that it goes as far as physics.
    """
    form = float(state.plates.height / state.plates.width), int(state.plates.closure)
    tension = float((load.count * load.range).sum())
    if form != (2.0, CLOSURES.index("uniform")) or not tension > 0.0 or bool(state.fractured):
        return None
    pull = SliceLoad(torch.ones(1).double(), ratio(load))
    now = nodes(state.front)
    width = float(state.plates.width)
    slices = max(1, math.ceil((x_to - now[-1][0]) / (SLICE * width)))
    way = crack_steppers.rollout(
        _network(),
        torch.tensor([now], dtype=torch.float64),
        pull,
        slices,
        width=width,
    )[0]
    return [*map(list, now), *_up_to(way[1:].tolist(), now[-1], x_to)]


@cache
def _network() -> PictureStepper:
    return default_stepper("crack-spiking")


def _up_to(way: list[list[float]], last: tuple[float, float], x_to: float) -> list[list[float]]:
    """The nodes of `way` behind `last`, cut at `x_to` [m]."""
    kept: list[list[float]] = []
    (x0, y0) = last
    for x, y in way:
        if x >= x_to:
            share = (x_to - x0) / (x - x0) if x > x0 else 0.0
            return [*kept, [x_to, y0 + share * (y - y0)]]
        kept.append([x, y])
        x0, y0 = x, y
    return kept


def _horizon(left: Tensor) -> float:
    longest = float(left.max())
    return BEYOND * longest if 0.0 < longest < math.inf else HORIZON


def _quantile(x: Tensor, q: float) -> Tensor:
    """The quantile along axis 0, the lower neighbour, so that ∞ does not spread as NaN."""
    return torch.quantile(x, q, dim=0, interpolation="lower")
