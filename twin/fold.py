"""The state is a fold over the journal: this is its step, and the only one.

Live stepping, recovery and rebuilding all call `folded`; that they give the same history is
what makes a crash leave no trace.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch

from models import tree
from models.crack_load import CrackLoad, timely
from models.crack_state import mean
from sensors.errors import MalformedError
from sensors.limits import LATEST_NS
from sensors.observation import (
    AnyObservation,
    Confirmation,
    Inspection,
    Readout,
    Series,
    Snapshot,
    Spectrum,
)  # fmt: skip
from sensors.quality import ASIDE
from sensors.sound import fault
from sensors.watch import Watch
from twin.assimilate import Finding, Inlet, Reading, Track, crack_load, rounds, t_end_ns
from twin.cohort import (
    TROUBLE,
    AnyState,
    Cohort,
    Feed,
    Watched,
    out_of_memory,
    stepped,
    with_present_lives,
    with_remaining,
)
from twin.component import Component
from twin.events import Value
from twin.fleet import NEVER, Clock, Fleet, registered
from twin.record import Row, row
from twin.surprise import Belief, Verdict, doubted, identity, timed, verdicts
from twin.watermark import DERIVED, Watching

# Calibration may have changed since the observation was judged, so that it is infinite now, or a
# strain without a modulus. It is in the journal: what it raises would be raised at every start.
NO_LOAD = (*TROUBLE, MalformedError)

_NO_EVIDENCE = Component | Readout | Confirmation

CLIPPED = 1e-9  # a belief so far off what was measured is another length [of the length]


class Line(NamedTuple):
    """One line of the journal, decoded."""

    component: str
    what: AnyObservation | Component
    t_ns: int | None = None  # that it counts with, where its own clock is not believed


class Note(NamedTuple):
    """Something worth telling that happened, in a fold or outside of it: see `events.KINDS`."""

    kind: str
    component: str
    t_ns: int
    data: Mapping[str, Value]


class Folded(NamedTuple):
    """What a fold gives: the new value, the rows to record, and what is worth telling."""

    fleet: Fleet
    rows: list[Row]
    notes: list[Note]


class Segment(NamedTuple):
    """Lines between which nothing passes, and what goes before them."""

    tick_ns: int | None  # the record tick that has passed
    dates: Sequence[tuple[str, int]]  # components, and times of evidence that are believed now
    lines: Sequence[Line]


def folded(fleet: Fleet, lines: Sequence[Line], clock: Clock, *, goes_on: bool = False) -> Folded:
    """The fleet after `lines`, in their order; depends on nothing else.

    `goes_on`: more lines follow at once, and `with_lives` after the last of them.
    """
    rows: list[Row] = []
    notes: list[Note] = []
    watching, behind = _watching(fleet, clock), dict(fleet.behind)
    for tick, dates, segment in _segments(watching, lines, clock, notes, behind):
        fleet = _dated(fleet, dates)
        if tick is not None:
            fleet = _renewed(fleet, tick, notes)
            rows.append(row(fleet, tick))
            fleet = replace(fleet, rows=fleet.rows + 1, recorded_ns=tick)
        fleet = _applied(fleet, segment, notes)
    fleet = replace(
        fleet if goes_on else with_lives(fleet),
        watermark_ns=watching.watermark_ns,
        clocks=watching.clocks(),
        behind=behind,
    )
    return Folded(fleet, rows, notes)


def with_lives(fleet: Fleet) -> Fleet:
    """The fleet with the remaining lives as they are now, of whoever was seen or changed."""
    cohorts = {key: with_present_lives(cohort) for key, cohort in fleet.cohorts.items()}
    return replace(fleet, cohorts=cohorts)


def late(fleet: Fleet, lines: Sequence[Line]) -> int:
    """How many of `lines` are evidence from behind the watermark."""
    observed = (line.what for line in lines if not isinstance(line.what, _NO_EVIDENCE))
    return sum(not fault(o) and t_end_ns(o) < fleet.watermark_ns for o in observed)


def _watching(fleet: Fleet, clock: Clock) -> Watching:
    return Watching(
        fleet.watermark_ns,
        fleet.clocks,
        max_jump_ns=clock.max_jump_ns,
        pace_ns=clock.record_every_ns,
        is_recorded=fleet.recorded_ns != NEVER,
    )


def _segments(
    watching: Watching,
    lines: Sequence[Line],
    clock: Clock,
    notes: list[Note],
    behind: dict[str, int],
) -> Iterator[Segment]:
    """The lines, cut before each one that moves the watermark past a record tick.

    And before each one that confirms the times of others. A line whose clock is not believed
    gets the time of the others' clocks. Those too far behind are counted in `behind`.
    """
    tick: int | None = None
    dates: list[tuple[str, int]] = []
    ready: list[Line] = []
    passed = clock.tick_ns(max(watching.watermark_ns, 0))
    for line in lines:
        if isinstance(line.what, Component):
            ready.append(line)
            continue
        if why := fault(line.what):  # it has no time: it moves no clock, and is passed over below
            notes.append(_unsound(line.component, line.what, why))
            ready.append(line)
            continue
        before, seen_ns = watching.watermark_ns, t_end_ns(line.what) - clock.lateness_ns
        is_believed = _heard(watching, line.what, seen_ns)
        kept = line if is_believed else _held(watching, line, clock, notes)
        if before - seen_ns > clock.behind_ns:
            _fallen_behind(line, before, behind, notes)
        is_within = before <= watching.watermark_ns < passed + clock.record_every_ns
        if not is_within or watching.moves or watching.released:
            ticks = _ticks(watching, before, passed, clock)
            passed = clock.tick_ns(max(watching.watermark_ns, 0))
            if ticks or watching.released:
                yield Segment(tick, dates, ready)
                dates, ready = _released(watching, clock), []
                for skipped in ticks[:-1]:
                    yield Segment(skipped, dates, ())
                    dates = []
                tick = ticks[-1] if ticks else None
                watching.is_recorded = watching.is_recorded or bool(ticks)
        ready.append(kept)
    yield Segment(tick, dates, ready)


def _heard(watching: Watching, o: AnyObservation, seen_ns: int) -> bool:
    """Whether the clock of an observation is believed."""
    if isinstance(o, Readout) or o.source == DERIVED:
        return watching.derived(seen_ns)
    return watching.heard((o.component, o.source), seen_ns, evidence=not isinstance(o, Snapshot))


def _fallen_behind(
    line: Line, watermark_ns: int, behind: dict[str, int], notes: list[Note]
) -> None:
    """Count evidence that is far behind; the first of a component is told."""
    if isinstance(line.what, Component | Readout | Snapshot):
        return
    if line.component not in behind:
        t_ns = t_end_ns(line.what)
        data: dict[str, float | str | int] = {
            "state": "behind",
            "behind_s": (watermark_ns - t_ns) / 1e9,
        }
        notes.append(Note("backfill", line.component, t_ns, data))
    behind[line.component] = behind.get(line.component, 0) + 1


def _held(watching: Watching, line: Line, clock: Clock, notes: list[Note]) -> Line:
    """The line with the time of the others' clocks; told once for each source."""
    o, now_ns = line.what, watching.watermark_ns + clock.lateness_ns
    if isinstance(o, Component | Readout) or o.source == DERIVED:
        return line._replace(t_ns=now_ns)
    if watching.is_new((o.component, o.source)):
        ahead_s = (t_end_ns(o) - now_ns) / 1e9
        data: dict[str, float | str | int] = {"source": o.source, "ahead_s": ahead_s}
        notes.append(Note("ahead", line.component, now_ns, data))
    return line._replace(t_ns=now_ns)


