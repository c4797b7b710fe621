"""Which states changed enough to tell."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from twin.component import Component
from twin.fleet import Fleet
from twin.fold import Line, Note

RESOLUTION = 1e-5  # smallest change of the crack length that is told [m]


class Told:
    """The crack lengths that were told last, and what is new beyond the resolution."""

    def __init__(self) -> None:
        self._lengths: dict[str, float] = {}

    def states(self, fleet: Fleet, lines: Sequence[Line]) -> Iterator[Note]:
        """A note for each component of `lines` whose length has moved by the resolution."""
        return self.of(fleet, {n.component for n in lines if not isinstance(n.what, Component)})

    def of(self, fleet: Fleet, names: Collection[str]) -> Iterator[Note]:
        """A note for each of these whose length has moved by the resolution."""
        views = {key: cohort.view() for key, cohort in fleet.cohorts.items()}
        for name in fleet.places.keys() & names:
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
