"""Paths ahead of cracks whose slices lie elsewhere than the library's, beside XFEM of the same.

The library's slices begin at seven places only. Here first cracks have other lengths, so that every
slice, and every change of the load, lies between them.

    python -m tests.benchmarks.crack_frames.steppers_elsewhere

prints how far the spiking paths of forecasts are from those of physics: where the network is asked,
and where it is not.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np
import torch

from models.crack.load import blocks, spectrum_load
from models.crack_frames.config import CONFIGS
from models.crack_frames.pixels import WIDTH
from models.crack_frames.slices import Course, grown
from models.crack_frames.stepper import (
    FIRST_LENGTH,
    PIECES,
    SLICE,
    PictureStepper,
    SliceLoad,
    rollout,
)
from models.crack_path.forecast import rollout as by_physics
from models.crack_path.front import known, nodes
from models.crack_path.stepper import EdgePlate, PathState, PathStepper
from models.fatigue.laws import ParisLaw
from models.fatigue.rainflow import Cycles
from models.xfem.grid import Floats
from twin import networks
from twin.kinds import path_ahead

LENGTHS = (0.8e-3, 1.3e-3, 1.6e-3, 1.9e-3, 3.1e-3, 4.4e-3)  # of straight first cracks [m]
EACH, SEED = 3, 1  # cracks of each length; not the library's seed
MOUTHS = (-0.1, 0.0, 0.05, 0.1)  # [W]
TIPS, SHORT = (0.1, 0.13, 0.16, 0.2, 0.3, 0.4, 0.5, 0.7), (0.02, 0.05, 0.08)  # [W]
RATIOS = (-1.0, -0.5, 0.02, 0.05, 0.1, 0.3, 0.5, 0.7, 0.85, 1.0)  # τ/σ [1]
TURNS = ((1, 0), (1, -1), (0, 1), (0.5, -0.5), (0, 0.5), (0.5, 1), (1, 0.5), (0.3, -0.3))
REACHED = (0.2, 0.35, 0.55)  # where the load turns [W]
MIXES = 200
RANGE, SHIFT = 60e6, 1e4  # [Pa], cycles
LAW = ParisLaw(9.7e-30, 3.0)
PLATE = EdgePlate(WIDTH, 2.0 * WIDTH, "uniform", WIDTH * np.array([[0.0, 0.0], [0.1, 0.0]]))
STEPPER = PathStepper(LAW, PLATE, 0.97 * WIDTH, find=networks.intensities())


def errors(stepper: PictureStepper) -> tuple[float, float]:
    """Mean and greatest distance [mm] in y at the ends of all whole slices."""
    config = CONFIGS["crack"]
    generator = np.random.default_rng(SEED)
    found = []
    for length in LENGTHS * EACH:
        start = np.array([[0.0, 0.0], [length, 0.0]])
        count = int((WIDTH - config.margin - length) / (SLICE * WIDTH))
        edges: Floats = length + SLICE * WIDTH * np.arange(1, count + 1, dtype=np.float64)
        loads = np.array([config.loads.drawn(generator) for _ in range(count)])
        course = Course(edges, config.step, math.radians(config.steepest),
                        *config.plate.band, 1)  # fmt: skip  # one call
        growth = grown(config.plate, start, course, loads.__getitem__)
        if growth.arrested:
            continue
        pull = SliceLoad(*torch.from_numpy(loads).T[:, None])
        drawn = rollout(stepper, torch.from_numpy(start)[None], pull, count)[0].numpy()
        found.append(np.abs(drawn[PIECES::PIECES, 1] - growth.path[growth.ends[1:], 1]))
    away = 1e3 * np.concatenate(found)
    return float(away.mean()), float(away.max())


class Case(NamedTuple):
    """A crack, and a load that repeats."""

    state: PathState
    load: Cycles


def case(mouth: float, tip: float, ratio: float) -> Case:
    """A straight crack that has seen nothing, under one load."""
    return Case(_straight(mouth, tip), _load([(RANGE, 1.0, ratio)]))


def turning() -> Iterator[Case]:
    """Cracks that have grown under another load."""
    for mouth, to, (before, after) in product((0.0, 0.1), REACHED, TURNS):
        state, load = _straight(mouth, FIRST_LENGTH), _load([(RANGE, SHIFT, before)])
        while float(state.front.tip[0, 0]) < to * WIDTH and not bool(state.fractured):
            state = STEPPER.step(state, spectrum_load(torch.ones(1, dtype=torch.int64), load))
        if not bool(state.fractured):
            yield Case(state, _load([(RANGE, 1.0, after)]))


def mixed() -> Iterator[Case]:
    """Loads of two to five directions, drawn."""
    generator = np.random.default_rng(SEED)
    for _ in range(MIXES):
        n, mouth, tip = generator.integers(2, 6), generator.choice(MOUTHS), generator.choice(TIPS)
        middle, wide = generator.uniform(-0.8, 0.8), generator.uniform(0.05, 1.0)
        ratios = np.clip(middle + wide * generator.uniform(-1, 1, n), -1, 1)
        ranges, counts = RANGE * generator.uniform(0.5, 1.5, n), generator.uniform(0.1, 1.0, n)
        yield Case(_straight(mouth, tip), _load(zip(ranges, counts, ratios, strict=True)))


def away(one: Case) -> tuple[float, str | None]:
    """The greatest distance in y [W] of the two paths of a forecast, and why it is not shown."""
    state = one.state._replace(front=known(one.state.front, one.state.plates, STEPPER.find))
    _, front = by_physics(state, one.load, torch.tensor([0.0, 1e12]).double(), STEPPER.find)
    turn = path_ahead.turned(state, one.load)
    physics = np.array(nodes(front))
    spiking = np.array(path_ahead._spiking(state, turn, physics[-1, 0]))
    x = np.linspace(float(state.front.tip[0, 0]), physics[-1, 0], 200)
    off = np.interp(x, *physics.T) - np.interp(x, *spiking.T)
    return float(np.abs(off).max()) / WIDTH, path_ahead.unlearned(state, one.load, turn)


def rows() -> Iterator[tuple[str, ...]]:
    """A row for each kind of question: how many, and median, 95 % and most of the distances [W]."""
    asked = list(map(away, mixed()))
    for name, found in (
        ("no shear", [away(case(m, t, 0.0)) for m, t in product(MOUTHS, TIPS)]),
        ("one direction", [away(case(*one)) for one in product(MOUTHS, TIPS, RATIOS)]),
        ("one direction, after another", list(map(away, turning()))),
        ("several directions", [one for one in asked if one[1] is None]),
        ("not asked: several directions, far apart", [one for one in asked if one[1]]),
        ("not asked: tip before 0.1 W", [away(case(*o)) for o in product(MOUTHS, SHORT, RATIOS)]),
        ("not asked: mouth at 0.2 W", [away(case(0.2, *o)) for o in product(TIPS, RATIOS)]),
    ):
        assert all(bool(why) is name.startswith("not asked") for _, why in found), name
        far = np.array([distance for distance, _ in found])
        yield (name, str(len(far)), *(f"{np.quantile(far, q):.4f}" for q in (0.5, 0.95, 1.0)))


def _straight(mouth: float, tip: float) -> PathState:
    path = WIDTH * np.array([[0.0, mouth], [tip, mouth]])
    return replace(STEPPER, plate=replace(PLATE, path=path)).init(1)


def _load(rows: Iterable[tuple[float, float, float]]) -> Cycles:
    """Cycles from zero, of range [Pa], count and ratio τ/σ."""
    return blocks([[(span, 0.5 * span, count, span * ratio) for span, count, ratio in rows]])


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    head = ("question", "forecasts", "median", "95 %", "most")
    for row in (head, ("---",) * len(head), *rows()):
        sys.stdout.write(f"| {' | '.join(row)} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
