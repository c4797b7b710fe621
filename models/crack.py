"""The crack stepper: load in, crack length out, for a batch of components at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from models.crack_load import (
    CrackLoad,
    blocks,
    check,
    inspection_load,
    merged,
    no_load,
    series_load,
    spectrum_load,
)
from models.exposure import Exposure, exposed, exposure, row_of
from models.geometry import Geometry
from models.integration import Drive, Lanes, advanced, padded
from models.laws import Law
from models.rainflow import Cycles, Turning, counted, open_half_cycles, turning
from models.retardation import Overload, Retardation
from models.tree import mapped, rows

__all__ = [
    "CrackBelief",
    "CrackLoad",
    "CrackState",
    "CrackStepper",
    "belief",
    "blocks",
    "inspection_load",
    "lanes",
    "no_load",
    "series_load",
    "spectrum_load",
]

Value = float | Tensor


class CrackState(NamedTuple):
    """What is believed of each crack; axis 0 component, axis 1 particle."""

    a: Tensor  # (n, p) crack length, at the geometry's limit once fractured [m]
    law: Law  # leaves (n, 1) or (n, p)
    geometry: Geometry  # leaves (n, 1) or (n, p)
    retardation: Retardation  # leaves (n, 1) or (n, p)
    overload: Overload  # leaves (n, p)
    counter: Turning
    exposure: Exposure
    a_limit: Tensor  # (n,) length at which the part is to be taken out [m]
    replace: Tensor  # (n,) bool, an inspection replaces the belief, or is only recorded
    cycles: Tensor  # (n,) seen so far [1]
    rate: Tensor  # (n, p) mean growth of the last load [m/cycle]
    open_growth: Tensor  # (n, p) growth if the residue closed now as half cycles [m]
    fractured: Tensor  # (n,) bool, all particles at the limit
    measured: Tensor  # (n,) last inspected length [m]
    measured_sd: Tensor  # (n,) [m]
    innovation: Tensor  # (n,) measured − believed just before [m]
    t_inspected_ns: Tensor  # (n,) int64, 0: never
    t_ns: Tensor  # (n,) int64 last evidence


class CrackBelief(NamedTuple):
    """What is told of each crack; all (n,)."""

    crack_length: Tensor  # [m]
    crack_length_sd: Tensor  # over the particles [m]
    growth_rate: Tensor  # of the last load [m/cycle]
    cycles: Tensor  # [1]
    open_growth: Tensor  # [m]
    fractured: Tensor  # bool
    measured: Tensor  # [m]
    measured_sd: Tensor  # [m]
    innovation: Tensor  # [m]
    t_inspected_ns: Tensor  # int64
    t_ns: Tensor  # int64


@dataclass(frozen=True)
class CrackStepper:
    """Crack growth by cycles; parameters are floats, (n,), (n, 1) or (n, p) tensors.

    `step` reads nothing but the state, so that rows of steppers with the same types of law,
    geometry and retardation can be joined (`models.tree.joined`) and stepped by any of them.
    """

    law: Law
    geometry: Geometry
    retardation: Retardation
    a_0: Value  # [m]
    a_limit: Value  # (n,) or float [m]
    gate: Value = 0.0  # reversals smaller than this are no turning points [Pa]
    replace: bool | Tensor = True
    particles: int = 1
    capacity: int = 64  # turning points that stay open

    def init(self, n: int) -> CrackState:
        """`n` cracks that have seen nothing; raises ValueError for lengths that are none."""
        a = columns(self.a_0, n).expand(n, self.particles).clone()
        geometry = mapped(lambda leaf: columns(leaf, n), self.geometry)
        limit = columns(self.a_limit, n)[:, 0].clone()
        _check_lengths(a, limit, geometry)
        zeros, ticks = torch.zeros(n, dtype=a.dtype), torch.zeros(n, dtype=torch.int64)
        return CrackState(
            a=a,
            law=mapped(lambda leaf: columns(leaf, n), self.law),
            geometry=geometry,
            retardation=mapped(lambda leaf: columns(leaf, n), self.retardation),
            overload=Overload(a.clone(), torch.zeros_like(a)),
            counter=turning(n, self.gate, self.capacity),
            exposure=exposure(n),
            a_limit=limit,
            replace=torch.as_tensor(self.replace).expand(n).clone(),
            cycles=torch.zeros(n, dtype=torch.float64),
            rate=torch.zeros_like(a),
            open_growth=torch.zeros_like(a),
            fractured=torch.zeros(n, dtype=torch.bool),
            measured=zeros,
            measured_sd=zeros.clone(),
            innovation=zeros.clone(),
            t_inspected_ns=ticks,
            t_ns=ticks.clone(),
        )

    def step(self, state: CrackState, load: CrackLoad) -> CrackState:
        """The cracks after `load`, the inspection after the cycles.

        Raises ValueError for a load that is not finite, or not a load.
        """
        check(load, len(state.a))
        counter, cycles = counted_load(state.counter, load)
        state = _grown(state, cycles)._replace(
            counter=counter, exposure=exposed(state.exposure, cycles)
        )
        if load.inspected.any():
            state = _inspected(state, load)
        return state._replace(t_ns=dated(state.t_ns, load), open_growth=_open_growth(state))


class Believed(Protocol):
    """What every state of a crack holds, so that it can be told; see `CrackState`."""

    @property
    def a(self) -> Tensor: ...
    @property
    def rate(self) -> Tensor: ...
    @property
    def cycles(self) -> Tensor: ...
    @property
    def open_growth(self) -> Tensor: ...
    @property
    def fractured(self) -> Tensor: ...
    @property
    def measured(self) -> Tensor: ...
    @property
    def measured_sd(self) -> Tensor: ...
    @property
    def innovation(self) -> Tensor: ...
    @property
    def t_inspected_ns(self) -> Tensor: ...
    @property
    def t_ns(self) -> Tensor: ...


def belief(state: Believed) -> CrackBelief:
    """What the state says, with the particles summed up."""
    a = _mean(state.a)
    return CrackBelief(
        crack_length=a,
        crack_length_sd=torch.sqrt(_mean((state.a - a[:, None]) ** 2)),
        growth_rate=_mean(state.rate),
        cycles=state.cycles,
        open_growth=_mean(state.open_growth),
        fractured=state.fractured,
        measured=state.measured,
        measured_sd=state.measured_sd,
        innovation=state.innovation,
        t_inspected_ns=state.t_inspected_ns,
        t_ns=state.t_ns,
    )


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

    half, mean, count, shear = (
        leaf.to(state.a.dtype).index_select(0, of)
        for leaf in (0.5 * cycles.range, cycles.mean, cycles.count, cycles.shear)
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
        count=torch.where(opened, count, 0.0),
    )
    mixed = bool((cycles.shear != 0.0).any())
    return Lanes(
        drive=drive,
        geometry=mapped(along, state.geometry),
        track=padded(track),
        used=len(track),
        tracks=len(cracks),
        apart=apart,
        mixed=mixed,
    )


def counted_load(counter: Turning, load: CrackLoad) -> tuple[Turning, Cycles]:
    """The counter after the load's series, and all cycles of the load."""
    if load.samples.numel() == 0 and bool(load.continues.all()):
        return counter, load.blocks
    counter, cycles = counted(
        counter, load.samples, load.companion, load.sample_offset, load.continues
    )
    return counter, merged(cycles, load.blocks)


