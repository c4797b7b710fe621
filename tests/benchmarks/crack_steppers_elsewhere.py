"""Paths ahead of cracks whose slices lie elsewhere than the library's, beside XFEM of the same.

The library's slices begin at seven places only. Here first cracks have other lengths, so that every
slice, and every change of the load, lies between them.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from models.crack_library import CONFIGS
from models.crack_library_path import Course, grown
from models.crack_stepper_picture import WIDTH
from models.crack_steppers import PIECES, SLICE, PictureStepper, SliceLoad, rollout
from models.xfem.grid import Floats

LENGTHS = (0.8e-3, 1.3e-3, 1.6e-3, 1.9e-3, 3.1e-3, 4.4e-3)  # of straight first cracks [m]
EACH, SEED = 3, 1  # cracks of each length; not the library's seed


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
        nodes = rollout(stepper, torch.from_numpy(start)[None], pull, count)[0].numpy()
        found.append(np.abs(nodes[PIECES::PIECES, 1] - growth.path[growth.ends[1:], 1]))
    away = 1e3 * np.concatenate(found)
    return float(away.mean()), float(away.max())
