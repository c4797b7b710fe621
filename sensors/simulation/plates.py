"""Plates in tension and shear: loads whose direction changes from shift to shift, as messages.

What the cracks in them do is not known here: that takes a solver, which rooms do not share.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from sensors.instrument import Installation, Instrument
from sensors.observation import Series, Spectrum
from sensors.payload.encode import EncodedMessage, load_message, spectrum_message
from sensors.timed import Registration, Renewal, Timed
from sensors.topics import Topics

COEFFICIENT, EXPONENT = 9.7e-30, 3.0  # nickel [m/cycle / (Pa √m)^3]
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class SimulatedPlate:
    """A plate, and how it is loaded: equal cycles from zero, the shear changing with the shift."""

    name: str
    width: float = 0.01  # [m]
    crack: float = 0.001  # at the start, straight across [m]
    stress: float = 40e6  # range of the tension [Pa]
    shears: tuple[float, ...] = (0.5, 0.2, 0.7, -0.1, 0.4)  # over tension, shift by shift [1]
    shift: int = 10  # messages of a shift
    cycles: int = 10_000  # of a message
    every_s: float = 1.0  # between two messages
    sampled: bool = False  # sends a series of samples instead of a spectrum

    def shear(self, number: int) -> float:
        """Shear over tension in message `number` [1]."""
        return self.shears[number // self.shift % len(self.shears)]

    def registration(self) -> Registration:
        """What is known of it from the outside."""
        return {
            "name": self.name,
            "crack": {
                "law": {"kind": "paris", "C": COEFFICIENT, "m": EXPONENT},
                "geometry": {"kind": "plate", "W": self.width},
                "crack_length": self.crack,
                "crack_limit": 0.8 * self.width,
            },
        }


def messages(
    plate: SimulatedPlate, start_ns: int, *, boot: int = 1, root: str = "twin/v1"
) -> Iterator[Timed]:
    """What its sensor sends from `start_ns` on, for ever."""
    sensor = _Sensor(Installation(plate.name, boot, "msgpack", Topics(root)), "daq-1")
    number = 0
    while True:
        t_ns = start_ns + round((number + 1) * plate.every_s * _SECOND_NS)
        yield Timed(t_ns, sensor.message(plate, number, t_ns))
        number += 1


def in_turn(
    plate: SimulatedPlate,
    start_ns: int,
    *,
    lasts_s: float,
    pause_s: float,
    renewed: Callable[[Renewal], None],
    generation: int = 0,
    boot: int = 1,
    root: str = "twin/v1",
) -> Iterator[Timed]:
    """What plates send that take each other's place after `lasts_s`, for ever.

    `renewed` is told of a fresh one `pause_s` before it is at work. The first of a generation
    has the plate's name, those after it a number more.
    """
    old = numbered(plate, generation)
    for turn in itertools.count(generation):
        mounted = numbered(plate, turn)
        if turn > generation:
            renewed(Renewal(old.name, mounted.registration()))
        end_ns = start_ns + round(lasts_s * _SECOND_NS)
        for timed in messages(mounted, start_ns, boot=boot, root=root):
            if timed.t_ns > end_ns:
                break
            yield timed
        start_ns, old = end_ns + round(pause_s * _SECOND_NS), mounted


def numbered(plate: SimulatedPlate, generation: int) -> SimulatedPlate:
    """The plate that is in a place after so many others."""
    return replace(plate, name=f"{plate.name}-{generation + 1}") if generation else plate


class _Sensor(Instrument):
    def message(self, plate: SimulatedPlate, number: int, t_ns: int) -> EncodedMessage:
        """The load of one interval that ends at `t_ns`."""
        ratio, form, topics = plate.shear(number), self.installation.form, self.installation.topics
        if not plate.sampled:
            cycles = np.array([[plate.stress, 0.5 * plate.stress, plate.cycles]], "<f8").tobytes()
            spectrum = Spectrum(
                **self.key(t_ns), quantity="stress", cycles=cycles, shear_ratio=ratio
            )
            return spectrum_message(spectrum, unit="MPa", form=form, topics=topics)
        tension = np.tile([0.0, plate.stress], plate.cycles)
        series = Series(
            **self.key(t_ns - round(plate.every_s * _SECOND_NS)),
            quantity="stress",
            rate_hz=len(tension) / plate.every_s,
            tension=tension.astype("<f8").tobytes(),
            shear=(ratio * tension).astype("<f8").tobytes(),
        )
        return load_message(series, unit="MPa", form=form, topics=topics)
