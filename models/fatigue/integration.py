"""Crack growth integrated over blocks that hold any number of cycles.

The growth of one crack through a block is da/dλ = g(a), λ from 0 to 1, g the sum of
count × growth per cycle over all that acts together. Growth that is small against the crack is
taken in one evaluation (Euler); otherwise the crack strides in `a`, where λ(a) = ∫ da/g is
smooth even where g becomes infinite (fast fracture), and the last stride is inverted for λ = 1.

**Bit for bit.** What happens to a row must not depend on the batch it travels in, because
recovery folds the journal again in other batches. Vectorised kernels treat the last elements of
an array (number modulo vector length) by other code, whose powers and logarithms differ in the
last bit. So everything transcendental is evaluated on *lanes*: contiguous one-dimensional arrays,
filled up to whole vectors by repeating lane 0. This holds for one thread
(`torch.set_num_threads(1)`), as more of them cut an array at other places; sums over lanes run
in order. What remains (+ − × ÷ √ and comparisons) is exact by IEEE 754 in any code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from models.fatigue.effort import spend
from models.fatigue.geometry import Geometry
from models.fatigue.laws import Law
from models.fatigue.mixed_mode import equivalent
from models.fatigue.retardation import Overload, Retardation
from models.fatigue.strength import Strength
from models.tree import rows

WIDTH = 64  # lanes are a multiple of this; four times the longest unrolled vector
STRIDE = 0.03  # longest stride, relative to the crack
SMALL = 5e-5  # growth in strides that one evaluation may take: 1.5e-6 of the crack
OVERSHOOT = 1.15  # a stride aims this far beyond its first estimate, so that one mostly suffices
MAX_STRIDES = 4096  # from 1 µm to 1 m takes 470
NEWTON_STEPS = 6


def padded(index: Tensor) -> Tensor:
    """`index` (k,) filled up with zeros to whole vectors."""
    return torch.cat((index, index.new_zeros(-len(index) % WIDTH)))


class Met(NamedTuple):
    """The crack that a cycle met whose peak has passed before; all (M,), 0: it acts on that of now.

    Such a cycle grows what it grew then, and breaks nothing: its peak has not.
    """

    a: Tensor  # [m]
    unit: Tensor  # K_I of a unit stress [√m]
    unit_II: Tensor  # K_II [√m]
    felt: Tensor  # of the overload, see `Retardation.felt`


def met(geometry: Geometry, a: Tensor, felt: Tensor) -> Met:
    """What cycles met at the lengths `a` (M,) [m] of cracks in `geometry` (leaves (M,))."""
    if not a.any():
        return Met(a, a, a, a)
    root, past = root_of(a), a > 0.0
    unit, unit_II = (torch.where(past, F(a) * root, 0.0) for F in (geometry.F, geometry.F_II))
    return Met(a, unit, unit_II, torch.where(past, felt, 0.0))


class Drive(NamedTuple):
    """What drives each lane: a block of equal cycles acting on one particle; all leaves (M,)."""

    law: Law
    retardation: Retardation
    overload: Overload
    strength: Strength
    range: Tensor  # [Pa]
    peak: Tensor  # [Pa], zero for a cycle in compression
    R: Tensor  # [1]
    shear: Tensor  # range, signed as that of the tension is positive [Pa]
    shear_peak: Tensor  # where the tension has its peak [Pa]
    count: Tensor  # type: ignore[assignment]  # [1], zero in compression; hides tuple.count
    met: Met


class Speed(Protocol):
    """da/dλ of several cracks at once."""

    def __call__(self, a: Tensor) -> Tensor:
        """da/dλ (k,) [m] at `a` (k,) [m]."""
        ...

    def reach(self, a: Tensor) -> Tensor:
        """The longest stride (k,) [m] over which da/dλ varies smoothly."""
        ...

    def among(self, index: Tensor) -> Speed:
        """The speed of the cracks at `index` alone."""
        ...


@dataclass(frozen=True, slots=True)
class Lanes:
    """The speed of `tracks` cracks (particles) under all their lanes; both are padded."""

    drive: Drive  # leaves (M,)
    geometry: Geometry  # leaves (tracks, padded)
    track: Tensor  # (M,) int64 which crack a lane acts on
    used: int  # lanes before the padding
    tracks: int
    apart: bool  # lane i acts on crack i, one each
    mixed: bool  # whether shear acts anywhere
    judged: bool  # whether the strength of any crack is known

    def __call__(self, a: Tensor) -> Tensor:
        """da/dλ (tracks,) [m], ∞ where a cycle breaks the part."""
        drive, (K_max, per_cycle) = self.drive, self.one_cycle(a)
        if self.judged:
            per_cycle = torch.where(self.breaks(K_max, a), math.inf, per_cycle)
        value = torch.where(drive.count > 0.0, drive.count * per_cycle, 0.0)[: self.used]
        if self.apart:
            return value
        return a.new_zeros(self.tracks).index_add_(0, self.track[: self.used], value)

    def one_cycle(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """K_max [Pa √m] and growth [m] of one cycle of each lane, both (M,), at `a` (tracks,)."""
        drive, past = self.drive, self.drive.met.a > 0.0
        long = torch.where(past, drive.met.a, self._spread(filled(a)))
        K_max, R = self.K_max_and_R(a)
        felt = torch.where(past, drive.met.felt, drive.retardation.felt(drive.overload, long))
        growth = drive.retardation(drive.law, K_max, R, long, felt)
        return K_max, torch.where(past & torch.isinf(growth), 0.0, growth)

    def K_max_and_R(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """K_max [Pa √m] and load ratio [1], both (M,), at `a` (tracks,).

        In mixed mode the equivalent intensities of the peak and of the ranges, R what makes the
        latter K_max (1 − R): that of the tension where shear is proportional to it.
        """
        drive, long = self.drive, filled(a)
        root = root_of(long)
        unit = self._spread(self.geometry.F(long) * root)
        past = drive.met.a > 0.0
        unit = torch.where(past, drive.met.unit, unit)
        if not self.mixed:
            return drive.peak * unit, drive.R
        unit_II = self._spread(self.geometry.F_II(long) * root)
        unit_II = torch.where(past, drive.met.unit_II, unit_II)
        dK = equivalent(drive.range * unit, drive.shear * unit_II)
        K_max = equivalent(drive.peak * unit, drive.shear_peak * unit_II)
        plain = (drive.shear == 0.0) & (drive.shear_peak == 0.0)  # as if no lane beside it had any
        return K_max, torch.where(plain, drive.R, load_ratio(dK, K_max, drive.R))

    def breaks(self, K_max: Tensor, a: Tensor) -> Tensor:
        """Whether (M,) a peak with `K_max` (M,) [Pa √m] breaks its crack of `a` (tracks,) [m]."""
        drive = self.drive
        bears = drive.strength.yield_stress * self._spread(self.geometry.net_section(filled(a)))
        opens = (drive.peak > 0.0) & (drive.met.a == 0.0)
        return opens & ((K_max >= drive.strength.K_c) | (drive.peak >= bears))

    def _spread(self, value: Tensor) -> Tensor:
        """A value of each crack (tracks, padded) at each lane (M,)."""
        return value if self.apart else value.index_select(0, self.track)

    def reach(self, a: Tensor) -> Tensor:
        """A share of the crack, and of the overload zone where loads interact."""
        if not (self.drive.retardation.interacts and self.apart):
            return STRIDE * a
        zone = self.drive.retardation.reach(self.drive.overload, filled(a))[: self.used]
        return torch.minimum(STRIDE * a, zone)

    def among(self, index: Tensor) -> Lanes:
        """The speed of the cracks at `index` (rising) alone."""
        if len(index) == self.tracks:
            return self
        place = index.new_full((self.tracks,), -1)
        place[index] = torch.arange(len(index), device=index.device)
        chosen = index if self.apart else (place[self.track[: self.used]] >= 0).nonzero()[:, 0]
        fill = padded(chosen)
        return Lanes(
            drive=rows(self.drive, fill),
            geometry=rows(self.geometry, padded(index)),
            track=place[self.track[fill]].clamp(min=0),
            used=len(chosen),
            tracks=len(index),
            apart=self.apart,
            mixed=self.mixed,
            judged=self.judged,
        )


def strides(a: float, limit: float) -> int:
    """How many strides take a crack of `a` [m] to `limit` [m], whatever drives it there."""
    return math.ceil(math.log(limit / a) / math.log1p(STRIDE)) if limit > a else 0


def load_ratio(dK: Tensor, K_max: Tensor, R: Tensor) -> Tensor:
    """1 − ΔK/K_max (M,), and `R` where one of both is zero."""
    both = (dK > 0.0) & (K_max > 0.0)
    return torch.where(both, 1.0 - dK / torch.where(both, K_max, 1.0), R)


def root_of(a: Tensor) -> Tensor:
    """√(πa) [√m]."""
    return torch.sqrt(math.pi * a)


def filled(a: Tensor) -> Tensor:
    """`a` (k,) filled up to whole vectors with its first value."""
    return torch.cat((a, a[:1].expand(-len(a) % WIDTH)))


class Advance(NamedTuple):
    """Cracks after λ = 1."""

    a: Tensor  # (k,) [m], at the limit where broken
    growth: Tensor  # (k,) [m], more exact than the difference of two lengths
    broken: Tensor  # (k,) bool, at the limit or K_max ≥ K_c


def advanced(a: Tensor, speed: Speed, limit: Tensor) -> Advance:
    """The cracks `a` (k,) [m] driven by `speed` over λ = 0…1, and stopped at `limit` (k,) [m]."""
    start = speed(a)
    broken = (a >= limit) | torch.isinf(start)
    small = start <= SMALL * speed.reach(a)
    growth = torch.where(small & ~broken, start, 0.0)
    striding = (~(small | broken)).nonzero().squeeze(1)
    if striding.numel():
        far, fast = _strode(a[striding], speed.among(striding), limit[striding], start[striding])
        growth = growth.index_copy(0, striding, far)
        broken = broken.index_copy(0, striding, fast)
    broken = broken | (a + growth >= limit)
    after = torch.where(broken, torch.maximum(limit, a), a + growth)
    return Advance(after, torch.where(broken, after - a, growth), broken)


def _strode(a: Tensor, speed: Speed, limit: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Growth (k,) [m] over λ = 0…1 in strides, and which cracks break on the way."""
    growth, broken = torch.zeros_like(a), torch.ones_like(a, dtype=torch.bool)
    here = torch.arange(len(a), device=a.device)  # those still on their way
    grown, left, slow = torch.zeros_like(a), torch.ones_like(a), 1.0 / start
    for _ in range(MAX_STRIDES):
        spend()
        at = a + grown
        span = torch.minimum(torch.minimum(speed.reach(at), OVERSHOOT * left / slow), limit - at)
        middle, end = (slowness(speed(at + share * span), slow) for share in (0.5, 1.0))
        taken = span * ((slow + 4.0 * middle + end) / 6.0)
        done = taken >= left
        last = grown + span * part_of(slow, middle, end, (left / span).clamp(max=1e30))
        grown = torch.where(done, last, grown + span)
        growth, broken = growth.index_copy(0, here, grown), broken.index_copy(0, here, ~done)
        on = (~done & (end > 0.0) & (a + grown < limit)).nonzero().squeeze(1)
        if not on.numel():
            break
        left, slow = (left - taken)[on], end[on]
        a, grown, limit, here, speed = a[on], grown[on], limit[on], here[on], speed.among(on)
    return growth, broken


def slowness(speed: Tensor, before: Tensor) -> Tensor:
    """dλ/da, bounded where a crack is about to arrest."""
    return torch.minimum(1.0 / speed, 1e6 * before)


def part_of(f0: Tensor, fm: Tensor, f1: Tensor, target: Tensor) -> Tensor:
    """Where in 0…1 the integral of the parabola through f0, fm, f1 reaches `target`."""
    b, c = 4.0 * fm - 3.0 * f0 - f1, 2.0 * (f0 + f1) - 4.0 * fm
    s = (target / ((f0 + 4.0 * fm + f1) / 6.0)).clamp(0.0, 1.0)
    for _ in range(NEWTON_STEPS):
        slope = f0 + s * (b + s * c)
        value = s * (f0 + s * (b / 2.0 + s * (c / 3.0)))
        s = (s - (value - target) / torch.maximum(slope, 1e-3 * f0)).clamp(0.0, 1.0)
    return s
