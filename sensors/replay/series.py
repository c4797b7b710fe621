"""Recorded samples of a gauge, with their times or at a stated rate."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensors.instrument import Installation, Instrument
from sensors.limits import Limits
from sensors.quality import NULL_CODES, missing
from sensors.refusal import shown
from sensors.replay.clock import RecordingClock, not_rising
from sensors.replay.file import number, unreadable
from sensors.replay.head import GaugeColumn, Head, head, source
from sensors.replay.pace import RecordedSample
from sensors.replay.rate import check_stated, stretches, usual_rate
from sensors.replay.rows import Row, column, rows
from sensors.replay.sampling import Channel, Sampling, placeholder
from sensors.timed import Registration, Timed
from sensors.units import STRAIN, STRESS, load_unit

BY_TIMES = Sampling()
_SECOND_NS = 1_000_000_000
_LOOKED_AT = 100_000  # samples that say what the rate of a file is
_COARSE_NS = 1_500_000_000  # how far samples may be ahead of times of whole seconds
_LIMITS = Limits()
_UNITS = (*STRAIN, *STRESS)
_MISSING: Final = ("", "nan", "na", "n/a", "#n/a", "null", "none", "-", "--", "---")


def is_strain(first: Sequence[Row]) -> bool:
    """Whether a column is named with a unit of load."""
    return bool(head(first).gauges)


def strain_csv(
    path: Path,
    installation: Installation,
    *,
    gauge: str | None = None,
    start_ns: int = 0,
    sampling: Sampling = BY_TIMES,
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
    `time (ms)`) since `start_ns`, or since 1970 where they are that large: then their size tells
    s, ms, us and ns apart. Without a column of times the rate has to be stated. `um\m` is read as
    `um/m`. Nothing in a file tells whether its day and month are swapped: whoever knows says so
    by `swap_day_month`.
    Raises MalformedError for a file that is none, and names the line.
    """
    table, told = _opened(path)
    chosen = _gauge(path, told, gauge)
    if told.time is None:
        if sampling.rate_hz is None:
            raise unreadable(path, told.line, _no_times(told))
    else:
        found = sampling_rate(path, start_ns=start_ns, swap_day_month=swap_day_month)
        check_stated(path, sampling.rate_hz, found)
        if found is not None and found > _LIMITS.rate_hz:
            raise unreadable(
                path,
                told.line,
                f"by its times the rate is {found:g} Hz, over {_LIMITS.rate_hz:g}: is the unit of "
                f"{column(told.names, told.time)} right?",
            )
    channel = Channel(Instrument(installation, source(chosen.name)), chosen.unit)
    clock = RecordingClock(path, told, start_ns=start_ns, swap_day_month=swap_day_month)
    samples = _samples(path, table, told, chosen, clock)
    if told.time is None:
        samples = _spread(samples, start_ns, sampling.rate_hz or 1.0)
    for stretch in stretches(path, _rising(path, samples, sampling.rate_hz), sampling):
        yield channel.timed(*stretch)


def _opened(path: Path) -> tuple[Iterator[Row], Head]:
    """The rows under the head, and the head."""
    table = rows(path)
    first = list(itertools.islice(table, 2))
    told = head(first)
    return itertools.chain(first[told.rows :], table), told


def _no_times(told: Head) -> str:
    return (
        f"no column of {shown(','.join(told.names))} is a time (time, timestamp, t [s], "
        "Zeit (ms)): name it so, or say the rate of the samples (--rate)"
    )


def _gauge(path: Path, told: Head, wanted: str | None) -> GaugeColumn:
    """The gauge that is asked for, the first if none is."""
    if told.why:
        raise unreadable(path, told.line, told.why)
    names = [gauge.name if wanted != told.names[gauge.column] else wanted for gauge in told.gauges]
    name = wanted if wanted is not None else names[0]
    found = [gauge for known, gauge in zip(names, told.gauges, strict=True) if known == name]
    if not found:
        raise unreadable(
            path,
            told.line,
            f"columns {shown(','.join(told.names))} are not a time and {name or 'a gauge'} "
            f"with a unit of {', '.join(_UNITS)}; there is {', '.join(names)}",
        )
    if len(found) > 1:
        where = " and ".join(str(gauge.column + 1) for gauge in found)
        raise unreadable(
            path, told.line, f"columns {where} are both called {shown(name)}: rename one of them"
        )
    return found[0]


def _samples(
    path: Path, table: Iterator[Row], told: Head, gauge: GaugeColumn, clock: RecordingClock
) -> Iterator[RecordedSample]:
    """The samples of a gauge, NaN where the cell is empty or says so; at 0 without times."""
    where = f" ({column(told.names, gauge.column)})"
    quantity, unit = load_unit(gauge.unit)
    largest = _LIMITS.largest(quantity)
    most = unit.wire(largest)
    last = max(gauge.column, told.time or 0, told.day or 0)
    for line, row in table:
        if len(row) <= last:
            raise unreadable(path, line, f"{len(row)} cells, none in column {len(row) + 1}")
        text = row[gauge.column]
        is_missing = text.lower() in _MISSING
        value = math.nan if is_missing else number(path, line, "sample", text, where)
        if abs(value) > most and not missing(np.abs(np.array([value])), NULL_CODES).any():
            si = "Pa" if quantity == "stress" else "m/m"
            raise unreadable(
                path,
                line,
                f"sample is {shown(text)}: beyond ±{largest:g} {si}, is the unit right?{where}",
            )
        t_ns = 0 if told.time is None else clock.t_ns(line, row)
        yield RecordedSample(line, t_ns, value)


def _spread(
    samples: Iterator[RecordedSample], start_ns: int, rate_hz: float
) -> Iterator[RecordedSample]:
    """Samples without times, from the start on at a rate."""
    for i, sample in enumerate(samples):
        yield sample._replace(t_ns=start_ns + round(i / rate_hz * _SECOND_NS))


def gauges(path: Path) -> list[str]:
    """What the gauges of a file are called, in the order of its columns."""
    return [gauge.name for gauge in _opened(path)[1].gauges]


def strain_fleet(component: str) -> list[Registration]:
    """A placeholder, so that the load has a part to act on: put in what the gauge sits on."""
    return [placeholder(component, youngs_modulus=2.1e11)]


def _rising(
    path: Path, samples: Iterator[RecordedSample], stated: float | None
) -> Iterator[RecordedSample]:
    """The samples; one whose time does not rise is placed by a stated rate, or an error."""
    before_ns = read_ns = -1
    for sample in samples:
        line, t_ns, _ = sample
        if stated and before_ns - _COARSE_NS < t_ns <= before_ns and t_ns >= read_ns:
            before_ns, read_ns = before_ns + round(_SECOND_NS / stated), t_ns
            yield sample._replace(t_ns=before_ns)
            continue
        if t_ns <= before_ns:
            raise unreadable(path, line, not_rising(t_ns, read_ns, stated))
        before_ns = read_ns = t_ns
        yield sample


def sampling_rate(path: Path, *, start_ns: int = 0, swap_day_month: bool = False) -> float | None:
    """The rate [Hz] of the first samples, by their usual steps; None if there are too few.

    Gaps and missing rows do not count. Raises MalformedError (reason `file`).
    """
    table, told = _opened(path)
    time = told.time
    if time is None:
        return None
    clock = RecordingClock(path, told, start_ns=start_ns, swap_day_month=swap_day_month)
    first = itertools.islice(table, _LOOKED_AT)
    found = [clock.t_ns(line, row) for line, row in first if len(row) > time]
    times: NDArray[np.int64] = np.array(found, np.int64)
    return usual_rate(times[1:] - times[:-1])
