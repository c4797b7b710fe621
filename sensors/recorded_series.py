"""Recorded samples: strain with its times, and sequences of turning points."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensors.encode import load_message
from sensors.instant import rfc3339
from sensors.limits import LATEST_NS
from sensors.mount import Instrument, Mount
from sensors.observation import Series
from sensors.recorded_file import lines, number, rows, unreadable
from sensors.recorded_pace import GAP_STEPS, Sample, paced
from sensors.refusal import shown
from sensors.timed import Registration, Timed
from sensors.units import STRAIN, STRESS, load_unit

_RATE_TOLERANCE = 0.05  # of a stated rate
SEQUENCE_HZ = 10.0  # at which turning points are sent, for they have no times
_SECOND_NS = 1_000_000_000
_FEW = 50  # samples whose span says less about the rate than the steps around do
_LOOKED_AT = 100_000  # samples that say what the rate of a file is
_COARSE_NS = 1_500_000_000  # how far samples may be ahead of times of whole seconds
_BELIED = 1.5  # a usual step that is so many stated ones, or so many times shorter
_JITTER_STEPS = 2.0  # by which so few may be off
_UNITS = (*STRAIN, *STRESS)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_named = re.compile(r"(.+?)\s*\(([^()]+)\)").fullmatch
_counted = re.compile(r"[+-]?\d{1,19}(\.\d*)?([eE][+-]?\d{1,2})?", re.ASCII).fullmatch
_OF_1970_NS = 10**17  # so long since the start is since 1970: it is three years
_illegal = re.compile(r"[^A-Za-z0-9._:-]+").sub


@dataclass(frozen=True, slots=True)
class Sampling:
    """How samples are cut into messages."""

    rate_hz: float | None = None  # None: that of the times
    block: int = 1000  # samples in a message, at most

    def __post_init__(self) -> None:
        is_usable = self.rate_hz is None or 0.0 < self.rate_hz < math.inf
        if not is_usable or not 1 <= self.block <= 100_000:
            raise ValueError(f"{self} needs a positive rate and 1 to 100,000 samples a message")


def is_strain(header: Sequence[str]) -> bool:
    """Whether the first column is a time and another is named with a unit of load."""
    return bool(header) and header[0].lower().startswith("time") and bool(_gauges(header))


def strain_csv(
    path: Path,
    mount: Mount,
    *,
    gauge: str | None = None,
    start_ns: int = 0,
    sampling: Sampling = Sampling(),
    swap_day_month: bool = False,
) -> Iterator[Timed]:
    r"""The samples of one gauge (the first, if none is named), as series.

    A logger's steps are 9 to 11 ms where the rate is 100 Hz, and rows may be missing. Samples are
    taken as equidistant within a message; its `time` is what the file says of its first sample
    and its `rate_hz` is what brings it to the first sample of the next, so that errors do not add
    up and the next message is seen to follow. A step of more than three of those around it, or a
    sample that is missing, starts a new message. A time that does not rise is an error.

    With a stated rate a gap is told by it, times that are 5 % off it are an error, and times may
    stand still, as those of whole seconds do: the samples are then spread by it.

    Times without a zone are taken as UTC; numbers are seconds (or what the column's name says,
        `time (ms)`) since `start_ns`, or since 1970 where they are that large. `um\m` is read as
    `um/m`. Nothing in a file tells whether its day and month are swapped: whoever knows says so
    by `swap_day_month`.
    """
    table = rows(path)
    line, header = next(table, (1, []))
    name, column, unit = _gauge(path, line, header, gauge)
    found = sampling_rate(path, start_ns=start_ns, swap_day_month=swap_day_month)
    _check_stated(path, sampling.rate_hz, found)
    channel = _Channel(Instrument(mount, _illegal("-", name).lower()[:64]), unit)
    clock = _Clock(start_ns=start_ns, tick_ns=_tick_ns(header[0]), swap_day_month=swap_day_month)
    samples = _samples(path, table, column, clock)
    for stretch in _stretches(path, _rising(path, samples, sampling.rate_hz), sampling):
        yield channel.timed(*stretch)


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
    sampling: Sampling = Sampling(SEQUENCE_HZ),
) -> Iterator[Timed]:
    """Turning points, one a line, times `peak_stress` [Pa], `repeats` times over.

    A sequence has no times: its points are sent as samples at the rate of `sampling`.
    """
    points = itertools.chain.from_iterable(_points(path) for _ in range(repeats))
    channel, rate_hz = _Channel(Instrument(mount, "sequence"), "Pa"), sampling.rate_hz
    rate_hz = SEQUENCE_HZ if rate_hz is None else rate_hz
    first = 0
    while values := list(itertools.islice(points, sampling.block)):
        t_ns = start_ns + round(first / rate_hz * _SECOND_NS)
        yield channel.timed(t_ns, [value * peak_stress for value in values], rate_hz)
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

    def timed(self, t_ns: int, values: Sequence[float], rate_hz: float) -> Timed:
        """The message of values in the channel's unit, due when the last of them is taken."""
        quantity, unit = load_unit(self.unit)
        series = Series(
            **self.instrument.key(t_ns),
            quantity=quantity,
            rate_hz=rate_hz,
            tension=np.array([unit.si(value) for value in values], dtype="<f8").tobytes(),
        )
        mount = self.instrument.mount
        message = load_message(series, unit=self.unit, form=mount.form, topics=mount.topics)
        return Timed(t_ns + round(len(values) / rate_hz * _SECOND_NS), message)


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
    path: Path, table: Iterator[tuple[int, list[str]]], column: int, clock: _Clock
) -> Iterator[Sample]:
    """The samples of a column, NaN where the cell is empty or says so."""
    for line, row in table:
        if len(row) <= column:
            raise unreadable(path, line, f"{len(row)} cells, none in column {column + 1}")
        text = row[column]
        is_missing = text.lower() in ("", "nan")
        value = math.nan if is_missing else number(path, line, "sample", text)
        yield Sample(line, clock.t_ns(path, line, row[0]), value)


