"""Growth of cracks along their paths under blocks that hold any number of cycles.

What pulls at a crack is in `models.crack_path.driving_force`. Within a segment λ(a) = ∫ da/g is
taken by parabolas, as in `models.fatigue.integration`, which also says why everything
transcendental is evaluated on lanes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from models.crack_path.driving_force import Pull
from models.crack_path.front import (
    FRESH,
    Front,
    abandoned,
    acting,
    aimed,
    drawn_out,
    hardly_begun,
    known,
    off_aim,
    settled,
    settled_at,
    through,
    toward_tip,
)
from models.crack_path.plate import SEGMENT, Plates
from models.crack_path.polyline import IntensitySolver, between, forward, turned
from models.fatigue.integration import OVERSHOOT, part_of, slowness
from models.tree import rows, with_rows

STRIDE = 0.1  # the longest stride, relative to the crack
SMALL = 1e-4  # growth in segments that one evaluation may take
TURN = 0.05  # sine of the deviation from which on a segment that has hardly begun is aimed anew
SHORT = 0.2  # from here on it ends instead, where a load turns the crack for so long
SHARP = 0.2  # sine of the deviation from which on it does; curves under one load are less
MAX_PIECES = 8192


class Walk(NamedTuple):
    """Cracks on their way; all leaves have the cracks as axis 0."""

    front: Front
    plates: Plates
    a: Tensor  # (n,) [m]
    growth: Tensor  # (n,) [m] so far, more exact than the difference of two lengths
    left: Tensor  # (n,) of the load, from 1 to 0
    broken: Tensor  # (n,) bool


def walked(walk: Walk, load: Pull, find: IntensitySolver) -> Walk:
    """The cracks after the rest of the load; those that break have run to the plate's edge.

    Raises ValueError for a load that is not at its end after many strides.
    """
    active = ((walk.left > 0.0) & ~walk.broken).nonzero().squeeze(1)
    part, pulling = rows(walk, active), load.among(active)
    if active.numel():
        part = _reconsidered(part, pulling, find)
    for _ in range(MAX_PIECES):
        if not active.numel():
            return walk
        part = _piece(_straightened(part, find), pulling, find)
        walk = with_rows(walk, active, part)
        on = ((part.left > 0.0) & ~part.broken).nonzero().squeeze(1)
        if len(on) < len(active):
            active, part, pulling = active[on], rows(part, on), pulling.among(on)
    raise ValueError(f"a load is not at its end after {MAX_PIECES} strides of a crack")


def _reconsidered(walk: Walk, load: Pull, find: IntensitySolver) -> Walk:
    """Segments are aimed anew or end where they are, as a load goes on in another direction.

    Early on, a large load aims by itself. Later a segment ends, where a load is large or the tip
    has left the aim already by as much as it would take.
    """
    front = known(walk.front, walk.plates, find)
    (k, ahead), begun = acting(front, walk.a), walk.a - front.start
    off_by = between(front.aim, turned(ahead, load.heading(k, walk.a)))
    reach, turn = FRESH * front.span, off_by[:, 1]
    under_way, turns, off = front.span > 0.0, turn.abs(), off_aim(front)
    large = load(k, walk.a) > reach
    stays = off * turn >= reach * turn * turn
    fresh = under_way & (turns > TURN) & large & (begun <= reach)
    early = under_way & (turns > SHARP) & (large | stays) & (begun >= SHORT * front.span)
    return _left(walk._replace(front=front), fresh, early)


def headed(walk: Walk, load: Pull) -> Walk:
    """The cracks as they go on under a load that lasts: no segment holds them to another way."""
    front = walk.front
    k, ahead = acting(front, walk.a)
    turn = between(front.aim, turned(ahead, load.heading(k, walk.a)))
    elsewhere = (front.span > 0.0) & ((turn[:, 1].abs() > SHARP) | (turn[:, 0] < 0.0))
    hardly = hardly_begun(front, walk.a)
    return _left(walk, elsewhere & hardly, elsewhere & ~hardly)


def _straightened(walk: Walk, find: IntensitySolver) -> Walk:
    """Segments whose tips have strayed from the aim under many small loads aim where these went."""
    front, begun = walk.front, walk.a - walk.front.start
    soon = ~hardly_begun(front, walk.a) & (begun < SHORT * front.span)
    index = (soon & (off_aim(front).abs() > TURN * begun)).nonzero().squeeze(1)
    if not index.numel():
        return walk
    return walk._replace(front=with_rows(front, index, _redirected(rows(walk, index), find)))


def _left(walk: Walk, to_aim_anew: Tensor, to_end_here: Tensor) -> Walk:
    """The cracks with some segments left: to go on from the last nodes, or from the tips."""
    front = walk.front
    index = to_aim_anew.nonzero().squeeze(1)
    if index.numel():
        front = with_rows(front, index, abandoned(rows(front, index)))
    index = to_end_here.nonzero().squeeze(1)
    if index.numel():
        some = rows(walk, index)
        ended_here = settled_at(some.front, some.a, SEGMENT * some.plates.width)
        front = with_rows(front, index, ended_here)
    return walk._replace(front=front)


def _redirected(walk: Walk, find: IntensitySolver) -> Front:
    """The fronts aimed at where their tips are; those that would leave the plate stay."""
    start = abandoned(walk.front)
    front, inside = aimed(start, toward_tip(start), walk.plates, find)
    index = (~inside).nonzero().squeeze(1)
    return with_rows(front, index, rows(walk.front, index)) if index.numel() else front


def _piece(walk: Walk, load: Pull, find: IntensitySolver) -> Walk:
    """The cracks one stride on: to the end of the load, or of their segment, or in between."""
    walk = set_out(walk, load, find)
    at_rest = walk.front.span == 0.0  # broken, or nothing grows
    k, _ = acting(walk.front, walk.a)
    start = torch.where(at_rest, 0.0, load(k, walk.a) * walk.left)
    walk = walk._replace(broken=walk.broken | torch.isinf(start))
    left = torch.where(at_rest | walk.broken, 0.0, walk.left)
    to_end = walk.front.start + walk.front.span - walk.a
    small = (start <= SMALL * walk.front.span) & (start < to_end) | at_rest
    far = (~(small | walk.broken)).nonzero().squeeze(1)
    step = torch.where(walk.broken, 0.0, start)
    rest = torch.where(small, 0.0, left)
    if far.numel():
        some, pulling = rows(walk, far), load.among(far)
        reached, remaining = _stride(some, pulling, start[far])
        step, rest = step.index_copy(0, far, reached), rest.index_copy(0, far, remaining)
    return ended(carried(walk, load, step)._replace(left=rest), find)


def set_out(walk: Walk, load: Pull, find: IntensitySolver, segment: float = SEGMENT) -> Walk:
    """Every crack that grows with a segment; those whose next one leaves the plate have broken."""
    walk = walk._replace(front=known(walk.front, walk.plates, find))
    grows = load(walk.front.k_node, walk.a) > 0.0
    index = ((walk.front.span == 0.0) & grows).nonzero().squeeze(1)
    if not index.numel():
        return walk
    some, pulling = rows(walk, index), load.among(index)
    heading = pulling.heading(some.front.k_node, some.a)
    front, inside = aimed(some.front, heading, some.plates, find, segment)
    broken = ~inside | torch.isinf(pulling(front.k_node, some.a))
    return with_rows(walk, index, some._replace(front=front, broken=broken))


def _stride(walk: Walk, load: Pull, start: Tensor) -> tuple[Tensor, Tensor]:
    """Growth (k,) [m] in one stride, and what is left (k,) of the load after it."""
    a, front = walk.a, walk.front
    hardly = hardly_begun(front, a)  # beyond that something else acts
    to_end = front.start + torch.where(hardly, FRESH, 1.0) * front.span - a
    slow = walk.left / start
    span = torch.minimum(torch.minimum(STRIDE * a, to_end), OVERSHOOT * start)
    middle, end = (
        slowness(load(acting(front, a + share * span, hardly)[0], a + share * span), slow)
        for share in (0.5, 1.0)
    )
    taken = span * ((slow + 4.0 * middle + end) / 6.0)
    done = taken >= walk.left
    last = span * part_of(slow, middle, end, (walk.left / span).clamp(max=1e30))
    return torch.where(done, last, span), torch.where(done, 0.0, walk.left - taken)


def carried(walk: Walk, load: Pull, step: Tensor) -> Walk:
    """The tips `step` (k,) [m] further, in the direction halfway.

    The segment under way keeps the length that has grown, in the mean of the directions so far:
    no matter whether loads in several directions come one by one or together.
    """
    front = walk.front
    halfway, a = walk.a + 0.5 * step, walk.a + step
    k, ahead = acting(front, halfway)
    heading = forward(turned(ahead, load.heading(k, halfway)))
    moved = drawn_out(front, step[:, None] * heading, a)
    tip = torch.where((step > 0.0)[:, None], moved, front.tip)
    return walk._replace(front=front._replace(tip=tip), a=a, growth=walk.growth + step)


def ended(walk: Walk, find: IntensitySolver) -> Walk:
    """Nodes where segments have ended; broken cracks at the plate's edge."""
    front = walk.front
    end = front.start + front.span
    at_end = (front.span > 0.0) & (end - walk.a <= 1e-9 * front.span) & ~walk.broken
    index = at_end.nonzero().squeeze(1)
    if index.numel():
        front = with_rows(front, index, settled(rows(front, index)))
        walk = walk._replace(front=front, a=torch.where(at_end, end, walk.a))
    index = walk.broken.nonzero().squeeze(1)
    if index.numel():
        some = rows(walk, index)
        front, way = through(some.front, some.plates)
        a, front = some.a + way, front._replace(start=some.a + way)
        some = some._replace(front=front, a=a, growth=some.growth + way)
        walk = with_rows(walk, index, some._replace(left=torch.zeros_like(some.left)))
    return walk
