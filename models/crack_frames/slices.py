"""Growth of a crack through vertical slices, each with a load of its own.

The tip advances by the maximum tangential stress criterion; a frame is due where it reaches the
right edge of a slice. The stress intensities of both unit loads are kept at every node, so that
another load on the same path costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from models.fatigue.mixed_mode import kink
from models.xfem.crack import PolylineCrack
from models.xfem.grid import Floats, Ints
from models.xfem.plate import Plate

Draw = Callable[[int], Floats]  # the next load (2,) [Pa] of a slice: tension, shear


class Course(NamedTuple):
    """How a crack is to grow."""

    edges: Floats  # (s,) x at which slices end [m]
    step: float  # least length of an increment, where the way allows it [m]
    steepest: float  # largest angle between an increment and the x axis [rad]
    low: float  # y that the crack must stay above [m]
    high: float  # y that the crack must stay below [m]
    attempts: int  # loads tried in a slice before the crack counts as arrested


class Growth(NamedTuple):
    """A path and what drove it."""

    path: Floats  # (n, 2) nodes, the mouth first, the last one where growth was stopped [m]
    K: Floats  # (n, 2, 2) at the tip when it was at a node, by load and mode [√m]; mouth: 0
    slice: Ints  # (n,) the slice that the tip at a node grows into; last: that it grew through
    load: Floats  # (s, 2) tension and shear of each slice [Pa]
    ends: Ints  # (s+1,) the node at the start and at the end of each slice
    refused: int  # loads that were drawn again, because the crack closed or left the window
    arrested: bool  # no load opened the crack: the slices from here on were not reached


class _Tip(NamedTuple):
    path: list[Floats]
    K: list[Floats]
    angle: float


def grown(plate: Plate, start: Floats, course: Course, draw: Draw) -> Growth:
    """Grow an edge crack from the polyline `start` (m, 2) [m] through all slices.

    A load under which the crack closes (K_I ≤ 0) or leaves [low, high] is refused and drawn
    again for the whole slice; after `attempts` of them the crack is arrested.
    """
    first = start[-1] - start[-2]
    tip = _Tip(list(start), [np.zeros((2, 2))] * (len(start) - 1), math.atan2(first[1], first[0]))
    tip = tip._replace(K=[*tip.K, plate.K(PolylineCrack(start))[0]])
    loads, ends, refused = np.full((len(course.edges), 2), np.nan), [len(start) - 1], 0
    for k, edge in enumerate(course.edges):
        after = None
        for _ in range(course.attempts):
            loads[k] = draw(k)
            after = _through(plate, tip, course, float(edge), loads[k])
            if after is not None:
                break
            refused += 1
        if after is None:
            return _growth(tip, loads, ends, refused, arrested=True)
        tip = after
        ends.append(len(tip.path) - 1)
    return _growth(tip, loads, ends, refused, arrested=False)


def _growth(tip: _Tip, loads: Floats, ends: list[int], refused: int, *, arrested: bool) -> Growth:
    into = np.searchsorted(np.array(ends[1:]), np.arange(len(tip.path)), side="right")
    reached = np.array(ends + ends[-1:] * (len(loads) + 1 - len(ends)))
    into = np.minimum(into, len(loads) - 1)
    return Growth(np.array(tip.path), np.array(tip.K), into, loads, reached, refused, arrested)


def _through(plate: Plate, tip: _Tip, course: Course, edge: float, load: Floats) -> _Tip | None:
    """The tip at the end of a slice; None where the load closes it or drives it out."""
    path, K, angle = list(tip.path), list(tip.K), tip.angle
    while path[-1][0] < edge - 1e-12:
        turned = _turn(load @ K[-1])
        if turned is None:
            return None
        angle = min(max(angle + turned, -course.steepest), course.steepest)
        path.append(_next(path[-1], angle, edge, course.step))
        if not course.low < path[-1][1] < course.high:
            return None
        K.append(plate.K(PolylineCrack(np.array(path)))[0])
    if _turn(load @ K[-1]) is None:
        return None
    return _Tip(path, K, angle)


def _turn(K: Floats) -> float | None:
    """The angle [rad] by which a crack under `K` (K_I, K_II) turns; None where it is closed."""
    to = kink(*torch.from_numpy(K))
    return float(to.angle) if bool(to.opened) else None


def _next(at: Floats, angle: float, edge: float, step: float) -> Floats:
    """The next node: the way left to the edge in equal increments of at least `step`."""
    left = (edge - at[0]) / math.cos(angle)
    parts = max(1, math.floor(left / step + 1e-9))
    if parts == 1:
        return np.array([edge, at[1] + left * math.sin(angle)])
    after: Floats = at + left / parts * np.array([math.cos(angle), math.sin(angle)])
    return after
