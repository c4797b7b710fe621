"""The stepper of cracks that run along paths: load in mixed mode in, path out."""

# Over 300 lines: state, settings and step of one stepper.

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from models.crack.growth import tallied
from models.crack.load import CrackLoad, broken_at, check, counted_load, dated, forgotten, timely
from models.crack.peaks import loaded
from models.crack.state import MOST_OPEN, columns
from models.crack_path.driving_force import pull
from models.crack_path.front import Front, acting, at_end, known, moved, to_edge
from models.crack_path.growth import Walk, ended, walked
from models.crack_path.plate import CLOSURES, SEGMENT, Plates, checked_path
from models.crack_path.polyline import IntensitySolver
from models.fatigue.exposure import Exposure, exposed, exposure
from models.fatigue.laws import Law
from models.fatigue.mixed_mode import equivalent
from models.fatigue.rainflow import Cycles, Turning, open_half_cycles, turning
from models.fatigue.strength import Strength, strength
from models.fatigue.strength import known as known_strength
from models.tree import mapped, rows, with_rows
from models.xfem.closure import Closure
from models.xfem.grid import Floats

NODES = 96  # room of a path
OUTLOOK_POINTS = 100  # room of an outlook


@dataclass(frozen=True, slots=True)
class EdgePlate:
    """A plate with an edge crack that grows along a path, in tension and shear."""

    W: float  # [m]
    H: float  # [m]
    closure: Closure
    path: Floats  # (m, 2) nodes of the initial crack, the mouth first [m]

    def checked(self) -> EdgePlate:
        """Itself; ValueError where no crack could be followed."""
        if self.closure not in CLOSURES:
            raise ValueError(f"closure {self.closure!r} is not one of {', '.join(CLOSURES)}")
        checked_path(np.asarray(self.path), self.W, self.H)
        return self


class Outlook(NamedTuple):
    """What cracks will meet on their way under the load so far; found when remaining life is."""

    a: Tensor  # (n, OUTLOOK_POINTS) lengths, the last one repeated [m]
    k: Tensor  # (n, OUTLOOK_POINTS, 2, 2) there, by load and mode [√m]
    ratio: Tensor  # (n,) shear over tension that it was found for [1]
    known: Tensor  # (n,) bool


class PathState(NamedTuple):
    """What is believed of each crack; axis 0 component, axis 1 particle, of which there is one."""

    a: Tensor  # (n, 1) length of the crack along its path, by the cycles that are counted [m]
    length: Tensor  # (n, 1) with the growth of the open residue: what is believed [m]
    law: Law  # leaves (n, 1)
    strength: Strength  # leaves (n, 1); yield of the net section is not judged
    plates: Plates
    front: Front
    outlook: Outlook
    counter: Turning
    exposure: Exposure
    a_limit: Tensor  # (n,) length at which the part is to be taken out [m]
    replace: Tensor  # (n,) bool, an inspection replaces the belief, or is only recorded
    cycles: Tensor  # (n,) seen so far [1]
    rate: Tensor  # (n, 1) mean growth of the last load [m/cycle]
    open_growth: Tensor  # (n, 1) growth if the residue closed now as half cycles [m]
    fractured: Tensor  # (n,) bool, the crack has run through the plate
    measured: Tensor  # (n,) last inspected length [m]
    measured_sd: Tensor  # (n,) [m]
    innovation: Tensor  # (n,) measured − believed just before [m]
    t_inspected_ns: Tensor  # (n,) int64, 0: never
    t_broken_ns: Tensor  # (n,) int64 of what broke it, 0: never
    t_ns: Tensor  # (n,) int64 last evidence

    @property
    def length_sd(self) -> Tensor:
        """(n,) of one particle: 0 [m]."""
        return torch.zeros_like(self.length[:, 0])


