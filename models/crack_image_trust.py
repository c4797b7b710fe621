"""When a reading of a crack is believed, and how wrong it is then."""

from __future__ import annotations

from typing import NamedTuple


class Trust(NamedTuple):
    """What is needed to believe a reading, and how wrong it may be; set on pictures held out."""

    support: float = 0.6  # least mean chance along the path
    bridged: float = 0.3  # largest share of gaps
    rival: float = 0.75  # largest extent of another crack, over the main one's
    shortest: float = 16.0  # length [pixel]
    relative: float = 0.25  # largest standard deviation of the length, over the length
    length_floor: float = 3.0  # of the standard deviation of the length [pixel]
    length_share: float = 0.04  # of the length
    spread: float = 1.0  # times the spread over TRIALS
    unseen: float = 1.0  # times the length that is not certain: gaps, other cracks, lack of support
    tip: float = 3.0  # standard deviation of an end [pixel]


TRUST = Trust()
