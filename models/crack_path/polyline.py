"""Polylines and directions in the plane of a plate, and what XFEM and operator say of them.

Directions are unit vectors, turned by complex multiplication: no trigonometry, so that no bit
depends on the batch (`models.fatigue.integration`).
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from models.crack_path.plate import Plates, TipIntensities

# Cosine and sine of the largest angle against the x axis.
STEEPEST_HEADING = (math.cos(math.radians(75.0)), math.sin(math.radians(75.0)))
RESOLVED = 0.0175  # the operator has learned no shorter segments [W]
NEAR = 2  # segments at the tip that are never left out


class IntensitySolver(Protocol):
    """Stress intensities at the tips of paths."""

    def __call__(self, plates: Plates, path: Tensor, nodes: Tensor) -> TipIntensities:
        """Tips of `path` (n, m, 2) [m], of which each row uses the first `nodes` (n,)."""
        ...


def length(path: Tensor) -> Tensor:
    """The length (n,) [m] of polylines (n, m, 2), added node by node."""
    pieces = norm(path.diff(dim=1))
    total = torch.zeros_like(pieces[:, 0])
    for piece in pieces.unbind(1):
        total = total + piece
    return total


def norm(vector: Tensor) -> Tensor:
    """The length of vectors (…, 2)."""
    x, y = vector.unbind(-1)
    return torch.sqrt(x * x + y * y)


def turned(direction: Tensor, by: Tensor) -> Tensor:
    """Unit vectors (n, 2) turned by the angles of the unit vectors `by` (n, 2)."""
    (x, y), (c, s) = direction.unbind(-1), by.unbind(-1)
    return torch.stack((x * c - y * s, x * s + y * c), -1)


def between(one: Tensor, other: Tensor) -> Tensor:
    """The unit vector that turns `one` into `other`, all (n, 2)."""
    return turned(other, one * one.new_tensor([1.0, -1.0]))


def forward(direction: Tensor) -> Tensor:
    """Directions (n, 2), but none steeper than 75° against the x axis."""
    x, y = direction.unbind(-1)
    c, s = STEEPEST_HEADING
    steep = torch.stack((torch.full_like(x, c), torch.where(y < 0.0, -s, s)), -1)
    return torch.where((x < c)[:, None], steep, direction)


def kinked(k: Tensor, by: Tensor) -> Tensor:
    """Intensities (n, 2, 2) behind a kink by the angle of the unit vector `by` (n, 2)."""
    c, s = by[:, None, 0], by[:, None, 1]
    k_I, k_II = k.unbind(-1)
    half2 = 0.5 * (1.0 + c)
    half = torch.sqrt(half2)
    opening = half * (k_I * half2 - 1.5 * k_II * s)
    sliding = 0.5 * half * (k_I * s + k_II * (3.0 * c - 1.0))
    return torch.stack((opening, sliding), -1)


def unkinked(k: Tensor, by: Tensor) -> Tensor:
    """Intensities (n, 2, 2) of which `kinked` makes `k`."""
    c, s = by[:, None, 0], by[:, None, 1]
    k_I, k_II = k.unbind(-1)
    half2, other = 0.5 * (1.0 + c), 0.5 * (3.0 * c - 1.0)
    size = torch.sqrt(half2) * (half2 * other + 0.75 * s * s)
    opening = (other * k_I + 1.5 * s * k_II) / size
    sliding = (half2 * k_II - 0.5 * s * k_I) / size
    return torch.stack((opening, sliding), -1)


def thinned(path: Tensor) -> Tensor:
    """The path (m, 2) without the node, neither mouth nor tip, at which it bends least."""
    steps = path.diff(dim=0)
    one, other = steps[:-1], steps[1:]
    cross = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
    bend = cross.abs() / (norm(one) * norm(other))
    least = int(bend.argmin()) + 1
    return torch.cat((path[:least], path[least + 1 :]))


def tips(plates: Plates, path: Tensor, nodes: Tensor, find: IntensitySolver) -> TipIntensities:
    """Intensities at the tips of `path` (n, m, 2) [m], of which each row uses `nodes` (n,).

    They are those of the path without short segments far behind the tip: the operator knows none.
    """
    segment = torch.arange(1, path.shape[1])
    behind = segment < nodes[:, None] - NEAR
    apart = norm(path.diff(dim=1))
    short = (behind & (apart < RESOLVED * plates.width[:, None])).any(1).nonzero().squeeze(1)
    if not short.numel():
        return find(plates, used(path, nodes), nodes)
    plain, count = path.clone(), nodes.clone()
    for i in short.tolist():
        line = resolved(path[i, : int(nodes[i])], RESOLVED * float(plates.width[i]))
        plain[i] = 0.0
        plain[i, : len(line)], count[i] = line, len(line)
    return find(plates, used(plain, count), count)


def resolved(path: Tensor, shortest: float) -> Tensor:
    """The path (m, 2) without segments below `shortest` [m], but for the last `NEAR` of them.

    Of the two ends of a short one that goes at which less is cut off; the mouth stays.
    """
    while True:
        short = (norm(path.diff(dim=0))[:-NEAR] < shortest).nonzero().flatten()
        if not short.numel():
            return path
        ends = [k for k in (int(short[0]), int(short[0]) + 1) if k > 0]
        least = min(ends, key=lambda k: abs(_area(path[k - 1], path[k], path[k + 1])))
        path = torch.cat((path[:least], path[least + 1 :]))


def _area(one: Tensor, middle: Tensor, other: Tensor) -> float:
    """Twice the area of a triangle, of the sign of its turn."""
    (a, b), (c, d) = (middle - one).tolist(), (other - middle).tolist()
    return float(a * d - b * c)


def used(path: Tensor, nodes: Tensor) -> Tensor:
    """The nodes that are used by any row."""
    return path[:, : int(nodes.max())]
