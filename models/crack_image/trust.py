"""When a measurement of a crack is believed, and how wrong it may be then."""

from __future__ import annotations

import math
import operator
from typing import NamedTuple

from models.crack_image.trace import Trace


class Doubts(NamedTuple):
    """What speaks against a measurement; each is zero where nothing does."""

    unseen: float  # what the mean chance along the path lacks to one [1]
    gaps: float  # share of the path that is bridged [1]
    rival: float  # weight of the next other crack, over its own [1]
    swaying: float  # how its length changes with what counts as crack for certain, over it [1]
    fading: float  # what the mean chance near its fainter end lacks to one [1]


class Trust(NamedTuple):
    """What is needed to believe a measurement, and how wrong it may be; set on made-up scenes.

    The odds that a measurement is right are exp(`odds` − the first three of the doubts about it,
    each times its weight).
    """

    chance: float = 0.5  # least chance of being right
    shortest: float = 16.0  # length [pixel]
    relative: float = 0.25  # largest standard deviation of the length, over the length
    odds: float = 4.0
    unseen: float = 8.0
    gaps: float = 8.0
    rival: float = 4.0
    length_floor: float = 3.0  # of the standard deviation of the length [pixel]
    length_share: float = 0.04  # of the length
    length_unseen: float = 1.0  # times the doubt, times the length; the next three too
    length_gaps: float = 0.5
    length_rival: float = 0.5
    length_swaying: float = 1.0
    length_fading: float = 0.0
    tip: float = 3.0  # standard deviation of an end [pixel]
    tip_fading: float = 0.0  # times the doubt [pixel]
    tip_share: float = 0.0  # of the standard deviation of the length


TRUST = Trust()
ODDS, LENGTH, TIP = (Trust._fields.index(name) for name in ("odds", "length_floor", "tip"))


def doubts(found: Trace, spread: float) -> Doubts:
    """What speaks against a trace whose length varies by `spread` (standard deviation, [pixel])."""
    length = max(found.length, 1e-9)
    return Doubts(
        unseen=1.0 - found.support,
        gaps=found.bridged,
        rival=found.rival,
        swaying=spread / length,
        fading=1.0 - found.ends,
    )


def chance_right(trust: Trust, against: Doubts) -> float:
    """The chance that a measurement is right."""
    weights = trust.unseen, trust.gaps, trust.rival
    odds = trust.odds - sum(map(operator.mul, weights, against))
    return 1.0 / (1.0 + math.exp(-max(odds, -30.0)))


def length_parts(against: Doubts, length: float) -> tuple[float, ...]:
    """What the standard deviation of a length is made of, in the order of `Trust` [1, pixel].

    What is seen beside it, or missing within it, may as well belong to it, or not.
    """
    return (1.0, length, *(doubt * length for doubt in against))


def tip_parts(against: Doubts, length_sd: float) -> tuple[float, float, float]:
    """What the standard deviation of an end is made of, in the order of `Trust` [1, pixel]."""
    return 1.0, against.fading, length_sd


def length_sd(trust: Trust, against: Doubts, length: float) -> float:
    """The standard deviation of a length [pixel]."""
    parts = length_parts(against, length)
    return math.hypot(*map(operator.mul, trust[LENGTH : LENGTH + len(parts)], parts))


def tip_sd(trust: Trust, against: Doubts, length_sd: float) -> float:
    """The standard deviation of each coordinate of an end [pixel]."""
    parts = tip_parts(against, length_sd)
    return math.hypot(*map(operator.mul, trust[TIP : TIP + len(parts)], parts))
