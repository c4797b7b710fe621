"""From observations to loads: the seam between what sensors say and what models take."""

# Over 300 lines: every sort of observation becomes a load here, and shares the track and the inlet.

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from models.crack.load import CrackLoad
from models.fatigue.rainflow import Cycles
from sensors.calibration import Calibration
from sensors.observation import AnyObservation, Inspection, Series, Spectrum
from sensors.quality import (
    REASONS,
    SPIKE,
    Gauge,
    GaugeBounds,
    SpectrumRows,
    bounds,
    bounds_table,
    judged,
    wire_unit,
)
from sensors.watch import Accepted, Samples, Watch, accepted, doubted

TOGETHER = 1 << 20  # of samples or cycles of a row that are stepped together [byte]

Values = NDArray[np.float64]
Ints = NDArray[np.int64]


class Track(NamedTuple):
    """Where each row's series of samples stands; arrays (n,) int64, moved on in place."""

    origin: Ints
    seq: Ints
    t_next_ns: Ints


class Inlet(NamedTuple):
    """What stands between the observations and the rows of a cohort; moved on in place."""

    track: Track
    watch: Watch

    def rows(self, index: Ints) -> Inlet:
        """Some rows, copied."""
        track = Track(*(array[index] for array in self.track))
        return Inlet(track, Watch(self.watch.real[index], self.watch.whole[index]))

    def put_back(self, index: Ints, kept: Inlet) -> None:
        """Let rows be as they were."""
        for array, before in zip(
            (*self.track, *self.watch), (*kept.track, *kept.watch), strict=True
        ):
            array[index] = before


class Assigned(NamedTuple):
    """One observation on its way to a row of a cohort."""

    row: int
    observation: AnyObservation
    calibration: Calibration
    gauge: Gauge
    surprise: float = math.inf  # factor off the belief beyond which an inspection is held
    t_ns: int | None = None  # of its last evidence, where its own clock is not believed
    longest: float = math.inf  # no crack there is longer [m]

    @property
    def t_end_ns(self) -> int:
        """The time that its last evidence counts with [ns]."""
        return t_end_ns(self.observation) if self.t_ns is None else self.t_ns


class Finding(NamedTuple):
    """What is doubtful about a load."""

    reading: int  # which of those of a round
    reason: str  # one of `sensors.quality.REASONS`
    times: int  # samples, rows of a spectrum, or times
    example: float  # one of them, in the unit of the wire


def origin(observation: AnyObservation) -> int:
    """A number that stands for the source and its boot; never 0."""
    return zlib.crc32(observation.source.encode()) << 31 ^ (observation.boot + 1)


def epoch(observation: AnyObservation) -> int:
    """A number that stands for the observation among those of its component, for draws.

    It is the same wherever the line stands in the journal, so that one which is put in its place
    later changes no other's draws.
    """
    return (origin(observation) * 0x9E3779B97F4A7C15 + observation.seq) % 2**64 - 2**63


def duration_ns(observation: AnyObservation) -> int:
    """How long the observation lasts after its `t_ns` [ns]."""
    if isinstance(observation, Series):
        return round(len(observation.tension) / 8 / observation.rate_hz * 1e9)
    return 0


def t_end_ns(observation: AnyObservation) -> int:
    """The time of the observation's last evidence [ns]."""
    return observation.t_ns + duration_ns(observation)


class Round(NamedTuple):
    """What rows have to go through at the same time."""

    runs: list[Assigned]  # loads of one kind, those of a row one after the other
    others: list[Assigned]  # at most one for each row, of which there is no run


def rounds(readings: Sequence[Assigned], *, together: bool = False) -> list[Round]:
    """The readings, each row's in their order; consecutive loads of a row `together`, or each.

    A run is of bounded size, and of one kind: what is remembered of the channel hangs on the order.
    """
    turns: dict[int, tuple[int, type | None, int]] = {}  # by row: which, of what, and bytes so far
    found: list[dict[int, list[Assigned]]] = []
    for reading in readings:
        row, o = reading.row, reading.observation
        kind, bytes_ = (type(o), _bytes(o)) if together else (None, 0)
        turn, before, size = turns.get(row, (-1, None, 0))
        if turn < 0 or kind not in (Series, Spectrum) or kind != before or size > TOGETHER:
            turn, size = turn + 1, 0
        turns[row] = turn, kind, size + bytes_
        if turn == len(found):
            found.append({})
        found[turn].setdefault(row, []).append(reading)
    return [_round(turn.values(), together=together) for turn in found]