def tallied(
    cycles: Tensor, rate: Tensor, load: Cycles, growth: Tensor, fractured: Tensor
) -> tuple[Tensor, Tensor]:
    """Cycles so far (n,) and growth a cycle (n, p) [m] after a `load` and its `growth` (n, p)."""
    count = torch.zeros_like(cycles).index_add_(0, row_of(load.offset), load.count)
    known = (count > 0.0) & ~fractured  # the jump of a fracture is no rate
    mean = growth / torch.where(known, count, 1.0).to(growth.dtype)[:, None]
    return cycles + count, torch.where(known[:, None], mean, rate)


def _grown(state: CrackState, cycles: Cycles) -> CrackState:
    """The cracks after `cycles`: together, or one after the other where loads interact."""
    if cycles.range.numel() == 0:
        return state
    if state.retardation.interacts:
        a, growth, overload = _in_order(state, cycles)
    else:
        a, growth, _ = advanced(state.a.reshape(-1), lanes(state, cycles), _limit(state))
        overload = state.overload
    a, growth = a.view_as(state.a), growth.view_as(state.a)
    fractured = (a >= _limit(state).view_as(a)).all(1)
    count, rate = tallied(state.cycles, state.rate, cycles, growth, fractured)
    return state._replace(a=a, overload=overload, cycles=count, rate=rate, fractured=fractured)


