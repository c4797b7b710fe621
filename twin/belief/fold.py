"""The state is a fold over the journal: this is its step, and the only one.

Live stepping, recovery and rebuilding all call `folded`; that they give the same history is
what makes a crash leave no trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from models import tree
from sensors.observation import Confirmation, ImageFinding, Inspection
from sensors.payload.sound import fault
from twin.belief.assimilate import Assigned, t_end_ns
from twin.belief.cohort import Cohort, out_of_memory, over, with_present_lives, with_remaining
from twin.belief.fleet import Clock, Fleet, Section, registered
from twin.belief.notes import said
from twin.belief.readings import NO_LOAD, stepped
from twin.belief.record import RecordRow, row
from twin.belief.segments import Line, Note, Plan, Segment, planned
from twin.component import Component
from twin.kinds.crack_fields import GROUP

_NO_EVIDENCE = Component | ImageFinding | Confirmation


class Folded(NamedTuple):
    """What a fold gives: the new value, the rows to record, and what is worth telling."""

    fleet: Fleet
    rows: list[RecordRow]
    notes: list[Note]


def folded(fleet: Fleet, lines: Sequence[Line], clock: Clock, *, goes_on: bool = False) -> Folded:
    """The fleet after `lines`, in their order; depends on nothing else.

    `goes_on`: more lines follow at once, and `with_lives` after the last of them.
    """
    plan = planned(fleet, lines, clock)
    return concluded(plan, walked(fleet, plan.segments, goes_on=goes_on), len(lines))


def walked(fleet: Fleet, segments: Iterable[Segment], *, goes_on: bool = False) -> Folded:
    """The components after segments of lines; of the clocks only the last tick is known."""
    rows: list[RecordRow] = []
    notes: list[Note] = []
    for segment in segments:
        notes += segment.notes
        fleet = _dated(fleet, segment.dates)
        if segment.tick_ns is not None:
            fleet = _renewed(fleet, segment.tick_ns, notes)
            rows.append(row(fleet, segment.tick_ns))
            fleet = replace(fleet, rows=fleet.rows + 1, recorded_ns=segment.tick_ns)
        fleet = _applied(fleet, segment.lines, notes)
    return Folded(fleet if goes_on else with_lives(fleet), rows, notes)


def concluded(plan: Plan, result: Folded, lines: int) -> Folded:
    """What a fold of so many `lines` gives, with the clocks of the plan that it went by."""
    fleet = replace(
        result.fleet,
        offset=result.fleet.offset + lines,
        watermark_ns=plan.watermark_ns,
        clocks=plan.clocks,
        behind=plan.behind,
    )
    return result._replace(fleet=fleet)


def with_lives(fleet: Fleet) -> Fleet:
    """The fleet with the remaining lives as they are now, of whoever was seen or changed."""
    return fleet.with_cohorts(
        {
            group: {key: with_present_lives(cohort) for key, cohort in section.cohorts.items()}
            for group, section in fleet.sections.items()
        }
    )


def late(fleet: Fleet, lines: Sequence[Line]) -> int:
    """How many of `lines` are evidence from behind the watermark."""
    observed = (line.what for line in lines if not isinstance(line.what, _NO_EVIDENCE))
    return sum(not fault(o) and t_end_ns(o) < fleet.watermark_ns for o in observed)


def _dated(fleet: Fleet, dates: Sequence[tuple[str, int]]) -> Fleet:
    """The fleet with evidence of components dated at times that are believed now."""
    if not dates:
        return fleet
    found = {group: dict(section.cohorts) for group, section in fleet.sections.items()}
    for name, t_ns in dates:
        for group, section in fleet.sections.items():
            place = section.places.get(name)
            if place is not None:
                cohort = found[group][place.cohort]
                state = cohort.kind.dated(cohort.state, place.row, t_ns)
                found[group][place.cohort] = replace(cohort, state=state)
    return fleet.with_cohorts(found)


def _applied(fleet: Fleet, lines: Sequence[Line], notes: list[Note]) -> Fleet:
    """The fleet after lines between which no tick passes."""
    for is_registration, run in groupby(lines, lambda line: isinstance(line.what, Component)):
        part = list(run)
        if is_registration:
            components = [line.what for line in part if isinstance(line.what, Component)]
            fleet = _registered(fleet, components, notes)
        else:
            fleet = _observed(fleet, part, notes)
    return fleet


def _registered(fleet: Fleet, components: Sequence[Component], notes: list[Note]) -> Fleet:
    """The fleet after registrations; one that no stepper can be made of changes nothing."""
    changed = {c.name for c in components if c.name in fleet.components and not c.retired}
    try:
        fleet = registered(fleet, components)
    except NO_LOAD as exc:
        if out_of_memory(exc):
            raise
        if len(components) == 1:
            why = f"revision {components[0].revision}: {type(exc).__name__}: {exc}"
            notes.append(Note("implausible", components[0].name, 0, {"why": why}))
            return fleet
        half = len(components) // 2  # find out which
        fleet = _registered(fleet, components[:half], notes)
        return _registered(fleet, components[half:], notes)
    notes += [Note("registered", c.name, 0, {"revision": c.revision}) for c in components]
    return _beyond(fleet, changed, notes)


def _beyond(fleet: Fleet, changed: set[str], notes: list[Note]) -> Fleet:
    """The fleet, with those told of whose limit a change has put below what is believed."""
    found = {group: dict(section.cohorts) for group, section in fleet.sections.items()}
    told = list[Note]()
    for group, section in fleet.sections.items():
        by_cohort: dict[str, list[str]] = {}
        for name in changed & section.places.keys():
            by_cohort.setdefault(section.places[name].cohort, []).append(name)
        for key, names in by_cohort.items():
            rows = torch.tensor([section.places[name].row for name in names])
            found[group][key], passed = _limited(found[group][key], rows)
            told += passed
    notes += sorted(told, key=lambda note: note.component)
    return fleet.with_cohorts(found)


def _limited(cohort: Cohort, rows: Tensor) -> tuple[Cohort, list[Note]]:
    """The cohort with the limits that some rows have passed by a change, which are told."""
    is_beyond = over(cohort.kind, tree.rows(cohort.state, rows))
    new = (is_beyond & ~cohort.limit_passed[rows]).nonzero().flatten()
    passed = cohort.limit_passed.index_fill(0, rows[new], value=True)
    told = [
        Note("limit", cohort.members[row], int(cohort.state.t_ns[row]), said(cohort, row))
        for row in rows[new].tolist()
    ]
    return replace(cohort, limit_passed=passed), told


def _observed(fleet: Fleet, lines: Sequence[Line], notes: list[Note]) -> Fleet:
    """The fleet after observations between which no tick passes."""
    held = dict(fleet.held)
    found = {
        group: _section(group, section, fleet.components, lines, held, notes)
        for group, section in fleet.sections.items()
    }
    return replace(fleet.with_cohorts(found), held=held)


def _section(
    group: str,
    section: Section,
    components: Mapping[str, Component],
    lines: Sequence[Line],
    held: dict[str, Inspection],
    notes: list[Note],
) -> dict[str, Cohort]:
    """The cohorts of a section after observations."""
    cohorts = dict(section.cohorts)
    assigned: dict[str, list[Assigned]] = {}
    for line in lines:
        o, place = line.what, section.places.get(line.component)
        if isinstance(o, Component):
            raise TypeError(f"{line.component}: a registration is not an observation")
        if place is None or not isinstance(o, cohorts[place.cohort].kind.takes) or fault(o):
            continue
        r = components[line.component].registration
        reading = Assigned(place.row, o, r.calibrated, r.plausible, t_ns=line.t_ns)
        if group == GROUP:
            reading = reading._replace(surprise=r.crack.surprise)
            if isinstance(o, Inspection):
                reading = reading._replace(longest=r.crack.longest)
        assigned.setdefault(place.cohort, []).append(reading)
    for key, readings in assigned.items():
        cohorts[key] = stepped(cohorts[key], readings, held, notes)
    return cohorts


def _renewed(fleet: Fleet, tick: int, notes: list[Note]) -> Fleet:
    """The fleet with remaining lives renewed where there was evidence since the last row."""
    found: dict[str, dict[str, Cohort]] = {group: {} for group in fleet.sections}
    for group, section in fleet.sections.items():
        for key, cohort in section.cohorts.items():
            found[group][key], failures = with_remaining(cohort)
            told = ((name, why) for name, why in failures.items() if name)
            notes += [Note("life_unknown", name, tick, {"why": why}) for name, why in told]
    return fleet.with_cohorts(found)
