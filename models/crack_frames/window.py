"""Pictures of a path: a line of one pixel, whole frames being parts of the later ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.xfem.grid import Floats, Ints

INK = 255  # grey value of a pixel with a crack
INK_THRESHOLD = 0.5  # a pixel of a picture (0 to 1) above it shows the crack
SUBSTEPS = 16  # samples of the line per pixel


@dataclass(frozen=True, slots=True)
class PictureWindow:
    """What the pictures show: `columns` × `rows` square pixels, row 0 at the top."""

    pixel: float = 0.075e-3  # [m]
    columns: int = 132
    rows: int = 96
    left: float = 0.0  # x of the left edge [m]
    top: float = 1.8e-3  # y of the upper edge [m]

    @property
    def bottom(self) -> float:
        """Y of the lower edge [m]."""
        return self.top - self.rows * self.pixel

    def x(self) -> Floats:
        """Centres (columns,) [m]."""
        centres: Floats = self.left + (np.arange(self.columns, dtype=np.float64) + 0.5) * self.pixel
        return centres

    def y(self) -> Floats:
        """Centres (rows,), falling [m]."""
        centres: Floats = self.top - (np.arange(self.rows, dtype=np.float64) + 0.5) * self.pixel
        return centres


def frames(path: Floats, ends: Ints, window: PictureWindow) -> NDArray[np.uint8]:
    """The crack (len(ends), rows, columns) when its tip was at each node of `ends`.

    `path` (n, 2) [m]. The line is sampled finely and thinned to a chain of pixels that touch at
    edges or corners; what lies outside the window is left out.
    """
    pixels, reached = _chain(path, window)
    out = np.zeros((len(ends), window.rows, window.columns), dtype=np.uint8)
    row, column = pixels.T
    inside = (row >= 0) & (row < window.rows) & (column >= 0) & (column < window.columns)
    for k, end in enumerate(ends):
        shown = inside & (reached <= end)
        out[k, row[shown], column[shown]] = INK
    return out


def _chain(path: Floats, window: PictureWindow) -> tuple[Ints, Floats]:
    """Pixels (k, 2) as (row, column) along the path, and where each begins, in nodes."""
    length = np.hypot(*np.diff(path, axis=0).T)
    counts = np.maximum(1, np.ceil(length / window.pixel * SUBSTEPS)).astype(int)
    at = np.concatenate([k + np.arange(n) / n for k, n in enumerate(counts)] + [[len(path) - 1.0]])
    x = np.interp(at, np.arange(len(path)), path[:, 0])
    y = np.interp(at, np.arange(len(path)), path[:, 1])
    cells = np.stack([(window.top - y), (x - window.left)], axis=1) / window.pixel
    pixels = np.floor(cells + 1e-9).astype(np.int64)
    new = np.append(True, (np.diff(pixels, axis=0) != 0).any(axis=1))
    return _thinned(pixels[new], at[new])


def _thinned(pixels: Ints, at: Floats) -> tuple[Ints, Floats]:
    """Without the inner pixel of each right angle."""
    kept = [0]
    for k in range(1, len(pixels) - 1):
        gap = np.abs(pixels[k + 1] - pixels[kept[-1]])
        if gap.max() > 1:
            kept.append(k)
    kept.append(len(pixels) - 1)
    chosen = sorted(set(kept))
    return pixels[chosen], at[chosen]
