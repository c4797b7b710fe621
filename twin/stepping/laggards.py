"""Components that take long to step: those of others do not wait for their lines.

Components do not know each other. So the lines of one can be folded by themselves, behind those of
all others, to the same bits: as a fleet of that component alone.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch

from models import tree
from sensors.observation import Series, Spectrum
from twin.belief.cohort import Cohort
from twin.belief.fleet import Fleet, Section, registered
from twin.belief.record import RecordRow
from twin.belief.seating import Place
from twin.belief.segments import Line, Segment
from twin.ingest.queue import size

LONG_S = 0.1  # of stepping: what takes longer has others overtake it
MOST = 8  # components that others overtake at once: the more are stepped together, the cheaper
TICK_S = 5e-3  # about what it takes to renew a remaining life
GO_S = 0.1  # of stepping that a laggard does before the next has its turn


@dataclass(slots=True)
class _Portion:
    """What a laggard has to go through for one portion of the journal."""

    segments: deque[Segment]
    lines: int
    bytes: int  # of samples and cycles, when it came
    end: int  # offset that the laggard has behind it
    since: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class Laggard:
    """One component, as far as its lines are folded, and the lines that wait."""

    name: str
    fleet: Fleet  # of this component alone
    offset: int  # of the journal, up to which it knows what happened
    _portions: deque[_Portion] = field(default_factory=deque)

    @property
    def lines(self) -> int:
        """Lines that wait."""
        return sum(portion.lines for portion in self._portions)

    @property
    def bytes(self) -> int:
        """Of samples and cycles that wait, at most."""
        return sum(portion.bytes for portion in self._portions)

    @property
    def waited_s(self) -> float:
        """How long the oldest of them has [s]."""
        return time.monotonic() - self._portions[0].since if self._portions else 0.0

    @property
    def is_done(self) -> bool:
        """Whether nothing waits."""
        return not self._portions

    def give(self, segments: Sequence[Segment], end: int) -> None:
        """Append its part (see `part`) of a portion of the journal that ends at an offset."""
        lines = [line for each in segments for line in each.lines]
        self._portions.append(_Portion(deque(segments), len(lines), sum(map(size, lines)), end))

    def next(self) -> list[Segment]:
        """What is to be folded in one go; `did` says that it is."""
        found: list[Segment] = []
        left_s = GO_S
        for segment in self._portions[0].segments:
            taken = 0
            while taken < len(segment.lines) and left_s > 0.0:
                left_s -= _effort(self.fleet, segment.lines[taken])
                taken += 1
            found.append(segment._replace(lines=segment.lines[:taken]))
            left_s -= 0.0 if segment.tick_ns is None else TICK_S
            if taken < len(segment.lines) or left_s <= 0.0:
                break
        return found

    def did(self, segments: Sequence[Segment], fleet: Fleet) -> None:
        """Take over what folding them gave."""
        self.fleet = fleet
        portion = self._portions[0]
        for segment in segments:
            first = portion.segments.popleft()
            if len(segment.lines) < len(first.lines):
                rest = first.lines[len(segment.lines) :]
                portion.segments.appendleft(Segment(None, (), rest))
            portion.lines -= len(segment.lines)
        if not portion.segments:
            self.offset = portion.end
            self._portions.popleft()


def chosen(fleet: Fleet, lines: Sequence[Line], known: Collection[str]) -> set[str]:
    """Whose `lines` are stepped apart: those of the laggards that are `known`, and what takes long.

    All in all so many that others are not kept waiting: those that take longest.
    """
    efforts: dict[str, float] = {}
    for line in lines:
        more = 0.0 if line.component in known else _effort(fleet, line)
        if more:
            efforts[line.component] = efforts.get(line.component, 0.0) + more
    slow = [name for name, seconds in efforts.items() if seconds > LONG_S]
    slow.sort(key=lambda name: -efforts[name])
    return {*known, *slow[: max(0, MOST - len(known))]}


def _effort(fleet: Fleet, line: Line) -> float:
    """About how long a line takes to be stepped by itself [s]."""
    if not isinstance(line.what, Series | Spectrum):
        return 0.0
    seconds = 0.0
    for section in fleet.sections.values():
        place = section.places.get(line.component)
        if place is not None:
            cohort = section.cohorts[place.cohort]
            seconds += cohort.kind.effort(cohort.stepper, line.what)
    return seconds


def alone(fleet: Fleet, name: str) -> Laggard:
    """A component of the fleet, to be stepped by itself from now on."""
    solo = replace(
        fleet,
        sections={group: _alone(section, name) for group, section in fleet.sections.items()},
        components={name: fleet.components[name]},
        members=(name,),
        held={name: fleet.held[name]} if name in fleet.held else {},
        behind={},
    )
    return Laggard(name, solo, fleet.offset)


def _alone(section: Section, name: str) -> Section:
    place = section.places.get(name)
    if place is None:
        return replace(section, cohorts={}, places={})
    own = _rows(section.cohorts[place.cohort], torch.tensor([place.row]))
    cohorts = {place.cohort: replace(own, members=(name,))}
    return replace(section, cohorts=cohorts, places={name: Place(place.cohort, 0)})


def others(segments: Sequence[Segment], names: Collection[str]) -> list[Segment]:
    """The segments for all but some components; their registrations stay, which keep the places."""
    if not names:
        return list(segments)
    return [
        each._replace(
            notes=(),
            dates=[date for date in each.dates if date[0] not in names],
            lines=[
                line for line in each.lines if line.component not in names or line.is_registration
            ],
        )
        for each in segments
    ]


def part(name: str, segments: Sequence[Segment]) -> Iterator[Segment]:
    """What of the segments a component by itself has to go through."""
    for each in segments:
        dates = [date for date in each.dates if date[0] == name]
        lines = [line for line in each.lines if line.component == name]
        if each.tick_ns is not None or dates or lines:
            yield Segment(each.tick_ns, dates, lines)


def joined(fleet: Fleet, laggard: Laggard) -> Fleet:
    """The fleet with what a laggard is believed to be so far.

    One whose registration has changed since is left as it is until it knows of that, too.
    """
    name = laggard.name
    if _keys(fleet, name) != _keys(laggard.fleet, name):
        if not laggard.is_done:
            return fleet
        fleet = registered(fleet, [laggard.fleet.components[name]])
    found = {group: dict(section.cohorts) for group, section in fleet.sections.items()}
    for group, section in laggard.fleet.sections.items():
        there = section.places.get(name)
        if there is None:
            continue
        here = fleet.sections[group].places[name]
        own = _rows(section.cohorts[there.cohort], torch.tensor([there.row]))
        if not laggard.is_done:  # its lives are renewed with it, not with the others
            none = torch.zeros_like(own.evidence)
            own = replace(own, evidence=none, pending=none)
        found[group][here.cohort] = _with_row(found[group][here.cohort], here.row, own)
    fleet = fleet.with_cohorts(found)
    held = {key: o for key, o in fleet.held.items() if key != name} | dict(laggard.fleet.held)
    components = dict(fleet.components)
    if laggard.is_done:
        components[name] = laggard.fleet.components[name]
    return replace(fleet, components=components, held=held)


def _keys(fleet: Fleet, name: str) -> dict[str, str]:
    """In which cohort each belief of a component is."""
    some = ((group, section.places.get(name)) for group, section in fleet.sections.items())
    return {group: place.cohort for group, place in some if place is not None}


def _rows(cohort: Cohort, index: torch.Tensor) -> Cohort:
    return replace(cohort, **{name: tree.rows(leaf, index) for name, leaf in _leaves(cohort)})


def _leaves(cohort: Cohort) -> list[tuple[str, Any]]:
    """What a cohort knows of its rows."""
    every = (f.name for f in fields(cohort))
    return [
        (name, getattr(cohort, name))
        for name in every
        if name not in ("kind", "stepper", "members")
    ]


def _with_row(cohort: Cohort, row: int, own: Cohort) -> Cohort:
    index, mine = torch.tensor([row]), dict(_leaves(own))
    return replace(
        cohort,
        **{name: tree.with_rows(leaf, index, mine[name]) for name, leaf in _leaves(cohort)},
    )


class PendingRows:
    """Record rows in their order, each until all laggards have given their part of it."""

    def __init__(self) -> None:
        self._rows: deque[tuple[RecordRow, set[str]]] = deque()

    @property
    def bytes(self) -> int:
        """What waits takes in memory, about."""
        return len(self._rows) * (self._rows[-1][0].nbytes if self._rows else 0)

    def add(self, rows: Sequence[RecordRow], names: Collection[str]) -> list[RecordRow]:
        """Append rows in which these components are not what they were; what is whole now."""
        self._rows.extend((row, {n for n in names if n in row.members}) for row in rows)
        return self._whole()

    def fill(self, name: str, rows: Sequence[RecordRow]) -> list[RecordRow]:
        """Put a laggard's part into the oldest rows that lack it; what is whole now.

        Raises RuntimeError for a row of another time.
        """
        lacking = ((row, names) for row, names in self._rows if name in names)
        for own, (row, names) in zip(rows, lacking, strict=False):
            if own.t_ns != row.t_ns:
                raise RuntimeError(f"{name}: a row of {own.t_ns} ns for one of {row.t_ns} ns")
            at = row.members.index(name)
            for group, columns in own.groups.items():
                for key, column in columns.items():
                    row.groups[group][key][at] = column[0]
            names.discard(name)
        return self._whole()

    def _whole(self) -> list[RecordRow]:
        found: list[RecordRow] = []
        while self._rows and not self._rows[0][1]:
            found.append(self._rows.popleft()[0])
        return found
