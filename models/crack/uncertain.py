"""An uncertain crack: guides that are stepped exactly, and particles that follow them.

The guides are a `CrackState` with three cracks to a row; see `models.crack.follow`.
"""

# Over 300 lines: the stepper and how it seats guides; what stays of a change stands elsewhere.

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from models import tree
from models.compiled import stamp
from models.crack.follow import CELL, Followers, Trails, follow
from models.crack.load import CrackLoad, broken_at, chosen_of, dated, timely
from models.crack.run import COMPILED, CONSTANTS, Along, compiled_form, ran
from models.crack.state import limit_of
from models.crack.stepper import CrackStepper, forgotten_cracks, placed
from models.crack.uncertain_state import (
    GUIDES,
    PROBABILITIES,
    UNKNOWN,
    Particles,
    UncertainCrack,
    array,
    exp,
    told,
)
from models.crack.walk import Messages
from models.fatigue.laws import scaled
from models.fatigue.rainflow import Floats, Ints
from models.fatigue.scalar_laws import Kinds
from models.filters import elementary
from models.filters.draws import normals
from models.filters.reading import AHEAD, AT_FIRST, Ensemble, Readings, assimilate
from models.filters.weights import mean_and_sd, normalised
from models.tree import mapped

REACH = 1.25  # standard deviations of the particles that the outer guides stand off the middle one
NARROWEST = 0.005  # of ln a, so that guides tell how growth hangs on length


@dataclass(frozen=True)
class Scatter:
    """What is not known of a crack beforehand; floats, or a number for each row (n,)."""

    length_sd: float | Tensor  # of ln of the initial length
    growth_sd: float | Tensor  # of ln of the growth factor that stays
    local_sd: float | Tensor  # of ln of the one that wanders
    local_length: float | Tensor  # of ln a, over which that one is forgotten
    wrong: float | Tensor  # probability that a reading is wrong altogether
    reading_sd: float | Tensor = 1e-3  # of a reading that states none [m]

    @property
    def values(self) -> tuple[float | Tensor, ...]:
        """All of them, in this order."""
        own = self.length_sd, self.growth_sd, self.local_sd, self.local_length
        return *own, self.wrong, self.reading_sd


