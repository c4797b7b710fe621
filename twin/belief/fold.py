"""The state is a fold over the journal: this is its step, and the only one.

Live stepping, recovery and rebuilding all call `folded`; that they give the same history is
what makes a crash leave no trace.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from models import tree
from models.crack.load import CrackLoad, timely
from models.crack.state import mean
from sensors.errors import MalformedError
from sensors.observation import Confirmation, ImageFinding, Inspection, Series, Spectrum
from sensors.payload.sound import fault
from sensors.quality import ASIDE
from sensors.watch import Watch
from twin.belief.assimilate import (
    Assigned,
    Finding,
    Inlet,
    Track,
    crack_load,
    is_load,
    rounds,
    t_end_ns,
)
from twin.belief.cohort import (
    TROUBLE,
    Cohort,
    Feed,
    Watched,
    out_of_memory,
    over,
    with_present_lives,
    with_remaining,
)
from twin.belief.fleet import Clock, Fleet, Section, registered
from twin.belief.record import RecordRow, row
from twin.belief.segments import Line, Note, Plan, Segment, planned
from twin.belief.surprise import Belief, Verdict, doubted, identity, timed, verdicts
from twin.component import Component
from twin.kinds.catalogue import AnyCrack
from twin.kinds.record import GROUP

# Calibration may have changed since the observation was judged, so that it is infinite now, or a
# strain without a modulus. It is in the journal: what it raises would be raised at every start.
NO_LOAD = (*TROUBLE, MalformedError)

_NO_EVIDENCE = Component | ImageFinding | Confirmation

CLIPPED = 1e-9  # a belief so far off what was measured is another length [of the length]


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
                state_ns = cohort.state.t_ns.clone()
                state_ns[place.row] = max(int(state_ns[place.row]), t_ns)
                state = cohort.state._replace(t_ns=state_ns)
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
        Note("limit", cohort.members[row], int(cohort.state.t_ns[row]), _said(cohort, row))
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
        cohorts[key] = _stepped(cohorts[key], readings, held, notes)
    return cohorts


def _stepped(
    cohort: Cohort, readings: list[Assigned], held: dict[str, Inspection], notes: list[Note]
) -> Cohort:
    """The cohort after readings, round by round."""
    track = Track(*(leaf.numpy().copy() for leaf in cohort.feed))
    inlet = Inlet(track, Watch(*(leaf.numpy().copy() for leaf in cohort.watched)))
    for runs, others in rounds(readings, together=cohort.kind.runs_together):
        if runs:
            cohort = _tried(cohort, runs, inlet, held, notes)
        if others:
            cohort = _tried(cohort, others, inlet, held, notes)
    return replace(
        cohort,
        feed=Feed(*map(torch.from_numpy, inlet.track)),
        watched=Watched(*map(torch.from_numpy, inlet.watch)),
    )


def _tried(
    cohort: Cohort,
    group: list[Assigned],
    inlet: Inlet,
    held: dict[str, Inspection],
    notes: list[Note],
) -> Cohort:
    """The cohort after readings; one that cannot be a load changes nothing, and is told."""
    here = np.unique([r.row for r in group])
    before = inlet.rows(here)
    try:
        if cohort.kind.runs_together and is_load(group[0].observation):
            return _ran(cohort, group, inlet, notes)
        if not cohort.kind.is_inspected:
            return _taken(cohort, group, inlet, notes)
        return _advanced(cohort, group, inlet, held, notes)
    except NO_LOAD as exc:
        inlet.put_back(here, before)
        if len(group) == 1:
            if out_of_memory(exc):
                raise
            note = _note("implausible", cohort, group[0])
            notes.append(note._replace(data={**note.data, "why": f"{type(exc).__name__}: {exc}"}))
            return cohort
    middle = len(group) // 2
    for half in (group[:middle], group[middle:]):  # find out which
        cohort = _tried(cohort, half, inlet, held, notes)
    return cohort


def _ran(cohort: Cohort, group: list[Assigned], inlet: Inlet, notes: list[Note]) -> Cohort:
    """The cohort after loads, those of a row one after the other."""
    rows, first = np.unique([r.row for r in group], return_index=True)
    order = np.argsort(first)
    index = torch.from_numpy(rows[order])
    which = torch.from_numpy(np.repeat(np.arange(len(rows)), np.diff([*first[order], len(group)])))
    with np.errstate(over="ignore", invalid="ignore"):  # not finite: refused as such
        load, findings = crack_load(group, inlet)
    before = tree.rows(cohort.state, index)
    state, along = cohort.kind.ran(cohort.stepper, before, load, which)
    length = mean(along.length)
    beyond = (length >= state.a_limit[which]) | along.fractured
    last = torch.cat((which.diff() != 0, torch.ones(1, dtype=torch.bool)))
    after = replace(
        cohort,
        state=tree.with_rows(cohort.state, index, state, before),
        limit_passed=cohort.limit_passed.index_copy(0, index, beyond[last]),
        evidence=cohort.evidence.index_fill(0, index, value=True),
        pending=cohort.pending.index_fill(0, index, value=True),
    )
    happened = {
        "limit": beyond & ~_preceding(beyond, cohort.limit_passed[index], which),
        "fractured": along.fractured & ~_preceding(along.fractured, before.fractured, which),
    }
    for kind, where in happened.items():
        for i in torch.nonzero(where).flatten().tolist():
            note = _note(kind, after, group[i])
            notes.append(note._replace(data={**note.data, "crack_length": float(length[i])}))
    notes += [_doubt(after, group[f.reading], f) for f in findings]
    return after


def _taken(cohort: Cohort, group: list[Assigned], inlet: Inlet, notes: list[Note]) -> Cohort:
    """The cohort after observations of which no inspection is; what is doubtful the crack tells."""
    kind, index = cohort.kind, torch.tensor([r.row for r in group])
    with np.errstate(over="ignore", invalid="ignore"):  # not finite: refused as such
        accepted, _ = crack_load(group, inlet)
    before = tree.rows(cohort.state, index)
    load = kind.load(accepted, [r.observation for r in group])
    state = cohort.stepper.step(before, load)
    beyond, ended = over(kind, state), kind.flags(state).ended
    after = replace(
        cohort,
        state=tree.with_rows(cohort.state, index, state, before),
        limit_passed=cohort.limit_passed.index_copy(0, index, beyond),
        evidence=cohort.evidence.index_fill(0, index, value=True),
        pending=cohort.pending.index_fill(0, index, value=True),
    )
    happened = {
        "limit": beyond & ~cohort.limit_passed[index],
        "fractured": ended & ~kind.flags(before).ended,
    }
    for what, where in happened.items():
        notes += [_note(what, after, group[i]) for i in torch.nonzero(where).flatten().tolist()]
    return after


def _preceding(values: Tensor, start: Tensor, which: Tensor) -> Tensor:
    """What was before each of `values` (k,) in its run: the value before it, or that of `start`."""
    is_first = torch.cat((torch.ones(1, dtype=torch.bool), which.diff() != 0))
    return torch.where(is_first, start[which], values.roll(1))


def _advanced(
    cohort: Cohort,
    group: list[Assigned],
    inlet: Inlet,
    held: dict[str, Inspection],
    notes: list[Note],
) -> Cohort:
    index = torch.tensor([r.row for r in group])
    with np.errstate(over="ignore", invalid="ignore"):  # not finite: refused as such
        load, findings = crack_load(group, inlet)
    rows = tree.rows(cohort.state, index)
    jumps = _verdicts(cohort, group, rows, load, held)
    load = _with_believed(load, jumps)
    state = cohort.stepper.step(rows, load)
    if _broken(cohort, group, (rows, state), load, jumps, held):
        load = _with_believed(load, jumps)
        state = cohort.stepper.step(rows, load)
    length = mean(state.length)
    beyond = (length >= state.a_limit) | state.fractured
    passed = beyond & ~cohort.limit_passed[index]
    counts = timely(load, rows)
    off = (length - load.length).abs() > CLIPPED * load.length
    after = replace(
        cohort,
        state=tree.with_rows(cohort.state, index, state, rows),
        limit_passed=cohort.limit_passed.index_copy(0, index, beyond),
        evidence=cohort.evidence.index_fill(0, index, value=True),
        pending=cohort.pending.index_fill(0, index, value=True),
    )
    happened = {
        "inspection": counts,
        "late": load.inspected & ~counts,
        "clipped": counts & state.replace & off,
        "limit": passed,
        "fractured": state.fractured & ~rows.fractured,
    }
    for kind, where in happened.items():
        told = (_believed(group, i, jumps) for i in torch.nonzero(where).flatten().tolist())
        notes += [_note(kind, after, reading) for reading in told]
    notes += _surprises(cohort, group, jumps, held)
    notes += [_doubt(after, group[f.reading], f) for f in findings]
    return after


def _verdicts(
    cohort: Cohort,
    group: list[Assigned],
    rows: AnyCrack,
    load: CrackLoad,
    held: dict[str, Inspection],
) -> dict[int, Verdict]:
    """What becomes of inspections, by their place in the round."""
    if not any(isinstance(r.observation, Inspection | Confirmation) for r in group):
        return {}
    leaves = mean(rows.length), rows.a_limit, rows.fractured, rows.t_inspected_ns
    known = zip(*(leaf.tolist() for leaf in (*leaves, timely(load, rows))), strict=True)
    beliefs = [Belief(*each) for each in known]
    return verdicts(group, beliefs, held, lambda r: cohort.members[r.row])


def _with_believed(load: CrackLoad, jumps: dict[int, Verdict]) -> CrackLoad:
    """The load with the inspections that are believed, and without those that are held."""
    if not jumps:
        return load
    index = torch.tensor(list(jumps))
    believed = [verdict.believed for verdict in jumps.values()]
    pairs = [(o.crack_length, o.crack_length_sd) if o else (0.0, 0.0) for o in believed]
    lengths, sds = torch.tensor(pairs, dtype=torch.float64).T
    times = [o.t_ns if o else int(load.t_ns[i]) for i, o in zip(jumps, believed, strict=True)]
    return load._replace(
        t_ns=load.t_ns.index_copy(0, index, torch.tensor(times)),
        inspected=load.inspected.index_copy(0, index, lengths > 0.0),
        length=load.length.index_copy(0, index, lengths),
        length_sd=load.length_sd.index_copy(0, index, sds),
    )


def _broken(
    cohort: Cohort,
    group: list[Assigned],
    states: tuple[AnyCrack, AnyCrack],
    load: CrackLoad,
    jumps: dict[int, Verdict],
    held: dict[str, Inspection],
) -> bool:
    """Whether any inspection has broken its part with a length that no crack there has.

    Nobody has confirmed it, whatever agrees with it: its verdict becomes that of one that waits.
    """
    if not jumps:
        return False
    before, after = states
    off = (mean(after.length) - load.length).abs() > CLIPPED * load.length
    broke = (after.fractured & ~before.fractured & off & load.inspected).tolist()
    impossible = [(i, timed(group[i])) for i in jumps if broke[i] and group[i].surprise < math.inf]
    found = [(i, o) for i, o in impossible if isinstance(o, Inspection)]
    for i, o in found:
        jumps[i] = doubted(o, held.get(cohort.members[group[i].row]))
    return bool(found)


def _believed(group: list[Assigned], i: int, jumps: dict[int, Verdict]) -> Assigned:
    """A reading of the round, with the inspection that it has let be believed."""
    believed = jumps[i].believed if i in jumps else None
    return group[i] if believed is None else group[i]._replace(observation=believed)


def _surprises(
    cohort: Cohort,
    group: list[Assigned],
    jumps: dict[int, Verdict],
    held: dict[str, Inspection],
) -> Iterator[Note]:
    """What is told of inspections that jump; lets them wait, or no longer."""
    for i, verdict in jumps.items():
        row = group[i].row
        name, belief = cohort.members[row], float(cohort.state.length[row].mean())
        for outcome, o in verdict.told:
            data: dict[str, float | str | int] = {
                "outcome": outcome,
                "id": identity(o),
                "measured": o.crack_length,
                "crack_length": belief,  # before it
                "method": o.method,
            }
            if o.why:
                data["why"] = o.why
            yield Note("surprise", name, o.t_ns, data)
        held.pop(name, None)
        if verdict.waiting is not None:
            held[name] = verdict.waiting


def _doubt(cohort: Cohort, reading: Assigned, finding: Finding) -> Note:
    o = reading.observation
    data: dict[str, float | str | int] = {
        "reason": finding.reason,
        "count": finding.times,
        "set_aside": finding.times if finding.reason in ASIDE else 0,
        "value": finding.example,
        "unit": o.unit if isinstance(o, Series | Spectrum) else "",
        "source": o.source,
        "seq": o.seq,
    }
    return Note("quality", cohort.members[reading.row], t_end_ns(o), data)


def _note(kind: str, cohort: Cohort, reading: Assigned) -> Note:
    state, row = cohort.state, reading.row
    data = _said(cohort, row)
    if kind == "inspection":
        data["innovation"] = float(state.innovation[row])
    if isinstance(reading.observation, Inspection) and kind not in ("limit", "fractured"):
        data["measured"] = reading.observation.crack_length
    return Note(kind, cohort.members[row], reading.t_end_ns, data)


def _said(cohort: Cohort, row: int) -> dict[str, float | str | int]:
    """What an event says of a component: of other beliefs than cracks, which one it is of."""
    data: dict[str, float | str | int] = {**cohort.kind.said(cohort.state, row)}
    return data if cohort.kind.group == GROUP else {"belief": cohort.kind.group, **data}


def _renewed(fleet: Fleet, tick: int, notes: list[Note]) -> Fleet:
    """The fleet with remaining lives renewed where there was evidence since the last row."""
    found: dict[str, dict[str, Cohort]] = {group: {} for group in fleet.sections}
    for group, section in fleet.sections.items():
        for key, cohort in section.cohorts.items():
            found[group][key], failures = with_remaining(cohort)
            told = ((name, why) for name, why in failures.items() if name)
            notes += [Note("life_unknown", name, tick, {"why": why}) for name, why in told]
    return fleet.with_cohorts(found)