def _unsound(component: str, o: AnyObservation, why: str) -> Note:
    """That an observation was left out which is nothing to be stepped by."""
    data: dict[str, Value] = {"why": why, "source": o.source, "boot": o.boot, "seq": o.seq}
    return Note("implausible", component, o.t_ns if 0 <= o.t_ns < LATEST_NS else 0, data)


def _ticks(watching: Watching, before: int, passed: int, clock: Clock) -> list[int]:
    """The record ticks that the watermark has passed: one, or one for each step of a jump."""
    steps = watching.moves or [watching.watermark_ns]
    watching.moves = []
    ticks = sorted({clock.tick_ns(step) for step in steps if step > before})
    return [tick for tick in ticks if tick > passed] if before != NEVER else []


def _released(watching: Watching, clock: Clock) -> list[tuple[str, int]]:
    dates = [(name, seen_ns + clock.lateness_ns) for name, seen_ns in watching.released]
    watching.released = []
    return dates


def _dated(fleet: Fleet, dates: Sequence[tuple[str, int]]) -> Fleet:
    """The fleet with evidence of components dated at times that are believed now."""
    cohorts = dict(fleet.cohorts)
    for name, t_ns in dates:
        place = fleet.places.get(name)
        if place is not None:
            cohort = cohorts[place.cohort]
            state_ns = cohort.state.t_ns.clone()
            state_ns[place.row] = max(int(state_ns[place.row]), t_ns)
            state = cohort.state._replace(t_ns=state_ns)
            cohorts[place.cohort] = replace(cohort, state=state)
    return replace(fleet, cohorts=cohorts) if dates else fleet


def _applied(fleet: Fleet, lines: Sequence[Line], notes: list[Note]) -> Fleet:
    """The fleet after lines between which no tick passes."""
    for is_registration, run in groupby(lines, lambda line: isinstance(line.what, Component)):
        part = list(run)
        if is_registration:
            components = [line.what for line in part if isinstance(line.what, Component)]
            fleet = _registered(fleet, components, notes)
        else:
            fleet = _observed(fleet, part, notes)
    return replace(fleet, offset=fleet.offset + len(lines))


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
        for component in components:
            fleet = _registered(fleet, [component], notes)
        return fleet
    notes += [Note("registered", c.name, 0, {"revision": c.revision}) for c in components]
    return _beyond(fleet, changed, notes)


