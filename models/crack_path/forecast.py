"""How cracks go on along their paths under a repeating mix of blocks.

Remaining life is asked for at every record tick. The way to the limit depends on the load's
direction alone, not on its size; so what the crack will meet there is found once, kept with the
state as an `Outlook`, and found again when shear over tension has changed, when the crack has
come to its end, or when an inspection has moved the tip.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from models.crack.forecast import load_so_far, mix
from models.crack_path.driving_force import Pull, pull
from models.crack_path.front import Front, acting, k_at
from models.crack_path.growth import Walk, carried, ended, headed, set_out, walked
from models.crack_path.polyline import IntensitySolver
from models.crack_path.stepper import OUTLOOK_POINTS, Outlook, PathState
from models.fatigue.exposure import row_of
from models.fatigue.rainflow import Cycles
from models.tree import rows, with_rows

OUTLOOK_SEGMENT = 0.045  # of an outlook [W]: 2.5 times that of growth, for so much less work
RATIO = 0.05  # change of shear over tension beyond which an outlook is found again
SPEED = 0.1  # difference of speeds beyond which it is


def rollout(
    state: PathState,
    blocks: Cycles,
    cycles: Tensor,
    find: IntensitySolver,
    go_on: Callable[[], None] = lambda: None,
) -> tuple[Tensor, Front]:
    """Crack length (n, 1, T) [m] after `cycles` (T,) of the mix `blocks`, and the last front.

    `go_on` is called before each of them, and may raise. Raises ValueError where `cycles` do not
    rise from 0 on.
    """
    steps = cycles.diff(prepend=cycles.new_zeros(1)).tolist()
    if not all(math.isfinite(step) and step >= 0.0 for step in steps):
        raise ValueError(f"cycles must rise from 0 on: {cycles.tolist()}")
    walk, load = _walk(state), pull(state.law, mix(blocks), state.strength)
    lengths = []
    for step in steps:
        go_on()
        walk = walk._replace(left=torch.full_like(walk.left, step))
        if blocks.range.numel():
            walk = walked(walk, load, find)
        lengths.append(walk.a)
    return torch.stack(lengths, 1)[:, None], walk.front


class Foresight(NamedTuple):
    """An outlook, and what finding it took."""

    outlook: Outlook
    found: Tensor  # (n,) int64 intensities found for it
    by_xfem: Tensor  # (n,) int64 those of them that XFEM had to find


def foresight(state: PathState, blocks: Cycles, a_to: Tensor, find: IntensitySolver) -> Foresight:
    """What cracks meet from where they are to the length `a_to` (n,) [m] under `blocks`.

    It ends early where a crack comes to rest or runs through the plate.
    """
    load = pull(state.law, mix(blocks), state.strength)
    walk = headed(_walk(state), load)
    index = torch.arange(len(walk.a))
    ahead = Outlook(
        a=walk.a[:, None].repeat(1, OUTLOOK_POINTS),
        k=walk.front.k_node[:, None].repeat(1, OUTLOOK_POINTS, 1, 1),
        ratio=ratio(blocks),
        known=torch.ones_like(state.fractured),
    )
    found, by_xfem = state.front.found.clone(), state.front.by_xfem.clone()
    for j in range(OUTLOOK_POINTS):
        walk = set_out(walk, load, find, OUTLOOK_SEGMENT)
        found[index], by_xfem[index] = walk.front.found, walk.front.by_xfem
        ahead.a[index, j:] = walk.a[:, None]
        ahead.k[index, j:] = k_at(walk.front, walk.a)[:, None]
        on = (walk.front.span > 0.0) & ~walk.broken & (walk.a < a_to[index])
        on = on.nonzero().squeeze(1)
        if not on.numel():
            break
        index, walk, load = index[on], rows(walk, on), load.among(on)
        to_end = walk.front.start + walk.front.span - walk.a
        walk = ended(carried(walk, load, to_end), find)
    return Foresight(ahead, found - state.front.found, by_xfem - state.front.by_xfem)


def life(state: PathState, ahead: Outlook, blocks: Cycles, a_to: Tensor) -> Tensor:
    """Cycles (n,) from the present length to `a_to` (n,) [m] under the mix `blocks`.

    ∞ where the crack arrests, 0 where it is there already; a fracture on the way ends the life.
    Between the points of `ahead` F = K / √(πa) is linear; Simpson's rule in each interval.
    """
    load, a_now = pull(state.law, mix(blocks), state.strength), state.length[:, 0]
    total = torch.zeros_like(a_now)
    for j in range(OUTLOOK_POINTS - 1):
        ends = ahead.a[:, j], ahead.a[:, j + 1]
        if not (ends[1] > ends[0]).any():
            break
        first, last = (torch.minimum(torch.maximum(end, a_now), a_to) for end in ends)
        total = total + _time(load, ahead, j, first, last)
    end = torch.maximum(ahead.a[:, -1], a_now)
    rests = load(ahead.k[:, -1], end) == 0.0
    total = torch.where((end < a_to) & rests, math.inf, total)
    return torch.where((a_now >= a_to) | state.fractured, 0.0, total)


def _time(load: Pull, ahead: Outlook, j: int, first: Tensor, last: Tensor) -> Tensor:
    """Cycles (n,) from `first` to `last` (n,) [m] in interval `j`."""
    way = last - first
    slow = [1.0 / load(_k(ahead, j, at), at) for at in (first, first + 0.5 * way, last)]
    mean = (slow[0] + 4.0 * slow[1] + slow[2]) / 6.0
    return torch.where(way > 0.0, way * mean, 0.0)


def _k(ahead: Outlook, j: int, at: Tensor) -> Tensor:
    left, right = ahead.a[:, j], ahead.a[:, j + 1]
    wide = right > left
    share = torch.where(wide, (at - left) / torch.where(wide, right - left, 1.0), 0.0)
    first, last = (ahead.k[:, i] / torch.sqrt(ahead.a[:, i])[:, None, None] for i in (j, j + 1))
    return torch.sqrt(at)[:, None, None] * (first + share[:, None, None] * (last - first))


def with_remaining(state: PathState, find: IntensitySolver) -> tuple[PathState, Tensor]:
    """Cycles (n, 1) to `a_limit` under the load so far, and the state that remembers the way.

    ∞ without growth, 0 at the limit.
    """
    blocks = load_so_far(state)
    if blocks.range.numel() == 0:
        left = torch.full_like(state.length, math.inf)
        return state, torch.where(state.length >= state.a_limit[:, None], 0.0, left)
    ahead, now = state.outlook, ratio(blocks)
    changed = ((now - ahead.ratio).abs() > RATIO) | _surprised(state, blocks)
    short = (state.a[:, 0] >= ahead.a[:, -1]) & (ahead.a[:, -1] < state.a_limit)
    index = (~ahead.known | changed | short) & ~state.fractured & (blocks.offset.diff() > 0)
    anew = (index & (state.a[:, 0] < state.a_limit)).nonzero().squeeze(1)
    if anew.numel():
        some = rows(state, anew)
        fresh = foresight(some, load_so_far(some), some.a_limit, find)
        ahead, front = with_rows(ahead, anew, fresh.outlook), state.front
        front = front._replace(
            found=front.found.index_add(0, anew, fresh.found),
            by_xfem=front.by_xfem.index_add(0, anew, fresh.by_xfem),
        )
        state = state._replace(outlook=ahead, front=front)
    return state, life(state, ahead, blocks, state.a_limit)[:, None]


def _surprised(state: PathState, blocks: Cycles) -> Tensor:
    """Whether (n,) cracks grow at another speed than their outlooks say, for they run elsewhere."""
    load, a, ahead = pull(state.law, mix(blocks), state.strength), state.a[:, 0], state.outlook
    at = ((ahead.a <= a[:, None]).sum(1) - 1).clamp(min=0, max=OUTLOOK_POINTS - 2)
    row = torch.arange(len(a))
    a_near, k_near = (leaf[row[:, None], at[:, None] + torch.arange(2)] for leaf in ahead[:2])
    near = ahead._replace(a=a_near, k=k_near)
    here, there = load(acting(state.front, a)[0], a), load(_k(near, 0, a), a)
    return (here - there).abs() > SPEED * torch.minimum(here, there)


def ratio(blocks: Cycles) -> Tensor:
    """Shear over tension (n,) of a mix, weighted by the square of the range [1]."""
    row, n = row_of(blocks.offset), len(blocks.offset) - 1
    weight = blocks.count * blocks.range
    tension, shear = (
        weight.new_zeros(n).index_add_(0, row, weight * value)
        for value in (blocks.range, blocks.shear)
    )
    return torch.where(tension > 0.0, shear / torch.where(tension > 0.0, tension, 1.0), 0.0)


def _walk(state: PathState) -> Walk:
    zeros = torch.zeros_like(state.cycles)
    return Walk(state.front, state.plates, state.a[:, 0], zeros, zeros, state.fractured)
