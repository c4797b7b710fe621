"""Made-up photographs of cracked metal, and where the crack in them is, drawn from a seed.

A scene is a surface (crack_image_surface), a crack drawn into it or none, and a camera. The
crack is a rough walk or a path of the crack library; it may begin at the border of the picture,
pass through it, or lie inside. Nothing here comes from a photograph.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from models.crack_image.surface import camera, step_along, surface

Floats = NDArray[np.floating]
Rng = np.random.Generator

STEP = 0.5  # between the points of a drawn line [pixel]
SMALLEST = 48  # side of a surface [pixel]
REACH = 12.0  # how far from its line a crack is drawn [pixel]


class Scene(NamedTuple):
    """A picture and the truth about it."""

    picture: NDArray[np.uint8]  # (h, w)
    crack: NDArray[np.bool_]  # (h, w) pixels of the crack and its branches
    path: Floats | None  # (n, 2) x, y of the main crack from mouth to tip [pixel]; None for none


@dataclass(frozen=True, slots=True)
class SceneKind:
    """What is drawn how often, and how plainly."""

    size: int = 192  # of the square picture [pixel]
    empty: float = 0.2  # pictures without a crack
    library: float = 0.3  # cracks that are a path of the library, where there are any
    narrowest: float = 0.8  # width [pixel]
    widest: float = 8.0
    faintest: float = 0.07  # darkening of the surface [1]
    darkest: float = 0.85
    close: float = 0.5  # pictures taken from nearby, so that all is larger and softer
    closest: float = 2.5  # times larger


def scene(rng: Rng, kind: SceneKind, library: Sequence[Floats] = ()) -> Scene:
    """One scene; `library` holds paths (n, 2) of any unit."""
    near = float(rng.uniform(1.0, kind.closest)) if rng.random() < kind.close else 1.0
    size = max(SMALLEST, math.ceil(kind.size / near))
    shade = surface(rng, size)
    crack = np.zeros((size, size), dtype=bool)
    path = None
    if rng.random() >= kind.empty:
        path = _placed(rng, size, library if rng.random() < kind.library else ())
        if rng.random() < 0.35:  # a crack likes the toe of a weld
            shade = shade + step_along(rng, path, size)
        shade, crack = _cracked(rng, shade, path, kind)
        path = _inside(path, size)
    if near > 1.0:
        shade, crack = _enlarged(shade, kind.size), _enlarged(crack, kind.size) > 0.5
        path = None if path is None else path * (kind.size / size)
    return Scene(camera(rng, shade), crack, path)


def _cracked(
    rng: Rng, shade: Floats, path: Floats, kind: SceneKind
) -> tuple[Floats, NDArray[np.bool_]]:
    """The shade with the crack and its branches in it, and the pixels that they cover."""
    width = float(np.exp(rng.uniform(np.log(kind.narrowest), np.log(kind.widest))))
    # what is narrow and faint at once nobody could see
    faint = max(kind.faintest, 0.25 / max(width, 0.5) * rng.uniform(0.5, 1.0))
    dark = float(rng.uniform(faint, kind.darkest))
    crack = np.zeros(shade.shape, dtype=bool)
    for k, line in enumerate([path, *_branches(rng, path)]):
        scale = 1.0 if k == 0 else float(rng.uniform(0.4, 0.9))
        shade, drawn = _drawn(rng, shade, line, (width * scale, dark * scale))
        crack |= drawn
    return shade, crack


def _enlarged(picture: NDArray[Any], size: int) -> Floats:
    """A square picture, stretched smoothly to another size."""
    at = (np.arange(size) + 0.5) * len(picture) / size - 0.5
    grid = np.meshgrid(at, at, indexing="ij")
    stretched = ndimage.map_coordinates(picture.astype(float), grid, order=1, mode="nearest")
    return np.asarray(stretched)


def walk(rng: Rng, start: Floats, heading: float, length: float) -> Floats:
    """A rough line (n, 2) from `start`: a smooth bend, roughness at all scales, some kinks."""
    n = max(8, round(length / STEP))
    turns = np.cumsum(rng.standard_normal(n)) / np.sqrt(n) * rng.uniform(0.0, 1.2)
    kinks = (rng.random(n) < rng.uniform(0.0, 0.02)) * rng.normal(0.0, 0.9, n)
    lean = np.cumsum(kinks)
    lean -= _slow(lean, n)
    angle = heading + turns + lean
    line = start + STEP * np.cumsum(np.stack([np.cos(angle), np.sin(angle)], axis=1), axis=0)
    across = np.array([-np.sin(heading), np.cos(heading)])
    rough = _fractal(rng, n, rng.uniform(0.6, 1.2)) * rng.uniform(0.0, 0.012) * length
    return np.asarray(line + rough[:, None] * across)


def _slow(values: Floats, n: int) -> Floats:
    """The trend of `values`: kinks turn a crack to and fro, not round."""
    size = max(3, n // 6) | 1
    padded = np.pad(values, size // 2, mode="edge")
    return np.asarray(np.convolve(padded, np.full(size, 1.0 / size), mode="valid"))


def _fractal(rng: Rng, n: int, exponent: float) -> Floats:
    """Roughness (n,) of unit standard deviation; both ends at zero."""
    waves = np.fft.rfft(rng.standard_normal(n))
    waves[1:] /= np.arange(1, len(waves)) ** exponent
    waves[0] = 0.0
    rough = np.fft.irfft(waves, n)
    rough -= np.linspace(rough[0], rough[-1], n)
    return np.asarray(rough / max(float(rough.std()), 1e-9))


def _placed(rng: Rng, size: int, library: Sequence[Floats]) -> Floats:
    """A path with at least a part of it in the picture."""
    kind = rng.choice(["edge", "through", "inside"], p=[0.5, 0.25, 0.25])
    if len(library):
        return _from_library(rng, size, library[int(rng.integers(len(library)))])
    if kind == "inside":
        start = rng.uniform(0.15, 0.85, 2) * size
        heading = float(rng.uniform(0.0, 2.0 * np.pi))
        start -= 0.3 * size * np.array([np.cos(heading), np.sin(heading)]) * rng.random()
        return walk(rng, start, heading, float(rng.uniform(0.2, 0.8)) * size)
    length = float(rng.uniform(0.2, 0.9)) * size if kind == "edge" else 2.5 * size
    line = walk(rng, np.array([-0.5, rng.uniform(0.1, 0.9) * size]), rng.normal(0.0, 0.35), length)
    return _turned(line, size, int(rng.integers(4)))


def _from_library(rng: Rng, size: int, path: Floats) -> Floats:
    """A part of a library's path, from the left border, turned to any side."""
    part = path[: int(rng.integers(max(3, len(path) // 5), len(path) + 1))]
    line = part - part[0]
    scale = float(rng.uniform(0.25, 1.1)) * size / max(float(np.abs(line).max()), 1e-12)
    line = line * scale * np.array([1.0, rng.choice([-1.0, 1.0])])
    at = np.append(0.0, np.cumsum(np.hypot(*np.diff(line, axis=0).T)))
    even = np.arange(0.0, at[-1], STEP)
    line = np.stack([np.interp(even, at, line[:, k]) for k in (0, 1)], axis=1)
    mouth = np.array([-0.5, rng.uniform(0.15, 0.85) * size])
    return _turned(line + mouth, size, int(rng.integers(4)))


def _turned(line: Floats, size: int, quarters: int) -> Floats:
    for _ in range(quarters):
        line = np.stack([size - line[:, 1], line[:, 0]], axis=1)
    return line


def _inside(path: Floats, size: int) -> Floats | None:
    """The longest part of the path that the picture shows."""
    seen = ((path >= 0.0) & (path < size)).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], seen, [False]]).astype(int)))
    if not len(edges):
        return None
    runs = edges.reshape(-1, 2)
    first, last = runs[int(np.argmax(runs[:, 1] - runs[:, 0]))]
    return path[first:last]