_TICKS: Final = {"s": 10**9, "sec": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}  # [ns]


def _tick_ns(name: str) -> int:
    """What a number in a column of times counts [ns], seconds unless its name says."""
    match = _named(name)
    return _TICKS.get(match[2].strip().lower(), _SECOND_NS) if match else _SECOND_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clock:
    """How the times of a file are to be read."""

    start_ns: int
    tick_ns: int
    swap_day_month: bool

    def t_ns(self, path: Path, line: int, text: str) -> int:
        """The instant that a cell names [ns since 1970, UTC]."""
        try:
            if _counted(text):
                return self._since(Decimal(text))
            moment = datetime.fromisoformat(text)
            if self.swap_day_month:
                moment = moment.replace(month=moment.day, day=moment.month)
        except ValueError as exc:
            raise unreadable(path, line, f"time {shown(text)} is not a time: {exc}") from exc
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (moment - _EPOCH) // timedelta(microseconds=1) * 1000

    def _since(self, count: Decimal) -> int:
        """Since the start, or since 1970 for a number of seconds that lies after 1973."""
        elapsed = round(count * self.tick_ns)
        t_ns = elapsed if elapsed > _OF_1970_NS else self.start_ns + elapsed
        if not 0 <= t_ns < LATEST_NS:
            raise ValueError("not within 1970 to 2199; a name such as `time (ms)` says its unit")
        return t_ns


def _rising(path: Path, samples: Iterator[Sample], stated: float | None) -> Iterator[Sample]:
    """The samples; one whose time does not rise is placed by a stated rate, or an error."""
    before_ns = read_ns = -1
    for sample in samples:
        line, t_ns, _ = sample
        if stated and before_ns - _COARSE_NS < t_ns <= before_ns and t_ns >= read_ns:
            before_ns, read_ns = before_ns + round(_SECOND_NS / stated), t_ns
            yield sample._replace(t_ns=before_ns)
            continue
        if t_ns <= before_ns:
            raise unreadable(path, line, _not_rising(t_ns, read_ns, stated))
        before_ns = read_ns = t_ns
        yield sample


def _not_rising(t_ns: int, before_ns: int, stated: float | None) -> str:
    fault = f"the time does not rise: {rfc3339(t_ns)} after {rfc3339(before_ns)}"
    if t_ns < before_ns:
        return f"{fault}; sort the rows, or take out what was recorded twice"
    if stated:
        return f"{fault}, longer than a second at the stated {stated:g} Hz"
    return f"{fault}; where a logger writes too few decimals, say its rate (--rate)"


def sampling_rate(path: Path, *, start_ns: int = 0, swap_day_month: bool = False) -> float | None:
    """The rate [Hz] of the first samples, by their usual steps; None if there are too few.

    Gaps and missing rows do not count. Raises MalformedError (reason `file`).
    """
    table = rows(path)
    _, header = next(table, (1, [""]))
    clock = _Clock(start_ns=start_ns, tick_ns=_tick_ns(header[0]), swap_day_month=swap_day_month)
    first = itertools.islice(table, _LOOKED_AT)
    return _usual(np.diff(np.array([clock.t_ns(path, line, row[0]) for line, row in first])))


def _usual(steps: NDArray[np.int64]) -> float | None:
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


def _check_stated(path: Path, stated: float | None, found: float | None) -> None:
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


_Stretch = tuple[int, list[float], float]  # time of the first sample [ns], values, rate [Hz]


def _stretches(path: Path, samples: Iterator[Sample], sampling: Sampling) -> Iterator[_Stretch]:
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


def _points(path: Path) -> Iterator[float]:
    for line, text in enumerate(lines(path), start=1):
        if text.strip():
            yield number(path, line, "turning point", text)
