"""How a crack goes on under a load, as a page of quantiles."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from models import tree
from models.crack.forecast import life, load_so_far, rollout
from models.crack.state import CrackState
from models.crack_path import forecast as path
from models.crack_path.front import known
from models.crack_path.polyline import IntensitySolver
from models.crack_path.stepper import PathState, PathStepper
from models.fatigue.rainflow import Cycles
from sensors.calibration import Calibration
from sensors.observation import Spectrum
from twin.belief.cohort import LIFE_POINTS, Cohort
from twin.forecast.crack_path import paths

QUANTILES = (0.05, 0.5, 0.95)
BEYOND = 1.1  # how far beyond the limit a forecast looks, in lives
HORIZON = 1e6  # cycles where there is no growth


class Question(NamedTuple):
    """What is asked of the future."""

    blocks: Cycles | None  # a mix that repeats; None: the load seen so far
    horizon: float | None  # cycles; None: a little beyond the limit
    points: int


def mix(rows: list[tuple[float, float, float]], shear_ratio: float) -> Cycles:
    """Ragged blocks of one component from rows of range [Pa], mean [Pa] and count."""
    span, mean, count = torch.tensor(rows, dtype=torch.float64).T.contiguous().unbind()
    shear, offset = span * shear_ratio, torch.tensor([0, len(rows)])
    return Cycles(span, mean, count, shear, mean * shear_ratio, offset)


def what_if(spectrum: Spectrum, calibration: Calibration) -> Cycles:
    """Blocks of one component from a spectrum as a sensor would send it."""
    factor, offset = calibration.factors(spectrum.quantity)
    table = torch.frombuffer(bytearray(spectrum.cycles), dtype=torch.float64).reshape(-1, 3)
    span, mean, count = table.T.contiguous().unbind()
    span, mean, ratio = span * abs(factor), mean * factor, spectrum.shear_ratio
    rows = torch.tensor([0, len(table)])
    return Cycles(span, mean + offset, count, span * ratio, mean * ratio, rows)


class Answer(NamedTuple):
    """A forecast, and what it took."""

    page: dict[str, Any]  # see `schema.Forecast`
    found: dict[str, int]  # stress intensities by what found them


class _Ahead(NamedTuple):
    """What the models say of one component."""

    left: Tensor  # (p,) cycles to the limit
    cycles: Tensor  # (T,)
    lengths: Tensor  # (p, T) after `cycles` [m]
    paths: dict[str, Any] | None = None  # see `schema.Paths`
    operator: int = 0  # intensities that it found
    xfem: int = 0


def forecast(
    cohort: Cohort, row: int, question: Question, go_on: Callable[[], None] = lambda: None
) -> Answer:
    """Crack length [m] against cycles, and cycles to the limit, as quantiles.

    `go_on` is called before everything that takes long, and may raise.
    """
    go_on()
    state = tree.rows(cohort.state, torch.tensor([row]))
    load = load_so_far(state) if question.blocks is None else question.blocks
    if isinstance(state, CrackState):
        ahead = _straight(state, load, question, go_on)
    else:
        stepper = cast(PathStepper, cohort.stepper)
        stepper = replace(stepper, find=_while(stepper.find, go_on))
        ahead = _along(stepper, state, load, question, go_on)
    page = {
        "paths": ahead.paths,
        "deterministic": len(ahead.left) == 1,
        "cycles": ahead.cycles.tolist(),
        "crack_length": {str(q): _quantile(ahead.lengths, q).tolist() for q in QUANTILES},
        "crack_limit": float(state.a_limit[0]),
        "remaining_cycles": {str(q): float(_quantile(ahead.left, q)) for q in QUANTILES},
        "remaining_cycles_is": _is(float(_quantile(ahead.left, 0.5))),
    }
    return Answer(page, {"operator": ahead.operator, "xfem": ahead.xfem})


def _while(find: IntensitySolver, go_on: Callable[[], None]) -> IntensitySolver:
    """The same intensities, as long as there is leave to go on."""

    def found(*args: Any, **named: Any) -> Any:  # noqa: ANN401  whatever `find` takes and gives
        go_on()
        return find(*args, **named)

    return found


def _straight(
    state: CrackState, load: Cycles, question: Question, go_on: Callable[[], None]
) -> _Ahead:
    left = life(state, load, state.a_limit[:, None], LIFE_POINTS)[0]
    left = torch.where(state.fractured, 0.0, left)
    cycles = _cycles(question, left)
    return _Ahead(left, cycles, rollout(state, load, cycles, go_on)[0])


def _along(
    stepper: PathStepper,
    state: PathState,
    load: Cycles,
    question: Question,
    go_on: Callable[[], None],
) -> _Ahead:
    """A crack along a path; a plate that is broken has nothing ahead, and nothing is found."""
    if bool(state.fractured):
        left = torch.zeros(1, dtype=torch.float64)
        cycles = _cycles(question, left)
        return _Ahead(
            left, cycles, state.length.expand(1, len(cycles)), paths(state, state.front, load)
        )
    before = state.front
    left, found, by_xfem = _life_along(stepper, state, load, question)
    state = state._replace(front=known(before, state.plates, stepper.find))
    cycles = _cycles(question, left)
    lengths, front = path.rollout(state, load, cycles, stepper.find, go_on)
    found += int(front.found - before.found)
    by_xfem += int(front.by_xfem - before.by_xfem)
    drawn = paths(state, front, load)
    return _Ahead(left, cycles, lengths[0], drawn, found - by_xfem, by_xfem)


def _life_along(
    stepper: PathStepper, state: PathState, load: Cycles, question: Question
) -> tuple[Tensor, int, int]:
    """Cycles to the limit (1,), the intensities found for it, and those of them by XFEM.

    Under the load so far it is what the state says.
    """
    if question.blocks is None:
        after, left = path.with_remaining(state, stepper.find)
        asked, before = after.front, state.front
        by_xfem = int(asked.by_xfem - before.by_xfem)
        return left[0], int(asked.found - before.found), by_xfem
    state = state._replace(front=known(state.front, state.plates, stepper.find))
    seen = path.foresight(state, load, state.a_limit, stepper.find)
    left = path.life(state, seen.outlook, load, state.a_limit)
    return left, int(seen.found), int(seen.by_xfem)


def _is(median: float) -> str:
    return "finite" if math.isfinite(median) else "unbounded"


def _cycles(question: Question, left: Tensor) -> Tensor:
    """Where (T,) the lengths are told."""
    horizon = question.horizon or _horizon(left)
    return torch.linspace(0.0, horizon, question.points, dtype=torch.float64)


def _horizon(left: Tensor) -> float:
    longest = float(left.max())
    return BEYOND * longest if 0.0 < longest < math.inf else HORIZON


def _quantile(x: Tensor, q: float) -> Tensor:
    """The quantile along axis 0, the lower neighbour, so that ∞ does not spread as NaN."""
    return torch.quantile(x, q, dim=0, interpolation="lower")
