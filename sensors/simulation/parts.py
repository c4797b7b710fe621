"""The hidden truth of the simulated plant: parts, their load, and their real cracks.

Written without regard to `models`, so that a twin is judged by something it does not share:
an edge crack under Paris's law, grown block by block.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Ferrite-pearlite steel, J. M. Barsom and S. T. Rolfe, Fracture and Fatigue Control in
# Structures (1987): 6.9e-12 m/cycle (MPa √m)^-3. Indicative.
COEFFICIENT = 6.9e-30  # [m/cycle / (Pa √m)^3]
EXPONENT = 3.0
THRESHOLD = 2e6  # [Pa √m]
YOUNGS_MODULUS = 2.1e11  # [Pa]
PIVOT = 15e6  # [Pa √m] where specimens differ least: ln C and m correlate at about -0.99
FLOOR = 5e6  # [Pa] every cycle starts here
OVERLOAD = 1.6  # an overload over the largest class


class Truth(NamedTuple):
    """What only the simulation knows about a part."""

    a: float  # crack length [m]
    cycles: int
    C: float  # [m/cycle / (Pa √m)^m]
    m: float


class Block(NamedTuple):
    """Equal cycles in a row."""

    stress_range: float  # [Pa]
    mean: float  # [Pa]
    cycles: int


@dataclass(frozen=True, slots=True)
class Duty:
    """How a part is loaded: classes of ranges, and shifts of work and rest."""

    classes: tuple[float, ...]  # ranges, relative to the part's own
    rate: int  # cycles a second
    work_s: float = math.inf
    rest_s: float = 0.0
    rest_level: float = 0.3  # ranges at rest, relative to those at work

    def level(self, t_s: float) -> float:
        """The size of the ranges at the time `t_s` [s] since the start."""
        if math.isinf(self.work_s) or t_s % (self.work_s + self.rest_s) < self.work_s:
            return 1.0
        return self.rest_level

    @property
    def working(self) -> float:
        """The part of the time at work [1]."""
        return 1.0 if math.isinf(self.work_s) else self.work_s / (self.work_s + self.rest_s)


# Five classes of equal share of a Rayleigh distribution, at its 10 … 90 % quantiles.
RAYLEIGH = tuple(math.sqrt(-2.0 * math.log1p(-p)) for p in (0.1, 0.3, 0.5, 0.7, 0.9))
DUTIES = (
    Duty(RAYLEIGH, rate=20),
    Duty((1.0,), rate=12),
    Duty(RAYLEIGH, rate=20, work_s=600.0, rest_s=300.0),
)
SAMPLED = Duty(RAYLEIGH, rate=5)  # 20 samples a cycle at 100 Hz


@dataclass(frozen=True, slots=True)
class Part:
    """What does not change about a part."""

    name: str
    coefficient: float  # true C [m/cycle / (Pa √m)^m]
    exponent: float  # true m
    width: float  # [m]
    expected: float  # crack length at registration [m]
    initial: float  # true crack length at the start [m]
    limit: float  # [m]
    duty: Duty
    stress: float  # the range of class 1.0 [Pa]

    @property
    def stop(self) -> float:
        """The length at which the part is taken out of load [m]."""
        return min(1.15 * self.limit, 0.7 * self.width)


def stress_intensity(stress: float, a: float, width: float) -> float:
    """K [Pa √m] of an edge crack `a` [m] in a plate of `width` [m] under tension.

    H. Tada, P. C. Paris and G. R. Irwin, The Stress Analysis of Cracks Handbook (2000) 2.11:
    within 0.65 % for a/W up to 0.8.
    """
    half = math.pi * a / (2.0 * width)
    shape = 0.752 + 2.02 * a / width + 0.37 * (1.0 - math.sin(half)) ** 3
    return stress * math.sqrt(2.0 * width * math.tan(half)) * shape / math.cos(half)


@dataclass(slots=True)
class TrueCrack:
    """A crack that grows."""

    part: Part
    a: float = field(init=False)  # [m]
    cycles: int = 0

    def __post_init__(self) -> None:
        self.a = self.part.initial

    def grow(self, blocks: Sequence[Block]) -> None:
        """Lengthen under `blocks`, each short enough to leave K as it is."""
        part = self.part
        unit = stress_intensity(1.0, self.a, part.width)
        for stress_range, _, cycles in blocks:
            self.cycles += cycles
            k_range = unit * stress_range
            if k_range > THRESHOLD:
                self.a += cycles * part.coefficient * k_range**part.exponent

    @property
    def is_stopped(self) -> bool:
        """Whether somebody has taken the part out of load."""
        return self.a >= self.part.stop

    @property
    def truth(self) -> Truth:
        """What only the simulation knows."""
        return Truth(self.a, self.cycles, self.part.coefficient, self.part.exponent)


class Load:
    """A part's load, second by second: slow Gaussian swing of level, Rayleigh ranges."""

    def __init__(
        self, part: Part, rng: np.random.Generator, *, swing: float, overload: float
    ) -> None:
        self._part, self._rng = part, rng
        self._swing = swing  # standard deviation of the logarithm of the level
        self._overload = overload  # probability in a second
        self._memory = math.exp(-1.0 / 600.0)  # ten minutes of correlation
        self._x = rng.standard_normal()

    def blocks(self, second: int, *, stopped: bool) -> list[Block]:
        """The cycles of one second, in the order of their classes."""
        part, rng = self._part, self._rng
        fresh = math.sqrt(1.0 - self._memory**2)
        self._x = self._memory * self._x + fresh * rng.standard_normal()
        level = part.stress * part.duty.level(second) * math.exp(self._swing * self._x)
        level *= 0.02 if stopped else 1.0
        classes = part.duty.classes
        extra = int(rng.random() < self._overload)
        counts = rng.multinomial(part.duty.rate - extra, [1.0 / len(classes)] * len(classes))
        sizes = (*classes, OVERLOAD * classes[-1])
        numbers = (*counts.tolist(), extra)
        return [_block(level * size, n) for size, n in zip(sizes, numbers, strict=True) if n]


