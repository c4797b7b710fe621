"""One channel watched, as the tests of `sensors.watch` ask for it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from sensors.observation import Series
from sensors.quality import REASONS, Gauge, bounds, bounds_table
from sensors.watch import Samples, Watch, accepted, watch


class Seen(NamedTuple):
    """What counts of a series, what was found in it, and what is remembered."""

    stress: np.ndarray
    shear: np.ndarray
    found: dict[str, int]
    state: Watch


def seen(
    raw: Any,
    cuts: Any = (),
    gaps: Any = (),
    gauge: Gauge = Gauge(),  # noqa: B008  frozen
    unit: str = "MPa",
    factor: float = 1.0,
    shear: Any = None,
    rate_hz: float = 100.0,
) -> Seen:
    """Samples `raw` [Pa] or [m/m] cut into messages at `cuts`, with a gap at each of `gaps`."""
    raw = np.asarray(raw, float)
    other = np.zeros(len(raw)) if shear is None else np.asarray(shear, float)
    strain = unit in ("um/m", "m/m")
    key = {"component": "a/b", "source": "s", "boot": 0, "seq": 0, "t_ns": 0}
    series = Series(
        **key,  # type: ignore[arg-type]  # as in Observation
        quantity="strain" if strain else "stress",
        rate_hz=rate_hz,
        tension=b"",
        unit=unit,
    )
    state, held = watch(1), bounds_table([bounds(gauge, series)])
    edges = [0, *sorted({*cuts, *gaps}), len(raw)]
    parts, found = [], np.zeros(len(REASONS), int)
    for start, end in pairwise(edges):
        here = slice(start, end)
        samples = Samples(
            raw=raw[here],
            raw_shear=other[here],
            stress=raw[here] * factor,
            shear=other[here] * factor,
            offset=np.array([0, end - start]),
            row=np.array([0]),
            continues=np.array([start not in (0, *gaps)]),
            rate_hz=np.array([rate_hz]),
        )
        part = accepted(state, samples, held)
        parts.append(part)
        found += part.found[0]
    return Seen(
        np.concatenate([p.stress for p in parts]),
        np.concatenate([p.shear for p in parts]),
        {reason: int(n) for reason, n in zip(REASONS, found, strict=True) if n},
        state,
    )


def wave(n: int = 400) -> np.ndarray:
    """A noisy load (n,) [Pa] that nothing is wrong with."""
    noise = np.random.default_rng(1).normal(0.0, 1e6, n)
    load: np.ndarray = 1e8 + 5e7 * np.sin(np.arange(n) * 0.1) + noise
    return load
