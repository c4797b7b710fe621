"""Growth of a batch of cracks under cycles: all at once, or block by block where loads interact."""

from __future__ import annotations

import torch
from numba import njit
from torch import Tensor

from models.crack_state import CrackState, limit_of, mean
from models.exposure import row_of
from models.integration import Drive, Lanes, advanced, filled, met, padded, root_of
from models.rainflow import (
    MARKS,
    Bools,
    Cycles,
    Floats,
    Ints,
    Passage,
    Turning,
    at_peaks,
    marked,
    residue,
    resolved,
    unpassed,
)
from models.retardation import NoRetardation, Overload, Retardation
from models.strength import known
from models.tree import mapped, rows


def grown(state: CrackState, counter: Turning, passage: Passage) -> CrackState:
    """The cracks after what passes: together, or one after the other where loads interact.

    What grows is the believed length, for that is what a cycle meets; what is counted with it.
    `counter` is what remembers turning points after it.
    """
    cycles = passage.cycles
    if cycles.range.numel() == 0:
        return state._replace(counter=counter)
    limit = limit_of(state)
    if state.retardation.interacts:
        long, growth, overload, met = _in_order(state, passage)
        counter = resolved(counter, passage, mean(met))
    else:
        long, growth, _ = advanced(state.length.reshape(-1), lanes(state, passage), limit)
        overload = state.overload
    long, growth, limit = (leaf.view_as(state.a) for leaf in (long, growth, limit))
    fractured = (long >= limit).all(1)
    count, rate = tallied(state.cycles, state.rate, cycles, growth, fractured)
    return state._replace(
        a=torch.where(long >= limit, long, state.a + growth),
        length=long,
        counter=counter,
        overload=overload,
        cycles=count,
        rate=rate,
        fractured=fractured,
    )


def tallied(
    cycles: Tensor, rate: Tensor, load: Cycles, growth: Tensor, fractured: Tensor
) -> tuple[Tensor, Tensor]:
    """Cycles so far (n,) and growth a cycle (n, p) [m] after a `load` and its `growth` (n, p)."""
    count = torch.zeros_like(cycles).index_add_(0, row_of(load.offset), load.count)
    known = (count > 0.0) & ~fractured  # the jump of a fracture is no rate
    mean = growth / torch.where(known, count, 1.0).to(growth.dtype)[:, None]
    return cycles + count, torch.where(known[:, None], mean, rate)


def _in_order(state: CrackState, passage: Passage) -> tuple[Tensor, Tensor, Overload, Tensor]:
    """Lengths, growth (both (n·p,) [m]) and overloads after what passes, group by group.

    And what each of the blocks met (m, p, 2): the length [m], and what it felt of the overload.
    """
    cycles, p = passage.cycles, state.a.shape[1]
    limit, growth = limit_of(state), torch.zeros_like(state.length).view(-1)
    met = state.length.new_zeros(len(cycles.range), p, MARKS)
    row, group = row_of(cycles.offset), _groups(state, passage)
    for j in range(int(group.max()) + 1):
        block = (group == j).nonzero().squeeze(1)
        there = torch.unique_consecutive(row[block])
        place = torch.zeros(len(state.a), dtype=torch.int64)
        place[there] = torch.arange(len(there))
        source = _particles(there, p)
        a = state.length.view(-1)[source]
        met[block] = _marks(state)[row[block]]
        if cycles.count[block].any():  # else peaks pass, and nothing grows
            track = _particles(place[row[block]], p)
            at = _repeated(block, p)
            speed = _lanes(state, passage, at, source, track, _met(passage, at, met))
            a, more, _ = advanced(a, speed, limit[source])
            growth = growth.index_add(0, source, more)
            state = state._replace(length=_placed(state.length, source, a))
        last = block[torch.cat((row[block].diff() != 0, torch.ones(1, dtype=torch.bool)))]
        state = _with_peaks(state, passage, last, there)
        met[last] = _marks(state)[there]
    return state.length, growth, state.overload, met


def _with_peaks(state: CrackState, passage: Passage, last: Tensor, there: Tensor) -> CrackState:
    """The cracks of the rows `there` (k,) after the peaks of the blocks `last` (k,), if they pass.

    A peak makes its zone when it passes, not when its cycle closes.
    """
    p = state.a.shape[1]
    source, at = _particles(there, p), _repeated(last, p)
    track = torch.arange(len(source), device=source.device)
    speed = _lanes(state, passage, at, source, track, _unmarked(at), apart=True)
    overload = _remembered(speed, state.length.view(-1)[source], passage.passes[at])
    return state._replace(
        overload=mapped(lambda old, new: _placed(old, source, new), state.overload, overload)
    )


def remarked(state: CrackState, which: Tensor) -> CrackState:
    """The cracks, what is open of those at `which` (n,) having met them as they are now."""
    mark = torch.where(which[:, None, None], 0.0, state.counter.mark)
    counter = state.counter._replace(mark=mark)
    return state._replace(counter=marked(counter, mean(_marks(state))))


def _marks(state: CrackState) -> Tensor:
    """What peaks that pass now meet (n, p, 2): the length [m], and what they feel of overloads."""
    felt = state.retardation.felt(state.overload, state.length)
    return torch.stack((state.length, felt), 2)


def _unmarked(block: Tensor) -> Tensor:
    return torch.zeros(len(block), MARKS, dtype=torch.float64)


def _placed(leaf: Tensor, at: Tensor, values: Tensor) -> Tensor:
    return leaf.reshape(-1).index_copy(0, at, values).view_as(leaf)


