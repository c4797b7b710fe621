"""Inspections within a round: which are believed, which wait, and what is told of them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from models.crack.load import CrackLoad, timely
from models.crack.state import mean
from sensors.observation import Confirmation, Inspection
from twin.belief.assimilate import Assigned
from twin.belief.cohort import Cohort
from twin.belief.fleet import Fleet
from twin.belief.inspection_gate import Belief, Verdict, doubted, identity, timed, verdicts
from twin.belief.segments import Note
from twin.kinds.catalogue import AnyCrack

CLIPPED = 1e-9  # a belief so far off what was measured is another length [of the length]


def broke_after(fleet: Fleet, name: str, t_ns: int) -> bool:
    """Whether a part has broken behind an instant: what was measured then is of it no more."""
    place = fleet.places[name]
    state = fleet.cohorts[place.cohort].state
    return bool(state.fractured[place.row]) and t_ns < int(state.t_broken_ns[place.row])


def judged(
    cohort: Cohort,
    group: list[Assigned],
    rows: AnyCrack,
    load: CrackLoad,
    held: dict[str, Inspection],
) -> dict[int, Verdict]:
    """What becomes of inspections, by their place in the round."""
    if not any(isinstance(r.observation, Inspection | Confirmation) for r in group):
        return {}
    length, *unsure = cohort.kind.expected(rows)
    leaves = length, rows.a_limit, rows.fractured, rows.t_inspected_ns, timely(load, rows), *unsure
    known = zip(*(x.tolist() for x in leaves), strict=True)
    beliefs = [Belief(*each) for each in known]
    return verdicts(group, beliefs, held, lambda r: cohort.members[r.row])


def with_believed(load: CrackLoad, jumps: dict[int, Verdict]) -> CrackLoad:
    """The load with the inspections that are believed, and without those that are held."""
    if not jumps:
        return load
    index = torch.tensor(list(jumps))
    believed = [verdict.believed for verdict in jumps.values()]
    pairs = [(o.crack_length, o.crack_length_sd) if o else (0.0, 0.0) for o in believed]
    lengths, sds = torch.tensor(pairs, dtype=torch.float64).T
    sure = [any(fate == "confirmed" for fate, _ in verdict.told) for verdict in jumps.values()]
    times = [o.t_ns if o else int(load.t_ns[i]) for i, o in zip(jumps, believed, strict=True)]
    return load._replace(
        t_ns=load.t_ns.index_copy(0, index, torch.tensor(times)),
        inspected=load.inspected.index_copy(0, index, lengths > 0.0),
        length=load.length.index_copy(0, index, lengths),
        length_sd=load.length_sd.index_copy(0, index, sds),
        confirmed=load.confirmed.index_copy(0, index, torch.tensor(sure)),
    )


def broken(
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


def believed_reading(group: list[Assigned], i: int, jumps: dict[int, Verdict]) -> Assigned:
    """A reading of the round, with the inspection that it has let be believed."""
    believed = jumps[i].believed if i in jumps else None
    return group[i] if believed is None else group[i]._replace(observation=believed)


def surprises(
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
