"""Samples judged one after the other, one watch per component: which of them count.

Every sample is worked off as if it were the last, and all that is remembered is in `Watch`: how a
series is cut into messages changes no bit of what counts.

- A null code, a stress or strain out of reach, a sample at a registered rail: set aside on sight.
  A code that a part can bear is none where the signal comes to it by a step as it makes anyway.
- A lone spike: a sample that jumps by `FAR` times the largest step of late (which fades over
  `MEMORY` samples), and by `Gauge.spike`, and comes back at once. It is held until the next sample
  shows that it came back, and for `PAIR` more: a second one in that time is no accident, and both
  count, in their order. So do those that crowd: an undersampled load looks like that.
- Equal samples at an extreme, to which the signal came by a step: clipped, perhaps. Told, counted;
  it stands until the signal goes beyond, whatever gaps there are.
- Equal samples for long: stuck, until it moves. Told, counted; they are no cycles.

What is in doubt counts: an overload is no spike, and the first `GRACE` samples have no scale.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from sensors.quality import (
    ASIDE,
    CLIPPING,
    NUMBERS,
    REASONS,
    STUCK,
    BoundsTable,
    GaugeBounds,
    bounds_table,
)
from sensors.watch_kernel import (
    COUNTS,
    DOUBT,
    FOUND,
    HOLDS,
    IS_CUT_HIGH,
    IS_CUT_LOW,
    IS_STUCK,
    REALS,
    RUN,
    RUN_NS,
    SINCE,
    Bools,
    Floats,
    Ints,
    watch_all,
)


class Watch(NamedTuple):
    """What is remembered of each component's channel; moved on in place."""

    real: Floats  # (n, REALS)
    whole: Ints  # (n, COUNTS)


class Samples(NamedTuple):
    """Series of several components, one after the other; row i is offset[i]:offset[i+1]."""

    raw: Floats  # (k,) tension as it comes [Pa] or [m/m]
    raw_shear: Floats  # (k,)
    stress: Floats  # (k,) after calibration [Pa]
    shear: Floats  # (k,) [Pa]
    offset: Ints  # (m+1,)
    row: Ints  # (m,) of the watch
    continues: Bools  # (m,) False: the series starts after a gap
    rate_hz: Floats  # (m,)


class Accepted(NamedTuple):
    """What counts, and what was found."""

    stress: Floats  # (k',) [Pa]
    shear: Floats  # (k',) [Pa]
    offset: Ints  # (m+1,)
    found: Ints  # (m, reasons) how many samples, or how often
    example: Floats  # (m, reasons) one of them as it came; a spike after calibration [Pa]


def watch(n: int) -> Watch:
    """Watches of `n` components that have seen nothing."""
    return Watch(np.zeros((n, REALS)), np.zeros((n, COUNTS), np.int64))


def accepted(state: Watch, samples: Samples, bounds: BoundsTable) -> Accepted:
    """What of `samples` counts, by the bounds of each of the m rows; moves `state` on in place."""
    m, k = len(samples.row), len(samples.raw)
    out = np.empty((2, 2 * k + 3 * m))  # touched as it fills
    ends = np.zeros(m + 1, np.int64)
    found, example = np.zeros((m, len(REASONS)), np.int64), np.zeros((m, len(REASONS)))
    watch_all(*state, *samples, *bounds, out, ends, found, example)
    stress, shear = out[:, : ends[-1]]
    return Accepted(stress, shear, ends, found, example)


class ChannelStatus(NamedTuple):
    """How n channels stand: what every page, metric and list says of them."""

    counts: Ints  # (n, reasons) samples and rows set aside so far; times, if told alone
    waiting: Ints  # (n,) samples that only the next ones will tell from a spike
    clipped: Bools  # (n,) until the signal goes beyond
    stuck: Bools  # (n,) until it moves
    doubtful: Bools  # (n,) one of the two, or something was doubtful of the last load

    @property
    def set_aside(self) -> Ints:
        """How many samples and rows were set aside so far (n,)."""
        aside: Ints = self.counts[:, : len(ASIDE)].sum(axis=1)
        return aside

    def at(self, index: Ints) -> ChannelStatus:
        """Some of the channels."""
        counts, waiting, *flags = self
        clipped, stuck, doubtful = (column[index] for column in flags)
        return ChannelStatus(counts[index], waiting[index], clipped, stuck, doubtful)

    def pages(self) -> list[dict[str, Any]]:
        """What is told of each: `reasons` of all that was set aside, and of what the channel is."""
        why = self.counts > 0
        why[:, CLIPPING], why[:, STUCK] = self.clipped, self.stuck
        columns = (why, self.set_aside, self.counts, self.waiting)
        flags = (self.doubtful, self.clipped, self.stuck)
        return [
            {
                "doubtful": doubtful,
                "reasons": [reason for reason, holds in zip(REASONS, why, strict=True) if holds],
                "set_aside": set_aside,
                "counts": dict(zip(REASONS, counts, strict=True)),
                "waiting": waiting,
                "clipped": clipped,
                "stuck": stuck,
            }
            for why, set_aside, counts, waiting, doubtful, clipped, stuck in zip(
                *(column.tolist() for column in (*columns, *flags)), strict=True
            )
        ]


def channel_status(whole: Ints) -> ChannelStatus:
    """How channels stand, by `Watch.whole`."""
    clipped = (whole[:, IS_CUT_HIGH] > 0) | (whole[:, IS_CUT_LOW] > 0)
    stuck = whole[:, IS_STUCK] > 0
    return ChannelStatus(
        counts=whole[:, FOUND:],
        waiting=whole[:, HOLDS] + (whole[:, SINCE] > 0),
        clipped=clipped,
        stuck=stuck,
        doubtful=clipped | stuck | (whole[:, DOUBT] > 0),
    )


def doubted(state: Watch, row: Ints, of: Ints, reason: Ints) -> None:
    """Remember what is doubtful of m loads without samples, on the watches `row` (m,).

    Those on one watch follow each other, in their order. Of the load `of` (k,) a row of its
    spectrum is set aside for the `reason` (k,).
    """
    doubt: Ints = state.whole[:, DOUBT]  # a view, as those below
    doubt[row] = 0
    is_last = np.append(np.diff(row) != 0, True)[of]
    np.bitwise_or.at(doubt, row[of[is_last]], 1 << reason[is_last])
    for k in range(len(REASONS)):
        found: Ints = state.whole[:, FOUND + k]
        np.add.at(found, row[of[reason == k]], 1)


def anew(whole: Ints) -> Ints:
    """Watches of channels that were mended, or are judged otherwise from now on, copied."""
    fresh: Ints = whole.copy()
    fresh[:, [DOUBT, IS_STUCK, IS_CUT_HIGH, IS_CUT_LOW, RUN, RUN_NS]] = 0
    return fresh


def warm() -> None:
    """Compile, or load what was compiled before, so that the first message does not wait."""
    one, two = np.zeros(1), np.array([0, 1])
    series = Samples(one, one, one, one, two, two[:1], np.array([False]), one + 1.0)
    accepted(watch(1), series, bounds_table([GaugeBounds((math.inf,) * NUMBERS, ())]))
