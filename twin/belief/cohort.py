"""Components that share a stepper and a state layout, as one immutable value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from torch import Tensor

from models import tree
from models.crack.forecast import has_load
from models.crack.state import CrackBelief, belief
from sensors.watch import Watch, anew, watch
from twin.component import Component
from twin.kinds.catalogue import AnyKind, AnyState, AnyStepper, kind_of
from twin.kinds.crack_fields import GROUP
from twin.kinds.kind import Manner

# What a step or a remaining life may raise. State and load follow from the journal: it would be
# raised at every start again. Memory that runs out is not among them (`out_of_memory`).
TROUBLE = (
    ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError,
    ValueError,
)  # fmt: skip


class Feed(NamedTuple):
    """Where each component's series of samples stands, to tell a continuation from a gap."""

    origin: Tensor  # (n,) int64, stands for source and boot; 0 before the first series
    seq: Tensor  # (n,) int64, last sequence number of that origin
    t_next_ns: Tensor  # (n,) int64, when the next sample is due


class Watched(NamedTuple):
    """`sensors.watch.Watch` as tensors: what is remembered of each component's channel."""

    real: Tensor  # (n, REALS) float64
    whole: Tensor  # (n, COUNTS) int64


if Watch._fields != Watched._fields:
    raise TypeError("Watched and Watch have different fields")


@dataclass(frozen=True, slots=True)
class Cohort:
    """Rows of components; a vacated row has the name ""."""

    kind: AnyKind
    stepper: AnyStepper
    members: tuple[str, ...]
    state: AnyState
    feed: Feed
    watched: Watched
    remaining: Tensor  # (n,) cycles left under the load so far, NaN: unknown [1]
    limit_passed: Tensor  # (n,) bool, so that the alarm is raised once
    evidence: Tensor  # (n,) bool, whether there was any, or a change, since the last record tick
    pending: Tensor  # (n,) bool, the same since `remaining` was found; none between two folds

    def has_load(self, row: int) -> bool:
        """Whether any cycle was seen, closed or open."""
        return bool(has_load(tree.rows(self.state, torch.tensor([row])))[0])

    def is_over(self, row: int) -> bool:
        """Whether the part is broken or at its limit, so that no life is left under any load."""
        return bool(over(self.kind, tree.rows(self.state, torch.tensor([row])))[0])

    def outlook(self) -> NDArray[np.float64]:
        """Quantiles (n, 3) of the cycles left; see `Kind.outlook`."""
        return self.kind.outlook(self.state, self.remaining.numpy())

    def view(self) -> Beliefs:
        """What can be read of every crack, as arrays."""
        b = belief(self.state)
        return Beliefs(*(leaf.numpy() for leaf in b))


class Beliefs(NamedTuple):
    """The fields of `CrackBelief` as arrays (n,), for reading without torch."""

    crack_length: NDArray[np.float64]
    crack_length_sd: NDArray[np.float64]
    growth_rate: NDArray[np.float64]
    cycles: NDArray[np.float64]
    open_growth: NDArray[np.float64]
    fractured: NDArray[np.bool_]
    measured: NDArray[np.float64]
    measured_sd: NDArray[np.float64]
    innovation: NDArray[np.float64]
    t_inspected_ns: NDArray[np.int64]
    t_ns: NDArray[np.int64]


if CrackBelief._fields != Beliefs._fields:
    raise TypeError("Beliefs and CrackBelief have different fields")


def intensities(cohorts: Iterable[Cohort]) -> dict[str, int]:
    """How many stress intensities the cracks along paths have asked for, by what found them."""
    asked = [cohort.kind.intensities(cohort.state) for cohort in cohorts]
    found, by_xfem = (sum(each[i] for each in asked) for i in range(2))
    return {"operator": found - by_xfem, "xfem": by_xfem}


def newcomers(
    components: Sequence[Component], group: str = GROUP, steppers: Sequence[AnyStepper] = ()
) -> Cohort:
    """A cohort of new components with one key; `steppers` are theirs, if they are made yet."""
    settings = [_own(component, group) for component in components]
    kind, n = kind_of(settings[0]), len(components)
    steppers = steppers or [kind.stepper(own) for own in settings]
    return Cohort(
        kind=kind,
        stepper=steppers[0],
        members=tuple(c.name for c in components),
        state=kind.beginnings(steppers, [c.name for c in components]),
        feed=Feed(*(torch.zeros(n, dtype=torch.int64) for _ in Feed._fields)),
        watched=Watched(*map(torch.from_numpy, watch(n))),
        remaining=torch.full((n,), torch.nan, dtype=torch.float64),
        limit_passed=torch.zeros(n, dtype=torch.bool),
        evidence=torch.zeros(n, dtype=torch.bool),
        pending=torch.zeros(n, dtype=torch.bool),
    )


def _own(component: Component, group: str) -> BaseModel:
    found = component.registration.part(group)
    if found is None:
        raise ValueError(f"{component.name} has no {group}")
    return found


def seated(parts: Sequence[Cohort], origin: Sequence[int], members: Sequence[str]) -> Cohort:
    """The cohort whose rows are those at `origin` of all `parts`, one after the other."""
    first, named = parts[0], tuple(members)
    n, index = len(first.members), torch.tensor(origin, dtype=torch.int64)
    contents = [_content(part) for part in parts]
    stays = n <= len(index) and bool(((index[:n] >= n) | (index[:n] == torch.arange(n))).all())
    if not stays:
        return _of(first, named, tree.rows(tree.joined(contents), index))
    content = contents[0]
    if len(parts) > 1:  # rows are replaced, or follow
        new = contents[1] if len(parts) == 2 else tree.joined(contents[1:])
        here = torch.nonzero(index[:n] >= n).flatten()
        if len(here):
            content = tree.with_rows(content, here, tree.rows(new, index[here] - n))
        if len(index) > n:
            content = tree.joined([content, tree.rows(new, index[n:] - n)])
    return _of(first, named, content)


