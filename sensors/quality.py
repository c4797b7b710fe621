"""What a gauge can mean: the bounds beyond which a sample, or a counted cycle, is set aside.

Nothing is refused: the message is kept as it came, what cannot be meant is left out, counted and
told. Samples are judged one after the other by `sensors.watch`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensors.observation import Series, Spectrum
from sensors.units import STRAIN, STRESS, Unit

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]
Numbers = Sequence[float] | NDArray[np.float64]

REASONS: Final = ("null", "range", "rail", "spike", "clipping", "stuck")
NULL, RANGE, RAIL, SPIKE, CLIPPING, STUCK = range(len(REASONS))
ASIDE: Final = ("null", "range", "rail", "spike")  # the others are told, and count

_NINES: Final = tuple(
    10.0**digits - 10.0**-decimals for digits in range(4, 10) for decimals in range(3)
)
_SINGLE: Final = (float(np.float32(code)) for code in _NINES if code < 1e6)  # not yet rounded up
# What loggers write for "missing", in the unit of the wire, either sign and precision.
_CAMPBELL: Final = (6999.0, 7999.0)  # "not a number" and overrange of two-byte tables
NULL_CODES: Final = tuple(
    sorted({*_NINES, *_SINGLE, *_CAMPBELL} - {10.0**digits for digits in range(4, 10)})
)
FILL: Final = (1e30, 1e39)  # where fill values of single precision lie, like 3.4e38 and 9.97e36
_OF_OLD: Final = {"strain": "um/m", "stress": ""}  # journals of before had no unit
_UNITS: Final = {**STRESS, **STRAIN, "": Unit(1.0, 1.0)}


@dataclass(frozen=True, slots=True, eq=False)  # itself: it is looked up for every message
class Gauge:
    """What a healthy channel on a sound part does not exceed; infinity: not looked at."""

    max_stress: float = 2e9  # [Pa] after calibration: beyond the strength of structural metals
    max_strain: float = 0.05  # [m/m] as it comes: gauges come off at 2 to 5 %
    rail: float = math.inf  # [Pa] or [m/m] as it comes: where the amplifier saturates
    null_codes: tuple[float, ...] = NULL_CODES  # in the unit of the wire, either sign
    spike: float = 5e7  # [Pa] a lone sample nearer to its neighbours always counts
    clip_samples: float = 8.0  # equal samples in a row at an extreme that are told
    stuck_samples: float = 200.0  # equal samples in a row that are told as a dead channel
    stuck_s: float = 10.0  # and as long


NUMBERS: Final = 9


class GaugeBounds(NamedTuple):
    """What is looked at for each sample of one gauge, in one unit."""

    numbers: tuple[float, ...]  # (NUMBERS,) see `sensors.watch_kernel`
    codes: tuple[float, ...]  # rising [Pa] or [m/m], either sign


def missing(sizes: Values, codes: Numbers, fill: Numbers = FILL) -> Flags:
    """Which magnitudes stand for "missing": the one judgement of null codes, in any unit.

    `codes`, of either sign, and what lies within `fill` are of the same unit. None, if there are
    no codes.
    """
    known = np.abs(np.asarray(codes, np.float64))
    if not known.size:
        return np.zeros(sizes.shape, np.bool_)
    found: Flags = np.isin(sizes, known) | ((sizes >= fill[0]) & (sizes <= fill[1]))
    return found


def wire_unit(load: Series | Spectrum) -> Unit:
    """The unit that the load's numbers came in."""
    return _UNITS[load.unit or _OF_OLD[load.quantity]]


def bounds(gauge: Gauge, load: Series | Spectrum) -> GaugeBounds:
    """What a gauge's samples in the unit of `load` are held against."""
    return _bounds(gauge, load.quantity == "strain", load.unit or _OF_OLD[load.quantity])


@lru_cache(maxsize=4096)
def _bounds(gauge: Gauge, is_strain: bool, unit: str) -> GaugeBounds:
    factor, divisor = _UNITS[unit]
    # the same operations as where samples are read, so that a code is met to the last bit
    codes = np.array(gauge.null_codes if unit else ()) * factor / divisor
    fill = [code * factor / divisor for code in FILL] if len(codes) else [math.inf, math.inf]
    numbers = (
        gauge.max_stress,
        gauge.max_strain if is_strain else math.inf,
        gauge.rail,
        gauge.spike,
        gauge.clip_samples,
        gauge.stuck_samples,
        gauge.stuck_s,
        *fill,
    )
    return GaugeBounds(numbers, tuple(sorted(np.abs(codes).tolist())))


class BoundsTable(NamedTuple):
    """Bounds of many, each only once."""

    numbers: Values  # (b, NUMBERS)
    codes: Values  # (b, c) rising, infinity behind them
    which: NDArray[np.int64]  # (m,) which of them each has


def bounds_table(bounds: Sequence[GaugeBounds]) -> BoundsTable:
    """The bounds of m loads, put together; equal ones are the same object."""
    found: dict[int, int] = {}
    index = np.array([found.setdefault(id(b), len(found)) for b in bounds], np.int64)
    distinct = list({id(b): b for b in bounds}.values())
    most = max((len(b.codes) for b in distinct), default=0)
    codes = np.full((len(distinct), most + 1), math.inf)
    for row, b in zip(codes, distinct, strict=True):
        row[: len(b.codes)] = b.codes
    numbers = np.array([b.numbers for b in distinct]).reshape(-1, NUMBERS)
    return BoundsTable(numbers, codes, index)


class SpectrumRows(NamedTuple):
    """Rows of spectra, as far as they are judged."""

    range: Values  # (k,) as it comes [Pa] or [m/m]
    mean: Values  # (k,)
    stress: Values  # (k,) the largest magnitude [Pa]
    shear: Values  # (k,) the largest magnitude [Pa]


def judged(rows: SpectrumRows, bounds: BoundsTable) -> NDArray[np.int64]:
    """Why rows (k,) do not count: places in `REASONS`, -1 where they do; `bounds` of each row."""
    max_stress, reach, rail = bounds.numbers[bounds.which, :3].T
    top = np.abs(rows.mean) + 0.5 * rows.range
    worst = np.maximum(rows.stress, rows.shear)
    beyond = (np.isfinite(worst) & (worst > max_stress)) | (top > reach)
    return np.select([_coded(rows, bounds), beyond, top >= rail], [NULL, RANGE, RAIL], -1)


def _coded(rows: SpectrumRows, bounds: BoundsTable) -> Flags:
    """Which rows (k,) have a null code for range or mean."""
    values = np.abs(np.stack((rows.range, rows.mean)))
    least = np.minimum(bounds.codes[:, 0], bounds.numbers[:, -2])
    found: Flags = values.max(axis=0, initial=0.0) >= least[bounds.which]
    for kind in np.unique(bounds.which[found]):
        here = np.flatnonzero(found & (bounds.which == kind))
        codes, fill = bounds.codes[kind], bounds.numbers[kind, -2:]
        found[here] = missing(values[:, here], codes[np.isfinite(codes)], fill).any(axis=0)
    return found
