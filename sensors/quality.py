"""Is a load credible? Findings mark an observation, they do not refuse it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_SIGMA = 1.4826  # standard deviation over median absolute deviation, of a normal distribution


class Finding(NamedTuple):
    """What looks wrong."""

    name: Literal["range", "flatline", "clipping", "spike"]
    sentence: str


@dataclass(frozen=True, slots=True)
class Plausible:
    """What a healthy channel on a sound part does not exceed."""

    max_stress: float = 2e9  # [Pa], either sign: beyond the strength of structural metals
    rail: float | None = None  # [Pa], either sign: where the amplifier saturates, if known
    rail_samples: int = 8  # equal samples in a row at an extreme that count as clipping
    flat_samples: int = 200  # equal samples in a row that count as a dead channel
    spike_sigma: float = 20.0  # distance of a lone sample from its neighbours, in robust σ of steps
    spike_stress: float = 1e6  # [Pa], and at least this much


def series_findings(tension: Values, plausible: Plausible) -> list[Finding]:
    """What looks wrong with samples (n,) [Pa] in the order of time."""
    if not len(tension):
        return []
    return [
        *_out_of_range(np.abs(tension), plausible),
        *_stuck(tension, plausible),
        *_spikes(tension, plausible),
    ]


def spectrum_findings(cycles: Values, plausible: Plausible) -> list[Finding]:
    """What looks wrong with rows (k, 3) of range [Pa], mean [Pa] and count [1]."""
    if not len(cycles):
        return []
    return list(_out_of_range(np.abs(cycles[:, 1]) + cycles[:, 0] / 2, plausible))


def _out_of_range(peaks: Values, plausible: Plausible) -> Iterator[Finding]:
    outside = int(np.count_nonzero(peaks > plausible.max_stress))
    if outside:
        yield Finding(
            "range",
            f"{outside} of {len(peaks)} reach {peaks.max():.4g} Pa, "
            f"beyond ±{plausible.max_stress:.4g} Pa",
        )


def _stuck(tension: Values, plausible: Plausible) -> Iterator[Finding]:
    """Flat lines, and shorter ones at the rail or at both or either extreme of the series."""
    start, length = _runs(tension)
    longest = int(length.max())
    if longest >= plausible.flat_samples:
        value = tension[start[length.argmax()]]
        yield Finding("flatline", f"{longest} samples in a row are exactly {value:.6g} Pa")
        return
    level = tension[start]
    if plausible.rail is None:
        at_rail = (level == tension.max()) | (level == tension.min())
    else:
        at_rail = np.abs(level) >= plausible.rail
    clipped = at_rail & (length >= plausible.rail_samples)
    if clipped.any() and len(start) > 1:
        i = int(np.flatnonzero(clipped)[0])
        yield Finding("clipping", f"{length[i]} samples in a row stay at {level[i]:.6g} Pa")


def _runs(values: Values) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where equal neighbours begin, and how many they are."""
    start = np.concatenate(([0], np.flatnonzero(np.diff(values)) + 1))
    return start, np.diff(start, append=len(values))


def _spikes(tension: Values, plausible: Plausible) -> Iterator[Finding]:
    """Lone samples far on one side of both neighbours."""
    if len(tension) < 3:
        return
    step = np.diff(tension)
    sigma = _SIGMA * float(np.median(np.abs(step - np.median(step))))
    bound = max(plausible.spike_sigma * sigma, plausible.spike_stress)
    lone = (step[:-1] * step[1:] < 0) & (np.minimum(np.abs(step[:-1]), np.abs(step[1:])) > bound)
    if lone.any():
        i = int(np.flatnonzero(lone)[0]) + 1
        yield Finding(
            "spike",
            f"{np.count_nonzero(lone)} lone samples, the first of {tension[i]:.6g} Pa, "
            f"are over {bound:.4g} Pa from both neighbours",
        )
