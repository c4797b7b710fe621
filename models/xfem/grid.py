"""The grid of bilinear rectangles: uniform where cracks grow, graded towards the ends.

The rows are odd in number and one of them is centred on y = 0, so that a straight crack at
mid-height runs through the middle of its elements.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

GRADING = 1.35  # growth from one row to the next outside the uniform zone [1]
HIGHEST = 0.125  # row of all [width]; in bending a row is too stiff by 0.4 times its square [1]


def rising(count: int, *some: Ints, without: Ints | None = None) -> Ints:
    """The numbers below `count` that are in any of `some`, rising, each once; but not `without`."""
    chosen = np.zeros(count, np.bool_)
    for numbers in some:
        chosen[numbers] = True
    if without is not None:
        chosen[without] = False
    return np.flatnonzero(chosen)


class Grid(NamedTuple):
    """Lines of a rectangular grid; node j (nx+1) + i lies at (x[i], y[j])."""

    x: Floats  # (nx+1,) rising from 0 to the width [m]
    y: Floats  # (ny+1,) rising from −height/2 to height/2 [m]
    h: float  # size of the elements of the uniform zone [m]

    @property
    def columns(self) -> int:
        """How many elements lie beside each other."""
        return len(self.x) - 1

    @property
    def rows(self) -> int:
        """How many elements lie above each other."""
        return len(self.y) - 1

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return len(self.x) * len(self.y)

    def elements(self) -> Ints:
        """The nodes (columns · rows, 4) of each element, counter-clockwise."""
        return self.corners(np.arange(self.columns * self.rows))

    def near(self, x: float, y: float, radius: float) -> Ints:
        """The nodes nearer to a point than `radius` [m], rising."""
        left, right = np.searchsorted(self.x, (x - radius, x + radius))
        low, high = np.searchsorted(self.y, (y - radius, y + radius))
        across, up = self.x[left:right] - x, self.y[low:high] - y
        row, column = np.nonzero(across * across + (up * up)[:, None] < radius * radius)
        nodes: Ints = (row + low) * len(self.x) + column + left
        return nodes

    def elements_at(self, nodes: Ints) -> Ints:
        """The elements that have one of `nodes` as a corner, rising."""
        row, column = np.divmod(nodes, len(self.x))
        j = np.add.outer(row, (-1, -1, 0, 0)).ravel()
        i = np.add.outer(column, (-1, 0, -1, 0)).ravel()
        inside = (j >= 0) & (j < self.rows) & (i >= 0) & (i < self.columns)
        return rising(self.columns * self.rows, (j * self.columns + i)[inside])

    def corners(self, elements: Ints) -> Ints:
        """The nodes (k, 4) of some elements, counter-clockwise."""
        row, column = np.divmod(elements, self.columns)
        first = row * len(self.x) + column
        nodes: Ints = first[:, None] + np.array([0, 1, len(self.x) + 1, len(self.x)])
        return nodes

    def rows_within(self, low: float, high: float) -> tuple[int, int]:
        """The node lines first:last that cover y from `low` to `high` [m]."""
        first = int(np.searchsorted(self.y, low, side="right")) - 1
        last = int(np.searchsorted(self.y, high, side="left")) + 1
        return max(first, 0), min(last, len(self.y))


def grid(width: float, height: float, columns: int, fine: float) -> Grid:
    """A grid for a plate of `width` × `height` [m], uniform in |y| ≤ `fine` [m].

    Raises ValueError for sizes and counts of which no grid can be made.
    """
    if columns < 4 or not min(fine, width, height) > 0.0:
        raise ValueError(
            f"a plate of {width} m x {height} m in {columns} columns, uniform to |y| = {fine} m, "
            "is no grid: it needs positive sizes and at least 4 columns"
        )
    h = width / columns
    half = 0.5 * height
    layers = math.ceil(fine / h - 0.5)
    if (layers + 1.5) * h >= half:
        rows = 2 * math.ceil(half / h - 0.5) + 1
        return Grid(np.linspace(0.0, width, columns + 1), np.linspace(-half, half, rows + 1), h)
    graded = _graded(h, layers, half, HIGHEST * width)
    upper = np.concatenate([(np.arange(layers + 1) + 0.5) * h, graded])
    return Grid(np.linspace(0.0, width, columns + 1), np.concatenate([-upper[::-1], upper]), h)


def _graded(h: float, layers: int, half: float, highest: float) -> Floats:
    """Lines from the uniform zone to the end, each row `GRADING` larger up to `highest`, to fit."""
    start = (layers + 0.5) * h
    sizes: list[float] = []
    while sum(sizes) < half - start:
        sizes.append(min(h * GRADING ** (len(sizes) + 1), highest))
    lines: Floats = start + np.cumsum(sizes) * ((half - start) / sum(sizes))
    lines[-1] = half
    return lines
