"""Where a crack along a path will run: by physics, and by the spiking stepper where it has learned.

The stepper has learned from plates twice as high as wide, whose cracks start in the middle of the
left side, under loads of which 92 % have less shear than tension. At a load that repeats as in a
forecast, its path is within 0.025 W of that of physics where |τ/σ| ≤ 1 and the mouth is within
0.1 W of the middle. Beyond it is not to be relied on: one training went 0.09 W astray at
|τ/σ| = 2, and 0.25 W with the mouth at 0.2 W.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch

from models import crack_steppers
from models.crack_steppers import SLICE, PictureStepper, SliceLoad, default_stepper
from models.path_crack import PathState
from models.path_forecast import ratio
from models.path_front import Front, nodes
from models.path_plate import CLOSURES
from models.rainflow import Cycles

ASPECT, ALIKE = 2.0, 1e-6  # H/W that it knows, and what still counts as that
MOUTH = 0.1  # farthest from the middle of the side [W]
SHEAR = 1.0  # largest |τ/σ|


def paths(state: PathState, front: Front, load: Cycles) -> dict[str, Any]:
    """The way from `state` to `front`, as `schema.Paths` has it; one component."""
    physics = nodes(front)
    why = unlearned(state, load)
    drawn = None if why else _spiking(state, load, physics[-1][0])
    return {"physics": physics, "spiking": drawn, "why": why}


def unlearned(state: PathState, load: Cycles) -> str | None:
    """Why the spiking stepper is not asked, if so, in a sentence."""
    width, height = float(state.plates.width), float(state.plates.height)
    mouth, pull = float(state.front.path[0, 0, 1]), float(ratio(load))
    if bool(state.fractured):
        return "the crack has run through the plate"
    if abs(height / width - ASPECT) > ALIKE:
        return f"H/W is {height / width:.9g}, the network has learned {ASPECT:g}"
    if int(state.plates.closure) != CLOSURES.index("uniform"):
        return "the network has not learned plates whose ends do not rotate"
    if abs(mouth) > MOUTH * width:
        return f"the mouth is {abs(mouth)} m from the middle, beyond {MOUTH:g} W"
    if not float((load.count * load.range).sum()) > 0.0:
        return "the load has no range"
    if abs(pull) > SHEAR:
        return f"shear over tension is {pull:.6g}, beyond ±{SHEAR:g}"
    return None


def _spiking(state: PathState, load: Cycles, x_to: float) -> list[tuple[float, float]]:
    """The path up to `x_to` [m] as the spiking stepper draws it.

    It knows the direction of the load alone, not the cycles, so that it goes as far as physics.
    """
    now, width = nodes(state.front), float(state.plates.width)
    if x_to <= now[-1][0]:  # by physics it rests
        return now
    way = crack_steppers.rollout(
        _network(),
        torch.tensor([now], dtype=torch.float64),
        SliceLoad(torch.ones(1).double(), ratio(load)),
        max(1, math.ceil((x_to - now[-1][0]) / (SLICE * width))),
        width=width,
    )[0]
    return [*now, *_up_to([(x, y) for x, y in way[1:].tolist()], now[-1], x_to)]


@cache
def _network() -> PictureStepper:
    return default_stepper("crack-spiking")


def _up_to(
    way: list[tuple[float, float]], last: tuple[float, float], x_to: float
) -> list[tuple[float, float]]:
    """The nodes of `way` behind `last`, cut at `x_to` [m]."""
    kept: list[tuple[float, float]] = []
    (x0, y0) = last
    for x, y in way:
        if x >= x_to:
            share = (x_to - x0) / (x - x0) if x > x0 else 0.0
            return [*kept, (x_to, y0 + share * (y - y0))]
        kept.append((x, y))
        x0, y0 = x, y
    return kept
