"""Growth of a batch of cracks under cycles: all at once, or block by block where loads interact."""

from __future__ import annotations

import torch
from torch import Tensor

from models.crack_state import CrackState, limit_of
from models.exposure import row_of
from models.integration import Drive, Lanes, advanced, filled, padded, root_of
from models.rainflow import Cycles, Passage, open_half_cycles
from models.retardation import Overload, Retardation
from models.strength import known
from models.tree import mapped, rows


def grown(state: CrackState, passage: Passage) -> CrackState:
    """The cracks after what passes: together, or one after the other where loads interact."""
    cycles = passage.cycles
    if cycles.range.numel() == 0:
        return state
    if state.retardation.interacts:
        a, growth, overload = _in_order(state, passage)
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


def _in_order(state: CrackState, passage: Passage) -> tuple[Tensor, Tensor, Overload]:
    """Lengths, growth (both (n·p,) [m]) and overloads after the blocks, one after the other."""
    cycles, p = passage.cycles, state.a.shape[1]
    limit, growth = limit_of(state), torch.zeros_like(state.a).view(-1)
    lengths = cycles.offset.diff()
    for j in range(int(lengths.max())):
        row = (lengths > j).nonzero().squeeze(1)
        source = _particles(row, p)
        block = _repeated(cycles.offset[row] + j, p)
        track = torch.arange(len(source), device=source.device)
        speed = _lanes(state, cycles, block, source, track, apart=True)
        a, more, _ = advanced(state.a.view(-1)[source], speed, limit[source])
        overload = _remembered(speed, a, passage.passes[block])
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


def _remembered(speed: Lanes, a: Tensor, passes: Tensor) -> Overload:
    """The overloads after the blocks of `speed`, at the lengths `a` (k,) that these left.

    A peak makes its zone when it `passes` (k,), not when its cycle closes.
    """
    drive, used = speed.drive, speed.used
    K_max = torch.where(passes, speed.K_max_and_R(a)[0][:used], 0.0)
    here = torch.arange(used, device=a.device)
    return rows(drive.retardation, here).remembered(Overload(*rows(drive.overload, here)), a, K_max)


def with_open_growth(state: CrackState) -> CrackState:
    """The cracks with what the residue has grown them; evaluated, never consumed.

    What is believed never shrinks, and a part whose open cycles grow it to its limit is broken.
    """
    more = torch.maximum(open_growth(state), state.length - state.a)
    limit = limit_of(state).view_as(state.a)
    through = state.a + more >= limit
    a = torch.where(through, torch.maximum(limit, state.a), state.a)
    more = torch.where(through, 0.0, more)
    broken = through.all(1)
    return state._replace(a=a, length=a + more, open_growth=more, fractured=broken)


def open_growth(state: CrackState) -> Tensor:
    """Growth (n, p) [m] if the residue closed now as half cycles.

    Zero where one would break the part: it has passed when the crack was shorter, and did not.
    """
    if not state.counter.depth.any():
        return torch.zeros_like(state.a)
    a = state.a.reshape(-1)
    growth = lanes(state, open_half_cycles(state.counter))(a)
    growth = torch.where(torch.isfinite(growth), growth, 0.0)
    return torch.minimum(growth, (limit_of(state) - a).clamp(min=0.0)).view_as(state.a)


def unit_intensities(state: CrackState) -> tuple[Tensor, Tensor, Tensor]:
    """K_I and K_II [√m] of a unit stress, and the net section [1], at the believed lengths."""
    n, p = state.a.shape
    long = filled(state.length.reshape(-1))
    geometry = mapped(lambda leaf: filled(leaf.expand(n, p).reshape(-1)), state.geometry)
    root = root_of(long)
    found = (geometry.F(long) * root, geometry.F_II(long) * root, geometry.net_section(long))
    unit, unit_II, bears = (leaf[: n * p].view(n, p) for leaf in found)
    return unit, unit_II, bears


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

    def gathered(leaf: Tensor) -> Tensor:
        return leaf.expand(n, p).reshape(-1).index_select(0, at)

    def along(leaf: Tensor) -> Tensor:
        return leaf.expand(n, p).reshape(-1).index_select(0, padded(cracks))

    half, mean, count, shear, shear_mean = (
        leaf.to(state.a.dtype).index_select(0, of) for leaf in (0.5 * cycles.range, *cycles[1:5])
    )
    peak, valley = mean + half, mean - half
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
        judged=known(state.strength),
    )


def _particles(row: Tensor, p: int) -> Tensor:
    """The flat indices of all particles of each of `row`, (k·p,)."""
    return row if p == 1 else (row[:, None] * p + torch.arange(p, device=row.device)).flatten()


def _repeated(index: Tensor, p: int) -> Tensor:
    return index if p == 1 else index.repeat_interleave(p)
