"""What XFEM is held against: stress intensities of plates 10 mm × 20 mm, ν without influence.

All but `KINKED` come from finite elements of our own of another kind: quadratic triangles graded
to 0.5 µm at the tip, K by a domain integral within the last segment, good to 0.02–0.1 %; paths
±0.02 mm and ±0.5 % of cycles. For straight edge cracks they lie within 0.65 % of the tangent
formula of H. Tada, P. C. Paris, G. R. Irwin (2000) 2.10. `KINKED` is XFEM itself on a mesh
three times finer (192 columns).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from models.xfem.closure import Closure
from models.xfem.crack import PolylineCrack
from models.xfem.grid import Floats

MM = 1e-3  # [m]

EDGE_TENSION = {  # a [mm]: K_I / (σ √(πa)), ends free to rotate
    1.0: 1.18933, 2.0: 1.36801, 3.0: 1.66105, 4.0: 2.11271, 5.0: 2.82539, 6.0: 4.03329,
    7.0: 6.35439,
}  # fmt: skip  # a table
EDGE_TENSION_SHORT = (0.5, 1.13985)  # the shortest: a/W = 0.05
EDGE_SHEAR = {1.0: 1.12189, 2.0: 1.12669, 3.0: 1.14293, 5.0: 1.24154, 7.0: 1.5242}  # K_II / τ√(πa)
GRIP_TENSION = {1.0: 1.11958, 2.0: 1.14201, 3.0: 1.17353, 5.0: 1.29775, 7.0: 1.60965}
GRIP_SHEAR = {1.0: 0.37771, 2.0: 0.69485, 3.0: 0.95808, 5.0: 1.36904, 7.0: 1.75479}
CLAMP = (1.1831, 0.0, 6.2825, 0.3772)  # a = 1 mm: tension F_I F_II, shear F_I F_II

SLANTED = {  # angle [degree], length [mm]: tension F_I F_II, shear F_I F_II; crack upwards
    (15.0, 2.0): (1.2891, 0.2065, -0.7234, 1.0291),
    (30.0, 2.0): (1.0763, 0.3532, -1.3202, 0.7725),
    (45.0, 2.0): (0.7887, 0.4044, -1.7232, 0.4471),
    (30.0, 4.0): (1.5350, 0.4710, -1.7842, 0.6891),
}

KINKS = {  # (length [mm], turn [degree]) of the segments, from the mouth
    "40° kink, one increment": ((3.0, 0.0), (0.24, -40.0)),
    "40° kink, two increments": ((3.0, 0.0), (0.24, -40.0), (0.24, 0.0)),
    "40° kink, 1.2 mm": ((3.0, 0.0), (1.2, -40.0)),
    "zigzag": ((2.0, 0.0), (0.5, -30.0), (0.5, 30.0), (0.5, -30.0), (0.5, 20.0)),
    "curve of six": ((2.0, 0.0), *((0.24, -6.0),) * 6),
}
KINKED = {  # of KINKS: K_I K_II of unit tension, K_I K_II of unit shear [√m]
    "40° kink, one increment": (0.139800, -0.057761, 0.111992, 0.072486),
    "40° kink, two increments": (0.149645, -0.062826, 0.123231, 0.072438),
    "40° kink, 1.2 mm": (0.186101, -0.077413, 0.162336, 0.071901),
    "zigzag": (0.221204, -0.022235, 0.071166, 0.121306),
    "curve of six": (0.153199, -0.058451, 0.124856, 0.078683),
}


class Path(NamedTuple):
    """Growth under 200 MPa of tension and 100 MPa of shear, C = 9.7e-12 (MPa √m), m = 3."""

    y: tuple[float, ...]  # at the ends of seven slices, the last at x = 9.75 mm [mm]
    cycles: tuple[float, ...]  # of each slice
    K: float  # equivalent, at the start [MPa √m]
    angle: float  # of the first increment [degree]


PATHS: dict[Closure, Path] = {
    "uniform": Path(
        (-0.828, -1.492, -2.016, -2.420, -2.711, -2.891, -2.955),
        (14256.0, 2317.0, 496.0, 99.6, 15.4, 1.32, 0.024),
        16.76,
        -38.9,
    ),
    "grip": Path(
        (-0.488, -1.155, -1.915, -2.720, -3.535, -4.342, -4.973),
        (27550.0, 6362.0, 2346.0, 1050.0, 483.0, 188.0, 35.2),
        13.06,
        -18.2,
    ),
}


def straight(a: float, degrees: float = 0.0) -> PolylineCrack:
    """An edge crack of length `a` [mm] from the middle of the left face."""
    t = math.radians(degrees)
    return PolylineCrack(np.array([[0.0, 0.0], [a * MM * math.cos(t), a * MM * math.sin(t)]]))


def kinked(name: str) -> PolylineCrack:
    """One of KINKS."""
    path, heading = [np.zeros(2)], 0.0
    for length, turn in KINKS[name]:
        heading += math.radians(turn)
        path.append(path[-1] + length * MM * np.array([math.cos(heading), math.sin(heading)]))
    return PolylineCrack(np.array(path))


def inclined(centre: Floats, a: float, degrees: float) -> PolylineCrack:
    """An interior crack of half length `a` [mm] around `centre` [m]."""
    t = math.radians(degrees)
    half = a * MM * np.array([math.cos(t), math.sin(t)])
    return PolylineCrack(np.array([centre - half, centre + half]), interior=True)