@dataclass(frozen=True)
class PathStepper:
    """Growth of one crack or of equal ones; what is joined from several may differ in numbers.

    `step` reads nothing but the state and `find`, so that rows of steppers with the same type of
    law can be joined (`models.tree.joined`) and stepped by any of them.
    """

    law: Law
    plate: EdgePlate
    a_limit: float  # [m]
    gate: float = 0.0  # reversals smaller than this are no turning points [Pa]
    replace: bool = True
    K_c: float = math.inf  # toughness, where a peak breaks the part [Pa √m]
    capacity: int = 64  # turning points that stay open
    find: IntensitySolver = field(kw_only=True, repr=False)

    def init(self, n: int) -> PathState:
        """`n` cracks that have seen nothing; raises ValueError for plates that are none."""
        plate = self.plate.checked()
        path = torch.from_numpy(np.asarray(plate.path, np.float64)).expand(n, -1, 2)
        front, zeros = at_end(path, NODES), torch.zeros(n, dtype=torch.float64)
        code = CLOSURES.index(plate.closure)
        return PathState(
            a=front.start[:, None].clone(),
            length=front.start[:, None].clone(),
            law=mapped(lambda leaf: columns(leaf, n), self.law),
            strength=mapped(lambda leaf: columns(leaf, n), strength(self.law, self.K_c, math.inf)),
            plates=Plates(zeros + plate.W, zeros + plate.H, torch.full((n,), code)),
            front=front,
            outlook=_no_outlook(n),
            counter=turning(n, self.gate, self.capacity),
            exposure=exposure(n),
            a_limit=zeros + self.a_limit,
            replace=torch.full((n,), self.replace),
            cycles=zeros.clone(),
            rate=zeros[:, None].clone(),
            open_growth=zeros[:, None].clone(),
            fractured=torch.zeros(n, dtype=torch.bool),
            measured=zeros.clone(),
            measured_sd=zeros.clone(),
            innovation=zeros.clone(),
            t_inspected_ns=torch.zeros(n, dtype=torch.int64),
            t_broken_ns=torch.zeros(n, dtype=torch.int64),
            t_ns=torch.zeros(n, dtype=torch.int64),
        )

    def step(self, state: PathState, load: CrackLoad) -> PathState:
        """The cracks after `load`, the inspection after the cycles.

        Raises ValueError for a load that is not finite, or not a load.
        """
        check(load, len(state.a))
        before, state = state, loaded(self, state, load)
        state = state._replace(t_broken_ns=broken_at(before, state, load))
        if load.inspected.any():
            anew = _replaced(state, load) & state.fractured
            counter, memory = forgotten(anew, state.counter, state.exposure)
            state = state._replace(counter=counter, exposure=memory)
            state = _inspected(state, load, self._open_when_measured(state, load))
        broken = broken_at(before, state, load)
        return state._replace(t_broken_ns=broken, t_ns=dated(state.t_ns, load))

    def taken(self, state: PathState, load: CrackLoad) -> PathState:
        """The cracks after the samples and blocks; whether a peak breaks them is left open."""
        counter, cycles = counted_load(state.counter, load)
        state = self._grown(state, cycles)._replace(
            counter=counter, exposure=exposed(state.exposure, cycles)
        )
        return self._with_open_growth(state)

    def breaks(self, state: PathState, tension: Tensor, shear: Tensor) -> Tensor:
        """Whether (…, 1) stresses (…, 1) [Pa] break cracks where they are now."""
        if not known_strength(state.strength):
            return torch.zeros(len(tension), 1, dtype=torch.bool)
        k = acting(state.front, state.a[:, 0])[0]
        K_I = tension * k[:, 0, 0, None] + shear * k[:, 1, 0, None]
        K_II = tension * k[:, 0, 1, None] + shear * k[:, 1, 1, None]
        return (tension > 0.0) & (equivalent(K_I, K_II) >= state.strength.K_c)

    def hurry(self, before: PathState, after: PathState) -> Tensor:
        """One part (n,): along paths, cuts make facets."""
        return torch.ones_like(after.cycles)

    def ended(self, state: PathState) -> Tensor:
        """Which cracks (n, 1) have run through the plate."""
        return state.fractured[:, None]

    def broken(self, state: PathState, which: Tensor) -> PathState:
        """The cracks with those at `which` (n, 1) run to the edge of the plate."""
        walk = Walk(
            front=state.front,
            plates=state.plates,
            a=state.a[:, 0],
            growth=torch.zeros_like(state.cycles),
            left=torch.zeros_like(state.cycles),
            broken=which[:, 0] & ~state.fractured,
        )
        after = ended(walk, self.find)
        a = after.a[:, None]
        return state._replace(
            a=a,
            length=torch.where(which, a, state.length),
            open_growth=torch.where(which, 0.0, state.open_growth),
            front=after.front,
            fractured=state.fractured | which[:, 0],
        )

    def _grown(self, state: PathState, cycles: Cycles) -> PathState:
        if cycles.range.numel() == 0:
            return state
        driven = cycles.offset.diff() > 0
        walk = Walk(
            front=state.front,
            plates=state.plates,
            a=state.a[:, 0],
            growth=torch.zeros_like(state.cycles),
            left=torch.where(driven & ~state.fractured, 1.0, 0.0).to(torch.float64),
            broken=state.fractured,
        )
        after = walked(walk, pull(state.law, cycles, state.strength), self.find)
        count, rate = tallied(state.cycles, state.rate, cycles, after.growth[:, None], after.broken)
        return state._replace(
            a=after.a[:, None],
            front=after.front,
            cycles=count,
            rate=rate,
            fractured=after.broken,
        )

    def _with_open_growth(self, state: PathState) -> PathState:
        """The cracks with what the residue has grown them; what is believed never shrinks."""
        state, growth = self._open_growth(state)
        more = torch.maximum(growth, state.length - state.a)
        more = torch.where(state.fractured[:, None], 0.0, more)
        return state._replace(length=state.a + more, open_growth=more)

    def _open_when_measured(self, state: PathState, load: CrackLoad) -> Tensor:
        """What the residue grows (n,) [m] the cracks that inspections say there are."""
        more = state.open_growth[:, 0]
        index = (_replaced(state, load) & (state.counter.depth > 1)).nonzero().squeeze(1)
        if not index.numel():
            return more
        some, shortest = rows(state, index), (SEGMENT * state.plates.width)[index]
        front = moved(some.front, torch.maximum(load.length[index], shortest), shortest)
        holds = some.plates.holds(front.tip)
        some = some._replace(
            front=with_rows(some.front, (at := holds.nonzero().squeeze(1)), rows(front, at)),
            a=front.start[:, None],
            fractured=~holds,
        )
        return more.index_copy(0, index, self._open_growth(some)[1][:, 0])

    def _open_growth(self, state: PathState) -> tuple[PathState, Tensor]:
        """Growth (n, 1) [m] if the residue closed now as half cycles, none where one would break.

        And the state, which knows the intensities of its nodes.
        """
        open_rows = (state.counter.depth > 0) & ~state.fractured
        if not open_rows.any():
            return state, torch.zeros_like(state.open_growth)
        index = open_rows.nonzero().squeeze(1)
        some = rows(state.front, index)
        some = known(some, rows(state.plates, index), self.find)
        state = state._replace(front=with_rows(state.front, index, some))
        a = state.a[:, 0]
        halves = pull(state.law, open_half_cycles(state.counter), state.strength)
        growth = halves(acting(state.front, a)[0], a)
        left = (state.plates.width - state.front.tip[:, 0]).clamp(min=0.0)
        happens = open_rows & torch.isfinite(growth)
        return state, torch.where(happens, torch.minimum(growth, left), 0.0)[:, None]


