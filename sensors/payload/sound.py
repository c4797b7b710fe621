"""Whether an observation can be placed in time and taken apart at all.

The codecs refuse at the door what cannot. A journal may hold it all the same, from a release whose
door was wider: whoever folds asks here first, and leaves out exactly that line.
"""

from __future__ import annotations

from sensors.limits import LATEST_NS
from sensors.observation import AnyObservation, Series, Spectrum


def fault(o: AnyObservation) -> str:
    """Why no clock and no load can be made of an observation; empty for what is sound."""
    if not 0 <= o.t_ns < LATEST_NS:
        return f"t_ns {o.t_ns} is not between 1970 and 2200"
    if isinstance(o, Series):
        return _fault_of_series(o)
    if isinstance(o, Spectrum) and len(o.cycles) % 24:
        return f"cycles has {len(o.cycles)} bytes, which are no rows of three numbers"
    return ""


def _fault_of_series(o: Series) -> str:
    size, rate_hz = len(o.tension), o.rate_hz
    if not size or size % 8:
        return f"tension has {size} bytes, which are no samples"
    if o.shear and len(o.shear) != size:
        return f"shear has {len(o.shear)} bytes, tension {size}"
    if not rate_hz > 0.0:
        return f"rate_hz is {rate_hz}"
    if not ends_in_time(o.t_ns, size // 8, rate_hz):
        return f"rate_hz {rate_hz} lets its {size // 8} samples last beyond 2200"
    return ""


def ends_in_time(t_ns: int, samples: int, rate_hz: float) -> bool:
    """Whether samples from `t_ns` on are over before 2200; `rate_hz` is above 0."""
    return t_ns + samples / rate_hz * 1e9 < LATEST_NS
