"""Whether what was measured over time stays level: slopes that outliers do not move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

LEAST = 3  # values that tell a slope


class Bound(NamedTuple):
    """How much something may grow over the second half of a run."""

    absolute: float  # in its own unit
    share: float = 0.0  # of its median; the larger of both holds

    def most(self, values: Sequence[float]) -> float:
        """The bound for these values."""
        return max(self.absolute, self.share * float(np.median(values)))


class Trend(NamedTuple):
    """How something went over the second half."""

    name: str
    median: float
    grown: float  # by its slope, over that half
    most: float

    @property
    def holds(self) -> bool:
        """Whether it is level."""
        return self.grown <= self.most


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """The median of the slopes between all pairs (Theil and Sen): 29 % of outliers move it little.

    P. K. Sen, J. Am. Stat. Assoc. 63 (1968) 1379, doi:10.1080/01621459.1968.10480934.
    """
    pairs = combinations(zip(times, values, strict=True), 2)
    return float(np.median([(v - u) / (t - s) for (s, u), (t, v) in pairs]))


def trends(
    times: Sequence[float], columns: Mapping[str, Sequence[float]], bounds: Mapping[str, Bound]
) -> list[Trend]:
    """The trend of each column that has a bound and three values in the second half at least.

    NaN, where nothing was measured, is left out.
    """
    middle = (times[0] + times[-1]) / 2.0
    found = []
    for name, bound in bounds.items():
        pairs = zip(times, columns[name], strict=True)
        half = [(t, v) for t, v in pairs if t >= middle and not np.isnan(v)]
        if len(half) < LEAST:
            continue
        own, values = zip(*half, strict=True)
        grown = slope(own, values) * (own[-1] - own[0])
        found.append(Trend(name, float(np.median(values)), grown, bound.most(values)))
    return found
