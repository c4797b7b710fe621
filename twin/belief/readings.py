"""A cohort after readings of its components: loads in runs, what else came round by round."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from models import tree
from models.crack.load import timely
from models.crack.state import mean
from sensors.errors import MalformedError
from sensors.observation import Inspection
from sensors.watch import Watch
from twin.belief.assimilate import Assigned, Inlet, Track, crack_load, is_load, rounds
from twin.belief.cohort import TROUBLE, Cohort, Feed, Watched, out_of_memory, over
from twin.belief.inspected import (
    CLIPPED,
    believed_reading,
    broken,
    judged,
    surprises,
    with_believed,
)
from twin.belief.notes import doubt_note, reading_note
from twin.belief.segments import Note
from twin.kinds.catalogue import AnyState

# Calibration may have changed since the observation was judged, so that it is infinite now, or a
# strain without a modulus. It is in the journal: what it raises would be raised at every start.
NO_LOAD = (*TROUBLE, MalformedError)


def stepped(
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
            note = reading_note("implausible", cohort, group[0])
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
    after = _after(cohort, index, (before, state), beyond[last])
    happened = {
        "limit": beyond & ~_preceding(beyond, cohort.limit_passed[index], which),
        "fractured": along.fractured & ~_preceding(along.fractured, before.fractured, which),
    }
    for kind, where in happened.items():
        for i in torch.nonzero(where).flatten().tolist():
            note = reading_note(kind, after, group[i])
            notes.append(note._replace(data={**note.data, "crack_length": float(length[i])}))
    notes += [doubt_note(after, group[f.reading], f) for f in findings]
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
    after = _after(cohort, index, (before, state), beyond)
    happened = {
        "limit": beyond & ~cohort.limit_passed[index],
        "ended": ended & ~kind.flags(before).ended,
    }
    for what, where in happened.items():
        notes += [
            reading_note(what, after, group[i]) for i in torch.nonzero(where).flatten().tolist()
        ]
    return after


def _after(
    cohort: Cohort, index: Tensor, states: tuple[AnyState, AnyState], beyond: Tensor
) -> Cohort:
    """The cohort whose rows at `index` had the first of the states and have the second."""
    before, state = states
    return replace(
        cohort,
        state=tree.with_rows(cohort.state, index, state, before),
        limit_passed=cohort.limit_passed.index_copy(0, index, beyond),
        evidence=cohort.evidence.index_fill(0, index, value=True),
        pending=cohort.pending.index_fill(0, index, value=True),
    )


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
    jumps = judged(cohort, group, rows, load, held)
    load = with_believed(load, jumps)
    state = cohort.stepper.step(rows, load)
    if broken(cohort, group, (rows, state), load, jumps, held):
        load = with_believed(load, jumps)
        state = cohort.stepper.step(rows, load)
    length = mean(state.length)
    beyond = (length >= state.a_limit) | state.fractured
    passed = beyond & ~cohort.limit_passed[index]
    counts = timely(load, rows)
    off = (length - load.length).abs() > CLIPPED * load.length
    after = _after(cohort, index, (rows, state), beyond)
    happened = {
        "inspection": counts,
        "late": load.inspected & ~counts,
        "clipped": counts & state.replace & off & (not cohort.kind.is_weighed),
        "limit": passed,
        "fractured": state.fractured & ~rows.fractured,
    }
    for kind, where in happened.items():
        told = (believed_reading(group, i, jumps) for i in torch.nonzero(where).flatten().tolist())
        notes += [reading_note(kind, after, reading) for reading in told]
    notes += surprises(cohort, group, jumps, held)
    notes += [doubt_note(after, group[f.reading], f) for f in findings]
    return after
