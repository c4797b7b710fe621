"""How uncertain cracks go on: the cycles that each particle lasts, and how long it will be.

Under a mix of cycles the crack of factor 1 has a speed at each length, of which a table is made;
particles go by it, each with the factor that it has and what the factors of the cells ahead will
make of it (`models.filters.lives`). Load interaction is left out, as in `models.crack.forecast`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from models.crack.follow import CELL
from models.crack.forecast import load_so_far, mix
from models.crack.growth import lanes
from models.crack.state import CrackState, limit_of
from models.crack.uncertain import NARROWEST
from models.crack.uncertain_state import GUIDES, UncertainCrack
from models.fatigue.laws import scaled
from models.fatigue.rainflow import Cycles, Floats
from models.fatigue.retardation import NoRetardation
from models.filters import elementary
from models.filters.lives import lives
from models.tree import mapped

POINTS = 65  # of the table, even in ln a


class Table(NamedTuple):
    """What the crack of factor 1 takes, at points even in ln a."""

    x: Floats  # (n, p) ln of the length of each particle
    start: Floats  # (n,) ln of the length at the first point
    width: Floats  # (n,) of ln a between points
    slowness: Floats  # (n, m) cycles for a unit of ln a; ∞: no growth, 0: it breaks


def table(
    state: UncertainCrack, blocks: Cycles, to: Tensor, points: int, go_on: Callable[[], None]
) -> Table:
    """The table from the shortest particle to the length `to` (n,) [m] under a mix of cycles."""
    x = elementary.log(state.particles.a.contiguous().numpy())
    limit = limit_of(state.guides).view(-1, GUIDES)[:, 0]
    end = elementary.log(torch.minimum(to, limit).numpy())
    start = np.minimum(x.min(1), end - NARROWEST)
    width = (end - start) / (points - 1)
    slowness = np.zeros((len(x), points))
    if blocks.range.numel() == 0:
        return Table(x, start, width, slowness + np.inf)
    speed = lanes(_of_factor_one(state), mix(blocks), NoRetardation())
    for k in range(points):
        go_on()
        at = torch.from_numpy(elementary.exp(start + k * width))
        slowness[:, k] = (at / speed(at)).numpy()
    return Table(x, start, width, slowness)


def remaining(state: UncertainCrack) -> Tensor:
    """Cycles (n, p) of each particle to `a_limit` under the load so far; ∞ without growth."""
    return life(state, load_so_far(state.guides))


def life(state: UncertainCrack, blocks: Cycles, go_on: Callable[[], None] = lambda: None) -> Tensor:
    """Cycles (n, p) of each particle to `a_limit` under a mix of cycles; 0 once it is there."""
    found = table(state, blocks, state.a_limit, POINTS, go_on)
    left = torch.from_numpy(_lives(state, found, POINTS))
    return torch.where(state.fractured[:, None], 0.0, left)


def rollout(
    state: UncertainCrack, blocks: Cycles, cycles: Tensor, go_on: Callable[[], None]
) -> Tensor:
    """Lengths (p, T) [m] of the particles of one crack after `cycles` (T,), rising.

    By the lives to each of the points of the table: so lengths reach the limit when lives end. A
    particle that has broken is at the geometry's limit.
    """
    p = state.particles.a
    limit = limit_of(state.guides).view(-1, GUIDES)[:, 0]
    found = table(state, blocks, limit, 2 * POINTS - 1, go_on)
    points = found.slowness.shape[1]
    reached = np.empty((points, p.shape[1]))
    for k in range(points):
        go_on()
        reached[k] = _lives(state, found, k + 1)[0] if k > 0 else 0.0
    reached = np.maximum.accumulate(reached, 0)
    grid = elementary.exp(found.start[0] + found.width[0] * np.arange(points))
    after = np.empty((p.shape[1], len(cycles)))
    for q in range(p.shape[1]):
        a, ends = float(p[0, q]), reached[:, q]
        ahead = (grid > a) & (ends > 0.0) & np.isfinite(ends)
        at = np.concatenate(([0.0], ends[ahead]))
        after[q] = np.interp(cycles.numpy(), at, np.concatenate(([a], grid[ahead])))
    return torch.from_numpy(after)


def _lives(state: UncertainCrack, found: Table, points: int) -> Floats:
    """Cycles (n, p) of each particle to the last of the first `points` of the table."""
    p = state.particles
    growth, local, ahead = (x.contiguous().numpy() for x in (p.growth, p.local, p.ahead))
    slowness = np.ascontiguousarray(found.slowness[:, :points])
    left = lives(
        found.x, found.start, found.width, slowness, CELL, growth, local, ahead,
        p.local_sd.numpy(), p.local_length.numpy(),
    )  # fmt: skip
    end = found.start + (points - 1) * found.width
    return np.where(found.x >= end[:, None], 0.0, left)


def _of_factor_one(state: UncertainCrack) -> CrackState:
    """One crack for each row whose growth has the factor 1, for what is asked of the future."""
    g, middle = state.guides, GUIDES // 2
    factor = state.particles.factor[:, middle : middle + 1].numpy()

    def one(leaf: Tensor) -> Tensor:
        return leaf[:, middle : middle + 1] if leaf.shape[1] == GUIDES else leaf

    return g._replace(
        a=one(g.a),
        length=one(g.length),
        law=scaled(mapped(one, g.law), torch.from_numpy(elementary.exp(-factor))),
        geometry=mapped(one, g.geometry),
        retardation=mapped(one, g.retardation),
        strength=mapped(one, g.strength),
        overload=mapped(one, g.overload),
    )
