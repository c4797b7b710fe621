"""Everything that is believed of every component, as one immutable value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sensors.observation import Inspection
from twin.belief.cohort import Cohort, returns
from twin.belief.seating import Place, Seating
from twin.belief.watermark import FIRST, MAX_JUMP_NS, NEVER, Clocks
from twin.component import Component
from twin.kinds.catalogue import groups
from twin.kinds.crack_fields import GROUP
from twin.settings import Settings

FOREVER_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Clock:
    """What turns event times into ticks [ns]."""

    record_every_ns: int
    lateness_ns: int
    max_jump_ns: int = MAX_JUMP_NS  # further than this one source alone moves the watermark never
    behind_ns: int = FOREVER_NS  # evidence further behind has its component caught up

    def tick_ns(self, watermark_ns: int) -> int:
        """The last record tick at or before the watermark."""
        return watermark_ns // self.record_every_ns * self.record_every_ns


def clock_of(settings: Settings) -> Clock:
    """The clock that the settings ask for."""
    return Clock(
        record_every_ns=round(settings.storage.record_every_s * 1e9),
        lateness_ns=round(settings.ingest.lateness_s * 1e9),
        max_jump_ns=round(settings.ingest.max_jump_s * 1e9),
        behind_ns=_nanoseconds(settings.ingest.backfill_behind_s),
    )


def _nanoseconds(seconds: float | None) -> int:
    return FOREVER_NS if seconds is None else round(seconds * 1e9)


@dataclass(frozen=True, slots=True)
class Section:
    """What is believed of one sort, by those components that are registered for it."""

    cohorts: Mapping[str, Cohort]
    places: Mapping[str, Place]
    began: int = 0  # record rows that there were before its first component


@dataclass(frozen=True, slots=True)
class Fleet:
    """Everything that is believed, as one immutable value."""

    sections: Mapping[str, Section]  # by group of the trajectory; that of cracks always
    components: Mapping[str, Component]
    members: tuple[str, ...] = ()  # the trajectory's order: first registered first
    offset: int = 0  # lines of the journal that are folded in
    rows: int = 0  # record rows that the fold has given
    watermark_ns: int = NEVER
    clocks: Clocks = FIRST  # what is remembered of the sources' clocks
    recorded_ns: int = NEVER  # time of the last record row
    held: Mapping[str, Inspection] = field(default_factory=dict)  # that wait for confirmation
    behind: Mapping[str, int] = field(default_factory=dict)  # observations to be caught up

    @property
    def cohorts(self) -> Mapping[str, Cohort]:
        """Those of the cracks."""
        return self.sections[GROUP].cohorts

    @property
    def places(self) -> Mapping[str, Place]:
        """Where each component's crack is."""
        return self.sections[GROUP].places

    @property
    def recorded(self) -> dict[str, int]:
        """How many rows there are in each group of the trajectory."""
        return {group: self.rows - each.began for group, each in self.sections.items()}

    def with_cohorts(self, found: Mapping[str, Mapping[str, Cohort]]) -> Fleet:
        """The same with other cohorts in some groups."""
        changed = {g: replace(self.sections[g], cohorts=cohorts) for g, cohorts in found.items()}
        return replace(self, sections={**self.sections, **changed})


EMPTY = Fleet(sections={GROUP: Section({}, {})}, components={})


def registered(fleet: Fleet, registrations: Iterable[Component]) -> Fleet:
    """The fleet after registrations, changes and retirements."""
    components, held, members = dict(fleet.components), dict(fleet.held), list(fleet.members)
    seatings = {g: Seating(s.cohorts, s.places, g) for g, s in fleet.sections.items()}
    began = {group: section.began for group, section in fleet.sections.items()}
    for after in registrations:
        before = components.get(after.name)
        components[after.name] = _watched(before, after)
        if after.retired:
            held.pop(after.name, None)
        for group in groups().keys() - seatings:
            if after.registration.part(group) is not None:
                seatings[group], began[group] = Seating({}, {}, group), fleet.rows
        if before is None:
            for seating in seatings.values():
                seating.join(after)
            members.append(after.name)
        elif before.registration != after.registration or returns(before, after):
            for seating in seatings.values():
                seating.change(before, after)
            if _jump(before) != _jump(after) or returns(before, after):  # to be judged anew
                held.pop(after.name, None)
    sections = {g: Section(*each.settled(), began[g]) for g, each in seatings.items()}
    return replace(
        fleet,
        components=components,
        sections=sections,
        members=tuple(members),
        held=held,
    )


def _watched(before: Component | None, after: Component) -> Component:
    """A change does not begin anew how long a component has been silent; a return does."""
    if before is None or returns(before, after):
        return after
    return after.model_copy(update={"registered_ns": before.registered_ns})


def _jump(component: Component) -> tuple[object, ...]:
    """What says, beside the belief, whether an inspection jumps."""
    r = component.registration.crack
    return r.crack_length, r.geometry, r.surprise