def _round(turn: Iterable[list[Assigned]], *, together: bool) -> Round:
    runs, others = list[Assigned](), list[Assigned]()
    for own in turn:
        (runs if together and is_load(own[0].observation) else others).extend(own)
    return Round(runs, others)


def is_load(o: AnyObservation) -> bool:
    """Whether it is samples or cycles."""
    return isinstance(o, Series | Spectrum)


def _bytes(o: AnyObservation) -> int:
    if isinstance(o, Series):
        return len(o.tension)
    return len(o.cycles) if isinstance(o, Spectrum) else 0


def is_next(track: Track, reading: Assigned) -> bool:
    """Whether the reading follows the last one of its row without a gap; moves the track on.

    Only a series of samples is tied to its predecessor: by origin, sequence number and time.
    Other observations of the same origin move the sequence number on.
    """
    row, o = reading.row, reading.observation
    here = origin(o)
    in_order = bool(track.origin[row] == here and o.seq == track.seq[row] + 1)
    if not isinstance(o, Series):
        if in_order:
            track.seq[row] = o.seq
        return True
    slack_ns = max(5e9 / o.rate_hz, 0.05 * duration_ns(o))
    on_time = bool(abs(o.t_ns - int(track.t_next_ns[row])) <= slack_ns)
    track.origin[row], track.seq[row], track.t_next_ns[row] = here, o.seq, t_end_ns(o)
    return in_order and on_time


def crack_load(readings: Sequence[Assigned], inlet: Inlet) -> tuple[CrackLoad, list[Finding]]:
    """The load of readings, a row for each, and what is set aside or doubtful of it.

    Those of a row follow each other. Samples and cycles are calibrated to stress [Pa], all of them
    together. Moves `inlet` on.
    """
    n = len(readings)
    findings: list[Finding] = []
    continues = np.array([is_next(inlet.track, r) for r in readings], np.bool_)
    lengths, length_sds, epochs = np.zeros(n), np.zeros(n), np.zeros(n, np.int64)
    series: list[_Placed] = []
    spectra: list[_Placed] = []
    for i, reading in enumerate(readings):
        o = reading.observation
        if isinstance(o, Spectrum):
            spectra.append(_placed(i, reading, o))
        elif isinstance(o, Series):
            series.append(_placed(i, reading, o))
        elif isinstance(o, Inspection):
            lengths[i], length_sds[i], epochs[i] = o.crack_length, o.crack_length_sd, epoch(o)
    samples = _samples(n, series, continues, inlet.watch, findings)
    load = CrackLoad(
        t_ns=torch.tensor([r.t_end_ns for r in readings]),
        samples=torch.from_numpy(samples.stress),
        companion=torch.from_numpy(samples.shear),
        sample_offset=torch.from_numpy(samples.offset),
        continues=torch.from_numpy(continues),
        blocks=_blocks(n, spectra, inlet.watch, findings),
        inspected=torch.from_numpy(lengths > 0.0),
        length=torch.from_numpy(lengths),
        length_sd=torch.from_numpy(length_sds),
        confirmed=torch.zeros(n, dtype=torch.bool),
        epoch=torch.from_numpy(epochs),
    )
    return load, findings


class _Placed(NamedTuple):
    """A load on its way."""

    i: int  # row of the round
    row: int  # of the cohort
    o: Any
    factor: float  # to stress [Pa per unit]
    offset: float  # [Pa]
    bounds: GaugeBounds


def _placed(i: int, reading: Assigned, o: Series | Spectrum) -> _Placed:
    factors = reading.calibration.factors(o.quantity)
    return _Placed(i, reading.row, o, *factors, bounds(reading.gauge, o))


