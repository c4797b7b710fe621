"""Cracks that wander more than those of the library, to train the stress-intensity operator on.

The library holds cracks that start 0.1 W long and straight from one height, meet shear of one
sign, and grow in increments of one length. A live crack does not. So further ones are drawn:
starters of other lengths, heights and slants, increments of other lengths, shear of either sign
that changes more often; some turn at random instead of by the criterion. Each is solved for by
XFEM at every node. The plate is 10 mm wide; everything scales.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from models.fatigue.scalar_retardation import half_tangent
from models.xfem.crack import PolylineCrack
from models.xfem.grid import Floats
from models.xfem.plate import Plate

PLATE = Plate(band=(-6e-3, 6e-3))
LENGTH = (0.06, 0.4)  # of the starter [W]
HEIGHT = 0.2  # of the mouth, at most above or below the middle [W]
SLANT = 30.0  # of the starter, at most [degree]
INCREMENT = (0.0175, 0.036)  # [W]
STEEPEST_INCREMENT = 68.0  # of an increment against the x axis [degree]
SHARPEST = 70.0  # turn at one node [degree]
FARTHEST = 0.955  # x at which growth ends [W]
HIGHEST = 0.55  # |y| at which growth ends [W]
HELD = 5.0  # nodes that a load lasts, in the mean
RANDOM = 0.3  # share of the cracks that turn at random
SD_TURN = 22.0  # of these [degree]
RATIO, SD_RATIO = 0.8, 0.3  # shear per tension: the mean of a path at most, and its changes


class Wanderer(NamedTuple):
    """A crack, and what it felt at each of its n nodes; the starter's tip is the first tip."""

    path: Floats  # (n, 2) [m]
    k_unit: Floats  # (n, 2, 2) by load and mode [√m]; NaN before the starter's tip
    ratio: Floats  # (n,) shear per tension that the tip there grew on under [1]


def wanderer(seed: int, index: int, plate: Plate = PLATE) -> Wanderer:
    """Crack `index` of `seed`, the same whatever else is drawn."""
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, index))))
    W = plate.width
    path, angle = _starter(generator, W)
    step = W * math.exp(generator.uniform(*np.log(INCREMENT)))
    at_random = generator.random() < RANDOM
    mean = generator.uniform(-RATIO, RATIO)
    ratio = mean + SD_RATIO * generator.normal()
    K, ratios = [np.full((2, 2), np.nan)], [ratio]
    while True:
        K.append(plate.K(PolylineCrack(np.array(path)))[0])
        if generator.random() < 1.0 / HELD:
            ratio = mean + SD_RATIO * generator.normal()
            turn = math.radians(SD_TURN) * generator.normal() if at_random else 0.0
        else:
            turn = 0.0
        ratios.append(ratio)
        if not at_random:
            turn = _turn(K[-1][0] + ratio * K[-1][1])
        angle = _bounded(angle + _bounded(turn, SHARPEST), STEEPEST_INCREMENT)
        after = path[-1] + step * np.array([math.cos(angle), math.sin(angle)])
        if after[0] > FARTHEST * W or abs(after[1]) > HIGHEST * W:
            return Wanderer(np.array(path), np.array(K), np.array(ratios))
        path.append(after)


def _starter(generator: np.random.Generator, W: float) -> tuple[list[Floats], float]:
    """Mouth and tip [m] of the first segment, and its angle [rad]."""
    length = W * math.exp(generator.uniform(*np.log(LENGTH)))
    angle = math.radians(SLANT) * generator.uniform(-1.0, 1.0) * (generator.random() < 0.5)
    mouth = np.array([0.0, W * HEIGHT * generator.uniform(-1.0, 1.0)])
    return [mouth, mouth + length * np.array([math.cos(angle), math.sin(angle)])], angle


def _turn(K: Floats) -> float:
    """The kink [rad] by the maximum tangential stress; closed cracks go straight on."""
    if K[0] <= 0.0:
        return 0.0
    return 2.0 * math.atan(half_tangent(K[0], K[1]))


def _bounded(angle: float, most: float) -> float:
    return min(max(angle, -math.radians(most)), math.radians(most))