def _beyond(fleet: Fleet, changed: set[str], notes: list[Note]) -> Fleet:
    """The fleet, with those told of whose limit a change has put below what is believed."""
    cohorts = dict(fleet.cohorts)
    for name in sorted(changed):
        key, row = fleet.places[name]
        cohort = cohorts[key]
        length = float(mean(cohort.state.length[row : row + 1]))
        is_beyond = length >= float(cohort.state.a_limit[row]) or bool(cohort.state.fractured[row])
        if is_beyond and not bool(cohort.limit_passed[row]):
            passed = cohort.limit_passed.index_fill(0, torch.tensor([row]), value=True)
            cohorts[key] = replace(cohort, limit_passed=passed)
            notes.append(Note("limit", name, int(cohort.state.t_ns[row]), {"crack_length": length}))
    return replace(fleet, cohorts=cohorts)


def _observed(fleet: Fleet, lines: Sequence[Line], notes: list[Note]) -> Fleet:
    """The fleet after observations between which no tick passes."""
    readings: dict[str, list[Reading]] = {}
    for line in lines:
        o, place = line.what, fleet.places.get(line.component)
        if isinstance(o, Component):
            raise TypeError(f"{line.component}: a registration is not an observation")
        if place is not None and not fault(o):
            r = fleet.components[line.component].registration
            reading = Reading(place.row, o, r.calibrated, r.plausible, r.surprise, line.t_ns)
            if isinstance(o, Inspection):
                reading = reading._replace(longest=r.longest)
            readings.setdefault(place.cohort, []).append(reading)
    cohorts, held = dict(fleet.cohorts), dict(fleet.held)
    for key, group in readings.items():
        cohorts[key] = _stepped(cohorts[key], group, held, notes)
    return replace(fleet, cohorts=cohorts, held=held)


def _stepped(
    cohort: Cohort, readings: list[Reading], held: dict[str, Inspection], notes: list[Note]
) -> Cohort:
    """The cohort after readings, round by round."""
    track = Track(*(leaf.numpy().copy() for leaf in cohort.feed))
    inlet = Inlet(track, Watch(*(leaf.numpy().copy() for leaf in cohort.watched)))
    for group in rounds(readings):
        here = np.array([r.row for r in group])
        before = inlet.rows(here)
        try:
            cohort = _advanced(cohort, group, inlet, held, notes)
        except NO_LOAD:  # find out which
            inlet.put_back(here, before)
            for reading in group:
                cohort = _tried(cohort, reading, inlet, held, notes)
    return replace(
        cohort,
        feed=Feed(*map(torch.from_numpy, inlet.track)),
        watched=Watched(*map(torch.from_numpy, inlet.watch)),
    )


def _tried(
    cohort: Cohort,
    reading: Reading,
    inlet: Inlet,
    held: dict[str, Inspection],
    notes: list[Note],
) -> Cohort:
    """The cohort after one reading, or as it was, with a note, if that cannot be a load."""
    here = np.array([reading.row])
    before = inlet.rows(here)
    try:
        return _advanced(cohort, [reading], inlet, held, notes)
    except NO_LOAD as exc:
        if out_of_memory(exc):
            raise
        inlet.put_back(here, before)
        note = _note("implausible", cohort, reading)
        notes.append(note._replace(data={**note.data, "why": f"{type(exc).__name__}: {exc}"}))
        return cohort


def _advanced(
    cohort: Cohort,
    group: list[Reading],
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
    state = stepped(cohort.stepper, rows, load)
    if _broken(cohort, group, (rows, state), load, jumps, held):
        load = _with_believed(load, jumps)
        state = stepped(cohort.stepper, rows, load)
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
    group: list[Reading],
    rows: AnyState,
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
    group: list[Reading],
    states: tuple[AnyState, AnyState],
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


def _believed(group: list[Reading], i: int, jumps: dict[int, Verdict]) -> Reading:
    """A reading of the round, with the inspection that it has let be believed."""
    believed = jumps[i].believed if i in jumps else None
    return group[i] if believed is None else group[i]._replace(observation=believed)


def _surprises(
    cohort: Cohort,
    group: list[Reading],
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


def _doubt(cohort: Cohort, reading: Reading, finding: Finding) -> Note:
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


def _note(kind: str, cohort: Cohort, reading: Reading) -> Note:
    state, row = cohort.state, reading.row
    data: dict[str, float | str | int] = {"crack_length": float(mean(state.length[row : row + 1]))}
    if kind == "inspection":
        data["innovation"] = float(state.innovation[row])
    if isinstance(reading.observation, Inspection) and kind not in ("limit", "fractured"):
        data["measured"] = reading.observation.crack_length
    return Note(kind, cohort.members[row], reading.t_end_ns, data)


def _renewed(fleet: Fleet, tick: int, notes: list[Note]) -> Fleet:
    """The fleet with remaining lives renewed where there was evidence since the last row."""
    cohorts = {}
    for key, cohort in fleet.cohorts.items():
        cohorts[key], failures = with_remaining(cohort)
        told = ((name, why) for name, why in failures.items() if name)
        notes += [Note("life_unknown", name, tick, {"why": why}) for name, why in told]
    return replace(fleet, cohorts=cohorts)