def _in_order(state: CrackState, cycles: Cycles) -> tuple[Tensor, Tensor, Overload]:
    """Lengths, growth (both (n·p,) [m]) and overloads after the blocks, one after the other."""
    p = state.a.shape[1]
    limit, growth = _limit(state), torch.zeros_like(state.a).view(-1)
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
    K_max = torch.where(drive.count > 0.0, speed.K_max(a), 0.0)[:used]
    here = torch.arange(used, device=a.device)
    return rows(drive.retardation, here).remembered(Overload(*rows(drive.overload, here)), a, K_max)


def _open_growth(state: CrackState) -> Tensor:
    """Growth [m] if the residue closed now as half cycles; evaluated, never consumed."""
    if not state.counter.depth.any():
        return torch.zeros_like(state.a)
    a = state.a.reshape(-1)
    speed = lanes(state, open_half_cycles(state.counter))
    return torch.minimum(speed(a), (_limit(state) - a).clamp(min=0.0)).view_as(state.a)


def _inspected(state: CrackState, load: CrackLoad) -> CrackState:
    """The belief after the inspections; the overload zone keeps its distance to the tip."""
    seen, length = load.inspected, load.length.to(state.a.dtype)
    limit = _limit(state).view_as(state.a)
    taken = (seen & state.replace)[:, None]
    a = torch.where(taken, torch.minimum(length[:, None], limit), state.a)
    moved = state.overload.a + (a - state.a)
    return state._replace(
        a=a,
        overload=state.overload._replace(a=moved),
        fractured=(a >= limit).all(1),
        measured=torch.where(seen, length, state.measured),
        measured_sd=torch.where(seen, load.length_sd.to(a.dtype), state.measured_sd),
        innovation=torch.where(seen, length - _mean(state.a), state.innovation),
        t_inspected_ns=torch.where(seen, load.t_ns, state.t_inspected_ns),
    )


def dated(t_ns: Tensor, load: CrackLoad) -> Tensor:
    """Time (n,) of the last evidence; it never runs backwards."""
    evidence = (load.sample_offset.diff() > 0) | (load.blocks.offset.diff() > 0) | load.inspected
    return torch.where(evidence, torch.maximum(t_ns, load.t_ns), t_ns)


def _limit(state: CrackState) -> Tensor:
    """The geometry's limit (n·p,) [m]."""
    return torch.as_tensor(state.geometry.limit).expand_as(state.a).reshape(-1)


def _mean(x: Tensor) -> Tensor:
    """Mean over axis 1, added in an order that the number of rows does not change."""
    p = x.shape[1]
    while x.shape[1] > 1:
        half = x.shape[1] // 2
        x = torch.cat((x[:, :half] + x[:, half : 2 * half], x[:, 2 * half :]), 1)
    return x[:, 0] / p


def _particles(row: Tensor, p: int) -> Tensor:
    """The flat indices of all particles of each of `row`, (k·p,)."""
    return row if p == 1 else (row[:, None] * p + torch.arange(p, device=row.device)).flatten()


def _repeated(index: Tensor, p: int) -> Tensor:
    return index if p == 1 else index.repeat_interleave(p)


def columns(value: Value, n: int) -> Tensor:
    """A parameter as (n, 1) or (n, p): floats and (n,) for all particles."""
    leaf = torch.as_tensor(value, dtype=None if isinstance(value, Tensor) else torch.float64)
    if leaf.ndim < 2:
        leaf = leaf.reshape(-1, 1)
    return leaf.expand(n, leaf.shape[1]).clone()


def _check_lengths(a: Tensor, a_limit: Tensor, geometry: Geometry) -> None:
    limit = torch.as_tensor(geometry.limit).expand_as(a)
    if not ((a > 0.0) & (a < limit)).all():
        raise ValueError(f"a_0 {float(a.max())} m is not within 0 … {float(limit.min())} m")
    if not (a_limit > 0.0).all():
        raise ValueError(f"a_limit {float(a_limit.min())} m is not a length > 0")
