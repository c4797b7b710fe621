"""The crack stepper: load in, crack length out, for a batch of components at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from models.crack.growth import open_growth, remarked, unit_intensities
from models.crack.load import CrackLoad, broken_at, dated, forgotten, no_load, timely
from models.crack.run import Along, ran
from models.crack.state import MOST_OPEN, CrackState, columns, limit_of, mean
from models.fatigue.exposure import exposure
from models.fatigue.geometry import EdgeCrack, Geometry
from models.fatigue.laws import Law, ParisLaw
from models.fatigue.rainflow import turning
from models.fatigue.retardation import NoRetardation, Overload, Retardation
from models.fatigue.strength import strength
from models.fatigue.value import Value
from models.tree import chosen, mapped


@dataclass(frozen=True)
class CrackStepper:
    """Crack growth by cycles; parameters are floats, (n,), (n, 1) or (n, p) tensors.

    `step` reads nothing but the state, so that rows of steppers with the same types of law,
    geometry and retardation can be joined (`models.tree.joined`) and stepped by any of them.
    """

    law: Law
    geometry: Geometry
    retardation: Retardation
    a_0: Value  # [m]
    a_limit: Value  # (n,) or float [m]
    gate: Value = 0.0  # reversals smaller than this are no turning points [Pa]
    replace: bool | Tensor = True
    K_c: Value = math.inf  # toughness, where a peak breaks the part [Pa √m]
    yield_stress: Value = math.inf  # of the net section, which breaks it too [Pa]
    particles: int = 1
    capacity: int = 64  # turning points that stay open

    def init(self, n: int) -> CrackState:
        """`n` cracks that have seen nothing; raises ValueError for lengths that are none."""
        a = columns(self.a_0, n).expand(n, self.particles).clone()
        geometry = mapped(lambda leaf: columns(leaf, n), self.geometry)
        limit = columns(self.a_limit, n)[:, 0].clone()
        _check_lengths(a, limit, geometry)
        zeros, ticks = torch.zeros(n, dtype=a.dtype), torch.zeros(n, dtype=torch.int64)
        return CrackState(
            a=a,
            length=a.clone(),
            law=mapped(lambda leaf: columns(leaf, n), self.law),
            geometry=geometry,
            retardation=mapped(lambda leaf: columns(leaf, n), self.retardation),
            strength=mapped(
                lambda leaf: columns(leaf, n), strength(self.law, self.K_c, self.yield_stress)
            ),
            overload=Overload(a.clone(), torch.zeros_like(a)),
            counter=turning(n, self.gate, self.capacity),
            exposure=exposure(n),
            a_limit=limit,
            replace=torch.as_tensor(self.replace).expand(n).clone(),
            cycles=torch.zeros(n, dtype=torch.float64),
            rate=torch.zeros_like(a),
            open_growth=torch.zeros_like(a),
            fractured=torch.zeros(n, dtype=torch.bool),
            measured=zeros,
            measured_sd=zeros.clone(),
            innovation=zeros.clone(),
            t_inspected_ns=ticks,
            t_broken_ns=ticks.clone(),
            t_ns=ticks.clone(),
        )

    def step(self, state: CrackState, load: CrackLoad) -> CrackState:
        """The cracks after `load`, the inspection after the cycles.

        Raises ValueError for a load that is not finite, or not a load.
        """
        before, (state, _) = state, ran(state, load, torch.arange(len(state.a)))
        if not load.inspected.any():
            return state
        state = _inspected(state, load)
        broken = broken_at(before, state, load)
        return state._replace(t_broken_ns=broken, t_ns=dated(state.t_ns, load))

    def run(self, state: CrackState, load: CrackLoad, row: Tensor) -> tuple[CrackState, Along]:
        """The cracks after the messages of `load` (k,), each on its `row` (k,) int64, not falling.

        To the bit what `step` gives message by message. Raises ValueError for what is no load, or
        has inspections in it.
        """
        if load.inspected.any():
            raise ValueError("a run of loads has an inspection in it: step it by itself")
        return ran(state, load, row)


def warm() -> None:
    """Compile, or load what was compiled before, so that the first message does not wait."""
    law, geometry = ParisLaw(C=1e-30, m=3.0), EdgeCrack(0.1)
    stepper = CrackStepper(law, geometry, NoRetardation(), 0.01, 0.05)
    stepper.step(stepper.init(1), no_load(1))


def _inspected(state: CrackState, load: CrackLoad) -> CrackState:
    """The belief after the inspections.

    What was measured has the growth of the open residue in it: closing, it must not count again.
    A crack that is measured behind a break begins anew.
    """
    seen, length = timely(load, state), load.length.to(state.a.dtype)
    taken = seen & state.replace
    state = forgotten_cracks(state, taken & state.fractured)
    after = placed(state, taken, length[:, None])
    return after._replace(
        measured=torch.where(seen, length, state.measured),
        measured_sd=torch.where(seen, load.length_sd.to(state.a.dtype), state.measured_sd),
        innovation=torch.where(seen, length - mean(state.length), state.innovation),
        t_inspected_ns=torch.where(seen, load.t_ns, state.t_inspected_ns),
    )


def placed(state: CrackState, which: Tensor, length: Tensor) -> CrackState:
    """The cracks, those at `which` (n,) with other lengths, (n, 1) or (n, p) [m], and their past.

    The growth of the open residue is in the length: closing, it must not count again.
    """
    limit, taken = limit_of(state).view_as(state.a), which[:, None]
    measured = torch.minimum(length, limit).expand_as(state.a)
    overload = _moved(state, torch.where(taken, measured - state.length, 0.0))
    after = state._replace(length=torch.where(taken, measured, state.length), overload=overload)
    after = remarked(after, which)
    more = torch.minimum(open_growth(after), MOST_OPEN * measured)
    a = torch.where(taken, torch.where(measured < limit, measured - more, limit), state.a)
    return after._replace(
        a=a,
        open_growth=torch.where(taken, measured - a, state.open_growth),
        fractured=(a >= limit).all(1),
    )


def with_constants(history: CrackState, fresh: CrackState, *, stressed: bool) -> CrackState:
    """The history of cracks with the constants of `fresh`.

    Unless they are `stressed` as before, no zone stays of what came from elsewhere.
    """
    state = history._replace(
        law=fresh.law,
        geometry=fresh.geometry,
        retardation=fresh.retardation,
        strength=fresh.strength,
        counter=history.counter._replace(gate=fresh.counter.gate),
        a_limit=fresh.a_limit,
        replace=fresh.replace,
    )
    if not stressed:
        state = state._replace(overload=Overload(state.length, torch.zeros_like(state.length)))
    return state


def forgotten_cracks(state: CrackState, which: Tensor) -> CrackState:
    """The cracks, those at `which` (n,) without what happened before: it was another one's."""
    counter, memory = forgotten(which, state.counter, state.exposure)
    none = Overload(state.length, torch.zeros_like(state.length))
    return state._replace(
        counter=counter, exposure=memory, overload=chosen(which, none, state.overload)
    )


def _moved(state: CrackState, by: Tensor) -> Overload:
    """The overloads of cracks that are longer than believed `by` (n, p) [m], and always were.

    They happened as far behind the tip, and their stress intensity was that of such a crack. One
    whose place there would be ahead of the part is none.
    """
    old = state.overload
    a = old.a + by
    is_one = (by != 0.0) & (old.K > 0.0) & (a > 0.0)
    unit, was = (
        unit_intensities(state, torch.where(is_one, x, state.length))[0] for x in (a, old.a)
    )
    K = torch.where(is_one, old.K * (unit / was), torch.where(a > 0.0, old.K, 0.0))
    return Overload(torch.where(a > 0.0, a, state.length + by), K)


def _check_lengths(a: Tensor, a_limit: Tensor, geometry: Geometry) -> None:
    limit = torch.as_tensor(geometry.limit).expand_as(a)
    if not ((a > 0.0) & (a < limit)).all():
        raise ValueError(f"a_0 {float(a.max())} m is not within 0 … {float(limit.min())} m")
    if not (a_limit > 0.0).all():
        raise ValueError(f"a_limit {float(a_limit.min())} m is not a length > 0")
