"""What is recorded of every component at a record tick."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.belief.cohort import Cohort
from twin.belief.fleet import Fleet

Columns = dict[str, NDArray[Any]]


class RecordRow(NamedTuple):
    """What was believed of every component at a record tick; columns (n,) in order of `members`."""

    t_ns: int
    members: tuple[str, ...]
    columns: Columns


def row(fleet: Fleet, t_ns: int) -> RecordRow:
    """The record row of a fleet at a tick."""
    n = len(fleet.members)
    order = {name: i for i, name in enumerate(fleet.members)}
    columns: Columns = {}
    for cohort in fleet.cohorts.values():
        rows = np.array([i for i, name in enumerate(cohort.members) if name], np.int64)
        at = np.array([order[cohort.members[i]] for i in rows], np.int64)
        for name, values in _recorded(cohort).items():
            column = columns.setdefault(name, np.empty(n, values.dtype))
            column[at] = values[rows]
    return RecordRow(t_ns, fleet.members, columns)


def _recorded(cohort: Cohort) -> Columns:
    view = cohort.view()
    return {
        "crack_length": view.crack_length,
        "crack_length_sd": view.crack_length_sd,
        "growth_rate": view.growth_rate,
        "cycles": view.cycles,
        "open_growth": view.open_growth,
        "remaining_cycles": cohort.remaining.numpy(),
        "innovation": view.innovation,
        "last_evidence": view.t_ns,
    }
