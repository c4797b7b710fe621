"""Cracks with a kink sharper than any that the stress-intensity operator has learned from."""

from __future__ import annotations

import math

import numpy as np

from models.intensity.random_paths import HIGHEST, PLATE, SHARPEST, wanderer
from models.intensity.recipe import TipExamples, tips_of
from models.xfem.crack import PolylineCrack
from models.xfem.grid import Floats

COUNT, SEED = 80, 13
BEYOND = 5.0, 40.0  # how much sharper than what was learned [degree]
STEEPEST = 100.0  # of the increment after the kink, against the x axis [degree]
AFTER = (1, 2, 4)  # increments after the kink at whose ends intensities are asked for


def sharper() -> TipExamples:
    """Tips one, two and four increments after the kink, by XFEM, under tension and half of it."""
    paths: list[Floats] = []
    for k in range(COUNT):
        paths += _kinked(k)
    most = max(map(len, paths))
    path, nodes = np.zeros((len(paths), most, 2)), np.array([len(one) for one in paths])
    k_unit = np.full((len(paths), most, 2, 2), np.nan)
    for row, one in enumerate(paths):
        path[row, : len(one)] = one
        k_unit[row, len(one) - 1] = PLATE.K(PolylineCrack(one))[0]
    load = np.tile([1.0, 0.5], (len(paths), 1))
    return tips_of(path, k_unit, load, (np.arange(len(paths)), nodes - 1))


def _kinked(index: int) -> list[Floats]:
    """A wanderer that turns too sharply somewhere, and its next increments."""
    generator = np.random.Generator(np.random.PCG64((SEED, index)))
    whole = wanderer(SEED, index).path
    at = int(generator.integers(1, max(2, len(whole) - 4)))
    path = list(whole[: at + 1])
    last = path[-1] - path[-2]
    before = math.atan2(last[1], last[0])
    sense = -1.0 if before > 0.0 else 1.0
    turn = math.radians(SHARPEST + generator.uniform(*BEYOND))
    angle = before + sense * turn
    if abs(angle) > math.radians(STEEPEST):
        return []
    step = 0.02 * PLATE.width * np.array([math.cos(angle), math.sin(angle)])
    found = []
    for k in range(1, 1 + max(AFTER)):
        path.append(path[-1] + step)
        if k in AFTER and abs(path[-1][1]) < HIGHEST * PLATE.width and path[-1][0] > 0.0:
            found.append(np.array(path))
    return found
