"""What is recorded of every component at a record tick."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch

from models import tree
from twin.belief.fleet import Fleet, Section
from twin.kinds.catalogue import fields_of
from twin.kinds.crack_fields import GROUP
from twin.kinds.kind import Columns


class RecordRow(NamedTuple):
    """What was believed of every component at a record tick; columns (n,) in order of `members`."""

    t_ns: int
    members: tuple[str, ...]
    groups: Mapping[str, Columns]  # those who have no such belief have the fill of the field

    @property
    def columns(self) -> Columns:
        """What was believed of the cracks."""
        return self.groups[GROUP]

    @property
    def nbytes(self) -> int:
        """What it takes in memory, about."""
        return sum(c.nbytes for columns in self.groups.values() for c in columns.values())


def row(fleet: Fleet, t_ns: int) -> RecordRow:
    """The record row of a fleet at a tick."""
    order = {name: i for i, name in enumerate(fleet.members)}
    groups = {g: recorded(g, section, order) for g, section in fleet.sections.items()}
    return RecordRow(t_ns, fleet.members, groups)


def recorded(group: str, section: Section, order: Mapping[str, int]) -> Columns:
    """What is believed in a section, in the `order` of all components; fill for the others."""
    n, fields = len(order), {field.name: field for field in fields_of(group)}
    columns: Columns = {}
    for cohort in section.cohorts.values():
        rows = np.array([i for i, name in enumerate(cohort.members) if name], np.int64)
        at = np.array([order[cohort.members[i]] for i in rows], np.int64)
        recorded = cohort.kind.columns(cohort.state, cohort.remaining.numpy())
        for name, values in recorded.items():
            if name not in columns:
                columns[name] = np.full(n, fields[name].fill, values.dtype)
            columns[name][at] = values[rows]
    if not columns:  # nobody has such a belief any more
        columns = {f.name: np.full(n, f.fill, f.dtype) for f in fields.values()}
    return columns


def one(section: Section, name: str) -> dict[str, float | int | bool]:
    """What would be recorded now of a component, and how it stands."""
    place = section.places[name]
    cohort = section.cohorts[place.cohort]
    state = tree.rows(cohort.state, torch.tensor([place.row]))
    columns = cohort.kind.columns(state, cohort.remaining.numpy()[place.row : place.row + 1])
    flags = cohort.kind.flags(state)
    return {
        **{key: values.item() for key, values in columns.items()},
        "at_limit": bool(flags.at_limit),
        "ended": bool(flags.ended),
    }
