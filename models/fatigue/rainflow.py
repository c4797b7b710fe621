"""Streaming four-point rainflow counting, one independent counter per component.

The inner range B–C of four consecutive turning points A, B, C, D is a closed cycle when both
B and C lie within A…D. Values are compared, not ranges, so that no rounding decides. What has
not closed is the residue; counted as half cycles it gives, together with the closed cycles,
the totals of the three-point rule of ASTM E1049-85, clause 5.4.4.

T. Endo et al. (1968); four-point form: C. Amzallag et al., Int. J. Fatigue 16 (1994) 287,
doi:10.1016/0142-1123(94)90343-3.

Every sample is worked off as if it were the last, and all that is remembered is in `Turning`:
how a series is cut into messages changes no bit. The last entry of the residue is the running
extreme, which the next samples may still move.
"""

# Over 300 lines: counter and its compiled loop: numba looks up what it has compiled by this file.

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from models.compiled import cached_part

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

MIN_CAPACITY = 4  # turning points that the four-point rule looks at
MARKS = 2  # values of a mark
COUNTED = 7  # rows of what is counted: as in `Cycles`, and the mark of the peak
MARK, FELT = 5, 6  # the rows of the mark


class Turning(NamedTuple):
    """What a counter remembers; entries at and beyond `depth` are zero."""

    residue: Tensor  # (n, capacity) float64 open turning points, oldest first [Pa]
    companion: Tensor  # (n, capacity) float64 second channel at the same instants [Pa]
    mark: Tensor  # (n, capacity, 2) float64 what `marked` has set, 0: not yet
    depth: Tensor  # (n,) int64 how many are valid [1]
    gate: Tensor  # (n,) float64 a reversal smaller than this is no turning point [Pa]
    overflows: Tensor  # (n,) int64 half cycles closed early because the residue was full [1]


class Cycles(NamedTuple):
    """Counted cycles as ragged rows, in the order they closed."""

    range: Tensor  # (m,) float64 peak − valley, positive [Pa]
    mean: Tensor  # (m,) float64 (peak + valley)/2 [Pa]
    count: Tensor  # type: ignore[assignment]  # (m,) float64 1 closed, 0.5 half [1]; hides tuple's
    shear: Tensor  # (m,) float64 companion at the peak − at the valley, signed [Pa]
    shear_mean: Tensor  # (m,) float64 (companion at the peak + at the valley)/2 [Pa]
    offset: Tensor  # (n+1,) int64 row i is offset[i]:offset[i+1]


def turning(n: int, gate: float | Tensor, capacity: int = 64) -> Turning:
    """Counters of `n` components that have seen nothing; `gate` () or (n,) [Pa].

    Raises ValueError for a gate below 0, and for too small a capacity.
    """
    if capacity < MIN_CAPACITY:
        raise ValueError(f"capacity {capacity} is below the {MIN_CAPACITY} points of the rule")
    gates = torch.as_tensor(gate, dtype=torch.float64).expand(n).clone()
    refused = ~(torch.isfinite(gates) & (gates >= 0))
    if refused.any():
        raise ValueError(f"gate {gates[refused][0].item()} is not a stress range >= 0")
    points = torch.zeros((n, capacity), dtype=torch.float64)
    zeros = torch.zeros(n, dtype=torch.int64)
    marks = points.new_zeros(n, capacity, MARKS)
    return Turning(points, points.clone(), marks, zeros, gates, zeros.clone())


def counted(
    state: Turning, samples: Tensor, companion: Tensor, offset: Tensor, continues: Tensor
) -> tuple[Turning, Cycles]:
    """The counters after `samples`, and the cycles that these closed.

    `samples` and `companion` (k,) [Pa] hold the rows one after the other, row i at
    offset[i]:offset[i+1]; `offset` (n+1,), `continues` (n,) bool. A row that does not continue
    starts after a gap: first its open residue is closed as half cycles, and nothing pairs
    across. A row that continues without samples is left as it is.

    Raises ValueError for samples that are not finite and for shapes that do not fit.
    """
    out = _room(int(state.depth.sum()) + len(samples))
    samples, companion = samples.to(torch.float64), companion.to(torch.float64)
    offset = offset.to(torch.int64).contiguous()
    _check(state, samples, companion, offset, continues)
    after = Turning(*(leaf.clone(memory_format=torch.contiguous_format) for leaf in state))
    ends = torch.zeros_like(offset)
    _count(
        *(leaf.numpy() for leaf in after),
        samples.contiguous().numpy(),
        companion.contiguous().numpy(),
        offset.numpy(),
        continues.contiguous().numpy(),
        out.numpy(),
        ends.numpy(),
    )
    return after, _cycles(out, ends)


