"""What is recorded of every component at a record tick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import structlog
import torch
from numpy.typing import NDArray

from models import tree
from twin.belief.cohort import TROUBLE, out_of_memory
from twin.belief.fleet import Fleet, Section
from twin.kinds.catalogue import AnyKind, AnyState, fields_of
from twin.kinds.crack_fields import GROUP
from twin.kinds.kind import Columns, Flags

log = structlog.get_logger()


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
        for name, values in _told(cohort.kind, cohort.state, cohort.remaining.numpy()).items():
            if name not in columns:
                columns[name] = np.full(n, fields[name].fill, values.dtype)
            columns[name][at] = values[rows]
    for field in fields.values():  # nobody has such a belief any more, or it could not be told
        columns.setdefault(field.name, np.full(n, field.fill, field.dtype))
    return columns


def _told(kind: AnyKind, state: AnyState, remaining: NDArray[np.float64]) -> Columns:
    """What is to be recorded of a state; nothing where that fails, which the log tells."""
    try:
        return kind.columns(state, remaining)
    except TROUBLE as exc:
        if out_of_memory(exc):
            raise
        log.error("not_recorded", belief=kind.group, reason=f"{type(exc).__name__}: {exc}")
        return {}


def one(section: Section, name: str) -> dict[str, float | int | bool | None]:
    """What would be recorded now of a component (None: it cannot be told), and how it stands."""
    place = section.places[name]
    cohort = section.cohorts[place.cohort]
    state = tree.rows(cohort.state, torch.tensor([place.row]))
    columns = _told(cohort.kind, state, cohort.remaining.numpy()[place.row : place.row + 1])
    flags = cohort.kind.flags(state)
    return {
        **dict.fromkeys(field.name for field in cohort.kind.fields),
        **{key: values.item() for key, values in columns.items()},
        "at_limit": bool(flags.at_limit),
        "ended": bool(flags.ended),
    }


def flagged(section: Section, names: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Which of `names`, who have such a belief, are at their limit, and of which it has ended."""
    known = {key: cohort.kind.flags(cohort.state) for key, cohort in section.cohorts.items()}
    places = [section.places[name] for name in names]
    return {
        name: np.array([bool(getattr(known[p.cohort], name)[p.row]) for p in places], np.bool_)
        for name in Flags._fields
    }
