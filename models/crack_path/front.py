"""The front of a crack that grows along a polyline: its path, and the segment under way.

A crack grows in segments of 0.018 W. At a node the segment is aimed where the load that acts
there turns the crack; stress intensities are found at the node and at the segment's end, and in
between F = K / √(πa) is linear in the length of the crack. Just behind the node they are those
of a kinked tip, to first order in the new branch's length:

    k_I* = cos(θ/2) [k_I cos²(θ/2) − 3/2 k_II sin θ]
    k_II* = ½ cos(θ/2) [k_I sin θ + k_II (3 cos θ − 1)]

(B. Cotterell and J. R. Rice, Int. J. Fracture 16 (1980) 155, doi:10.1007/BF00012619), of which
k_I* is the equivalent intensity of the maximum tangential stress criterion, and k_II* zero in its
direction. Where loads with other directions act before the segment ends, the tip leaves the aim;
the node is put where the tip is, and the segment is straightened.
"""

# Over 300 lines: a segment's state, its intensities and their batches follow from one another.

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from models.crack_path.plate import SEGMENT, Plates, TipIntensities
from models.crack_path.polyline import (
    IntensitySolver,
    between,
    forward,
    kinked,
    length,
    norm,
    thinned,
    tips,
    turned,
    unkinked,
)
from models.tree import rows, with_rows

FRESH = 0.1  # so far into a segment it has hardly begun [of the segment]
ROUNDING = 1e-9  # of what is left of a segment [of the segment]
BESIDE = 0.05  # so near to a longer segment a node is not missed [of the shortest]
OFF_AIM = math.sin(math.radians(5.0))  # beyond which a node's intensities are found anew


class Front(NamedTuple):
    """Where cracks are and what they meet there."""

    path: Tensor  # (n, N, 2) nodes, the mouth first, zeros behind the last [m]
    nodes: Tensor  # (n,) int64
    tip: Tensor  # (n, 2) [m]
    aim: Tensor  # (n, 2) unit vector along which the segment under way runs, or the next began
    start: Tensor  # (n,) length of the crack at the last node [m]
    span: Tensor  # (n,) length of the segment under way; 0: there is none yet [m]
    k_node: Tensor  # (n, 2, 2) at the last node, before it turns; by load and mode [√m]
    k_from: Tensor  # (n, 2, 2) just behind the last node
    k_to: Tensor  # (n, 2, 2) at the end of the segment
    known: Tensor  # (n,) bool: k_node has been found
    found: Tensor  # (n,) int64 intensities found so far, for steps and for remaining life
    by_xfem: Tensor  # (n,) int64 those of them that XFEM had to find


def at_end(path: Tensor, capacity: int) -> Front:
    """Fronts at the end of `path` (n, m, 2) [m]; room for `capacity` nodes."""
    n, m = path.shape[:2]
    space = path.new_zeros(n, capacity, 2)
    space[:, :m] = path
    last = path[:, -1] - path[:, -2]
    return Front(
        path=space,
        nodes=torch.full((n,), m),
        tip=path[:, -1].clone(),
        aim=last / norm(last)[:, None],
        start=length(path),
        span=path.new_zeros(n),
        k_node=path.new_zeros(n, 2, 2),
        k_from=path.new_zeros(n, 2, 2),
        k_to=path.new_zeros(n, 2, 2),
        known=torch.zeros(n, dtype=torch.bool),
        found=torch.zeros(n, dtype=torch.int64),
        by_xfem=torch.zeros(n, dtype=torch.int64),
    )


def nodes(front: Front, row: int = 0) -> list[tuple[float, float]]:
    """The crack of one row as a list of points, the mouth first and the tip last [m]."""
    points = front.path[row, : int(front.nodes[row])].tolist()
    tip = front.tip[row].tolist()
    return [(x, y) for x, y in (points if points[-1] == tip else [*points, tip])]


def k_at(front: Front, a: Tensor) -> Tensor:
    """Intensities (n, 2, 2) [√m] where the cracks have the length `a` (n,) [m]."""
    under_way = front.span > 0.0
    end = front.start + front.span
    share = torch.where(under_way, (a - front.start) / torch.where(under_way, front.span, 1.0), 0.0)
    first, last = (
        k / torch.sqrt(at)[:, None, None]
        for k, at in ((front.k_from, front.start), (front.k_to, end))
    )
    F = first + share[:, None, None] * (last - first)
    return torch.sqrt(a)[:, None, None] * F


def hardly_begun(front: Front, a: Tensor) -> Tensor:
    """Whether (n,) a segment is under way and not a tenth of it behind the tip, at `a` (n,) [m]."""
    return (front.span > 0.0) & (a - front.start < (FRESH - ROUNDING) * front.span)