def _branches(rng: Rng, path: Floats) -> list[Floats]:
    """None, mostly, or short ones that leave the path at an angle."""
    count = int(rng.choice([0, 1, 2], p=[0.75, 0.18, 0.07]))
    found = []
    for _ in range(count):
        k = int(rng.integers(len(path) // 4, len(path) - 4))
        along = path[min(k + 4, len(path) - 1)] - path[k]
        heading = float(np.arctan2(along[1], along[0])) + rng.choice([-1, 1]) * rng.uniform(
            0.4, 1.2
        )
        reach = float(rng.uniform(0.08, 0.3)) * STEP * len(path)
        found.append(walk(rng, path[k], heading, max(6.0, reach)))
    return found


def _drawn(
    rng: Rng, shade: Floats, line: Floats, plain: tuple[float, float]
) -> tuple[Floats, NDArray[np.bool_]]:
    """The shade with a line of a (width [pixel], darkness) in it, and the pixels it covers."""
    n, size = len(line), len(shade)
    width, dark = plain
    taper = np.clip((n - np.arange(n)) / rng.uniform(4.0, max(5.0, 0.7 * n)), 0.25, 1.0)
    wave = np.exp(_fractal(rng, n, 0.8) * rng.uniform(0.0, 0.45))
    widths = np.maximum(width * taper * wave, 0.7)
    darks = np.clip(dark * np.exp(_fractal(rng, n, 0.9) * rng.uniform(0.0, 0.5)), 0.05, 0.95)
    places, distance, nearest = _near(line, size)
    half = 0.5 * widths[nearest]
    soft = rng.uniform(0.25, 0.7)
    profile = 1.0 / (1.0 + np.exp(np.clip((distance - half) / soft, -30.0, 30.0)))
    out, crack = shade.copy(), np.zeros((size, size), dtype=bool)
    flat = out.reshape(-1)
    flat[places] *= 1.0 - darks[nearest] * profile
    if rng.random() < 0.3:  # rust, or a shadow, around it
        flat[places] *= 1.0 - rng.uniform(0.03, 0.2) * np.exp(
            -0.5 * (distance / rng.uniform(2, 6)) ** 2
        )
    if rng.random() < 0.25:  # one lip catches the light
        lit = np.roll(1.0 - profile, 1) * np.exp(-np.abs(distance - half - 1.0))
        flat[places] += rng.uniform(0.02, 0.15) * lit * _side(line, places, nearest, size)
    crack.reshape(-1)[places] = distance <= np.maximum(half, 0.75)
    return out, crack


def _near(line: Floats, size: int) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64]]:
    """Flat indices of the pixels near the line, their distance, and the nearest of its points."""
    tree = cKDTree(line)
    centres = np.arange(size) + 0.5
    x, y = np.meshgrid(centres, centres)
    distance, nearest = tree.query(
        np.stack([x.ravel(), y.ravel()], axis=1), distance_upper_bound=REACH
    )
    places = np.flatnonzero(np.isfinite(distance))
    return places, distance[places], nearest[places]


def _side(line: Floats, places: NDArray[np.int64], nearest: NDArray[np.int64], size: int) -> Floats:
    """One on the left of the line, else zero."""
    row, column = np.divmod(places, size)
    along = np.gradient(line, axis=0)[nearest]
    away = np.stack([column, row], axis=1) + 0.5 - line[nearest]
    return np.asarray(along[:, 0] * away[:, 1] > along[:, 1] * away[:, 0], dtype=float)
