"""Where a crack along a path will run: by physics, and by the spiking stepper where it has learned.

The stepper has learned from plates twice as high as wide, whose cracks start in the middle of the
left side and 0.1 W long, under one load for each slice, of which 92 % have less shear than tension.
It is asked where |τ/σ| ≤ 1, the mouth is within 0.1 W of the middle, the tip at least 0.1 W from
the side, and the cycles turn the crack in about one direction. There its path was within 0.03 W of
that of physics in all forecasts of a benchmark, of horizontal first cracks that grow by Paris' law
(docs/crack-steppers.md); nearly farthest without shear, where symmetry demands a straight crack and
the network, which has seen none, bends it by 0.028 W. It knows nothing of thresholds nor of fast
fracture, after which physics runs on straight: among other laws and slanted first cracks it went up
to 0.08 W astray before a fracture and 0.11 W after. Beyond these bounds it is not to be relied on:
0.05 W from a first crack of 0.02 W, 0.26 W with the mouth at 0.2 W, and one training 0.09 W at
|τ/σ| = 2.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch

from models.crack.forecast import mix
from models.crack_frames import stepper as crack_steppers
from models.crack_frames.stepper import FIRST_LENGTH, SLICE, SliceLoad
from models.crack_path.driving_force import pull
from models.crack_path.forecast import ratio
from models.crack_path.front import Front, acting, nodes
from models.crack_path.plate import CLOSURES
from models.crack_path.stepper import PathState
from models.fatigue.rainflow import Cycles
from twin.networks import picture_stepper

ASPECT, ALIKE = 2.0, 1e-6  # H/W that it knows, and what still counts as that
MOUTH = 0.1  # farthest from the middle of the side [W]
SHEAR = 1.0  # largest |τ/σ|
SPREAD = 0.3  # largest standard deviation of τ/σ among the cycles
MOST = 1e100  # growth that counts as no more: a fracture grows without end [m]


class Turn(NamedTuple):
    """Which way a load turns a crack."""

    ratio: float  # τ/σ of the one load that turns it as all cycles together do [1]
    spread: float  # standard deviation of τ/σ among the cycles, weighted by growth [1]


def paths(state: PathState, front: Front, load: Cycles) -> dict[str, Any]:
    """The way from `state` to `front`, as `schema.Paths` has it; one component.

    The intensities at the tip of `state` are to be known, unless the crack has run through.
    """
    physics, turn = nodes(front), turned(state, load)
    why = unlearned(state, load, turn)
    drawn = None if why else _spiking(state, turn, physics[-1][0])
    return {"physics": physics, "spiking": drawn, "why": why}


def turned(state: PathState, load: Cycles) -> Turn:
    """Which way `load` turns the crack at its tip; one component.

    Cycles of several directions turn it as the mean of theirs, weighted by growth. With
    q = −sin θ / (3 cos θ − 1), the K_II / K_I that turns by θ, r of k_II(σ) + r k_II(τ) =
    q (k_I(σ) + r k_I(τ)) is the ratio of the one load that does the same.
    """
    k, a = acting(state.front, state.a[:, 0])[0], state.a[:, 0]
    driven = pull(state.law, mix(load))
    growth = driven.growth(k, a)[0].clamp(max=MOST)
    if not float(growth.sum()) > 0.0:
        return Turn(float(ratio(load)), 0.0)
    cos, sin = driven.heading(k, a)[0]
    q, (tension, shear) = -sin / (3.0 * cos - 1.0), k[0]
    share, each = growth / growth.sum(), load.shear / load.range
    each = torch.where(growth > 0.0, each, 0.0)
    spread = torch.sqrt((share * (each - (share * each).sum()) ** 2).sum())
    return Turn(float((q * tension[0] - tension[1]) / (shear[1] - q * shear[0])), float(spread))


def unlearned(state: PathState, load: Cycles, turn: Turn) -> str | None:
    """Why the spiking stepper is not asked, if so, in a sentence."""
    width, height = float(state.plates.width), float(state.plates.height)
    mouth, tip = float(state.front.path[0, 0, 1]), float(state.front.tip[0, 0])
    if bool(state.fractured):
        return "the crack has run through the plate"
    if abs(height / width - ASPECT) > ALIKE:
        return f"H/W is {height / width:.9g}, the network has learned {ASPECT:g}"
    if int(state.plates.closure) != CLOSURES.index("uniform"):
        return "the network has not learned plates whose ends do not rotate"
    if abs(mouth) > MOUTH * width:
        return f"the mouth is {abs(mouth)} m from the middle, beyond {MOUTH:g} W"
    if tip < (FIRST_LENGTH - ALIKE) * width:
        return (
            f"the tip is {tip:.6g} m from the side, the network has learned from "
            f"{FIRST_LENGTH:g} W on"
        )
    if not float((load.count * load.range).sum()) > 0.0:
        return "the load has no range"
    if not abs(turn.ratio) <= SHEAR + ALIKE:
        return f"shear over tension is {turn.ratio:.6g}, beyond ±{SHEAR:g}"
    if turn.spread > SPREAD:
        return f"shear over tension varies by {turn.spread:.3g} among the cycles, beyond {SPREAD:g}"
    return None


def _spiking(state: PathState, turn: Turn, x_to: float) -> list[tuple[float, float]]:
    """The path up to `x_to` [m] as the spiking stepper draws it.

    It knows the direction of the load alone, not the cycles, so that it goes as far as physics.
    """
    now, width = nodes(state.front), float(state.plates.width)
    if x_to <= now[-1][0]:  # by physics it rests
        return now
    way = crack_steppers.rollout(
        picture_stepper("crack-spiking"),
        torch.tensor([now], dtype=torch.float64),
        SliceLoad(torch.ones(1).double(), torch.tensor([turn.ratio]).double()),
        max(1, math.ceil((x_to - now[-1][0]) / (SLICE * width))),
        width=width,
    )[0]
    return [*now, *_up_to([(x, y) for x, y in way[1:].tolist()], now[-1], x_to)]


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