def marked(state: Turning, value: Tensor) -> Turning:
    """The counters with `value` (n, 2) at the turning points that have no mark yet."""
    place = torch.arange(state.mark.shape[1], device=state.mark.device)
    new = (state.mark[..., 0] == 0.0) & (place < state.depth[:, None])
    return state._replace(mark=torch.where(new[..., None], value[:, None], state.mark))


def residue(state: Turning) -> tuple[Cycles, Tensor]:
    """`open_half_cycles` with the marks (m, 2) of their peaks."""
    out = _room(int(state.depth.sum()))
    ends = torch.zeros(len(state.depth) + 1, dtype=torch.int64)
    _halve(*(leaf.contiguous().numpy() for leaf in state[:5]), out.numpy(), ends.numpy())
    return _cycles(out, ends), out[MARK:, : int(ends[-1])].T.contiguous()


def open_half_cycles(state: Turning) -> Cycles:
    """What the residue counts as by ASTM E1049 if nothing follows: a half for each range."""
    return residue(state)[0]


def warm() -> None:
    """Compile, or load what was compiled before, so that the first message does not wait."""
    series = torch.zeros(1, dtype=torch.float64)
    offset, fresh = torch.tensor([0, 1]), torch.tensor([False])
    state, _ = counted(turning(1, 0.0), series, series, offset, fresh)
    open_half_cycles(state)


def _room(most: int) -> Tensor:
    """Columns for at most `most` cycles; touched as they fill."""
    return torch.empty((COUNTED, most), dtype=torch.float64)


def _cycles(out: Tensor, ends: Tensor) -> Cycles:
    size, mean, count, shear, shear_mean = out[:MARK, : int(ends[-1])].clone()
    return Cycles(size, mean, count, shear, shear_mean, ends)


def _check(
    state: Turning, samples: Tensor, companion: Tensor, offset: Tensor, continues: Tensor
) -> None:
    """The door: beyond it compiled code trusts every index."""
    n, k = len(state.depth), len(samples)
    if samples.shape != (k,) or companion.shape != (k,):
        raise ValueError(f"samples {[*samples.shape]} and companion {[*companion.shape]} differ")
    if offset.shape != (n + 1,) or continues.shape != (n,) or continues.dtype != torch.bool:
        raise ValueError(
            f"{n} counters need offset [{n + 1}] and bool continues [{n}], "
            f"not {[*offset.shape]} and {continues.dtype} {[*continues.shape]}"
        )
    if offset[0] != 0 or offset[-1] != k or (offset.diff() < 0).any():
        raise ValueError(f"offset must rise from 0 to the {k} samples")
    _check_finite("sample", samples, offset)
    _check_finite("companion", companion, offset)


def _check_finite(name: str, values: Tensor, offset: Tensor) -> None:
    finite = torch.isfinite(values)
    if finite.all():
        return
    at = int((~finite).nonzero()[0, 0])
    row = int(torch.searchsorted(offset, at, right=True)) - 1
    raise ValueError(f"{name} {at - int(offset[row])} of row {row} is {values[at].item()}")


@njit(cache=True, nogil=True)
def _count(
    residue: Floats,
    companion: Floats,
    mark: Floats,
    depth: Ints,
    gate: Floats,
    overflows: Ints,
    samples: Floats,
    shears: Floats,
    offset: Ints,
    continues: Bools,
    out: Floats,
    ends: Ints,
) -> None:
    """All rows one after the other; the first six and the last two arguments are written."""
    m = 0
    for i in range(len(depth)):
        points, others, marks, d = residue[i], companion[i], mark[i], depth[i]
        highest = d
        if not continues[i]:
            m = halved(points, others, marks, d, gate[i], out, m)
            d = 0
        for j in range(offset[i], offset[i + 1]):
            highest = max(highest, min(d + 1, len(points)))
            d, m, lost = taken(points, others, marks, d, gate[i], samples[j], shears[j], out, m)
            overflows[i] += lost
        forget(points, others, marks, d, highest)
        depth[i] = d
        ends[i + 1] = m


@cached_part
def taken(
    points: Floats,
    others: Floats,
    marks: Floats,
    d: int,
    gate: float,
    x: float,
    shear: float,
    out: Floats,
    m: int,
) -> tuple[int, int, int]:
    """The depth after one sample, the end of the columns, and how many half cycles closed early."""
    if d < 2 or unsettled(points, d, gate):
        return _begun(points, others, marks, d, x, shear), m, 0
    top, lost = points[d - 1], 0
    if x == top:
        return d, m, 0
    if (x > top) == (top > points[d - 2]):
        points[d - 1], others[d - 1] = x, shear
        marks[d - 1, 0] = marks[d - 1, 1] = 0.0
    elif turns(points, d, gate, x):
        if d == len(points):
            m = emitted(points, others, marks, 0, 0.5, out, m)
            d = _shifted(points, others, marks, d)
            lost = 1
        points[d], others[d] = x, shear
        marks[d, 0] = marks[d, 1] = 0.0
        d += 1
    else:
        return d, m, 0
    d, m = _closed(points, others, marks, d, out, m)
    return d, m, lost


