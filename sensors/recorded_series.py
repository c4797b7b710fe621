"""Recorded samples: strain with its times, and sequences of turning points."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from sensors.encode import load_message
from sensors.mount import Instrument, Mount
from sensors.observation import Series
from sensors.recorded_file import lines, number, rows, unreadable
from sensors.refusal import shown
from sensors.timed import Registration, Timed
from sensors.units import STRAIN, STRESS, load_unit

GAP_STEPS = 3.0  # a longer step starts a new message
_RATE_TOLERANCE = 0.05  # of what a message's samples take, against the stated rate
_SECOND_NS = 1_000_000_000
_FEW = 50
_UNITS = (*STRAIN, *STRESS)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_named = re.compile(r"(.+?)\s*\(([^()]+)\)").fullmatch
_illegal = re.compile(r"[^A-Za-z0-9._:-]+").sub

_Sample = tuple[int, int, float]  # line, time [ns], value


@dataclass(frozen=True, slots=True)
class Sampling:
    """How samples are cut into messages."""

    rate_hz: float = 100.0
    block: int = 1000  # samples in a message, at most

    def __post_init__(self) -> None:
        if not self.rate_hz > 0.0 or not 1 <= self.block <= 100_000:
            raise ValueError(f"{self} needs a positive rate and 1 to 100,000 samples a message")


def is_strain(header: Sequence[str]) -> bool:
    """Whether the first column is a time and another is named with a unit of load."""
    return bool(header) and header[0].lower().startswith("time") and bool(_gauges(header))


def strain_csv(
    path: Path,
    mount: Mount,
    *,
    gauge: str | None = None,
    sampling: Sampling = Sampling(),
    swap_day_month: bool = False,
) -> Iterator[Timed]:
    r"""The samples of one gauge (the first, if none is named), as series.

    The logger's steps are 9 to 11 ms where the rate is 100 Hz. Samples are taken as
    equidistant within a message, and the `time` of each message is what the file says of its
    first sample, so that the error stays below one message's jitter and does not add up. A
    step of more than three sample steps, or a sample that is missing, starts a new message. A
    time that does not rise, or samples that take 5 % more or less time than the rate says, are
    errors.

    Times without a zone are taken as UTC. `um\m` is read as `um/m`. Nothing in a file tells
    whether its day and month are swapped: whoever knows says so by `swap_day_month`.
    """
    table = rows(path)
    line, header = next(table, (1, []))
    name, column, unit = _gauge(path, line, header, gauge)
    channel = _Channel(Instrument(mount, _illegal("-", name).lower()[:64]), unit, sampling.rate_hz)
    samples = _samples(path, table, column, swap_day_month=swap_day_month)
    for t_ns, values in _stretches(path, samples, sampling):
        yield channel.timed(t_ns, values)


def strain_fleet(component: str) -> list[Registration]:
    """A placeholder, so that the load has a part to act on: put in what the gauge sits on."""
    return [_placeholder(component, youngs_modulus=2.1e11)]


def sequence(
    path: Path,
    mount: Mount,
    peak_stress: float,
    *,
    start_ns: int = 0,
    repeats: int = 1,
    sampling: Sampling = Sampling(10.0),
) -> Iterator[Timed]:
    """Turning points, one a line, times `peak_stress` [Pa], `repeats` times over.

    A sequence has no times: its points are sent as samples at the rate of `sampling`.
    """
    points = itertools.chain.from_iterable(_points(path) for _ in range(repeats))
    channel = _Channel(Instrument(mount, "sequence"), "Pa", sampling.rate_hz)
    first = 0
    while values := list(itertools.islice(points, sampling.block)):
        t_ns = start_ns + round(first / sampling.rate_hz * _SECOND_NS)
        yield channel.timed(t_ns, [value * peak_stress for value in values])
        first += len(values)


def sequence_fleet(component: str) -> list[Registration]:
    """A placeholder of aluminium 7050-T7451, for which the sequences were written.

    Paris's law through 1e-9 … 1e-6 m/cycle at R = 0 of the data beside them: indicative.
    """
    law = {"kind": "paris", "C": 4.8265e-31, "m": 3.3717, "dK_th": 0.0}
    return [_placeholder(component, youngs_modulus=71.7e9) | {"law": law}]


def _placeholder(component: str, *, youngs_modulus: float) -> Registration:
    return {
        "name": component,
        "law": {"kind": "paris", "C": 6.9e-30, "m": 3.0, "dK_th": 2e6},
        "geometry": {"kind": "edge_crack", "W": 0.1},
        "crack_length": 0.002,
        "crack_limit": 0.02,
        "inspection": "replace",
        "calibration": {"gain": 1.0, "offset": 0.0, "youngs_modulus": youngs_modulus},
    }


@dataclass(frozen=True, slots=True)
class _Channel:
    """An instrument that samples."""

    instrument: Instrument
    unit: str
    rate_hz: float

    def timed(self, t_ns: int, values: Sequence[float]) -> Timed:
        """The message of values in the channel's unit, due when the last of them is taken."""
        quantity, unit = load_unit(self.unit)
        series = Series(
            **self.instrument.key(t_ns),
            quantity=quantity,
            rate_hz=self.rate_hz,
            tension=np.array([unit.si(value) for value in values], dtype="<f8").tobytes(),
        )
        mount = self.instrument.mount
        message = load_message(series, unit=self.unit, form=mount.form, topics=mount.topics)
        return Timed(t_ns + round(len(values) / self.rate_hz * _SECOND_NS), message)


