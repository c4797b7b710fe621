"""From a map of where a crack may be to one line through it: the main crack, from end to end.

Coordinates are (x, y) [pixel], x to the right and y downwards, the centre of the first pixel at
(0.5, 0.5). The main crack is the longest way through the connected pixels of the map; its ends
are the two pixels that are farthest from each other when one walks inside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]
Ints = NDArray[np.integer]

_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
NEAR_END = 12  # pixels
_TOUCHING = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True, slots=True)
class Tracing:
    """How a map is thresholded and joined."""

    strong: float = 0.5  # what is crack for certain
    weak: float = 0.1  # what belongs to a crack that it touches
    least: int = 12  # pixels of a piece that counts
    gap: float = 24.0  # the widest gap that is bridged [pixel]
    share: float = 0.5  # of the shorter piece's length that a gap may have
    pieces: int = 64  # the largest that are looked at
    smooth: float = 2.0  # of the line, standard deviation [pixel]
    centre: float = 4.0  # depth in a wide crack from where on no place is more central [pixel]


class Trace(NamedTuple):
    """The main crack of a map."""

    path: Floats  # (n, 2) x, y from end to end [pixel]
    length: float  # [pixel]
    support: float  # mean of the map along the path [1]
    ends: float  # mean of the map near the fainter of its ends [1]
    bridged: float  # share of the path that lies in gaps [1]
    rival: float  # weight of the next other crack, over the main one's [1]
    mask: Bools  # (h, w) the pixels of the main crack


TRACING = Tracing()


def trace(probability: Floats, how: Tracing = TRACING) -> Trace | None:
    """The main crack of a map (h, w) of values within 0 … 1, or None where there is none."""
    labels, sizes = _pieces(probability, how)
    if not len(sizes):
        return None
    mask, rival, gaps = _main(probability, labels, sizes, how)
    places = _walk(probability, mask, how)
    steps = np.hypot(*np.diff(places, axis=0).T)
    line = _smoothed(places + 0.5, steps, how.smooth)
    along = probability[places[:, 1], places[:, 0]]
    return Trace(
        path=line,
        length=arc_length(line),
        support=float(along.mean()),
        ends=float(min(along[:NEAR_END].mean(), along[-NEAR_END:].mean())),
        bridged=float(gaps[places[:, 1], places[:, 0]].mean()),
        rival=rival,
        mask=mask,
    )


def arc_length(path: Floats) -> float:
    """The length of a polyline (n, 2)."""
    return float(np.hypot(*np.diff(path, axis=0).T).sum())


def _pieces(probability: Floats, how: Tracing) -> tuple[Ints, Ints]:
    """Connected pieces (h, w), numbered from one, the largest first, and their pixels (k,)."""
    labels, _ = ndimage.label(probability > how.weak, _TOUCHING)
    sizes = np.bincount(labels.ravel())
    seeds = np.bincount(labels[probability > how.strong], minlength=len(sizes))
    sizes[0] = 0
    kept = np.flatnonzero((sizes >= how.least) & (seeds > 0))
    kept = kept[np.argsort(-sizes[kept], kind="stable")][: how.pieces]
    numbers = np.zeros(len(sizes), dtype=np.int64)
    numbers[kept] = np.arange(1, len(kept) + 1)
    return numbers[labels], sizes[kept]


def _main(
    probability: Floats, labels: Ints, sizes: Ints, how: Tracing
) -> tuple[Bools, float, Bools]:
    """The pixels of the main group of pieces, the extent of the next, and bridged gaps.

    The main group is the farthest reaching, weighed with how likely its pixels are.
    """
    points = [np.argwhere(labels == k + 1) for k in range(len(sizes))]
    extents = np.array([_extent(p) for p in points])
    group = np.arange(len(points))
    gaps = np.zeros(labels.shape, dtype=bool)
    for i, j, first, second in _bridges(points, extents, how):
        if group[i] != group[j]:
            group[group == group[j]] = group[i]
            gaps[_line(first, second)] = True
    weights = {}
    for g in np.unique(group):
        whole = np.concatenate([p for p, k in zip(points, group, strict=True) if k == g])
        weights[g] = _extent(whole) * float(probability[tuple(whole.T)].mean())
    ranked = sorted(weights, key=lambda g: -weights[g])
    main = np.isin(labels, 1 + np.flatnonzero(group == ranked[0]))
    rival = weights[ranked[1]] / max(weights[ranked[0]], 1e-9) if len(ranked) > 1 else 0.0
    gaps &= ~main
    joined, _ = ndimage.label(main | gaps, _TOUCHING)
    return joined == joined[tuple(points[ranked[0]][0])], float(rival), gaps


def _extent(points: Ints) -> float:
    """How far apart the points (k, 2) lie, about [pixel]."""
    first = points[np.argmax(np.hypot(*(points - points.mean(axis=0)).T))]
    return float(np.hypot(*(points - first).T).max())


def _bridges(
    points: Sequence[Ints], extents: Floats, how: Tracing
) -> list[tuple[int, int, Ints, Ints]]:
    """Pairs of pieces that are near each other for their size, the nearest first."""
    # off zero: where denormal numbers are flushed, a tree that splits at zero never ends
    trees = [cKDTree(p + 1) for p in points]
    found = []
    for i in range(len(points)):
        for j in range(i + 1, len(points)):
            widest = min(how.gap, how.share * float(min(extents[i], extents[j])))
            distance, at = trees[i].query(points[j] + 1, distance_upper_bound=widest + 1e-9)
            k = int(np.argmin(distance))
            if np.isfinite(distance[k]):
                found.append((float(distance[k]), i, j, points[i][at[k]], points[j][k]))
    return [bridge[1:] for bridge in sorted(found, key=lambda bridge: bridge[:3])]


def _line(first: Ints, second: Ints) -> tuple[Ints, Ints]:
    """The pixels of a straight line between two (row, column)."""
    n = int(np.abs(second - first).max()) + 1
    row, column = (
        np.rint(np.linspace(a, b, n)).astype(int) for a, b in zip(first, second, strict=True)
    )
    return row, column


def _walk(probability: Floats, mask: Bools, how: Tracing) -> Ints:
    """The pixels (n, 2) as x, y of the most central way between the ends of the mask."""
    row, column = np.nonzero(mask)
    plain = _graph(mask, np.ones(len(row)))
    first = int(np.argmax(dijkstra(plain, indices=0, directed=False)))
    last = int(np.argmax(dijkstra(plain, indices=first, directed=False)))
    depth = np.minimum(ndimage.distance_transform_edt(mask)[mask], how.centre)
    cost = 1.0 / (depth * (0.05 + probability[mask]))
    _, before = dijkstra(
        _graph(mask, cost), indices=first, directed=False, return_predecessors=True
    )
    way = [last]
    while way[-1] != first:
        way.append(int(before[way[-1]]))
    return np.stack([column[way], row[way]], axis=1)


def _graph(mask: Bools, cost: Floats) -> coo_array:
    """Touching pixels of the mask, as far apart as their distance times their mean cost."""
    number = np.full(np.add(mask.shape, 2), -1)
    number[1:-1, 1:-1][mask] = np.arange(len(cost))
    here = number[1:-1, 1:-1][mask]
    row, column = np.nonzero(mask)
    edges = []
    for down, right in _NEIGHBOURS:
        there = number[row + 1 + down, column + 1 + right]
        touching = there >= 0
        a, b = here[touching], there[touching]
        edges.append((a, b, np.hypot(down, right) * 0.5 * (cost[a] + cost[b])))
    i, j, weight = (np.concatenate(part) for part in zip(*edges, strict=True))
    return coo_array((weight, (i, j)), shape=(len(cost), len(cost))).tocsr()


def _smoothed(points: Floats, steps: Floats, sd: float) -> Floats:
    """The line without the stairs of its pixels; its ends stay."""
    if len(points) < 3:
        return points
    at = np.append(0.0, np.cumsum(steps))
    even = np.linspace(0.0, at[-1], max(3, round(at[-1])))
    line = np.stack([np.interp(even, at, points[:, k]) for k in (0, 1)], axis=1)
    # mirrored through the ends, so that they stay where they are
    ends = [ndimage.gaussian_filter1d(_mirrored(line[:, k]), sd) for k in (0, 1)]
    n = len(even)
    return np.stack([part[n - 1 : 2 * n - 1] for part in ends], axis=1)


def _mirrored(values: Floats) -> Floats:
    before = 2.0 * values[0] - values[:0:-1]
    after = 2.0 * values[-1] - values[-2::-1]
    return np.concatenate([before, values, after])