@cached_part
def turns(points: Floats, d: int, gate: float, x: float) -> bool:
    """Whether a sample makes the newest of at least two points a turning point."""
    top = points[d - 1]
    return bool(x != top and (x > top) != (top > points[d - 2]) and abs(x - top) >= gate)


@cached_part
def forget(points: Floats, others: Floats, marks: Floats, d: int, highest: int) -> None:
    """Equal counters have equal bits, whatever they went through."""
    for i in range(d, highest):
        points[i] = others[i] = marks[i, 0] = marks[i, 1] = 0.0


@njit(cache=True, nogil=True)
def _halve(
    residue: Floats,
    companion: Floats,
    mark: Floats,
    depth: Ints,
    gate: Floats,
    out: Floats,
    ends: Ints,
) -> None:
    m = 0
    for i in range(len(depth)):
        m = halved(residue[i], companion[i], mark[i], depth[i], gate[i], out, m)
        ends[i + 1] = m


@cached_part
def unsettled(points: Floats, d: int, gate: float) -> bool:
    """Whether the two extremes so far still lie within the gate, so that none is a turn."""
    return bool(d == 2 and abs(points[1] - points[0]) < gate)


@cached_part
def _begun(points: Floats, others: Floats, marks: Floats, d: int, x: float, shear: float) -> int:
    """The first two points: the extremes so far, in the order of time."""
    if d == 2:
        rising = points[1] > points[0]
        if min(points[0], points[1]) <= x <= max(points[0], points[1]):
            return 2
        if (x > points[1]) != rising:
            _moved(points, others, marks, 1, 0)
        points[1], others[1] = x, shear
        marks[1, 0] = marks[1, 1] = 0.0
        return 2
    if d == 1 and x == points[0]:
        return 1
    points[d], others[d] = x, shear
    marks[d, 0] = marks[d, 1] = 0.0
    return d + 1


@cached_part
def _closed(
    points: Floats, others: Floats, marks: Floats, d: int, out: Floats, m: int
) -> tuple[int, int]:
    """Take what has closed out of the residue, and into the columns from m on."""
    while d >= MIN_CAPACITY and _encloses(points, d):
        m = emitted(points, others, marks, d - 3, 1.0, out, m)
        _moved(points, others, marks, d - 1, d - 3)
        d -= 2
    return d, m


@cached_part
def _encloses(points: Floats, d: int) -> bool:
    """Whether the second and third newest points lie within the fourth and the newest."""
    A, B, C, D = points[d - 4], points[d - 3], points[d - 2], points[d - 1]
    if D > C:
        return bool(D >= B and A <= C)
    return bool(D <= B and A >= C)


@cached_part
def _shifted(points: Floats, others: Floats, marks: Floats, d: int) -> int:
    """Drop the oldest point."""
    for i in range(1, d):
        _moved(points, others, marks, i, i - 1)
    return d - 1


@cached_part
def _moved(points: Floats, others: Floats, marks: Floats, source: int, target: int) -> None:
    points[target], others[target] = points[source], others[source]
    marks[target, 0], marks[target, 1] = marks[source, 0], marks[source, 1]


@cached_part
def halved(
    points: Floats, others: Floats, marks: Floats, d: int, gate: float, out: Floats, m: int
) -> int:
    """Every range of the residue as a half cycle, oldest first."""
    if unsettled(points, d, gate):
        return m
    for i in range(d - 1):
        m = emitted(points, others, marks, i, 0.5, out, m)
    return m


@cached_part
def emitted(
    points: Floats, others: Floats, marks: Floats, i: int, count: float, out: Floats, m: int
) -> int:
    """The cycle between points i and i+1 into column m."""
    p, q = points[i], points[i + 1]
    shear = others[i + 1] - others[i]
    out[0, m] = abs(q - p)
    out[1, m] = 0.5 * (p + q)
    out[2, m] = count
    out[3, m] = shear if q > p else -shear
    out[4, m] = 0.5 * (others[i] + others[i + 1])
    peak = i if p > q else i + 1
    out[MARK, m], out[FELT, m] = marks[peak, 0], marks[peak, 1]
    return m + 1