def acting(front: Front, a: Tensor, hardly: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Intensities (n, 2, 2) [√m] at the length `a` (n,) [m], and the directions (n, 2) they are of.

    A segment that has hardly begun has not turned its crack yet: there they are those of a tip
    without the kink. Else the first load of many small ones could close the crack to the others.
    """
    k, last = k_at(front, a), _last_direction(front)
    hardly = hardly_begun(front, a) if hardly is None else hardly
    before = unkinked(k, between(last, front.aim))
    k = torch.where(hardly[:, None, None], before, k)
    return k, torch.where(hardly[:, None], last, front.aim)


def known(front: Front, plates: Plates, find: IntensitySolver) -> Front:
    """The front with the intensities at its node found, where they are not known."""
    index = (~front.known).nonzero().squeeze(1)
    if not index.numel():
        return front
    part = rows(front, index)
    found = tips(rows(plates, index), part.path, part.nodes, find)
    part = _counted(part, found)._replace(
        k_node=found.k, k_from=found.k, k_to=found.k, known=torch.ones_like(part.known)
    )
    return with_rows(front, index, part)


def aimed(
    front: Front, by: Tensor, plates: Plates, find: IntensitySolver, segment: float = SEGMENT
) -> tuple[Front, Tensor]:
    """Fronts that begin a `segment` [W] in their direction turned by `by` (n, 2), and where.

    Those whose segment would leave the plate (False) are given back as they were.
    """
    aim = forward(turned(front.aim, by))
    span = segment * plates.width
    node = _node(front, front.nodes - 1)
    end = node + span[:, None] * aim
    inside = plates.holds(end)
    index = inside.nonzero().squeeze(1)
    if not index.numel():
        return front, inside
    part = rows(front, index)
    turn = between(part.aim, aim[index])
    longer = _with_node(part, end[index])
    found = tips(rows(plates, index), longer.path, longer.nodes, find)
    part = _counted(part, found)._replace(
        aim=aim[index], span=span[index], k_from=kinked(part.k_node, turn), k_to=found.k
    )
    return with_rows(front, index, part), inside


def off_aim(front: Front) -> Tensor:
    """How far (n,) [m] the tips are to the left of where the segments under way aim."""
    (x, y), (c, s) = (front.tip - _node(front, front.nodes - 1)).unbind(-1), front.aim.unbind(-1)
    return c * y - s * x


def toward_tip(front: Front) -> Tensor:
    """What turns (n, 2) the direction of the front to that from its last node to its tip."""
    way = front.tip - _node(front, front.nodes - 1)
    return between(front.aim, way / norm(way)[:, None])


def drawn_out(front: Front, by: Tensor, a: Tensor) -> Tensor:
    """The tips (n, 2) [m] moved `by` (n, 2), as far from the last nodes as the length `a` says.

    A step too small for the digits of the coordinates leaves a tip at its node.
    """
    node = _node(front, front.nodes - 1)
    way = front.tip + by - node
    far = norm(way)
    moves = far > 0.0
    share = torch.where(moves, (a - front.start) / torch.where(moves, far, 1.0), 0.0)
    return node + way * share[:, None]


def abandoned(front: Front) -> Front:
    """The fronts without the segments under way, to aim anew; the tips stay where they are."""
    return front._replace(
        aim=_last_direction(front),
        span=torch.zeros_like(front.span),
        k_from=front.k_node,
        k_to=front.k_node,
    )


def settled(front: Front) -> Front:
    """The fronts with a node at the tip, where their segments have ended."""
    step = front.tip - _node(front, front.nodes - 1)
    ahead = step / norm(step)[:, None]
    off = between(front.aim, ahead)
    k = kinked(front.k_to, off)
    return _with_node(front, front.tip)._replace(
        aim=ahead,
        start=front.start + front.span,
        span=torch.zeros_like(front.span),
        k_node=k,
        k_from=k,
        k_to=k,
        known=off[:, 1].abs() <= OFF_AIM,
    )


def settled_at(front: Front, a: Tensor, shortest: Tensor) -> Front:
    """The fronts with a node at the tip, where the segments end early, at the length `a` (n,) [m].

    Segments shorter than `shortest` (n,) [m] take the place of the node before with theirs, where
    that lies beside the longer one by next to nothing: the operator knows no short segments.
    """
    last, base = (_node(front, front.nodes - back) for back in (1, 2))
    after = settled(front._replace(span=a - front.start, k_to=k_at(front, a)))
    way = front.tip - base
    ahead = way / norm(way)[:, None]
    aside = between(ahead, last - base)[:, 1].abs()
    alike = (a - front.start < shortest) & (aside < BESIDE * shortest) & (front.nodes > 2)
    index = alike.nonzero().squeeze(1)
    if not index.numel():
        return after
    some = rows(after, index)
    path, row = some.path.clone(), torch.arange(len(index))
    path[row, some.nodes - 2] = some.tip
    path[row, some.nodes - 1] = 0.0
    some = some._replace(path=path, nodes=some.nodes - 1, aim=ahead[index])
    return with_rows(after, index, some._replace(known=torch.zeros_like(some.known)))


def through(front: Front, plates: Plates) -> tuple[Front, Tensor]:
    """Fronts that have run on straight to the edge of the plate, and how far (n,) [m].

    The length at their last node, the one at the edge, is left to who knows that of the crack.
    """
    x, y = front.tip.unbind(-1)
    c, s = front.aim.unbind(-1)
    across = (plates.width - x) / c  # c is never below that of the steepest
    up = (0.5 * plates.height - torch.where(s < 0.0, -y, y)) / s.abs().clamp(min=1e-12)
    way = torch.minimum(across, up).clamp(min=0.0)
    at = front.tip + way[:, None] * front.aim
    after = _with_node(front, at)
    return after._replace(tip=at, span=torch.zeros_like(front.span)), way


def to_edge(front: Front, plates: Plates) -> Front:
    """Fronts without a segment under way, the last one cut off or prolonged to the plate's edge."""
    last, base = (_node(front, front.nodes - back) for back in (1, 2))
    way = last - base
    (x, y), (dx, dy) = base.unbind(-1), way.unbind(-1)
    across = (plates.width - x) / dx.clamp(min=1e-12)
    up = (0.5 * plates.height - torch.where(dy < 0.0, -y, y)) / dy.abs().clamp(min=1e-12)
    share = torch.minimum(across, up).clamp(min=0.0)
    at = base + share[:, None] * way
    path = front.path.clone()
    path[torch.arange(len(at)), front.nodes - 1] = at
    return front._replace(path=path, tip=at, start=front.start - (1.0 - share) * norm(way))


def moved(front: Front, to: Tensor, shortest: Tensor) -> Front:
    """Fronts cut back, or prolonged straight on, to the length `to` (n,) [m].

    No last segment becomes shorter than `shortest` (n,) [m], but for the first one.
    """
    return _stacked([_moved(front, i, to, shortest) for i in range(len(to))])


def _moved(front: Front, i: int, to: Tensor, shortest: Tensor) -> Front:
    one = rows(front, torch.tensor([i]))
    count = int(one.nodes)
    points = one.path[:, :count]
    if not torch.equal(points[:, -1], one.tip):
        points = torch.cat((points, one.tip[:, None]), 1)
    goal, least, kept = float(to[i]), float(shortest[i]), 1
    while kept < points.shape[1] - 1 and float(length(points[:, : kept + 1])) <= goal - least:
        kept += 1
    base = points[:, kept - 1]
    done = float(length(points[:, :kept])) if kept > 1 else 0.0
    step = points[:, kept] - base
    tip = base + step / norm(step)[:, None] * (goal - done)
    room, path = one.path.shape[1], torch.cat((points[:, :kept], tip[:, None]), 1)
    while path.shape[1] > room:
        path = thinned(path[0])[None]
    fresh = at_end(path, room)
    return fresh._replace(start=to[i : i + 1].clone(), found=one.found, by_xfem=one.by_xfem)


def _stacked(parts: list[Front]) -> Front:
    return Front(*(torch.cat(leaves) for leaves in zip(*parts, strict=True)))


def _counted(front: Front, found: TipIntensities) -> Front:
    by_xfem = front.by_xfem + found.by_xfem.to(torch.int64)
    return front._replace(found=front.found + 1, by_xfem=by_xfem)


def _last_direction(front: Front) -> Tensor:
    """Unit vectors (n, 2) along which the cracks came to their last nodes."""
    last = _node(front, front.nodes - 1) - _node(front, front.nodes - 2)
    return last / norm(last)[:, None]


def _node(front: Front, at: Tensor) -> Tensor:
    """The nodes (n, 2) with the numbers `at` (n,)."""
    return front.path[torch.arange(len(at)), at]


def _with_node(front: Front, at: Tensor) -> Front:
    """The fronts with one more node at `at` (n, 2); where there is no room one is left out."""
    path, nodes = front.path.clone(), front.nodes.clone()
    for i in (nodes == path.shape[1]).nonzero().squeeze(1).tolist():
        path[i, :-1] = thinned(path[i])
        path[i, -1] = 0.0
        nodes[i] -= 1
    path[torch.arange(len(nodes)), nodes] = at
    return front._replace(path=path, nodes=nodes + 1)
