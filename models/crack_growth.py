"""Growth of a batch of cracks under cycles: all at once, or block by block where loads interact."""

from __future__ import annotations

import torch
from torch import Tensor

from models.crack_state import CrackState, limit_of
from models.exposure import row_of
from models.integration import Drive, Lanes, advanced, padded
from models.rainflow import Cycles, open_half_cycles
from models.retardation import Overload, Retardation
from models.tree import mapped, rows


def grown(state: CrackState, cycles: Cycles) -> CrackState:
    """The cracks after `cycles`: together, or one after the other where loads interact."""
    if cycles.range.numel() == 0:
        return state
    if state.retardation.interacts:
        a, growth, overload = _in_order(state, cycles)
    else:
        a, growth, _ = advanced(state.a.reshape(-1), lanes(state, cycles), limit_of(state))
        overload = state.overload
    a, growth = a.view_as(state.a), growth.view_as(state.a)
    fractured = (a >= limit_of(state).view_as(a)).all(1)
    count, rate = tallied(state.cycles, state.rate, cycles, growth, fractured)
    return state._replace(a=a, overload=overload, cycles=count, rate=rate, fractured=fractured)


def tallied(
    cycles: Tensor, rate: Tensor, load: Cycles, growth: Tensor, fractured: Tensor
) -> tuple[Tensor, Tensor]:
    """Cycles so far (n,) and growth a cycle (n, p) [m] after a `load` and its `growth` (n, p)."""
    count = torch.zeros_like(cycles).index_add_(0, row_of(load.offset), load.count)
    known = (count > 0.0) & ~fractured  # the jump of a fracture is no rate
    mean = growth / torch.where(known, count, 1.0).to(growth.dtype)[:, None]
    return cycles + count, torch.where(known[:, None], mean, rate)


def _in_order(state: CrackState, cycles: Cycles) -> tuple[Tensor, Tensor, Overload]:
    """Lengths, growth (both (n·p,) [m]) and overloads after the blocks, one after the other."""
    p = state.a.shape[1]
    limit, growth = limit_of(state), torch.zeros_like(state.a).view(-1)
    lengths = cycles.offset.diff()
    for j in range(int(lengths.max())):
        row = (lengths > j).nonzero().squeeze(1)
        source = _particles(row, p)
        block = _repeated(cycles.offset[row] + j, p)
        track = torch.arange(len(source), device=source.device)
        speed = _lanes(state, cycles, block, source, track, apart=True)
        a, more, _ = advanced(state.a.view(-1)[source], speed, limit[source])
        overload = _remembered(speed, a)
        growth = growth.index_add(0, source, more)
        state = state._replace(
            a=state.a.view(-1).index_copy(0, source, a).view_as(state.a),
            overload=mapped(
                lambda old, new, at=source: old.view(-1).index_copy(0, at, new).view_as(old),
                state.overload,
                overload,
            ),
        )
    return state.a, growth, state.overload


def _remembered(speed: Lanes, a: Tensor) -> Overload:
    """The overloads after the blocks of `speed`, at the lengths `a` (k,) that these left."""
    drive, used = speed.drive, speed.used
    K_max = torch.where(drive.count > 0.0, speed.K_max_and_R(a)[0], 0.0)[:used]
    here = torch.arange(used, device=a.device)
    return rows(drive.retardation, here).remembered(Overload(*rows(drive.overload, here)), a, K_max)


def open_growth(state: CrackState) -> Tensor:
    """Growth [m] if the residue closed now as half cycles; evaluated, never consumed."""
    if not state.counter.depth.any():
        return torch.zeros_like(state.a)
    a = state.a.reshape(-1)
    speed = lanes(state, open_half_cycles(state.counter))
    return torch.minimum(speed(a), (limit_of(state) - a).clamp(min=0.0)).view_as(state.a)


def lanes(state: CrackState, cycles: Cycles, retardation: Retardation | None = None) -> Lanes:
    """The speed of all cracks when all `cycles` of a row act together; tracks are (n·p,)."""
    n, p = state.a.shape
    row = row_of(cycles.offset)
    block = torch.arange(len(row), device=row.device)
    apart = len(row) == n and bool((cycles.offset.diff() == 1).all())
    cracks = torch.arange(n * p, device=row.device)
    return _lanes(
        state, cycles, _repeated(block, p), cracks, _particles(row, p), apart, retardation
    )


def _lanes(
    state: CrackState,
    cycles: Cycles,
    block: Tensor,  # (M,) which cycles a lane has
    cracks: Tensor,  # (k,) which of all n·p particles are concerned
    track: Tensor,  # (M,) which of `cracks` a lane acts on
    apart: bool,  # lane i acts on crack i, one each
    retardation: Retardation | None = None,
) -> Lanes:
    n, p = state.a.shape
    at, of = padded(cracks[track]), padded(block)

    def flat(leaf: Tensor) -> Tensor:
        """A constant, or with axes behind a table, of each particle."""
        table = leaf.shape[2:]
        return leaf.expand(n, p, *table).reshape(n * p, *table)

    def gathered(leaf: Tensor) -> Tensor:
        return flat(leaf).index_select(0, at)

    def along(leaf: Tensor) -> Tensor:
        return flat(leaf).index_select(0, padded(cracks))

    half, mean, count, shear, shear_mean = (
        leaf.to(state.a.dtype).index_select(0, of) for leaf in (0.5 * cycles.range, *cycles[1:5])
    )
    peak, valley = mean + half, mean - half
    opened = peak > 0.0  # a cycle in compression does nothing
    drive = Drive(
        law=mapped(gathered, state.law),
        retardation=mapped(gathered, state.retardation if retardation is None else retardation),
        overload=mapped(gathered, state.overload),
        range=2.0 * half,
        peak=torch.where(opened, peak, 0.0),
        R=torch.where(opened, valley / torch.where(opened, peak, 1.0), 0.0),
        shear=shear,
        shear_peak=shear_mean + 0.5 * shear,
        count=torch.where(opened, count, 0.0),
    )
    mixed = bool(((cycles.shear != 0.0) | (cycles.shear_mean != 0.0)).any())
    return Lanes(
        drive=drive,
        geometry=mapped(along, state.geometry),
        track=padded(track),
        used=len(track),
        tracks=len(cracks),
        apart=apart,
        mixed=mixed,
    )


def _particles(row: Tensor, p: int) -> Tensor:
    """The flat indices of all particles of each of `row`, (k·p,)."""
    return row if p == 1 else (row[:, None] * p + torch.arange(p, device=row.device)).flatten()


def _repeated(index: Tensor, p: int) -> Tensor:
    return index if p == 1 else index.repeat_interleave(p)
