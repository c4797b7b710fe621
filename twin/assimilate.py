"""From observations to loads: the seam between what sensors say and what models take."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.crack import CrackLoad
from models.rainflow import Cycles
from sensors.calibration import Calibration
from sensors.observation import AnyObservation, Inspection, Series, Spectrum

Values = NDArray[np.float64]


class Track(NamedTuple):
    """Where each row's series of samples stands; arrays (n,) int64, moved on in place."""

    origin: NDArray[np.int64]
    seq: NDArray[np.int64]
    t_next_ns: NDArray[np.int64]

    def copied(self) -> Track:
        """Arrays of its own."""
        return Track(*(array.copy() for array in self))


class Reading(NamedTuple):
    """One observation on its way to a row of a cohort."""

    row: int
    observation: AnyObservation
    calibration: Calibration
    t_ns: int | None = None  # of its last evidence, where its own clock is not believed

    @property
    def t_end_ns(self) -> int:
        """The time that its last evidence counts with [ns]."""
        return t_end_ns(self.observation) if self.t_ns is None else self.t_ns


def origin(observation: AnyObservation) -> int:
    """A number that stands for the source and its boot; never 0."""
    return zlib.crc32(observation.source.encode()) << 31 ^ (observation.boot + 1)


def duration_ns(observation: AnyObservation) -> int:
    """How long the observation lasts after its `t_ns` [ns]."""
    if isinstance(observation, Series):
        return round(len(observation.tension) / 8 / observation.rate_hz * 1e9)
    return 0


def t_end_ns(observation: AnyObservation) -> int:
    """The time of the observation's last evidence [ns]."""
    return observation.t_ns + duration_ns(observation)


def rounds(readings: Sequence[Reading]) -> list[list[Reading]]:
    """The readings, at most one for each row in each round, each row's in their order."""
    taken: dict[int, int] = {}
    found: list[list[Reading]] = []
    for reading in readings:
        turn = taken.get(reading.row, 0)
        taken[reading.row] = turn + 1
        if turn == len(found):
            found.append([])
        found[turn].append(reading)
    return found


def is_next(track: Track, reading: Reading) -> bool:
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


def crack_load(readings: Sequence[Reading], track: Track) -> CrackLoad:
    """The load of one round, a row for each reading; moves `track` on.

    Samples and cycles are calibrated to stress [Pa], all of a round together.
    """
    n = len(readings)
    lengths, length_sds = np.zeros(n), np.zeros(n)
    series: list[_Placed] = []
    spectra: list[_Placed] = []
    for i, reading in enumerate(readings):
        o = reading.observation
        if isinstance(o, Spectrum):
            spectra.append((i, o, *reading.calibration.factors(o.quantity)))
        elif isinstance(o, Series):
            series.append((i, o, *reading.calibration.factors(o.quantity)))
        elif isinstance(o, Inspection):
            lengths[i], length_sds[i] = o.crack_length, o.crack_length_sd
    tension, shear, sample_offset = _samples(n, series)
    return CrackLoad(
        t_ns=torch.tensor([r.t_end_ns for r in readings]),
        samples=tension,
        companion=shear,
        sample_offset=sample_offset,
        continues=torch.tensor([is_next(track, r) for r in readings]),
        blocks=_blocks(n, spectra),
        inspected=torch.from_numpy(lengths > 0.0),
        length=torch.from_numpy(lengths),
        length_sd=torch.from_numpy(length_sds),
    )


_Placed = tuple[int, Any, float, float]  # row of the load, observation, factor and offset to stress


def _samples(n: int, series: Sequence[_Placed]) -> tuple[Tensor, Tensor, Tensor]:
    """Tension and shear (k,) [Pa] of all series, and where each row's begin (n + 1,)."""
    tension = np.frombuffer(b"".join(o.tension for _, o, _, _ in series), "<f8")
    shear = np.frombuffer(b"".join(o.shear or bytes(len(o.tension)) for _, o, _, _ in series))
    counts = [len(o.tension) // 8 for _, o, _, _ in series]
    factor, offset = _factors(series, counts)
    rows = _offsets(n, [i for i, _, _, _ in series], counts)
    return torch.from_numpy(tension * factor + offset), torch.from_numpy(shear * factor), rows


def _blocks(n: int, spectra: Sequence[_Placed]) -> Cycles:
    """The cycles of all spectra."""
    table = np.frombuffer(b"".join(o.cycles for _, o, _, _ in spectra), "<f8").reshape(-1, 3)
    counts = [len(o.cycles) // 24 for _, o, _, _ in spectra]
    factor, offset = _factors(spectra, counts)
    extent = table[:, 0] * np.abs(factor)
    ratio = np.repeat(np.array([o.shear_ratio for _, o, _, _ in spectra]), counts)
    return Cycles(
        range=torch.from_numpy(extent),
        mean=torch.from_numpy(table[:, 1] * factor + offset),
        count=torch.from_numpy(table[:, 2].copy()),
        shear=torch.from_numpy(extent * ratio),
        shear_mean=torch.from_numpy(table[:, 1] * factor * ratio),
        offset=_offsets(n, [i for i, _, _, _ in spectra], counts),
    )


def _factors(placed: Sequence[_Placed], counts: list[int]) -> tuple[Values, Values]:
    """Factor and offset to stress of every sample or cycle."""
    pairs = np.array([(factor, offset) for _, _, factor, offset in placed]).reshape(-1, 2)
    return np.repeat(pairs[:, 0], counts), np.repeat(pairs[:, 1], counts)


def _offsets(n: int, rows: list[int], counts: list[int]) -> Tensor:
    lengths = np.zeros(n + 1, np.int64)
    lengths[np.array(rows, np.int64) + 1] = counts
    return torch.from_numpy(np.cumsum(lengths))
