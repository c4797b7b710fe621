"""Which states changed enough to tell, and which are not to be told any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from twin.component import Component
from twin.fleet import Fleet
from twin.fold import Line, Note
from twin.outside import outside, strayed

RESOLUTION = 1e-5  # smallest change of the crack length that is told [m]


class Told:
    """The crack lengths that were told last, and what is new beyond the resolution.

    Of a retired component the note is `retired`: what was retained of it is to be taken back.
    """

    def __init__(self) -> None:
        self._lengths: dict[str, float] = {}
        self._outside: dict[str, tuple[int, bool, bool]] = {}  # revision, and how

    def states(self, fleet: Fleet, lines: Sequence[Line]) -> Iterator[Note]:
        """A note for each component of `lines` whose length has moved, or that was retired."""
        changed = {line.component for line in lines if isinstance(line.what, Component)}
        for name in changed:
            if _is_retired(fleet, name):
                self._lengths.pop(name, None)
                yield Note("retired", name, 0, {})
        observed = {n.component for n in lines if not isinstance(n.what, Component)}
        yield from self.of(fleet, observed | (changed & self._lengths.keys()))

    def of(self, fleet: Fleet, names: Collection[str]) -> Iterator[Note]:
        """A note for each of these whose length has moved by the resolution."""
        views = {key: cohort.view() for key, cohort in fleet.cohorts.items()}
        for name in fleet.places.keys() & names:
            if _is_retired(fleet, name):
                continue  # it was on its way already
            place = fleet.places[name]
            view, row = views[place.cohort], place.row
            length = float(view.crack_length[row])
            if abs(length - self._lengths.get(name, -1.0)) < RESOLUTION:
                continue
            self._lengths[name] = length
            data: dict[str, float | str | int] = {
                "crack_length": length,
                "growth_rate": float(view.growth_rate[row]),
                "cycles": float(view.cycles[row]),
            }
            yield Note("state", name, int(view.t_ns[row]), data)
        yield from self._beyond(fleet, names & fleet.places.keys())

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


def _is_retired(fleet: Fleet, name: str) -> bool:
    return name in fleet.components and fleet.components[name].retired