def _block(stress_range: float, cycles: int) -> Block:
    return Block(stress_range, FLOOR + stress_range / 2.0, cycles)


def part(index: int, name: str, rng: np.random.Generator, *, life_s: float, duty: Duty) -> Part:
    """A part of scattered material, loaded so that it reaches its limit after about `life_s`."""
    exponent = EXPONENT + 0.08 * rng.standard_normal()
    scatter = math.exp(0.15 * rng.standard_normal())
    width = (0.06, 0.08, 0.1)[index % 3]
    expected = float(rng.uniform(0.0015, 0.003))
    drawn = Part(
        name=name,
        coefficient=scatter * COEFFICIENT * PIVOT ** (EXPONENT - exponent),
        exponent=exponent,
        width=width,
        expected=expected,
        initial=expected * math.exp(0.03 * rng.standard_normal()),
        limit=width / 5.0,
        duty=duty,
        stress=0.0,
    )
    return _loaded(drawn, life_s)


def _loaded(drawn: Part, life_s: float) -> Part:
    """The part with the stress that takes its crack to the limit in `life_s`, by bisection."""
    lengths = _lengths(drawn)
    lower, upper = math.log(1e5), math.log(1e10)
    while upper - lower > 1e-6:
        middle = 0.5 * (lower + upper)
        is_too_short = lengths.life(replace(drawn, stress=math.exp(middle))) < life_s
        lower, upper = (lower, middle) if is_too_short else (middle, upper)
    return replace(drawn, stress=math.exp(lower))


def life(part: Part) -> float:
    """Seconds [s] from the initial length to the limit under the part's mean load."""
    return _lengths(part).life(part)


class _Lengths(NamedTuple):
    """The way of a crack, in equal steps of ln a: what a life does not owe to the load."""

    step: float  # of ln a [1]
    a: NDArray[np.float64]  # (k,) [m]
    unit: NDArray[np.float64]  # (k,) K for a stress of 1 Pa [√m]

    def life(self, part: Part) -> float:
        """Midpoint sum of da over the mean growth [s]."""
        duty = part.duty
        levels = np.array([1.0, duty.rest_level])
        shares = np.array([duty.working, 1.0 - duty.working]) / len(duty.classes)
        ranges = part.stress * np.outer(levels, duty.classes)[..., None] * self.unit
        growth = np.where(ranges > THRESHOLD, ranges, 0.0) ** part.exponent
        mean = part.coefficient * duty.rate * np.einsum("i,ijk->k", shares, growth)  # [m/s]
        slowest = 1e-30  # below every threshold: for ever
        return float(np.sum(self.a / np.maximum(mean, slowest)) * self.step)


def _lengths(part: Part, points: int = 48) -> _Lengths:
    edges = np.linspace(math.log(part.initial), math.log(part.limit), points + 1)
    a = np.exp((edges[1:] + edges[:-1]) / 2.0)
    unit = np.array([stress_intensity(1.0, x, part.width) for x in a.tolist()])
    return _Lengths(float(edges[1] - edges[0]), a, unit)
