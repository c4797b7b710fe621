"""Growth of a batch of cracks at once, as forecasts and inspections ask for it.

Loads step cracks one by one: see `models.crack.walk`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.crack.state import CrackState, limit_of, mean
from models.fatigue.exposure import row_of
from models.fatigue.integration import Drive, Lanes, filled, met, padded, root_of
from models.fatigue.rainflow import MARKS, Cycles, marked, residue
from models.fatigue.retardation import Retardation
from models.fatigue.strength import known
from models.tree import mapped


def tallied(
    cycles: Tensor, rate: Tensor, load: Cycles, growth: Tensor, fractured: Tensor
) -> tuple[Tensor, Tensor]:
    """Cycles so far (n,) and growth a cycle (n, p) [m] after a `load` and its `growth` (n, p)."""
    count = torch.zeros_like(cycles).index_add_(0, row_of(load.offset), load.count)
    known = (count > 0.0) & ~fractured  # the jump of a fracture is no rate
    mean = growth / torch.where(known, count, 1.0).to(growth.dtype)[:, None]
    return cycles + count, torch.where(known[:, None], mean, rate)


def remarked(state: CrackState, which: Tensor) -> CrackState:
    """The cracks, what is open of those at `which` (n,) having met them as they are now."""
    mark = torch.where(which[:, None, None], 0.0, state.counter.mark)
    counter = state.counter._replace(mark=mark)
    return state._replace(counter=marked(counter, mean(_marks(state))))


def _marks(state: CrackState) -> Tensor:
    """What peaks that pass now meet (n, p, 2): the length [m], and what they feel of overloads."""
    felt = state.retardation.felt(state.overload, state.length)
    return torch.stack((state.length, felt), 2)


def open_growth(state: CrackState) -> Tensor:
    """Growth (n, p) [m] if the residue closed now as half cycles."""
    if not state.counter.depth.any():
        return torch.zeros_like(state.a)
    a = state.length.reshape(-1)
    cycles, mark = residue(state.counter)
    growth = lanes(state, cycles, mark=mark)(a)
    growth = torch.where(torch.isfinite(growth), growth, 0.0)  # its peak breaks, not its closing
    return torch.minimum(growth, (limit_of(state) - a).clamp(min=0.0)).view_as(state.a)


def unit_intensities(state: CrackState, length: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """K_I and K_II [√m] of a unit stress, and the net section [1], at lengths (n, p) [m]."""
    n, p = state.a.shape
    long, every = filled(length.reshape(-1)), padded(torch.arange(n * p))

    def each(leaf: Tensor) -> Tensor:
        rest = leaf.shape[2:]
        return leaf.expand(n, p, *rest).reshape(n * p, *rest).index_select(0, every)

    geometry = mapped(each, state.geometry)
    root = root_of(long)
    found = (geometry.F(long) * root, geometry.F_II(long) * root, geometry.net_section(long))
    unit, unit_II, bears = (leaf[: n * p].view(n, p) for leaf in found)
    return unit, unit_II, bears


def lanes(
    state: CrackState,
    cycles: Cycles,
    retardation: Retardation | None = None,
    mark: Tensor | None = None,
) -> Lanes:
    """The speed of all cracks when all cycles of a row act together; tracks are (n·p,).

    `mark` (m, 2) is what the peaks of the cycles met, 0: they meet the crack of now.
    """
    n, p = state.a.shape
    row = row_of(cycles.offset)
    block = _repeated(torch.arange(len(row), device=row.device), p)
    cracks, track = torch.arange(n * p, device=row.device), _particles(row, p)
    at, of = padded(track), padded(block)
    mark = cycles.range.new_zeros(len(row), MARKS) if mark is None else mark

    def flat(leaf: Tensor) -> Tensor:
        """A constant, or with axes behind a table, of each particle."""
        table = leaf.shape[2:]
        return leaf.expand(n, p, *table).reshape(n * p, *table)

    def gathered(leaf: Tensor) -> Tensor:
        return flat(leaf).index_select(0, at)

    def along(leaf: Tensor) -> Tensor:
        return flat(leaf).index_select(0, padded(cracks))

    half, middle, count, shear, shear_mean = (
        leaf.to(state.a.dtype).index_select(0, of) for leaf in (0.5 * cycles.range, *cycles[1:5])
    )
    geometry = mapped(gathered, state.geometry)
    peak, valley = middle + half, middle - half
    opened = peak > 0.0  # a cycle in compression does nothing
    drive = Drive(
        law=mapped(gathered, state.law),
        retardation=mapped(gathered, state.retardation if retardation is None else retardation),
        overload=mapped(gathered, state.overload),
        strength=mapped(gathered, state.strength),
        range=2.0 * half,
        peak=torch.where(opened, peak, 0.0),
        R=torch.where(opened, valley / torch.where(opened, peak, 1.0), 0.0),
        shear=shear,
        shear_peak=shear_mean + 0.5 * shear,
        count=torch.where(opened, count, 0.0),
        met=met(geometry, *mark.to(state.a.dtype).index_select(0, of).T.contiguous()),
    )
    return Lanes(
        drive=drive,
        geometry=mapped(along, state.geometry),
        track=at,
        used=len(track),
        tracks=len(cracks),
        apart=len(row) == n and bool((cycles.offset.diff() == 1).all()),
        mixed=bool(((cycles.shear != 0.0) | (cycles.shear_mean != 0.0)).any()),
        judged=known(state.strength),
    )


def _particles(row: Tensor, p: int) -> Tensor:
    """The flat indices of all particles of each of `row`, (k·p,)."""
    return row if p == 1 else (row[:, None] * p + torch.arange(p, device=row.device)).flatten()


def _repeated(index: Tensor, p: int) -> Tensor:
    return index if p == 1 else index.repeat_interleave(p)
