"""Components that share a stepper and a state layout, as one immutable value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models import tree
from models.crack.forecast import has_load, remaining
from models.crack.growth import remarked
from models.crack.joint import joint
from models.crack.load import CrackLoad
from models.crack.run import Along
from models.crack.state import CrackBelief, CrackState, belief, mean
from models.crack.stepper import CrackStepper
from models.crack_path.forecast import with_remaining as path_with_remaining
from models.crack_path.stepper import EdgePlate, PathState, PathStepper
from models.fatigue.geometry import GEOMETRIES
from models.fatigue.laws import LAWS
from models.fatigue.retardation import RETARDATIONS, Overload
from models.fatigue.tables import TableGeometry, TableLaw, shape_name
from sensors.observation import Series, Spectrum
from sensors.watch import Watch, anew, watch
from twin.component import Component, PlateParameters

LIFE_POINTS = 65  # of the quadrature of remaining lives, once a record tick for every component
KIND = "crack"  # the group of the trajectory that these cohorts are recorded in
PORTION = 256  # newcomers that are made at a time

# What it takes to step a component by itself, about; see `tests/twin/stepping/test_stepping.py`
PATH_S = 8e-3  # a load, along a path
LOAD_S, CYCLE_S, RETARDED_S = 4e-5, 1e-6, 2e-6  # a load; each sample or cycle of it

# What a step or a remaining life may raise. State and load follow from the journal: it would be
# raised at every start again. Memory that runs out is not among them (`out_of_memory`).
TROUBLE = (
    ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError,
    ValueError,
)  # fmt: skip

AnyStepper = CrackStepper | PathStepper
AnyState = CrackState | PathState


_REGISTRIES: tuple[Mapping[str, type], ...] = (LAWS, GEOMETRIES, RETARDATIONS)
_REGISTERED: dict[type, str] = {
    **{kind: name for registry in _REGISTRIES for name, kind in registry.items()},
    TableLaw: "tabulated",
    TableGeometry: "tabulated",
    EdgePlate: "plate",
}


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
        return bool(_over(tree.rows(self.state, torch.tensor([row])))[0])

    def view(self) -> Readings:
        """What can be read of every row, as arrays."""
        b = belief(self.state)
        return Readings(*(leaf.numpy() for leaf in b))


class Readings(NamedTuple):
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


if CrackBelief._fields != Readings._fields:
    raise TypeError("Readings and CrackBelief have different fields")


def stepped(stepper: AnyStepper, state: AnyState, load: CrackLoad) -> AnyState:
    """The state after `load`; a stepper meets states of its own kind alone."""
    if isinstance(stepper, PathStepper):
        return stepper.step(cast(PathState, state), load)
    return stepper.step(cast(CrackState, state), load)


def runs_together(stepper: AnyStepper) -> bool:
    """Whether consecutive loads of a component can be stepped in one go, to the same bits."""
    return isinstance(stepper, CrackStepper)


def ran(
    stepper: AnyStepper, state: AnyState, load: CrackLoad, row: Tensor
) -> tuple[AnyState, Along]:
    """The state after loads, each on its `row` (k,), and what each of them has left."""
    assert isinstance(stepper, CrackStepper)  # as `runs_together` says
    return stepper.run(cast(CrackState, state), load, row)


def effort(stepper: AnyStepper, load: Series | Spectrum) -> float:
    """About how long one component takes to be stepped by a load of its own [s]."""
    if isinstance(stepper, PathStepper):
        return PATH_S
    many = len(load.tension) // 8 if isinstance(load, Series) else len(load.cycles) // 24
    return LOAD_S + many * (RETARDED_S if stepper.retardation.interacts else CYCLE_S)


def intensities(cohorts: Iterable[Cohort]) -> dict[str, int]:
    """How many stress intensities the cracks along paths have asked for, by what found them."""
    fronts = [c.state.front for c in cohorts if isinstance(c.state, PathState)]
    found, by_xfem = (
        sum(int(leaf.sum()) for leaf in leaves)
        for leaves in ([f.found for f in fronts], [f.by_xfem for f in fronts])
    )
    return {"operator": found - by_xfem, "xfem": by_xfem}


def layout(stepper: AnyStepper) -> str:
    """The name of the cohort that components with this stepper share, by the names in registries.

    It is on disk, in checkpoints: no name of a class is part of it.
    """
    if isinstance(stepper, PathStepper):
        return "-".join(map(_named, (stepper.law, stepper.plate)))
    return "-".join(map(_named, (stepper.law, stepper.geometry, stepper.retardation)))


def _named(part: object) -> str:
    return _REGISTERED[type(part)] + shape_name(part)


def beginnings(steppers: Sequence[AnyStepper]) -> AnyState:
    """The first state of each stepper, one row each; they share a layout."""
    cracks = [s for s in steppers if isinstance(s, CrackStepper)]
    if len(cracks) == len(steppers):
        return joint(cracks).init(len(cracks))
    # joined in portions, as many small tensors take much memory
    portions = [steppers[i : i + PORTION] for i in range(0, len(steppers), PORTION)]
    return tree.joined([tree.joined([s.init(1) for s in portion]) for portion in portions])


def newcomers(components: Sequence[Component], steppers: Sequence[AnyStepper] = ()) -> Cohort:
    """A cohort of new components with one layout; `steppers` are theirs, if they are made yet."""
    steppers = steppers or [c.registration.stepper() for c in components]
    n = len(components)
    return Cohort(
        stepper=steppers[0],
        members=tuple(c.name for c in components),
        state=beginnings(steppers),
        feed=Feed(*(torch.zeros(n, dtype=torch.int64) for _ in Feed._fields)),
        watched=Watched(*map(torch.from_numpy, watch(n))),
        remaining=torch.full((n,), torch.nan, dtype=torch.float64),
        limit_passed=torch.zeros(n, dtype=torch.bool),
        evidence=torch.zeros(n, dtype=torch.bool),
        pending=torch.zeros(n, dtype=torch.bool),
    )


def seated(parts: Sequence[Cohort], origin: Sequence[int], members: Sequence[str]) -> Cohort:
    """The cohort whose rows are those at `origin` of all `parts`, one after the other."""
    first, named = parts[0], tuple(members)
    n, index = len(first.members), torch.tensor(origin, dtype=torch.int64)
    contents = [_content(part) for part in parts]
    stays = n <= len(index) and bool(((index[:n] >= n) | (index[:n] == torch.arange(n))).all())
    if not stays:
        return _of(first.stepper, named, tree.rows(tree.joined(contents), index))
    content = contents[0]
    if len(parts) > 1:  # rows are replaced, or follow
        new = contents[1] if len(parts) == 2 else tree.joined(contents[1:])
        here = torch.nonzero(index[:n] >= n).flatten()
        if len(here):
            content = tree.with_rows(content, here, tree.rows(new, index[here] - n))
        if len(index) > n:
            content = tree.joined([content, tree.rows(new, index[n:] - n)])
    return _of(first.stepper, named, content)


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


def _of(stepper: AnyStepper, members: tuple[str, ...], content: _Content) -> Cohort:
    return Cohort(stepper, members, *content)


def returns(before: Component, after: Component) -> bool:
    """Whether a retired component comes back: as another part of that name."""
    return before.retired and not after.retired


class Manner(NamedTuple):
    """What of a registration stays when it changes."""

    start: bool  # where the crack began, so that it is the same one
    stressed: bool  # what the stress intensity of a load comes from
    channel: bool  # what says whether a channel is clipped or stuck


def manner(before: Component, after: Component) -> Manner | None:
    """What stays; None: nothing does, as it is another part."""
    if returns(before, after):
        return None
    return Manner(
        _start(after) == _start(before),
        _stressed(after) == _stressed(before),
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
    if type(history) is type(state) and how.start:
        carried = {name: getattr(history, name) for name in (*_HISTORY, *_own(history))}
        gate = state.counter.gate
        state = state._replace(**carried)
        state = state._replace(counter=state.counter._replace(gate=gate))
        if isinstance(state, CrackState):
            if not how.stressed:
                none = Overload(state.length, torch.zeros_like(state.length))
                state = state._replace(overload=none)
            state = remarked(state, new)
        beyond = (mean(state.length) >= state.a_limit) | state.fractured
        passed = old.limit_passed[index] & beyond
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


def _start(component: Component) -> tuple[object, ...]:
    """What must not change for a crack to stay where it is."""
    r = component.registration
    if isinstance(r.geometry, PlateParameters):
        return r.crack_length, r.geometry
    return (r.crack_length,)


def _stressed(component: Component) -> tuple[object, ...]:
    """What the stress intensity of a load came from: another one leaves no zone to go by."""
    return component.registration.geometry, component.registration.calibration


def _own(state: AnyState) -> tuple[str, ...]:
    """What of its history cracks of one kind alone have."""
    return ("front",) if isinstance(state, PathState) else ("overload",)


_HISTORY = (
    "a",
    "length",
    "open_growth",
    "fractured",
    "counter",
    "exposure",
    "cycles",
    "rate",
    "measured",
    "measured_sd",
    "innovation",
    "t_inspected_ns",
    "t_broken_ns",
    "t_ns",
)


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
    left = _renewed(cohort, index, {}).remaining
    return replace(cohort, remaining=left, pending=torch.zeros_like(cohort.pending))


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
    if isinstance(cohort.stepper, PathStepper):
        after, life = path_with_remaining(cast(PathState, rows), cohort.stepper.find)
        state = tree.with_rows(state, index, after, rows)
    else:
        life = remaining(cast(CrackState, rows), LIFE_POINTS)
    life = torch.where(has_load(rows), mean(life), torch.nan)
    life = torch.where(_over(rows), 0.0, life)
    return replace(cohort, state=state, remaining=cohort.remaining.index_copy(0, index, life))


def _over(state: AnyState) -> Tensor:
    """Which parts (n,) are broken or at their limits."""
    return state.fractured | (mean(state.length) >= state.a_limit)
