"""Which elements a crack crosses, and the convex pieces into which it cuts them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from models.xfem.grid import Floats, Grid, Ints

MOST_PIECES, MOST_CORNERS = 64, 24  # of one element
TOUCH = 1e-7  # closer than this to a grid line counts as on it [elements]


class Cuts(NamedTuple):
    """The segments of a crack that cross each element."""

    element: Ints  # (k,) rising, each once
    offset: Ints  # (k+1,) the segments of element[i] are segment[offset[i]:offset[i+1]]
    segment: Ints  # (s,)


class Pieces(NamedTuple):
    """The convex pieces of an element, counter-clockwise; kernels write over those of the last."""

    shapes: Floats  # (MOST_PIECES, MOST_CORNERS, 2) corners [m]
    sizes: Ints  # (MOST_PIECES,) how many corners a piece has


def cuts(path: Floats, grid: Grid) -> Cuts:
    """Where `path` (m, 2) runs through the grid."""
    element, segment = _walked(path, grid.x, grid.y, TOUCH * grid.h)
    pairs = np.unique(np.stack([element, segment], axis=1), axis=0)
    single, offset = np.unique(pairs[:, 0], return_index=True)
    return Cuts(single, np.append(offset, len(pairs)), np.ascontiguousarray(pairs[:, 1]))


@njit(cache=True, nogil=True)
def _walked(path: Floats, x: Floats, y: Floats, touch: float) -> tuple[Ints, Ints]:
    """Element and segment of every piece of the path; on a grid line those of both sides."""
    most = 5 * len(path) * (len(x) + len(y) + 1)
    element, segment = np.empty(most, np.int64), np.empty(most, np.int64)
    count = 0
    for k in range(len(path) - 1):
        marks = _marks(path[k], path[k + 1], x, y)
        span = math.hypot(path[k + 1, 0] - path[k, 0], path[k + 1, 1] - path[k, 1])
        for i in range(len(marks) - 1):
            if (marks[i + 1] - marks[i]) * span < touch:
                continue
            t = 0.5 * (marks[i] + marks[i + 1])
            px = path[k, 0] + t * (path[k + 1, 0] - path[k, 0])
            py = path[k, 1] + t * (path[k + 1, 1] - path[k, 1])
            for ex, ey in ((0.0, 0.0), (-touch, 0.0), (touch, 0.0), (0.0, -touch), (0.0, touch)):
                column = np.searchsorted(x, px + ex, side="right") - 1
                row = np.searchsorted(y, py + ey, side="right") - 1
                if 0 <= column < len(x) - 1 and 0 <= row < len(y) - 1:
                    element[count] = row * (len(x) - 1) + column
                    segment[count] = k
                    count += 1
    return element[:count], segment[:count]


@njit(cache=True, nogil=True)
def _marks(a: Floats, b: Floats, x: Floats, y: Floats) -> Floats:
    """Where the segment from `a` to `b` meets grid lines, as parts of its length, sorted."""
    found = [0.0, 1.0]
    for axis, lines in ((0, x), (1, y)):
        span = b[axis] - a[axis]
        if span == 0.0:
            continue
        low = np.searchsorted(lines, min(a[axis], b[axis]))
        high = np.searchsorted(lines, max(a[axis], b[axis]))
        for k in range(low, high):
            t = (lines[k] - a[axis]) / span
            if 0.0 < t < 1.0:
                found.append(t)
    return np.sort(np.array(found))


@njit(cache=True, nogil=True)
def segments_of(element: int, crossed: Cuts) -> Ints:
    """The segments of the crack that cross an element."""
    k = np.searchsorted(crossed.element, element)
    if k < len(crossed.element) and crossed.element[k] == element:
        return crossed.segment[crossed.offset[k] : crossed.offset[k + 1]]
    return crossed.segment[:0]


@njit(cache=True, nogil=True)
def empty_pieces() -> Pieces:
    """Room for the pieces of any element."""
    return Pieces(np.empty((MOST_PIECES, MOST_CORNERS, 2)), np.empty(MOST_PIECES, np.int64))


@njit(cache=True, nogil=True)
def pieces(box: Floats, path: Floats, segments: Ints, out: Pieces) -> int:
    """Cut a rectangle by the lines of some segments into `out`; how many pieces there are.

    `box` is (x0, y0, x1, y1) [m]. Lines are infinite: some pieces meet where no crack is, which
    does no harm.
    """
    shapes = out.shapes
    shapes[0, 0, 0], shapes[0, 0, 1] = box[0], box[1]
    shapes[0, 1, 0], shapes[0, 1, 1] = box[2], box[1]
    shapes[0, 2, 0], shapes[0, 2, 1] = box[2], box[3]
    shapes[0, 3, 0], shapes[0, 3, 1] = box[0], box[3]
    out.sizes[0] = 4
    count = 1
    for s in segments:
        if 2 * count > MOST_PIECES:
            break
        for k in range(count):
            count = _halved(out, k, count, path[s], path[s + 1])
    return count


@njit(cache=True, nogil=True)
def _halved(out: Pieces, k: int, count: int, a: Floats, b: Floats) -> int:
    """Cut piece `k` along the line through `a` and `b`; its right part becomes a new piece."""
    shapes, n = out.shapes, out.sizes[k]
    dx, dy = b[0] - a[0], b[1] - a[1]
    size = math.hypot(dx, dy)
    above, low, high = np.empty(n), 0.0, 0.0
    for i in range(n):
        above[i] = (dx * (shapes[k, i, 1] - a[1]) - dy * (shapes[k, i, 0] - a[0])) / size
        low, high = min(low, above[i]), max(high, above[i])
    reach = 1e-9 * max(
        abs(shapes[k, 0, 0] - shapes[k, 2, 0]), abs(shapes[k, 0, 1] - shapes[k, 2, 1])
    )
    if low > -reach or high < reach or n + 2 > MOST_CORNERS:
        return count
    left, m, r = np.empty((n + 2, 2)), 0, 0
    for i in range(n):
        j = (i + 1) % n
        if above[i] >= 0.0:
            left[m] = shapes[k, i]
            m += 1
        if above[i] <= 0.0:
            shapes[count, r] = shapes[k, i]
            r += 1
        if above[i] * above[j] < 0.0:
            t = above[i] / (above[i] - above[j])
            for c in range(2):
                cut = shapes[k, i, c] + t * (shapes[k, j, c] - shapes[k, i, c])
                left[m, c] = cut
                shapes[count, r, c] = cut
            m += 1
            r += 1
    shapes[k, :m] = left[:m]
    out.sizes[k], out.sizes[count] = m, r
    return count + 1


@njit(cache=True, nogil=True)
def centre(shape: Floats) -> tuple[float, float]:
    """The mean of the corners (n, 2): a point inside a convex piece [m]."""
    n, x, y = len(shape), 0.0, 0.0
    for i in range(n):
        x += shape[i, 0]
        y += shape[i, 1]
    return x / n, y / n
