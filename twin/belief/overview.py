"""Every component's readings side by side, for lists and metrics."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensors.watch import ChannelStatus, channel_status, watch
from twin.belief.cohort import Beliefs, Cohort
from twin.belief.fleet import EMPTY, Fleet
from twin.belief.seating import Place
from twin.belief.status import STATUSES, ManyStatusInputs, statuses
from twin.component import Component

_NOTHING = Beliefs(
    *(
        np.empty(0, np.bool_ if name == "fractured" else np.int64 if name[:2] == "t_" else float)
        for name in Beliefs._fields
    )
)


class Roll(NamedTuple):
    """Who is where; holds until somebody is registered, changed or retired."""

    places: Mapping[str, Place]  # of the fleet that it was made of
    names: tuple[str, ...]  # sorted
    at: NDArray[np.int64]  # (n,) row in the cohorts laid end to end
    revision: NDArray[np.int64]  # (n,)
    stale_after_ns: NDArray[np.int64]  # (n,)
    registered_ns: NDArray[np.int64]  # (n,) since when it is watched
    life_alert: NDArray[np.float64]  # (n,) cycles, NaN: none
    retired: NDArray[np.bool_]  # (n,)


class Overview(NamedTuple):
    """All components in the order of their names; arrays (n,)."""

    roll: Roll
    readings: Beliefs
    channels: ChannelStatus
    crack_limit: NDArray[np.float64]  # [m]
    remaining: NDArray[np.float64]  # [1], NaN: unknown, ∞: no growth
    outlook: NDArray[np.float64]  # (n, 3) quantiles of that, see `Kind.outlook`
    flags: NDArray[np.bool_]  # (n, FLAGS); none of what is retired

    def statuses(self, now_ns: int) -> NDArray[np.int64]:
        """The place in `STATUSES` of every component's status."""
        return statuses(
            ManyStatusInputs(
                retired=self.roll.retired,
                fractured=self.readings.fractured,
                at_limit=self.readings.crack_length >= self.crack_limit,
                t_ns=self.readings.t_ns,
                stale_after_ns=self.roll.stale_after_ns,
            ),
            now_ns,
        )

    @property
    def at_limit(self) -> NDArray[np.bool_]:
        """Whose status is `limit` or `fractured`, at whatever time."""
        return np.isin(self.statuses(0), [STATUSES.index("limit"), STATUSES.index("fractured")])

    def of_site(self, site: str) -> range:
        """The rows of a site's components."""
        names = self.roll.names
        return range(bisect_left(names, f"{site}/"), bisect_left(names, f"{site}0"))  # "0" is "/"+1

    def after(self, name: str) -> int:
        """The row of the first component behind a name."""
        return bisect_right(self.roll.names, name)

    def at(self, name: str) -> int:
        """The row of the first component that is not before a name."""
        return bisect_left(self.roll.names, name)


class Views:
    """Readings of cohorts and overviews of fleets, each made once for a value."""

    def __init__(self) -> None:
        self._readings: dict[str, tuple[Cohort, Beliefs]] = {}
        self._roll = _roll(EMPTY)
        self._overview: tuple[Fleet, Overview] | None = None

    def readings(self, fleet: Fleet, key: str) -> Beliefs:
        """What can be read of a cohort."""
        cohort = fleet.cohorts[key]
        kept = self._readings.get(key)
        if kept is not None and kept[0] is cohort:
            return kept[1]
        made = cohort.view()
        self._readings[key] = (cohort, made)
        return made

    def overview(self, fleet: Fleet) -> Overview:
        """What can be read of all components."""
        kept = self._overview
        if kept is not None and kept[0] is fleet:
            return kept[1]
        roll, cohorts = self._current_roll(fleet), list(fleet.cohorts.values())
        channels = _standing([cohort.watched.whole.numpy() for cohort in cohorts], roll.at)
        made = Overview(
            roll,
            _joined([self.readings(fleet, key) for key in fleet.cohorts], roll.at),
            channels,
            _taken([cohort.state.a_limit.numpy() for cohort in cohorts], roll.at),
            _taken([cohort.remaining.numpy() for cohort in cohorts], roll.at),
            _taken([cohort.outlook() for cohort in cohorts], roll.at),
            _flags(fleet, roll, channels.doubtful),
        )
        self._overview = (fleet, made)
        return made

    def _current_roll(self, fleet: Fleet) -> Roll:
        roll = self._roll
        if roll.places is not fleet.places:
            roll = self._roll = _roll(fleet)
            kept = list(self._readings.items())  # at once: others ask meanwhile, in other threads
            self._readings = {k: v for k, v in kept if k in fleet.cohorts}
        return roll


def _roll(fleet: Fleet) -> Roll:
    names = tuple(sorted(fleet.components))
    first, starts = 0, {}
    for key, cohort in fleet.cohorts.items():
        starts[key] = first
        first += len(cohort.members)
    places = [fleet.places[name] for name in names]
    components = [fleet.components[name] for name in names]
    stale = [round(c.registration.stale_after_s * 1e9) for c in components]
    return Roll(
        places=fleet.places,
        names=names,
        at=np.array([starts[place.cohort] + place.row for place in places], np.int64),
        revision=np.array([c.revision for c in components], np.int64),
        stale_after_ns=np.array(stale, np.int64),
        registered_ns=np.array([c.registered_ns for c in components], np.int64),
        life_alert=np.array([_life_alert(c) for c in components], np.float64),
        retired=np.array([c.retired for c in components], np.bool_),
    )


def _flags(fleet: Fleet, roll: Roll, doubtful: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Held, doubtful, behind, in the order of `status.FLAGS`."""
    flags = np.stack([_of(fleet.held, roll), doubtful, _of(fleet.behind, roll)], axis=1)
    return flags & ~roll.retired[:, None]


def _of(names: Iterable[str], roll: Roll) -> NDArray[np.bool_]:
    """The rows of registered components."""
    found = np.zeros(len(roll.names), np.bool_)
    found[[bisect_left(roll.names, name) for name in names]] = True
    return found


def _life_alert(component: Component) -> float:
    return component.registration.crack.life_alert_cycles or math.nan


def _joined(parts: list[Beliefs], at: NDArray[np.int64]) -> Beliefs:
    if not parts:
        return _NOTHING
    return Beliefs(*(_taken(list(column), at) for column in zip(*parts, strict=True)))


def _standing(parts: list[NDArray[np.int64]], at: NDArray[np.int64]) -> ChannelStatus:
    return channel_status(_taken(parts, at) if parts else watch(0).whole)


def _taken(parts: list[NDArray[Any]], at: NDArray[np.int64]) -> NDArray[Any]:
    return np.concatenate(parts)[at] if parts else np.empty(0)
