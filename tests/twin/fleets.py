"""Small fleets and lines for tests of the hall."""

from __future__ import annotations

from typing import Any

import numpy as np

from sensors.observation import Inspection, Series, Spectrum
from twin.belief.fleet import EMPTY, Clock, Fleet
from twin.belief.fold import folded
from twin.belief.segments import Line
from twin.component import Component, Registration, parsed

SECOND = 10**9
T0 = 1_700_000_000 * SECOND
CLOCK = Clock(record_every_ns=60 * SECOND, lateness_ns=5 * SECOND)
PARIS = {"kind": "paris", "C": 9.7e-30, "m": 3.0}


def registration(**changes: Any) -> Registration:
    values: dict[str, Any] = {
        "law": PARIS,
        "geometry": {"kind": "edge_crack", "W": 0.02},
        "crack_length": 0.001,
        "crack_limit": 0.01,
        "surprise_factor": None,  # inspections jump at will; see `test_fold_surprise`
    }
    return parsed(values | changes)


def component(name: str = "plant/press-1", revision: int = 1, **changes: Any) -> Component:
    return Component(
        name=name, revision=revision, registered_by="api", registration=registration(**changes)
    )


def fleet(*components: Component) -> Fleet:
    return folded(EMPTY, [Line(c.name, c) for c in components], CLOCK).fleet


def spectrum(
    seq: int, at_s: float = 0.0, name: str = "plant/press-1", cycles: Any = ((1e8, 6e7, 100.0),)
) -> Line:
    return Line(
        name,
        Spectrum(
            component=name,
            source="daq",
            boot=1,
            seq=seq,
            t_ns=T0 + round(at_s * SECOND),
            quantity="stress",
            cycles=np.array(cycles, float).tobytes(),
        ),
    )


def series(
    seq: int,
    samples: Any,
    at_s: float = 0.0,
    name: str = "plant/press-1",
    rate_hz: float = 100.0,
    **changes: Any,
) -> Line:
    fields: dict[str, Any] = {
        "component": name,
        "source": "daq",
        "boot": 1,
        "seq": seq,
        "t_ns": T0 + round(at_s * SECOND),
        "quantity": "stress",
        "rate_hz": rate_hz,
        "tension": np.asarray(samples, float).tobytes(),
    }
    return Line(name, Series(**(fields | changes)))


def inspection(
    seq: int, length: float, at_s: float = 0.0, name: str = "plant/press-1", source: str = "ndt"
) -> Line:
    return Line(
        name,
        Inspection(
            component=name,
            source=source,
            boot=1,
            seq=seq,
            t_ns=T0 + round(at_s * SECOND),
            crack_length=length,
            crack_length_sd=1e-5,
            method="ultrasonic",
        ),
    )
