"""Laboratory specimens under constant amplitude: cycles as spectra, lengths as inspections."""

from __future__ import annotations

import heapq
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from sensors.instrument import TOPICS, Installation, Instrument
from sensors.observation import Inspection, Spectrum
from sensors.payload.encode import inspection_message, spectrum_message
from sensors.refusal import shown
from sensors.replay.file import number, unreadable
from sensors.replay.rows import rows
from sensors.timed import Registration, Timed
from sensors.topics import Topics

WIDTH: Final = 0.1524  # [m]
STRESS_RANGE: Final = 48.28e6  # [Pa]
RATIO: Final = 0.2  # R, smallest over largest stress
MEAN: Final = STRESS_RANGE * (1 + RATIO) / (1 - RATIO) / 2  # [Pa]
FREQUENCY: Final = 20.0  # [Hz]
YOUNGS_MODULUS: Final = 73.1e9  # [Pa]

# One pair for all, from the 34 odd specimens: m is the slope of ln da/dN (secants) on ln ΔK
# (at mid-length, √sec), pooled; C makes the predicted life the geometric mean of the lives.
EXPONENT: Final = 2.8733
COEFFICIENT: Final = 4.9856e-28  # [m/cycle / (Pa √m)^m]

_MOST = 10_000  # specimens in a file
_specimen = re.compile(r"N_(\d{1,6})", re.ASCII).fullmatch


def is_virkler(header: Sequence[str]) -> bool:
    """Whether the columns are `a_mm`, `N_01` and so on."""
    return len(header) > 1 and header[0] == "a_mm" and all(map(_specimen, header[1:]))


def virkler(
    path: Path, start_ns: int, *, boot: int = 1, topics: Topics = TOPICS
) -> Iterator[Timed]:
    """Specimens that all start at `start_ns`, at 20 Hz; `N_07` is `virkler/n-07`.

    D. A. Virkler, B. M. Hillberry, P. K. Goel, J. Eng. Mater. Technol. 101 (1979) 148:
    centre-cracked 2024-T3, width 152.4 mm, R = 0.2, stress range 48.28 MPa; `a` is the half
    length. Each step is a spectrum at the time of its last cycle, and the length then
    measured.
    """
    names, lengths, cycles = _table(path)
    specimens = (
        _specimen_messages(Installation(name, boot, "json", topics), lengths, column, start_ns)
        for name, column in zip(names, cycles, strict=True)
    )
    return heapq.merge(*specimens, key=lambda timed: timed.t_ns)


def virkler_fleet(path: Path) -> list[Registration]:
    """The specimens as they were before the first cycle; inspections are recorded only."""
    names, lengths, _ = _table(path)
    return [
        {
            "name": name,
            "law": {"kind": "paris", "C": COEFFICIENT, "m": EXPONENT, "dK_th": 0.0},
            "geometry": {"kind": "centre_crack", "W": WIDTH},
            "crack_length": lengths[0] / 1e3,
            "crack_limit": lengths[-1] / 1e3,
            "inspection": "record",
            "calibration": {"gain": 1.0, "offset": 0.0, "youngs_modulus": YOUNGS_MODULUS},
        }
        for name in names
    ]


def _specimen_messages(
    installation: Installation, lengths: Sequence[float], cycles: Sequence[float], start_ns: int
) -> Iterator[Timed]:
    rig, microscope = Instrument(installation, "rig"), Instrument(installation, "microscope")
    before = 0.0
    for length, n in zip(lengths, cycles, strict=True):
        t_ns = start_ns + round(n / FREQUENCY * 1e9)
        if n > before:
            row = np.array([STRESS_RANGE, MEAN, n - before], dtype="<f8").tobytes()
            spectrum = Spectrum(**rig.key(t_ns), quantity="stress", cycles=row)
            yield Timed(t_ns, spectrum_message(spectrum, unit="MPa", topics=installation.topics))
        inspection = Inspection(
            **microscope.key(t_ns),
            crack_length=length / 1e3,
            crack_length_sd=0.0,
            method="travelling-microscope",
        )
        yield Timed(t_ns, inspection_message(inspection, unit="mm", topics=installation.topics))
        before = n


def _table(path: Path) -> tuple[list[str], list[float], list[list[float]]]:
    """Names of the specimens, half lengths (k,) [mm], and the cycles of each specimen (n, k)."""
    table = rows(path)
    line, header = next(table, (1, []))
    if not is_virkler(header) or len(header) > _MOST:
        raise unreadable(path, line, f"columns {shown(','.join(header))} are not a_mm, N_01, …")
    found = [(line, _numbers(path, line, header, row)) for line, row in table]
    if len(found) < 2:
        raise unreadable(path, found[-1][0] if found else line, "a specimen needs two lengths")
    for (_, before), (line, after) in itertools.pairwise(found):
        for name, lower, upper in zip(header, before, after, strict=True):
            if upper <= lower:
                raise unreadable(path, line, f"{name} is {upper}, not more than {lower} before")
    names = [f"virkler/n-{name.removeprefix('N_')}" for name in header[1:]]
    lengths, *cycles = map(list, zip(*(values for _, values in found), strict=True))
    return names, lengths, cycles


def _numbers(path: Path, line: int, header: Sequence[str], row: Sequence[str]) -> list[float]:
    if len(row) != len(header):
        raise unreadable(path, line, f"{len(row)} cells under {len(header)} columns")
    return [number(path, line, name, text) for name, text in zip(header, row, strict=True)]