def _no_outlook(n: int) -> Outlook:
    zeros = torch.zeros(n, OUTLOOK_POINTS, dtype=torch.float64)
    k = torch.zeros(n, OUTLOOK_POINTS, 2, 2, dtype=torch.float64)
    return Outlook(zeros, k, zeros[:, 0].clone(), torch.zeros(n, dtype=torch.bool))


def _replaced(state: PathState, load: CrackLoad) -> Tensor:
    """Whose belief (n,) an inspection replaces."""
    return timely(load, state) & state.replace


def _inspected(state: PathState, load: CrackLoad, more: Tensor) -> PathState:
    """The belief after the inspections; the tip moves along the path, or straight on.

    A tip where no crack can be followed is that of one through the plate, at its edge; one that is
    moved back to where it can be is that of a crack again: whoever looked knows better. What was
    measured has the growth `more` (n,) [m] of the open residue in it: closing, it must not count
    again.
    """
    seen, length = timely(load, state), load.length
    before, shortest = state.length[:, 0], SEGMENT * state.plates.width
    counted = length - torch.minimum(more, MOST_OPEN * length)
    index = _replaced(state, load).nonzero().squeeze(1)
    if index.numel():
        to = torch.maximum(counted, shortest)[index]
        front = moved(rows(state.front, index), to, shortest[index])
        plates = rows(state.plates, index)
        past = ~plates.holds(front.tip)
        broken = past.nonzero().squeeze(1)
        if broken.numel():
            front = with_rows(front, broken, to_edge(rows(front, broken), rows(plates, broken)))
        believed = torch.maximum(length, shortest)[index]
        told = torch.where(past, front.start, torch.maximum(believed, front.start))
        unsure = state.outlook.known.index_fill(0, index, value=False)
        state = state._replace(
            a=state.a.index_copy(0, index, front.start[:, None]),
            length=state.length.index_copy(0, index, told[:, None]),
            open_growth=state.open_growth.index_copy(0, index, (told - front.start)[:, None]),
            front=with_rows(state.front, index, front),
            outlook=state.outlook._replace(known=unsure),
            fractured=state.fractured.index_copy(0, index, past),
        )
    return state._replace(
        measured=torch.where(seen, length, state.measured),
        measured_sd=torch.where(seen, load.length_sd, state.measured_sd),
        innovation=torch.where(seen, length - before, state.innovation),
        t_inspected_ns=torch.where(seen, load.t_ns, state.t_inspected_ns),
    )
