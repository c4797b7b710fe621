"""How a crack goes on under a load, as a page of quantiles."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from models import tree
from models.crack.forecast import load_so_far
from models.crack.state import lengths_told, lives_told
from models.fatigue.rainflow import Cycles
from sensors.calibration import Calibration
from sensors.errors import MalformedError
from sensors.observation import Spectrum
from twin.belief.cohort import Cohort
from twin.kinds.ahead import Question
from twin.kinds.kind import TOLD

QUANTILES = tuple(map(float, TOLD))


def mix(rows: list[tuple[float, float, float]], shear_ratio: float) -> Cycles:
    """Ragged blocks of one component from rows of range [Pa], mean [Pa] and count."""
    span, mean, count = torch.tensor(rows, dtype=torch.float64).T.contiguous().unbind()
    shear, offset = span * shear_ratio, torch.tensor([0, len(rows)])
    return Cycles(span, mean, count, shear, mean * shear_ratio, offset)


def what_if(spectrum: Spectrum, calibration: Calibration, limit: float) -> Cycles:
    """Blocks of one component [Pa] from a spectrum as a sensor would send it.

    Raises MalformedError where ranges or means go beyond `limit` [Pa].
    """
    factor, offset = calibration.factors(spectrum.quantity)
    table = torch.frombuffer(bytearray(spectrum.cycles), dtype=torch.float64).reshape(-1, 3)
    span, mean, count = table.T.contiguous().unbind()
    span, mean, ratio = span * abs(factor), mean * factor, spectrum.shear_ratio
    rows = torch.tensor([0, len(table)])
    found = Cycles(span, mean + offset, count, span * ratio, mean * ratio, rows)
    most = max(float(found.range.max()), float(found.mean.abs().max()))
    if most > limit:
        raise MalformedError(
            "value",
            f"cycles reach {most:.4g} Pa after {spectrum.component}'s calibration, more than "
            f"{limit:g} Pa: check `unit` and the calibration",
        )
    return found


class Answer(NamedTuple):
    """A forecast, and what it took."""

    page: dict[str, Any]  # see `schema.Forecast`
    found: dict[str, int]  # stress intensities by what found them


def forecast(
    cohort: Cohort, row: int, question: Question, go_on: Callable[[], None] = lambda: None
) -> Answer:
    """Crack length [m] against cycles, and cycles to the limit, as quantiles.

    `go_on` is called before everything that takes long, and may raise.
    """
    go_on()
    state = tree.rows(cohort.state, torch.tensor([row]))
    load = load_so_far(state) if question.blocks is None else question.blocks
    ahead = cohort.kind.ahead(cohort.stepper, state, load, question, go_on)
    probabilities, limit = np.array(QUANTILES), float(state.a_limit[0])
    each = np.ascontiguousarray(ahead.lengths.numpy().T)
    lengths = lengths_told(each, np.full(len(each), limit), probabilities).T
    lives = lives_told(ahead.left.numpy()[None], probabilities)[0]
    page = {
        "paths": ahead.paths,
        "deterministic": len(ahead.left) == 1,
        "cycles": ahead.cycles.tolist(),
        "crack_length": {str(q): each.tolist() for q, each in zip(QUANTILES, lengths, strict=True)},
        "crack_limit": limit,
        "remaining_cycles": {str(q): float(x) for q, x in zip(QUANTILES, lives, strict=True)},
        "remaining_cycles_is": _is(float(lives[QUANTILES.index(0.5)])),
    }
    return Answer(page, {"operator": ahead.operator, "xfem": ahead.xfem})


def _is(median: float) -> str:
    return "finite" if math.isfinite(median) else "unbounded"
