"""Recorded sequences of turning points, one a line."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from sensors.instrument import Installation, Instrument
from sensors.replay.file import number
from sensors.replay.rows import rows
from sensors.replay.sampling import Channel, Sampling, placeholder
from sensors.timed import Registration, Timed

SEQUENCE_HZ = 10.0  # at which turning points are sent, for they have no times
AT_10_HZ = Sampling(SEQUENCE_HZ)
_SECOND_NS = 1_000_000_000


def sequence(
    path: Path,
    installation: Installation,
    peak_stress: float,
    *,
    start_ns: int = 0,
    repeats: int = 1,
    sampling: Sampling = AT_10_HZ,
) -> Iterator[Timed]:
    """Turning points, one a line, times `peak_stress` [Pa], `repeats` times over.

    A sequence has no times: its points are sent as samples at the rate of `sampling`.
    """
    points = itertools.chain.from_iterable(_points(path) for _ in range(repeats))
    channel, rate_hz = Channel(Instrument(installation, "sequence"), "Pa"), sampling.rate_hz
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
    return [placeholder(component, youngs_modulus=71.7e9) | {"law": law}]


def _points(path: Path) -> Iterator[float]:
    for line, row in rows(path):
        yield number(path, line, "turning point", ",".join(row))