def _groups(state: CrackState, passage: Passage) -> Tensor:
    """Which blocks (m,) act together, as no peak between them can be the overload; rising by row.

    A peak can where its zone reaches the edge of the furthest so far, whatever the crack grows
    meanwhile; what passes with it ends its group.
    """
    p, row = state.a.shape[1], row_of(passage.cycles.offset)
    every = torch.arange(len(row), device=row.device)
    at, track = _repeated(every, p), _particles(row, p)
    cracks = torch.arange(state.a.numel(), device=row.device)
    speed = _lanes(state, passage, at, cracks, track, _unmarked(at))
    a, used = state.length.reshape(-1), len(at)
    K_max = speed.K_max_and_R(a)[0]
    zone = speed.drive.retardation.size(K_max)[:used].view(-1, p)
    most = lanes(state, passage, NoRetardation())(a).view_as(state.a)
    edge = state.overload.a + state.retardation.size(state.overload.K) - state.length
    group = torch.empty(len(row), dtype=torch.int64)
    _group(
        passage.cycles.offset.numpy(),
        passage.passes.numpy(),
        (passage.cycles.count > 0.0).numpy(),
        zone.contiguous().numpy(),
        most.contiguous().numpy(),
        edge.expand_as(state.a).contiguous().numpy(),
        group.numpy(),
    )
    return group


@njit(cache=True, nogil=True)
def _group(
    offset: Ints,
    passes: Bools,
    grows: Bools,
    zone: Floats,
    most: Floats,
    edge: Floats,
    group: Ints,
) -> None:
    """See `_groups`; `group` is written, `edge` (n, p) too: how far the furthest zone reaches."""
    for i in range(len(offset) - 1):
        now, is_first = 0, True
        for j in range(offset[i], offset[i + 1]):
            can = False
            if passes[j]:
                for k in range(zone.shape[1]):
                    can = can or zone[j, k] + most[i, k] >= edge[i, k]
                    edge[i, k] = max(edge[i, k], zone[j, k])
            if can and grows[j] and not is_first:
                now += 1  # a block of its own
            group[j] = now
            is_first = can
            if can:
                now += 1


def _met(passage: Passage, block: Tensor, met: Tensor) -> Tensor:
    """What the peaks of blocks met (k, 2), particle by particle; 0: they meet the crack of now."""
    p, mark = met.shape[1], passage.mark[block]
    if not (mark[:, 0] < 0.0).any():
        return mark
    particle = torch.arange(len(block), device=block.device) % p
    columns = torch.stack([at_peaks(passage, mark, met[:, i]) for i in range(p)], 1)
    return columns[torch.arange(len(block)), particle]


def _remembered(speed: Lanes, a: Tensor, passes: Tensor) -> Overload:
    """The overloads after the blocks of `speed`, at the lengths `a` (k,) that these left.

    A peak makes its zone when it `passes` (k,), not when its cycle closes.
    """
    drive, used = speed.drive, speed.used
    K_max = torch.where(passes, speed.K_max_and_R(a)[0][:used], 0.0)
    here = torch.arange(used, device=a.device)
    return rows(drive.retardation, here).remembered(Overload(*rows(drive.overload, here)), a, K_max)


def with_open_growth(state: CrackState, before: Tensor) -> CrackState:
    """The cracks with what the residue has grown them; evaluated, never consumed.

    What is believed never shrinks from the lengths `before` (n, p) [m]. A part that its open cycles
    grow to its limit is broken. A turning point is marked with what it meets: when its cycle
    closes, later, that is what it has acted on.
    """
    more = torch.maximum(open_growth(state), before - state.a)
    limit = limit_of(state).view_as(state.a)
    through = state.a + more >= limit
    a = torch.where(through, torch.maximum(limit, state.a), state.a)
    more = torch.where(through, 0.0, more)
    broken = through.all(1)
    none = torch.zeros_like(broken)
    return remarked(state, none)._replace(a=a, length=a + more, open_growth=more, fractured=broken)


def open_growth(state: CrackState) -> Tensor:
    """Growth (n, p) [m] if the residue closed now as half cycles."""
    if not state.counter.depth.any():
        return torch.zeros_like(state.a)
    a = state.length.reshape(-1)
    growth = lanes(state, residue(state.counter))(a)
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
    state: CrackState, passage: Passage | Cycles, retardation: Retardation | None = None
) -> Lanes:
    """The speed of all cracks when all cycles of a row act together; tracks are (n·p,)."""
    n, p = state.a.shape
    if isinstance(passage, Cycles):
        passage = unpassed(passage)
    cycles = passage.cycles
    row = row_of(cycles.offset)
    block = torch.arange(len(row), device=row.device)
    apart = len(row) == n and bool((cycles.offset.diff() == 1).all())
    cracks = torch.arange(n * p, device=row.device)
    block = _repeated(block, p)
    track, mark = _particles(row, p), passage.mark[block]
    return _lanes(state, passage, block, cracks, track, mark, apart, retardation)


def _lanes(
    state: CrackState,
    passage: Passage,
    block: Tensor,  # (M,) which cycles a lane has
    cracks: Tensor,  # (k,) which of all n·p particles are concerned
    track: Tensor,  # (M,) which of `cracks` a lane acts on
    mark: Tensor,  # (M, 2) what its peak met, 0: it meets the crack of now
    apart: bool = False,  # lane i acts on crack i, one each
    retardation: Retardation | None = None,
) -> Lanes:
    n, p = state.a.shape
    at, of, cycles = padded(cracks[track]), padded(block), passage.cycles

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
    mark = mark.to(state.a.dtype).index_select(0, padded(torch.arange(len(mark))))
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
        met=met(geometry, *mark.T.contiguous()),
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
