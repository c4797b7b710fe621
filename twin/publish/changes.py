"""Which states changed enough to tell, and which are not to be told any more."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np
import structlog
from numpy.typing import NDArray

from twin.belief.cohort import TROUBLE, Beliefs, out_of_memory
from twin.belief.events import Value
from twin.belief.fleet import Fleet
from twin.belief.life import reason, remaining, spread
from twin.belief.segments import Line, Note
from twin.belief.status import Status, StatusInputs, status
from twin.belief.validity import outside, strayed
from twin.component import Component

RESOLUTION = 1e-5  # smallest change of the crack length that is told [m]
LIFE_RESOLUTION = 0.05  # and of the remaining life, as a share of it

log = structlog.get_logger()


class Sign(NamedTuple):
    """What was told of a component's state last."""

    length: float  # [m]
    life: float  # [cycles]
    status: Status
    signs: StatusInputs  # that it followed from


class StateChanges:
    """What was told last, and what is new beyond the resolutions: length, status or life.

    The page that is told has the fields of the state over HTTP, and says the same. What is new
    within the resolutions, cycles most of all, is no news; `refreshed` gives it for what is
    retained. Of a retired component the note is `retired`: what was retained of it is to be taken
    back.
    """

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self._signs: dict[str, Sign] = {}
        self._outside: dict[str, tuple[int, bool, bool]] = {}  # revision, and how
        self._stirred: dict[str, None] = {}  # who moved within the resolutions, the first first

    def states(self, fleet: Fleet, lines: Sequence[Line]) -> Iterator[Note]:
        """A note for each component of `lines` that is new, has moved, or was retired."""
        changed = {line.component for line in lines if isinstance(line.what, Component)}
        for name in changed:
            if _is_retired(fleet, name):
                self._signs.pop(name, None)
                self._stirred.pop(name, None)
                yield Note("retired", name, 0, {})
        observed = {n.component for n in lines if not isinstance(n.what, Component)}
        yield from self.of(fleet, observed | changed)

    def of(self, fleet: Fleet, names: Collection[str]) -> Iterator[Note]:
        """A note for each of these whose state has moved by a resolution."""
        yield from _each(partial(self._moved, fleet), names)
        yield from _each(partial(self._beyond, fleet), names & fleet.places.keys())

    def at_start(self, fleet: Fleet) -> Iterator[Note]:
        """The states of all: what was retained of them may be of before."""
        yield from _each(partial(self._moved, fleet), fleet.places.keys())

    def refreshed(self, fleet: Fleet, most: int) -> list[Note]:
        """The states of those that moved within the resolutions, so many; they stay no news.

        Nobody may fold meanwhile.
        """
        names = list(islice(self._stirred, most))
        for name in names:
            del self._stirred[name]
        return _each(lambda some: self._pages(fleet, self._present(fleet, some)), names)

    def grown_stale(self, fleet: Fleet) -> Iterator[Note]:
        """A note for each component whose status has changed by the clock alone."""
        now_ns = self._clock()
        known = list(self._signs.items())  # whoever steps may tell meanwhile
        changed = {name for name, sign in known if status(sign.signs, now_ns) != sign.status}
        if changed:
            yield from _each(partial(self._moved, fleet), changed)

    def _moved(self, fleet: Fleet, names: Collection[str]) -> Iterator[Note]:
        moved = dict[str, Sign]()
        for name, now in self._present(fleet, names).items():
            before = self._signs.get(name)
            if before is None or _differ(before, now):
                self._signs[name] = moved[name] = now
                self._stirred.pop(name, None)
            else:
                self._signs[name] = before._replace(signs=now.signs)
                self._stirred[name] = None
        yield from self._pages(fleet, moved)

    def _present(self, fleet: Fleet, names: Collection[str]) -> dict[str, Sign]:
        """How those of `names` are that are not retired: they were on their way already."""
        views = {key: cohort.view() for key, cohort in fleet.cohorts.items()}
        lives = {key: cohort.remaining.numpy() for key, cohort in fleet.cohorts.items()}
        now_ns, present = self._clock(), dict[str, Sign]()
        for name in names:
            if name in fleet.places and not _is_retired(fleet, name):
                key, row = fleet.places[name]
                signed = _sign(fleet.components[name], views[key], lives[key], row, now_ns)
                present[name] = signed
        return present

    def _pages(self, fleet: Fleet, signs: Mapping[str, Sign]) -> Iterator[Note]:
        views = {key: cohort.view() for key, cohort in fleet.cohorts.items()}
        beyond = strayed(fleet, signs)
        for name, sign in signs.items():
            view = views[fleet.places[name].cohort]
            yield _note(fleet, name, view, sign, is_outside=name in beyond)

    def _beyond(self, fleet: Fleet, names: Iterable[str]) -> Iterator[Note]:
        """A note for each component that has left what its law or geometry is for, told once.

        And once more after a restart, or a change of the registration.
        """
        for name, how in strayed(fleet, names).items():
            component, place = fleet.components[name], fleet.places[name]
            now = (component.revision, *how)
            if self._outside.get(name) == now:
                continue
            self._outside[name] = now
            state = fleet.cohorts[place.cohort].state
            what = "; ".join(outside(component, state, place.row))
            yield Note("outside", name, int(state.t_ns[place.row]), {"what": what})


