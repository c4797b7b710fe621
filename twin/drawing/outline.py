"""Parts and their cracks as outlines: where the metal is, and where it has come apart."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

Point = tuple[float, float]


class Hole(NamedTuple):
    """A round hole [m]."""

    x: float
    y: float
    radius: float


class Sketch(NamedTuple):
    """A part with its crack; coordinates [m], y upwards."""

    outline: list[Point]
    holes: list[Hole]
    branches: list[list[Point]]  # each from mouth to tip


def sketch(geometry: dict[str, Any], a: float, path: list[Point] | None = None) -> Sketch:
    """The part of a registered geometry with a crack of length `a` [m], or along a `path` [m].

    A plate whose crack runs along a path has y = 0 in the middle of its height; without a path
    it is drawn without a crack.
    """
    if geometry["kind"] == "plate":
        return _path(geometry, path)
    return _SKETCHES[geometry["kind"]](geometry, a)


def _plate(width: float) -> list[Point]:
    height = 0.6 * width
    return [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]


def _path(g: dict[str, Any], path: list[Point] | None) -> Sketch:
    w, top = g["W"], 0.5 * (g["H"] or 2.0 * g["W"])
    outline = [(0.0, -top), (w, -top), (w, top), (0.0, top)]
    return Sketch(outline, [], [] if path is None else [path])


def _edge(g: dict[str, Any], a: float) -> Sketch:
    y = 0.3 * g["W"]
    return Sketch(_plate(g["W"]), [], [[(0.0, y), (a, y)]])


def _centre(g: dict[str, Any], a: float) -> Sketch:
    x, y = 0.5 * g["W"], 0.3 * g["W"]
    return Sketch(_plate(g["W"]), [], [[(x, y), (x - a, y)], [(x, y), (x + a, y)]])


def _compact(g: dict[str, Any], a: float) -> Sketch:
    """ASTM E647: 1.25 W by 1.2 W, pins at the load line, from where the crack is measured."""
    w = g["W"]
    outline = [(0.0, 0.0), (1.25 * w, 0.0), (1.25 * w, 1.2 * w), (0.0, 1.2 * w)]
    slot = [(0.0, 0.62 * w), (0.25 * w, 0.6 * w), (0.0, 0.58 * w)]
    pins = [Hole(0.25 * w, y * w, 0.125 * w) for y in (0.325, 0.875)]
    crack = [(0.25 * w, 0.6 * w), (0.25 * w + a, 0.6 * w)]
    return Sketch([*outline, *slot], pins, [crack])


def _hole(g: dict[str, Any], a: float) -> Sketch:
    x, y = 0.5 * g["W"], 0.3 * g["W"]
    start = x + g["radius"]
    return Sketch(_plate(g["W"]), [Hole(x, y, g["radius"])], [[(start, y), (start + a, y)]])


def _surface(g: dict[str, Any], a: float) -> Sketch:
    """The cross-section: a half ellipse of depth `a` below the upper face."""
    w, t, c = g["W"], g["t"], a / g["aspect"]
    outline = [(0.0, 0.0), (w, 0.0), (w, t), (0.0, t)]
    turns = [math.pi * i / 48 for i in range(49)]
    front = [(0.5 * w - c * math.cos(turn), t - a * math.sin(turn)) for turn in turns]
    return Sketch(outline, [], [front])


def _tabulated(g: dict[str, Any], a: float) -> Sketch:
    """Nobody knows what the part looks like: a plate with an edge crack stands for it."""
    return _edge({"W": 1.25 * g["a"][-1]}, a)


_SKETCHES = {
    "edge_crack": _edge,
    "centre_crack": _centre,
    "compact_tension": _compact,
    "hole_crack": _hole,
    "surface_crack": _surface,
    "tabulated": _tabulated,
}
