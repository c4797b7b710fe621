"""The rate of a recording, and the stretches of it that go into one message each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensors.replay.file import unreadable
from sensors.replay.pace import GAP_STEPS, RecordedSample, paced
from sensors.replay.sampling import Sampling

_RATE_TOLERANCE = 0.05  # of a stated rate
_SECOND_NS = 1_000_000_000
_FEW = 50  # samples whose span says less about the rate than the steps around do
_BELIED = 1.5  # a usual step that is so many stated ones, or so many times shorter
_JITTER_STEPS = 2.0  # by which so few may be off


def usual_rate(steps: NDArray[np.int64]) -> float | None:
    """The rate [Hz] of steps [ns], of which some may be gaps, and those of coarse times 0."""
    rising = steps[steps > 0]
    if not len(rising):
        return None
    counts = np.round(steps / np.median(rising))  # 2 where a row is missing
    if len(rising) < len(steps):
        counts = np.where(counts <= GAP_STEPS, 1.0, counts)
    near = (counts >= 1.0) & (counts <= GAP_STEPS)
    span_ns = float(np.sum(steps[near]))
    return float(f"{np.sum(counts[near]) / span_ns * _SECOND_NS:.6g}") if span_ns else None


def check_stated(path: Path, stated: float | None, found: float | None) -> None:
    """Refuse a stated rate that the times belie."""
    if stated is None or found is None:
        return
    least = 1.0 - _RATE_TOLERANCE
    if not least < stated / found < 1.0 / least:
        raise unreadable(
            path,
            1,
            f"by its times the rate is {found:.4g} Hz, not {stated:g} Hz: it is taken from them "
            "where none is stated (--rate)",
        )


Stretch = tuple[int, list[float], float]  # time of the first sample [ns], values, rate [Hz]


def stretches(
    path: Path, samples: Iterator[RecordedSample], sampling: Sampling
) -> Iterator[Stretch]:
    """Samples without a gap, at most `block` of them, and the rate that they come at."""
    values: list[float] = []
    start_ns = before_ns = line = usual_ns = 0
    stated = sampling.rate_hz
    for (line, t_ns, value), is_gap, step_ns in paced(
        samples, round(_SECOND_NS / stated) if stated else 0
    ):
        is_cut = is_gap or math.isnan(value)
        if values and (is_cut or len(values) == sampling.block):
            steps, end_ns = (len(values) - 1, before_ns) if is_cut else (len(values), t_ns)
            yield start_ns, values, _rate(steps, end_ns - start_ns, usual_ns, stated)
            values = []
        if not math.isnan(value):
            start_ns = start_ns if values else t_ns
            values.append(value)
        _check_step(path, line, step_ns, stated)
        before_ns, usual_ns = t_ns, step_ns
    if values:
        rate_hz = _rate(len(values) - 1, before_ns - start_ns, usual_ns, stated)
        yield start_ns, values, rate_hz


def _rate(steps: int, span_ns: int, usual_ns: int, stated: float | None) -> float:
    """The rate [Hz] of samples that make so many steps within a span, to six digits.

    A stated one holds while the samples keep it; that of the usual step, where they are few.
    """
    if stated and abs(span_ns - steps * _SECOND_NS / stated) <= _JITTER_STEPS * _SECOND_NS / stated:
        return stated
    if steps < _FEW and abs(span_ns - steps * usual_ns) <= _JITTER_STEPS * usual_ns:
        steps, span_ns = 1, usual_ns or _SECOND_NS
    return float(f"{steps / span_ns * _SECOND_NS:.6g}")


def _check_step(path: Path, line: int, usual_ns: int, stated: float | None) -> None:
    """Refuse a stated rate that the steps around belie."""
    if stated and usual_ns and not 1 / _BELIED < usual_ns / _SECOND_NS * stated < _BELIED:
        raise unreadable(
            path, line, f"the samples come every {usual_ns / 1e6:g} ms, not as at {stated:g} Hz"
        )