def _samples(
    n: int,
    series: Sequence[_Placed],
    continues: NDArray[np.bool_],
    watch: Watch,
    findings: list[Finding],
) -> Accepted:
    """What counts of all series, row by row of the round."""
    at = np.array([s.i for s in series], np.int64)
    counts = [len(s.o.tension) // 8 for s in series]
    raw = np.frombuffer(b"".join(s.o.tension for s in series), "<f8")
    raw_shear = np.frombuffer(b"".join(s.o.shear or bytes(len(s.o.tension)) for s in series))
    factor, offset = _factors(series, counts)
    samples = Samples(
        raw=raw,
        raw_shear=raw_shear,
        stress=raw * factor + offset,
        shear=raw_shear * factor,
        offset=np.cumsum([0, *counts]),
        row=np.array([s.row for s in series], np.int64),
        continues=continues[at],
        rate_hz=np.array([s.o.rate_hz for s in series]),
    )
    good = accepted(watch, samples, bounds_table([s.bounds for s in series]))
    for k, why in np.argwhere(good.found):
        placed, example = series[k], float(good.example[k, why])
        if why == SPIKE:
            example = (example - placed.offset) / placed.factor
        findings.append(_finding(placed, int(why), int(good.found[k, why]), example))
    return good._replace(offset=_offsets(n, at, np.diff(good.offset)))


def _blocks(n: int, spectra: Sequence[_Placed], watch: Watch, findings: list[Finding]) -> Cycles:
    """The cycles of all spectra that count."""
    table = np.frombuffer(b"".join(s.o.cycles for s in spectra), "<f8").reshape(-1, 3)
    counts = np.array([len(s.o.cycles) // 24 for s in spectra], np.int64)
    factor, offset = _factors(spectra, counts)
    extent, mean = table[:, 0] * np.abs(factor), table[:, 1] * factor + offset
    ratio = np.repeat(np.array([s.o.shear_ratio for s in spectra]), counts)
    shear, shear_mean = extent * ratio, table[:, 1] * factor * ratio
    held = bounds_table([s.bounds for s in spectra])
    peaks = SpectrumRows(
        range=table[:, 0],
        mean=table[:, 1],
        stress=np.abs(mean) + 0.5 * extent,
        shear=np.abs(shear_mean) + 0.5 * np.abs(shear),
    )
    of = np.repeat(np.arange(len(spectra)), counts)
    why = judged(peaks, held._replace(which=held.which[of]))
    rows, bad = np.array([s.row for s in spectra], np.int64), why >= 0
    doubted(watch, rows, of[bad], why[bad])
    for k, reason in sorted({*zip(of[why >= 0].tolist(), why[why >= 0].tolist(), strict=True)}):
        these = np.flatnonzero((of == k) & (why == reason))
        worst = max(table[these[0], :2].tolist(), key=abs)
        findings.append(_finding(spectra[k], reason, len(these), worst))
    good = why < 0
    kept = np.bincount(of[good], minlength=len(spectra))
    return Cycles(
        range=torch.from_numpy(extent[good]),
        mean=torch.from_numpy(mean[good]),
        count=torch.from_numpy(table[good, 2]),
        shear=torch.from_numpy(shear[good]),
        shear_mean=torch.from_numpy(shear_mean[good]),
        offset=torch.from_numpy(_offsets(n, np.array([s.i for s in spectra], np.int64), kept)),
    )


def _finding(placed: _Placed, why: int, count: int, example: float) -> Finding:
    return Finding(placed.i, REASONS[why], count, wire_unit(placed.o).wire(example))


def _factors(placed: Sequence[_Placed], counts: Sequence[int] | Ints) -> tuple[Values, Values]:
    """Factor and offset to stress of every sample or cycle."""
    pairs = np.array([(s.factor, s.offset) for s in placed]).reshape(-1, 2)
    return np.repeat(pairs[:, 0], counts), np.repeat(pairs[:, 1], counts)


def _offsets(n: int, rows: Ints, counts: Ints) -> Ints:
    lengths = np.zeros(n + 1, np.int64)
    lengths[rows + 1] = counts
    return np.cumsum(lengths)