def _gauges(header: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Column and unit of each gauge; the time comes first."""
    found = ((i, _named(name)) for i, name in enumerate(header) if i)
    named = ((i, match[1], match[2].replace("\\", "/")) for i, match in found if match)
    return {name: (i, unit) for i, name, unit in named if unit in _UNITS}


def _gauge(path: Path, line: int, header: Sequence[str], gauge: str | None) -> tuple[str, int, str]:
    gauges = _gauges(header)
    name = gauge if gauge is not None else next(iter(gauges), "")
    if not is_strain(header) or name not in gauges:
        raise unreadable(
            path,
            line,
            f"columns {shown(','.join(header))} are not a time and {name or 'a gauge'} "
            f"with a unit of {', '.join(_UNITS)}",
        )
    return name, *gauges[name]


def _samples(
    path: Path, table: Iterator[tuple[int, list[str]]], column: int, *, swap_day_month: bool
) -> Iterator[_Sample]:
    """Line, time [ns] and value of each row; NaN where the cell is empty or says so."""
    for line, row in table:
        if len(row) <= column:
            raise unreadable(path, line, f"{len(row)} cells, none in column {column + 1}")
        text = row[column]
        is_missing = text.lower() in ("", "nan")
        value = math.nan if is_missing else number(path, line, "sample", text)
        yield line, _t_ns(path, line, row[0], swap_day_month=swap_day_month), value


def _t_ns(path: Path, line: int, text: str, *, swap_day_month: bool) -> int:
    try:
        moment = datetime.fromisoformat(text)
        if swap_day_month:
            moment = moment.replace(month=moment.day, day=moment.month)
    except ValueError as exc:
        raise unreadable(path, line, f"time {shown(text)} is not a time: {exc}") from exc
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _stretches(
    path: Path, samples: Iterator[_Sample], sampling: Sampling
) -> Iterator[tuple[int, list[float]]]:
    """Time of the first sample and values, of samples without a gap."""
    values: list[float] = []
    line, start_ns, before_ns = 1, 0, -1
    longest_ns = GAP_STEPS / sampling.rate_hz * _SECOND_NS
    for line, t_ns, value in samples:
        if t_ns <= before_ns:
            raise unreadable(path, line, f"the time does not rise: {t_ns} ns after {before_ns} ns")
        is_gap = t_ns - before_ns > longest_ns or math.isnan(value)
        if values and (is_gap or len(values) == sampling.block):
            _check_rate(path, line, before_ns - start_ns, len(values), sampling)
            yield start_ns, values
            values = []
        if not math.isnan(value):
            start_ns = start_ns if values else t_ns
            values.append(value)
        before_ns = t_ns
    if values:
        _check_rate(path, line, before_ns - start_ns, len(values), sampling)
        yield start_ns, values


def _check_rate(path: Path, line: int, span_ns: int, n: int, sampling: Sampling) -> None:
    """Refuse samples that are not equidistant at the stated rate; a few prove nothing."""
    span_s, expected_s = span_ns / _SECOND_NS, (n - 1) / sampling.rate_hz
    if n >= _FEW and abs(span_s - expected_s) > _RATE_TOLERANCE * expected_s:
        raise unreadable(
            path,
            line,
            f"{n} samples take {span_s:g} s, not {expected_s:g} s as at {sampling.rate_hz:g} Hz",
        )


def _points(path: Path) -> Iterator[float]:
    for line, text in enumerate(lines(path), start=1):
        if text.strip():
            yield number(path, line, "turning point", text)