@dataclass(frozen=True)
class UncertainCrackStepper:
    """Many possible cracks of each component, moved by loads and told apart by readings."""

    exact: CrackStepper  # of the median crack, one particle
    scatter: Scatter
    particles: int = 128

    def init(self, n: int, key: Tensor | None = None) -> UncertainCrack:
        """`n` cracks that have seen nothing; `key` (n,) int64 is what draws hang on."""
        p, values = self.particles, [_column(x, n) for x in self.scatter.values]
        length_sd, growth_sd, local_sd, local_length, wrong, reading_sd = values
        guides = replace(self.exact, particles=GUIDES).init(n)
        key = torch.zeros(n, dtype=torch.int64) if key is None else key
        epoch = torch.zeros(n, dtype=torch.int64)
        limit = limit_of(guides).view(n, GUIDES)[:, :1]
        length, growth, local, ahead = (
            torch.from_numpy(normals(key.numpy(), epoch.numpy(), p, purpose))
            for purpose in (AT_FIRST, AT_FIRST + 1, AT_FIRST + 2, AHEAD)
        )
        a = (guides.a[:, :1] * exp(length_sd * length)).minimum(0.999 * limit)
        ones = torch.ones(n, dtype=torch.float64)
        particles = Particles(
            a=a,
            growth=growth_sd * growth,
            local=local_sd * local,
            edge=edges(a),
            least=a.clone(),
            ahead=ahead,
            log_weight=torch.full((n, p), -math.log(p), dtype=torch.float64),
            slope=torch.zeros(n, dtype=torch.float64),
            factor=torch.zeros(n, GUIDES, dtype=torch.float64),
            key=key,
            epoch=epoch,
            local_sd=local_sd[:, 0],
            local_length=local_length[:, 0],
            wrong=wrong[:, 0],
            reading_sd=reading_sd[:, 0],
        )
        guides = guides._replace(law=mapped(wide, guides.law))
        outlook = torch.full((n, len(PROBABILITIES)), UNKNOWN, dtype=torch.float64)
        state = UncertainCrack(guides, particles, guides.a[:, :1], ones, outlook)
        return told(seated(state, torch.ones(n, dtype=torch.bool)))

    def step(self, state: UncertainCrack, load: CrackLoad) -> UncertainCrack:
        """The cracks after `load`, the inspection after the cycles.

        Raises ValueError for a load that is not finite, or not a load.
        """
        before = state.guides
        state, _ = self.run(state, load, torch.arange(len(before.t_ns)))
        if not load.inspected.any():
            return state
        state = self._inspected(state, load)
        guides = state.guides
        guides = guides._replace(
            t_broken_ns=broken_at(before, guides, load), t_ns=dated(guides.t_ns, load)
        )
        return state._replace(guides=guides)

    def run(
        self, state: UncertainCrack, load: CrackLoad, row: Tensor
    ) -> tuple[UncertainCrack, Along]:
        """The cracks after the messages of `load` (k,), each on its `row` (k,) int64, not falling.

        `Along` tells of the particles. Inspections are left out.
        """
        after, along, stop = self._followed(state, load, row)
        if (stop >= len(row)).all():
            return after, along
        for i in torch.nonzero(stop < len(row)).flatten().tolist():
            here = torch.nonzero(row == i).flatten()
            own, reached = self._with_stops(_row(state, i), chosen_of(load, here))
            after = tree.with_rows(after, torch.tensor([i]), own)
            along = Along(
                along.length.index_copy(0, here, reached.length),
                along.fractured.index_copy(0, here, reached.fractured),
            )
        return after, along

    def _with_stops(self, state: UncertainCrack, load: CrackLoad) -> tuple[UncertainCrack, Along]:
        """One crack after the messages of `load`, its guides seated anew where they stray."""
        lengths, ended, left = list[Tensor](), list[Tensor](), torch.arange(len(load.t_ns))
        while len(left):
            after, along, stop = self._followed(state, chosen_of(load, left), 0 * left)
            many = int(stop) + 1
            if many <= len(left):
                first = left[:many]  # the guides have gone on: they are those of these alone
                after, along, _ = self._followed(state, chosen_of(load, first), 0 * first)
                after = _reseated(state, after)
                along.fractured[-1] = after.fractured[0]
            lengths.append(along.length)
            ended.append(along.fractured)
            state, left = after, left[many:]
        return state, Along(torch.cat(lengths), torch.cat(ended))

    def _followed(
        self, state: UncertainCrack, load: CrackLoad, row: Tensor
    ) -> tuple[UncertainCrack, Along, Tensor]:
        """As `run`, up to where the guides of a row stray: the message (n,), beyond the last: none.

        Guides are those after all messages.
        """
        start = state.guides.length
        guides, trail = ran(state.guides, load, row)
        p = state.particles
        a, local, edge, slope = (
            array(leaf, copied=True) for leaf in (p.a, p.local, p.edge, p.slope)
        )
        along = np.zeros((len(row), p.a.shape[1]))
        stop = np.full(len(start), len(row))
        kinds, constants, messages = compiled_form(guides, load, row)
        _follow(
            kinds,
            constants,
            Followers(
                a=a,
                local=local,
                edge=edge,
                slope=slope,
                growth=array(p.growth),
                key=array(p.key),
                epoch=array(p.epoch),
                factor=array(p.factor),
                local_sd=array(p.local_sd),
                local_length=array(p.local_length),
                log_weight=array(p.log_weight),
            ),
            Trails(array(start), array(trail.length)),
            messages,
            along,
            stop,
        )
        particles = p._replace(
            a=torch.from_numpy(a),
            local=torch.from_numpy(local),
            edge=torch.from_numpy(edge),
            slope=torch.from_numpy(slope),
        )
        after = told(state._replace(guides=guides, particles=particles))
        weight = array(p.log_weight[row])
        length = torch.from_numpy(mean_and_sd(along, weight)[0])[:, None]
        return after, Along(length, trail.fractured), torch.from_numpy(stop)

    def _inspected(self, state: UncertainCrack, load: CrackLoad) -> UncertainCrack:
        guides, believed = state.guides, state.length[:, 0]
        seen = timely(load, guides)
        taken = seen & guides.replace
        anew = taken & (guides.fractured | load.confirmed)
        state = _anew(state, anew, load)
        rows = torch.nonzero(taken & ~anew).flatten()
        if len(rows):
            state = self._weighed(state, rows, load)
        if taken.any():
            state = seated(state, taken)
        guides = state.guides
        guides = guides._replace(
            measured=torch.where(seen, load.length, guides.measured),
            measured_sd=torch.where(seen, load.length_sd, guides.measured_sd),
            innovation=torch.where(seen, load.length - believed, guides.innovation),
            t_inspected_ns=torch.where(seen, load.t_ns, guides.t_inspected_ns),
        )
        return told(state._replace(guides=guides))

    def _weighed(self, state: UncertainCrack, rows: Tensor, load: CrackLoad) -> UncertainCrack:
        """The particles after readings of `rows`."""
        epoch = load.epoch
        p = state.particles
        limit = limit_of(state.guides).view(-1, GUIDES)[rows, 0]
        x, growth, local, weight, least = (
            array(leaf, copied=True) for leaf in (p.a, p.growth, p.local, p.log_weight, p.least)
        )
        parent = np.zeros(x.shape, np.int64)
        readings = Readings(
            row=array(rows),
            value=array(load.length[rows]),
            sd=array(_sds(state, load)[rows]),
            wrong=array(p.wrong[rows]),
            epoch=array(epoch[rows]),
            most=array(limit),
        )
        made = assimilate(Ensemble(x, growth, local, weight, least, parent, array(p.key)), readings)
        new = rows[torch.from_numpy(made)]
        a = torch.from_numpy(x)
        least_, ahead, edge, epochs = (leaf.clone() for leaf in (p.least, p.ahead, p.edge, p.epoch))
        epochs[new] = epoch[new]
        least_[new], edge[new] = a[new], edges(a[new])
        ahead[new] = torch.from_numpy(
            normals(array(p.key[new]), array(epoch[new]), x.shape[1], AHEAD)
        )
        particles = p._replace(
            a=a,
            growth=torch.from_numpy(growth),
            local=torch.from_numpy(local),
            log_weight=torch.from_numpy(weight),
            least=least_,
            ahead=ahead,
            edge=edge,
            epoch=epochs,
        )
        return state._replace(particles=particles)


