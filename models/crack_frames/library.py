"""The digital library of fatigue crack growth: one sample from a configuration and an index.

Yuhan Zhao and Xu, Neural network modeling of microstructure complexity using digital libraries:
a plate of 10 mm × 20 mm with an edge crack of 1 mm, the ligament cut into seven vertical slices,
a load of tension and shear drawn for each, growth by Paris' law at R = 0. A frame is stored at
the start and whenever the tip reaches the right edge of a slice: frames are not equidistant in
cycles. What the paper leaves open is decided here: its variance of 50 MPa is a standard
deviation; shear is closed by complementary shear on the sides; the window lies from −5.4 to
1.8 mm, which holds every crack.

At these loads K reaches several hundred MPa √m in the last slices: `fast_fracture` says from
which frame on the crack would have run. `coherent` divides both loads by five: the same paths
and pictures at 125 times the cycles.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from models.crack_frames.config import CrackLibrary
from models.crack_frames.slices import Course, Growth, grown
from models.crack_frames.window import frames
from models.fatigue.laws import ParisLaw
from models.fatigue.mixed_mode import equivalent
from models.xfem.grid import Floats


class Sample(NamedTuple):
    """One crack; n nodes, s slices, s + 1 frames."""

    frames: NDArray[np.uint8]  # (s+1, rows, columns) 255 where the crack is, else 0
    load: Floats  # (s, 2) tension and shear [Pa]
    path: Floats  # (n, 2) nodes, the mouth first, the far edge of the plate last [m]
    ends: NDArray[np.int64]  # (s+1,) the node at the tip of each frame; the last: where it ends
    K: Floats  # (n, 2) at the tip, under the load that it then meets; NaN at both ends [Pa √m]
    K_unit: Floats  # (n, 2, 2) by load and mode for unit stresses; NaN at both ends [√m]
    cycles: Floats  # (s+1,) since the first frame; inf where it was never reached [1]
    fast_fracture: NDArray[np.bool_]  # (s+1,) K has reached K_c on the way to this frame
    refused: int  # loads drawn again, because the crack closed or left the window
    arrested: bool  # no load opened the crack; the frames not reached repeat the last


def sample(config: CrackLibrary, seed: int, index: int) -> Sample:
    """Sample `index` of the library of `seed`: the same whatever else is computed, and where."""
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, index))))
    growth = grown(
        config.plate,
        np.array([[0.0, config.height], [config.crack, config.height]]),
        _course(config),
        lambda _: config.loads.drawn(generator),
    )
    return _sample(config, growth)


def _course(config: CrackLibrary) -> Course:
    edges = np.minimum(config.edges(), config.plate.width - config.margin)
    window = config.window
    low = max(window.bottom, config.plate.band[0])
    high = min(window.top, config.plate.band[1])
    steepest = math.radians(config.steepest)
    return Course(edges, config.step, steepest, low, high, config.attempts)


def _sample(config: CrackLibrary, growth: Growth) -> Sample:
    cycles, broken = _history(config, growth)
    path = growth.path if growth.arrested else _through(growth.path, config.plate.width)
    ends = growth.ends.copy()
    unit = np.full((len(path), 2, 2), np.nan)
    unit[1 : len(growth.K)] = growth.K[1:]
    load = growth.load[growth.slice]
    K = np.full((len(path), 2), np.nan)
    K[1 : len(growth.K)] = np.einsum("nl,nlm->nm", load, growth.K)[1:]
    if not growth.arrested:
        ends[-1] = len(path) - 1
    shown = frames(path, ends, config.window)
    return Sample(
        shown, growth.load, path, ends, K, unit, cycles, broken, growth.refused, growth.arrested
    )


def _through(path: Floats, width: float) -> Floats:
    """The path with its last segment prolonged to the far edge."""
    last = path[-1] - path[-2]
    return np.vstack([path, path[-1] + last * ((width - path[-1, 0]) / last[0])])


def _history(config: CrackLibrary, growth: Growth) -> tuple[Floats, NDArray[np.bool_]]:
    """Cycles at every frame, and whether K has reached K_c by then.

    Within a slice the trapezoid of 1/(C K^m) over the length of the path.
    """
    law = ParisLaw(config.C, config.m)
    count = len(growth.load)
    cycles, broken = np.full(count + 1, np.inf), np.zeros(count + 1, dtype=bool)
    cycles[0] = 0.0
    for k in range(count):
        first, last = growth.ends[k], growth.ends[k + 1]
        broken[k + 1] = broken[k]
        if last == first:
            continue
        K = torch.from_numpy(growth.load[k] @ growth.K[first : last + 1])  # (nodes, 2)
        driving = equivalent(K[:, 0], K[:, 1])
        slow = (1.0 / law(driving)).numpy()
        length = np.hypot(*np.diff(growth.path[first : last + 1], axis=0).T)
        cycles[k + 1] = cycles[k] + float(np.sum(0.5 * (slow[1:] + slow[:-1]) * length))
        broken[k + 1] |= bool((driving >= config.K_c).any())
    return cycles, broken