def _each(told: Callable[[Collection[str]], Iterator[Note]], names: Collection[str]) -> list[Note]:
    """What is told of all of them, or, if that fails, of each of which it can be told."""
    try:
        return list(told(names))
    except TROUBLE as exc:
        if out_of_memory(exc):
            raise
        if len(names) == 1:
            log.error("state_not_told", component=next(iter(names)), reason=f"{exc!r}")
            return []
    return [note for name in names for note in _each(told, {name})]


def _sign(
    component: Component, view: Beliefs, lives: NDArray[np.float64], row: int, now_ns: int
) -> Sign:
    length = float(view.crack_length[row])
    signs = StatusInputs(
        retired=False,
        fractured=bool(view.fractured[row]),
        at_limit=length >= component.registration.crack.crack_limit,
        t_ns=int(view.t_ns[row]),
        stale_after_ns=round(component.registration.stale_after_s * 1e9),
    )
    return Sign(length, float(lives[row]), status(signs, now_ns), signs)


def _differ(before: Sign, now: Sign) -> bool:
    """Whether there is news, beyond the resolutions."""
    if before.status != now.status or abs(now.length - before.length) >= RESOLUTION:
        return True
    if not (math.isfinite(before.life) and math.isfinite(now.life)):
        return repr(before.life) != repr(now.life)  # NaN is not itself
    return abs(now.life - before.life) > LIFE_RESOLUTION * before.life


def _note(fleet: Fleet, name: str, view: Beliefs, now: Sign, *, is_outside: bool) -> Note:
    """The page of a state, in the names and the words of HTTP."""
    place = fleet.places[name]
    cohort, i = fleet.cohorts[place.cohort], place.row
    data: dict[str, Value] = {
        "crack_length": now.length,
        "growth_rate": float(view.growth_rate[i]),
        "cycles": float(view.cycles[i]),
        "crack_length_sd": float(view.crack_length_sd[i]),
        "uncertainty": spread(cohort, i),
        "crack_limit": fleet.components[name].registration.crack.crack_limit,
        "open_growth": float(view.open_growth[i]),
        "status": now.status,
        "fractured": now.signs.fractured,
        **remaining(now.life),
        "reason": reason(cohort, i, at_limit=now.signs.fractured or now.signs.at_limit),
        "outside": outside(fleet.components[name], cohort.state, i) if is_outside else [],
    }
    return Note("state", name, now.signs.t_ns, data)


def _is_retired(fleet: Fleet, name: str) -> bool:
    return name in fleet.components and fleet.components[name].retired