def _sds(state: UncertainCrack, load: CrackLoad) -> Tensor:
    """Standard deviations (n,) of readings [m]."""
    return torch.where(load.length_sd > 0.0, load.length_sd, state.particles.reading_sd)


def _row(state: UncertainCrack, i: int) -> UncertainCrack:
    return tree.rows(state, torch.tensor([i]))


def _reseated(before: UncertainCrack, after: UncertainCrack) -> UncertainCrack:
    """One crack with guides where its particles are; it is broken only if they all are."""
    state = seated(after, torch.ones(1, dtype=torch.bool))
    if bool(state.fractured) or bool(before.fractured):
        return state
    return state._replace(guides=state.guides._replace(t_broken_ns=before.t_broken_ns))


def _anew(state: UncertainCrack, which: Tensor, load: CrackLoad) -> UncertainCrack:
    """The cracks, those at `which` (n,) as long as measured: broken ones, or what is confirmed.

    What a broken one has seen was another crack's.
    """
    if not which.any():
        return state
    p = state.particles
    sd = _sds(state, load)[:, None]
    limit = limit_of(state.guides).view(-1, GUIDES)[:, :1]
    a = (load.length[:, None] + sd * p.ahead).clamp(min=1e-3 * load.length[:, None])
    a = torch.where(which[:, None], a.minimum(limit), p.a)
    even = torch.full_like(p.log_weight, -math.log(a.shape[1]))
    particles = p._replace(
        a=a,
        edge=torch.where(which[:, None], edges(a), p.edge),
        least=torch.where(which[:, None], a, p.least),
        log_weight=torch.where(which[:, None], even, p.log_weight),
    )
    return state._replace(
        guides=forgotten_cracks(state.guides, which & state.fractured), particles=particles
    )


def seated(state: UncertainCrack, which: Tensor) -> UncertainCrack:
    """The guides at `which` (n,) where they span what is believed, of length and of growth."""
    guides, p = state.guides, state.particles
    weight = array(p.log_weight)
    whole = (p.a < limit_of(guides).view(-1, GUIDES)[:, :1]).numpy()
    weight = normalised(np.where(whole, weight, -math.inf))
    middle, sd = map(torch.from_numpy, mean_and_sd(elementary.log(array(p.a)), weight))
    growth, growth_sd = map(torch.from_numpy, mean_and_sd(array(p.growth), weight))
    local = torch.from_numpy(mean_and_sd(array(p.local), weight)[0])
    off = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
    spread = (REACH * sd).clamp(min=NARROWEST)[:, None]
    length = exp(middle[:, None] + off * spread)
    limit = limit_of(guides).view(-1, GUIDES)
    length = torch.where(torch.from_numpy(whole.any(1))[:, None], length, limit)
    factor = (growth + local)[:, None] + off * (REACH * growth_sd)[:, None]
    factor = torch.where(which[:, None], factor, p.factor)
    guides = guides._replace(law=scaled(guides.law, exp(factor - p.factor)))
    guides = placed(guides, which, length)
    return state._replace(guides=guides, particles=p._replace(factor=factor))


def edges(a: Tensor) -> Tensor:
    """Where the cell of ln a ends that a crack is in [m]."""
    cells = np.floor(elementary.log(array(a)) / CELL) + 1.0
    return torch.from_numpy(elementary.exp(CELL * cells))


def _column(value: float | Tensor, n: int) -> Tensor:
    """A number for each row (n, 1)."""
    return torch.as_tensor(value, dtype=torch.float64).reshape(-1, 1).expand(n, 1).clone()


def wide(leaf: Tensor) -> Tensor:
    """A constant, with axes behind a table, of each guide."""
    return leaf.expand(len(leaf), GUIDES, *leaf.shape[2:]).clone()


def _compiled(stamp_: int) -> Any:  # noqa: ANN401  a dispatcher
    @njit(cache=True, nogil=True, error_model="numpy")
    def followed(
        kinds: Kinds, constants: Floats, particles: Followers, trails: Trails, load: Messages,
        length: Floats, stop: Ints,
    ) -> None:  # fmt: skip
        if stamp_ >= 0:
            pace = np.empty((3, trails.start.shape[1]))
            follow(kinds, constants, particles, trails, load, length, stop, pace)

    return followed


_follow = _compiled(stamp(*COMPILED, *CONSTANTS, "crack/follow", "filters/draws"))
