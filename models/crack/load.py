"""What one observation of each component does to its crack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from models.fatigue.exposure import Exposure, exposure, row_of
from models.fatigue.rainflow import Cycles, Turning, counted, turning
from models.tree import chosen


class CrackLoad(NamedTuple):
    """One observation for each component, all rows present; load acts before the inspection."""

    t_ns: Tensor  # (n,) int64 event time [ns since 1970, UTC]
    samples: Tensor  # (k,) ragged series [Pa]
    companion: Tensor  # (k,) shear at the same instants [Pa]
    sample_offset: Tensor  # (n+1,) int64
    continues: Tensor  # (n,) bool, False: the series starts after a gap
    blocks: Cycles  # counted cycles, ragged
    inspected: Tensor  # (n,) bool
    length: Tensor  # (n,) measured length, zero where not inspected [m]
    length_sd: Tensor  # (n,) zero where not stated or not inspected [m]
    confirmed: Tensor  # (n,) bool, somebody or another inspection agrees with this one
    epoch: Tensor  # (n,) int64 that names the line of evidence: draws hang on it


def no_load(n: int) -> CrackLoad:
    """Nothing at all, for `n` components."""
    none, zeros = torch.zeros(0, dtype=torch.float64), torch.zeros(n, dtype=torch.float64)
    offset = torch.zeros(n + 1, dtype=torch.int64)
    return CrackLoad(
        t_ns=torch.zeros(n, dtype=torch.int64),
        samples=none,
        companion=none,
        sample_offset=offset,
        continues=torch.ones(n, dtype=torch.bool),
        blocks=Cycles(none, none, none, none, none, offset),
        inspected=torch.zeros(n, dtype=torch.bool),
        length=zeros,
        length_sd=zeros,
        confirmed=torch.zeros(n, dtype=torch.bool),
        epoch=torch.zeros(n, dtype=torch.int64),
    )


def blocks(rows: Sequence[Sequence[Sequence[float]]]) -> Cycles:
    """Ragged blocks from rows of (range [Pa], mean [Pa], count[, shear range [Pa]]).

    The shear is proportional to the tension.
    """
    flat = [[*block, 0.0][:4] for row in rows for block in row]
    table = torch.tensor(flat, dtype=torch.float64).reshape(-1, 4)
    span, mean, count, shear = table.T.contiguous().unbind()
    return Cycles(span, mean, count, shear, proportional(span, mean, shear), _offset(rows))


def proportional(span: Tensor, mean: Tensor, shear: Tensor) -> Tensor:
    """The mean shear (m,) [Pa] of cycles in which shear is proportional to tension."""
    ranging = span > 0.0
    return torch.where(ranging, mean * (shear / torch.where(ranging, span, 1.0)), 0.0)


def spectrum_load(t_ns: Tensor, cycles: Cycles) -> CrackLoad:
    """Counted `cycles` for each component, at the times `t_ns` (n,)."""
    return no_load(len(t_ns))._replace(t_ns=t_ns, blocks=cycles)


def series_load(
    t_ns: Tensor,
    series: Sequence[Tensor],
    companion: Sequence[Tensor] | None = None,
    continues: bool = True,
) -> CrackLoad:
    """A series of samples [Pa] for each component, at the times `t_ns` (n,)."""
    samples = torch.cat([s.to(torch.float64) for s in series])
    shear = samples.new_zeros(len(samples)) if companion is None else torch.cat([*companion])
    n = len(t_ns)
    return no_load(n)._replace(
        t_ns=t_ns,
        samples=samples,
        companion=shear.to(torch.float64),
        sample_offset=_offset(series),
        continues=torch.full((n,), continues),
    )


def inspection_load(t_ns: Tensor, length: Tensor, length_sd: Tensor | None = None) -> CrackLoad:
    """A measured `length` (n,) [m] for each component; NaN: not inspected."""
    inspected = ~torch.isnan(length)
    sd = torch.zeros_like(length) if length_sd is None else length_sd
    return no_load(len(t_ns))._replace(
        t_ns=t_ns,
        inspected=inspected,
        length=torch.where(inspected, length, 0.0),
        length_sd=torch.where(inspected, sd, 0.0),
    )


def series_of(load: CrackLoad, row: Tensor) -> CrackLoad:
    """Samples and blocks of one `row` (1,), without its inspection."""
    none = no_load(1)
    return chosen_of(load, row)._replace(
        inspected=none.inspected, length=none.length, length_sd=none.length_sd
    )


def chosen_of(load: CrackLoad, index: Tensor) -> CrackLoad:
    """The messages of a load at `index` (k,) int64."""
    samples, offset = _ragged(load.sample_offset, index)
    spectra, ends = _ragged(load.blocks.offset, index)
    span, mean, count, shear, shear_mean = (leaf[spectra] for leaf in load.blocks[:5])
    return CrackLoad(
        t_ns=load.t_ns[index],
        samples=load.samples[samples],
        companion=load.companion[samples],
        sample_offset=offset,
        continues=load.continues[index],
        blocks=Cycles(span, mean, count, shear, shear_mean, ends),
        inspected=load.inspected[index],
        length=load.length[index],
        length_sd=load.length_sd[index],
        confirmed=load.confirmed[index],
        epoch=load.epoch[index],
    )


def _ragged(offset: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """The places of the entries of ragged rows at `index`, and their offset."""
    first, last = offset[index], offset[index + 1]
    places = [torch.arange(a, b) for a, b in zip(first.tolist(), last.tolist(), strict=True)]
    ends = torch.cat((offset.new_zeros(1), (last - first).cumsum(0)))
    return torch.cat(places) if places else offset.new_zeros(0), ends


def parts_of(load: CrackLoad, many: int) -> list[CrackLoad]:
    """The samples of one component in at most `many` parts; blocks come with the last."""
    none = no_load(1)
    parts = [
        load._replace(
            samples=samples,
            companion=companion,
            sample_offset=torch.tensor([0, len(samples)]),
            blocks=none.blocks,
            continues=none.continues,
        )
        for samples, companion in zip(
            load.samples.tensor_split(many), load.companion.tensor_split(many), strict=True
        )
        if len(samples)
    ]
    parts[0] = parts[0]._replace(continues=load.continues)
    parts[-1] = parts[-1]._replace(blocks=load.blocks)
    return parts


def _offset(ragged: Sequence[Sequence[object]] | Sequence[Tensor]) -> Tensor:
    return torch.tensor([0, *(len(row) for row in ragged)]).cumsum(0)


def merged(first: Cycles, second: Cycles) -> Cycles:
    """The cycles of both, row by row, those of `first` before those of `second`."""
    if second.range.numel() == 0:
        return first
    if first.range.numel() == 0:
        return second
    order = torch.cat((row_of(first.offset), row_of(second.offset))).argsort(stable=True)
    return Cycles(
        range=torch.cat((first.range, second.range))[order],
        mean=torch.cat((first.mean, second.mean))[order],
        count=torch.cat((first.count, second.count))[order],
        shear=torch.cat((first.shear, second.shear))[order],
        shear_mean=torch.cat((first.shear_mean, second.shear_mean))[order],
        offset=first.offset + second.offset,
    )


def check(load: CrackLoad, n: int) -> None:
    """Raises ValueError for a load that does not fit `n` components or is not a load."""
    if len(load.t_ns) != n or len(load.blocks.offset) != n + 1:
        raise ValueError(f"a load of {len(load.t_ns)} components meets a state of {n}")
    ends = load.blocks.offset
    if ends[0] != 0 or ends[-1] != len(load.blocks.range) or (ends.diff() < 0).any():
        raise ValueError(f"block offsets must rise from 0 to {len(load.blocks.range)}: {ends}")
    named = {"range": load.blocks.range, "count": load.blocks.count}
    for name, values in named.items():
        _require(torch.isfinite(values) & (values >= 0.0), f"block {name}", values, "≥ 0")
    blocks = load.blocks
    named = {"mean": blocks.mean, "shear": blocks.shear, "mean shear": blocks.shear_mean}
    for name, values in named.items():
        _require(torch.isfinite(values), f"block {name}", values, "finite")
    if load.samples.numel():
        for name, values in (("sample", load.samples), ("companion", load.companion)):
            _require(torch.isfinite(values), name, values, "finite")
    if load.inspected.any():
        length, sd = load.length[load.inspected], load.length_sd[load.inspected]
        _require(torch.isfinite(length) & (length > 0.0), "inspected length", length, "> 0")
        _require(torch.isfinite(sd) & (sd >= 0.0), "inspected length sd", sd, "≥ 0")


def _require(good: Tensor, name: str, values: Tensor, want: str) -> None:
    if not good.all():
        at = int((~good).nonzero()[0, 0])
        raise ValueError(f"{name} {at} is {float(values[at])}, not {want}")


def dated(t_ns: Tensor, load: CrackLoad) -> Tensor:
    """Time (n,) of the last evidence; it never runs backwards."""
    evidence = (load.sample_offset.diff() > 0) | (load.blocks.offset.diff() > 0) | load.inspected
    return torch.where(evidence, torch.maximum(t_ns, load.t_ns), t_ns)


class _Seen(Protocol):
    """What of a state says which inspections are late; all (n,)."""

    @property
    def t_inspected_ns(self) -> Tensor: ...
    @property
    def t_broken_ns(self) -> Tensor: ...
    @property
    def fractured(self) -> Tensor: ...


def broken_at(before: _Seen, after: _Seen, load: CrackLoad) -> Tensor:
    """Time (n,) of what broke the cracks, that of `load` where it did."""
    broke = after.fractured & ~before.fractured
    return torch.where(broke, load.t_ns, after.t_broken_ns)


def timely(load: CrackLoad, state: _Seen) -> Tensor:
    """Which inspections (n,) count: none that is older than the last one, or than a break.

    An older one has been overtaken: whoever looked later knows better, and nobody saw the break.
    """
    before_break = state.fractured & (load.t_ns < state.t_broken_ns)
    return load.inspected & (load.t_ns >= state.t_inspected_ns) & ~before_break


def forgotten(which: Tensor, counter: Turning, memory: Exposure) -> tuple[Turning, Exposure]:
    """Counters and memories, those at `which` (n,) as if no load had been."""
    n, capacity = counter.residue.shape
    fresh = turning(n, counter.gate, capacity)
    return chosen(which, fresh, counter), chosen(which, exposure(n), memory)


def counted_load(counter: Turning, load: CrackLoad) -> tuple[Turning, Cycles]:
    """The counter after the load's series, and all cycles of the load."""
    if load.samples.numel() == 0 and bool(load.continues.all()):
        return counter, load.blocks
    counter, cycles = counted(
        counter, load.samples, load.companion, load.sample_offset, load.continues
    )
    return counter, merged(cycles, load.blocks)
