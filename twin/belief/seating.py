"""Which row of which cohort is whose, as registrations come and change.

Rows are a function of the registrations in their order, and do not hang on how these are cut into
batches. A newcomer takes the lowest row that is free, else a new one; what changes keeps its row,
unless its layout is another one now. Where more rows are free than taken, those taken close up:
what changes for ever takes no more room than what stands still.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from pydantic import BaseModel

from twin.belief.cohort import Cohort, changed, manner, newcomers, seated
from twin.component import Component
from twin.kinds.catalogue import AnyStepper, kind_of
from twin.kinds.crack_fields import GROUP
from twin.kinds.kind import Manner

FREE = 64  # rows that may be free in any cohort


class Place(NamedTuple):
    """Where a component's row is."""

    cohort: str
    row: int


class CohortRows:
    """The rows of one cohort in numbers, while registrations are worked through."""

    def __init__(self, members: Sequence[str] = ()) -> None:
        self.members = list(members)
        # what each row will hold: what row i held before, or, as −1 − i, the new content i
        self.origin = list(range(len(members)))
        self._free = [row for row, name in enumerate(members) if not name]  # a heap

    def seat(self, name: str, content: int) -> int:
        """The row that a newcomer gets."""
        if not self._free:
            self.members.append(name)
            self.origin.append(-1 - content)
            return len(self.members) - 1
        row = heappop(self._free)
        self.members[row], self.origin[row] = name, -1 - content
        return row

    def leave(self, row: int) -> bool:
        """Free a row; whether others have moved for it."""
        self.members[row] = ""
        heappush(self._free, row)
        taken = len(self.members) - len(self._free)
        if taken and len(self._free) <= max(FREE, taken):
            return False
        kept = [i for i, name in enumerate(self.members) if name]
        self.members = [self.members[i] for i in kept]
        self.origin = [self.origin[i] for i in kept]
        self._free = []
        return True


class _Newcomer(NamedTuple):
    """What a row will hold."""

    component: Component
    key: str  # of its cohort
    stepper: AnyStepper
    before: Component | None = None  # as it was registered until now
    place: Place = Place("", -1)  # and what its row was, in the cohorts as they are


def _stepped_by(settings: BaseModel) -> tuple[str, AnyStepper]:
    """The cohort that a belief belongs to, and a stepper of its own."""
    kind = kind_of(settings)
    stepper = kind.stepper(settings)
    return kind.key(stepper), stepper


class Seating:
    """Cohorts and places of one group, and the registrations that have been taken in."""

    def __init__(
        self, cohorts: Mapping[str, Cohort], places: Mapping[str, Place], group: str = GROUP
    ) -> None:
        self._cohorts, self._places, self._group = dict(cohorts), dict(places), group
        self._begin()

    def _begin(self) -> None:
        self._keys = dict.fromkeys(self._cohorts)  # in the order that the cohorts will have
        self._rows: dict[str, CohortRows] = {}  # of cohorts that change
        self._new: list[_Newcomer] = []
        self._names: set[str] = set()  # of the newcomers

    def join(self, component: Component) -> None:
        """Take in a component that was not registered before, if it has such a belief."""
        settings = component.registration.part(self._group)
        if settings is not None:
            self._seat(_Newcomer(component, *_stepped_by(settings)))

    def change(self, before: Component, after: Component) -> None:
        """Take in a registration that differs."""
        if after.name in self._names:  # what becomes of it hangs on what it is by then
            self._settle()
        settings = after.registration.part(self._group)
        if after.name not in self._places:
            self.join(after)
        elif settings is None:
            place = self._places.pop(after.name)
            self._left(place.cohort, place.row)
        else:
            self._change(before, after, settings)

    def _change(self, before: Component, after: Component, settings: BaseModel) -> None:
        (key, stepper), place = _stepped_by(settings), self._places[after.name]
        rows = self._rows_of(place.cohort)
        old = Place(place.cohort, rows.origin[place.row])
        newcomer = _Newcomer(after, key, stepper, before, old)
        if key == place.cohort:
            rows.origin[place.row] = -1 - self._number(newcomer)
            return
        self._left(place.cohort, place.row)
        self._seat(newcomer)

    def _left(self, key: str, row: int) -> None:
        rows = self._rows_of(key)
        if rows.leave(row):
            self._moved(key, rows)

    def settled(self) -> tuple[dict[str, Cohort], dict[str, Place]]:
        """Cohorts and places after all that was taken in; raises ValueError for what is no part."""
        self._settle()
        return self._cohorts, self._places

    def _seat(self, newcomer: _Newcomer) -> None:
        key, name = newcomer.key, newcomer.component.name
        self._keys.setdefault(key)
        row = self._rows_of(key).seat(name, self._number(newcomer))
        self._places[name] = Place(key, row)

    def _number(self, newcomer: _Newcomer) -> int:
        self._names.add(newcomer.component.name)
        self._new.append(newcomer)
        return len(self._new) - 1

    def _rows_of(self, key: str) -> CohortRows:
        if key not in self._rows:
            known = self._cohorts.get(key)
            self._rows[key] = CohortRows() if known is None else CohortRows(known.members)
        return self._rows[key]

    def _moved(self, key: str, rows: CohortRows) -> None:
        self._places.update({name: Place(key, row) for row, name in enumerate(rows.members)})
        if not rows.members:
            del self._keys[key]

    def _settle(self) -> None:
        contents, at = self._contents()
        cohorts: dict[str, Cohort] = {}
        for key in self._keys:
            rows, cohort = self._rows.get(key), self._cohorts.get(key)
            if rows is None:
                cohorts[key] = self._cohorts[key]
                continue
            parts = [part for part in (cohort, *contents.get(key, ())) if part is not None]
            first = 0 if cohort is None else len(cohort.members)
            origin = [i if i >= 0 else first + at[-1 - i] for i in rows.origin]
            cohorts[key] = seated(parts, origin, rows.members)
        self._cohorts = cohorts
        self._begin()

    def _contents(self) -> tuple[dict[str, list[Cohort]], list[int]]:
        """What new rows hold, by the cohort that they go to, and which of those rows each is."""
        groups: dict[tuple[str, str, Manner | None], list[int]] = {}
        for i, n in enumerate(self._new):
            how = None if n.before is None else manner(n.before, n.component, self._group)
            groups.setdefault((n.key, n.place.cohort, how), []).append(i)
        contents, at, sizes = dict[str, list[Cohort]](), [0] * len(self._new), Counter[str]()
        for (key, old, how), numbers in groups.items():
            group = [self._new[i] for i in numbers]
            fresh = newcomers([n.component for n in group], self._group, [n.stepper for n in group])
            if old:  # they were registered before
                fresh = changed(self._cohorts[old], [n.place.row for n in group], fresh, how)
            contents.setdefault(key, []).append(fresh)
            for i in numbers:
                at[i] = sizes[key]
                sizes[key] += 1
        return contents, at