class _Content(NamedTuple):
    """Everything of a cohort that has a row for each member."""

    state: AnyState
    feed: Feed
    watched: Watched
    remaining: Tensor
    limit_passed: Tensor
    evidence: Tensor
    pending: Tensor


def _content(cohort: Cohort) -> _Content:
    return _Content(*(getattr(cohort, name) for name in _Content._fields))


def _of(cohort: Cohort, members: tuple[str, ...], content: _Content) -> Cohort:
    return Cohort(cohort.kind, cohort.stepper, members, *content)


def returns(before: Component, after: Component) -> bool:
    """Whether a retired component comes back: as another part of that name."""
    return before.retired and not after.retired


def manner(before: Component, after: Component, group: str) -> Manner | None:
    """What stays of a belief; None: nothing does, as it is another part."""
    if returns(before, after):
        return None
    old, new = _own(before, group), _own(after, group)
    was, now = kind_of(old), kind_of(new)
    is_calibrated = after.registration.calibration == before.registration.calibration
    return Manner(
        now.takes_over(was) and now.start(new) == was.start(old),
        is_calibrated and now.stressed(new) == was.stressed(old),
        _channel(after) == _channel(before),
    )


def changed(old: Cohort, rows: Sequence[int], fresh: Cohort, how: Manner | None) -> Cohort:
    """The components in `rows`, with their history, as newly registered: `fresh`, row by row.

    A crack that starts elsewhere is another one: nothing that happened before has acted on it.
    """
    index = torch.tensor(rows)
    new = torch.ones_like(fresh.evidence)  # asks for a new remaining life
    if how is None:
        return replace(fresh, evidence=new, pending=new)
    history = tree.rows(old.state, index)
    state, passed = fresh.state, fresh.limit_passed
    if fresh.kind.takes_over(old.kind) and how.start:
        state = fresh.kind.carried(history, state, how)
        passed = old.limit_passed[index] & over(fresh.kind, state)
    watched = tree.rows(old.watched, index)
    if not how.channel:
        watched = watched._replace(whole=torch.from_numpy(anew(watched.whole.numpy())))
    return replace(
        fresh,
        state=state,
        feed=tree.rows(old.feed, index),
        watched=watched,
        limit_passed=passed,
        evidence=new,
        pending=new,
    )


def _channel(component: Component) -> tuple[object, ...]:
    """What must not change for a channel to be as clipped or stuck as before."""
    return component.registration.gauge, component.registration.calibration


def with_remaining(cohort: Cohort) -> tuple[Cohort, dict[str, str]]:
    """The cohort with the remaining life of the rows renewed where there was evidence.

    Whenever that bears its time: it may be late, or of the very instant of the last tick. And why
    no life could be found, by member: there it is unknown.
    """
    index = torch.nonzero(cohort.evidence).flatten()
    if not len(index):
        return cohort, {}
    failures: dict[str, str] = {}
    cohort = _renewed(cohort, index, failures)
    none = torch.zeros_like(cohort.evidence)
    return replace(cohort, evidence=none, pending=none), failures


def with_present_lives(cohort: Cohort) -> Cohort:
    """The cohort with the remaining life of the rows renewed that were seen or changed just now.

    Nothing else changes: what a record row says must not hang on where a fold ends.
    """
    index = torch.nonzero(cohort.pending).flatten()
    if not len(index):
        return cohort
    found = _renewed(cohort, index, {})
    return replace(
        cohort,
        state=cohort.kind.with_outlook(cohort.state, found.state),
        remaining=found.remaining,
        pending=torch.zeros_like(cohort.pending),
    )


def out_of_memory(exc: Exception) -> bool:
    """Whether it was the machine: torch says by a RuntimeError that it got no memory."""
    return isinstance(exc, RuntimeError) and "allocate memory" in str(exc)


def _renewed(cohort: Cohort, index: Tensor, failures: dict[str, str]) -> Cohort:
    """The lives of the rows at `index` found together, or, if that fails, half by half."""
    try:
        return _with_lives(cohort, index)
    except TROUBLE as exc:
        if out_of_memory(exc):
            raise
        if len(index) == 1:
            over = cohort.is_over(int(index))
            if not over:
                failures[cohort.members[int(index)]] = f"{type(exc).__name__}: {exc}"
            left = 0.0 if over else torch.nan
            return replace(cohort, remaining=cohort.remaining.index_fill(0, index, left))
    for half in index.tensor_split(2):
        cohort = _renewed(cohort, half, failures)
    return cohort


def _with_lives(cohort: Cohort, index: Tensor) -> Cohort:
    rows, state = tree.rows(cohort.state, index), cohort.state
    after, life = cohort.kind.lives(cohort.stepper, rows)
    if after is not rows:
        state = tree.with_rows(state, index, after, rows)
    life = torch.where(over(cohort.kind, rows), 0.0, life)
    return replace(cohort, state=state, remaining=cohort.remaining.index_copy(0, index, life))


def over(kind: AnyKind, state: AnyState) -> Tensor:
    """Which components (n,) have ended or are at their limits."""
    flags = kind.flags(state)
    return flags.at_limit | flags.ended
