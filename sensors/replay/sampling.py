"""How samples are cut into messages, and what stands for the part that they act on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sensors.instrument import Instrument
from sensors.observation import Series
from sensors.payload.encode import load_message
from sensors.timed import Registration, Timed
from sensors.units import load_unit

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Sampling:
    """How samples are cut into messages."""

    rate_hz: float | None = None  # None: that of the times
    block: int = 1000  # samples in a message, at most

    def __post_init__(self) -> None:
        is_usable = self.rate_hz is None or 0.0 < self.rate_hz < math.inf
        if not is_usable or not 1 <= self.block <= 100_000:
            raise ValueError(f"{self} needs a positive rate and 1 to 100,000 samples a message")


@dataclass(frozen=True, slots=True)
class Channel:
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
        installation = self.instrument.installation
        message = load_message(
            series, unit=self.unit, form=installation.form, topics=installation.topics
        )
        return Timed(t_ns + round(len(values) / rate_hz * _SECOND_NS), message)


def placeholder(component: str, *, youngs_modulus: float) -> Registration:
    """A part, so that the load has one to act on: put in what the gauge sits on."""
    return {
        "name": component,
        "law": {"kind": "paris", "C": 6.9e-30, "m": 3.0, "dK_th": 2e6},
        "geometry": {"kind": "edge_crack", "W": 0.1},
        "crack_length": 0.002,
        "crack_limit": 0.02,
        "inspection": "replace",
        "calibration": {"gain": 1.0, "offset": 0.0, "youngs_modulus": youngs_modulus},
    }
