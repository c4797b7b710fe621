"""An uncertain crack: guides that are stepped exactly, and particles that follow them.

The guides are a `CrackState` with three cracks to a row; see `models.crack.follow`.
"""

# Over 300 lines: the stepper and how it seats guides; what stays of a change stands elsewhere.

from __future__ import annotations

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
from models.crack.state import lengths_told, limit_of
from models.crack.stepper import CrackStepper, forgotten_cracks, placed
from models.crack.uncertain_state import (
    GUIDES,
    HALF,
    PROBABILITIES,
    UNKNOWN,
    Particles,
    UncertainCrack,
    array,
    exp,
    limits,
    told,
)
from models.crack.walk import Messages
from models.fatigue.laws import scaled
from models.fatigue.rainflow import Floats, Ints
from models.fatigue.scalar_laws import Kinds
from models.filters import elementary
from models.filters.draws import scores
from models.filters.quantiles import mean_and_sd
from models.filters.reading import ANEW, AT_FIRST, Ensemble, Readings, assimilate
from models.tree import mapped

REACH = 1.25  # standard deviations of the particles that the outer guides stand off the middle one
NARROWEST = 0.005  # of ln a, so that guides tell how growth hangs on length
SHORT = 0.999  # of the length that the geometry allows: what is drawn of a crack that is not broken


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
    """Many possible cracks of each component, moved by loads and by readings."""

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
        length, growth, local, ahead = standard(key, epoch, p, AT_FIRST)
        a = (guides.a[:, :1] * exp(length_sd * length)).minimum(SHORT * limit)
        ones = torch.ones(n, dtype=torch.float64)
        particles = Particles(
            a=a,
            growth=growth_sd * growth,
            local=local_sd * local,
            edge=edges(a),
            ahead=ahead,
            slope=torch.zeros(n, dtype=torch.float64),
            factor=torch.zeros(n, GUIDES, dtype=torch.float64),
            key=key,
            epoch=epoch,
            growth_sd=growth_sd[:, 0],
            local_sd=local_sd[:, 0],
            local_length=local_length[:, 0],
            wrong=wrong[:, 0],
            reading_sd=reading_sd[:, 0],
        )
        guides = guides._replace(law=mapped(wide, guides.law))
        outlook = torch.full((n, len(PROBABILITIES)), UNKNOWN, dtype=torch.float64)
        state = UncertainCrack(guides, particles, guides.a[:, :1], ones, ones, outlook)
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
        length = torch.from_numpy(lengths_told(along, array(state.a_limit[row]), HALF))
        return after, Along(length, trail.fractured), torch.from_numpy(stop)

    def _inspected(self, state: UncertainCrack, load: CrackLoad) -> UncertainCrack:
        seen, believed = timely(load, state.guides), state.expected
        taken = torch.nonzero(seen & state.guides.replace).flatten()
        if len(taken):
            some = _weighed(tree.rows(state, taken), chosen_of(load, taken))
            state = tree.with_rows(state, taken, some)
        guides = state.guides
        guides = guides._replace(
            measured=torch.where(seen, load.length, guides.measured),
            measured_sd=torch.where(seen, load.length_sd, guides.measured_sd),
            innovation=torch.where(seen, load.length - believed, guides.innovation),
            t_inspected_ns=torch.where(seen, load.t_ns, guides.t_inspected_ns),
        )
        return state._replace(guides=guides)


def _weighed(state: UncertainCrack, load: CrackLoad) -> UncertainCrack:
    """The cracks after a reading of each."""
    anew = state.guides.fractured | load.confirmed
    state, rows = _anew(state, anew, load), torch.nonzero(~anew).flatten()
    if len(rows):
        state = _moved(state, rows, load)
    return told(seated(state, torch.ones(len(anew), dtype=torch.bool)))


def _moved(state: UncertainCrack, rows: Tensor, load: CrackLoad) -> UncertainCrack:
    """The particles after readings of `rows`."""
    p = state.particles
    x, growth, local = (
        elementary.log(array(p.a)),
        array(p.growth, copied=True),
        array(p.local, copied=True),
    )
    limit = limits(state)
    ensemble = Ensemble(x, growth, local, elementary.log(limit)[:, 0], array(p.key))
    readings = Readings(
        row=array(rows),
        value=array(load.length[rows]),
        sd=array(_sds(state, load)[rows]),
        wrong=array(p.wrong[rows]),
        epoch=array(load.epoch[rows]),
    )
    moved = torch.zeros(len(p.a), dtype=torch.bool)
    moved[rows] = torch.from_numpy(assimilate(ensemble, readings))
    a = np.where(x < ensemble.end[:, None], elementary.exp(x), limit)
    particles = p._replace(growth=torch.from_numpy(growth), local=torch.from_numpy(local))
    return state._replace(particles=at(particles, moved, torch.from_numpy(a), load.epoch))


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
    p, length, limit = state.particles, load.length[:, None], torch.from_numpy(limits(state))
    spread = torch.sqrt(torch.log1p((_sds(state, load)[:, None] / length) ** 2))
    against = np.stack([array(each) for each in (p.growth, p.local, p.ahead)], 1)
    score = scores(array(p.key), array(load.epoch), ANEW, against)
    score -= np.median(score, 1, keepdims=True)  # what is told is what was measured
    a = (length * exp(spread * torch.from_numpy(score))).minimum(SHORT * limit)
    particles = at(p, which, torch.where(length < limit, a, limit), load.epoch)
    return state._replace(
        guides=forgotten_cracks(state.guides, which & state.fractured), particles=particles
    )


def at(p: Particles, which: Tensor, a: Tensor, epoch: Tensor) -> Particles:
    """The particles, those of the rows `which` (n,) with lengths (n, p) by an `epoch` (n,)."""
    rows = which[:, None]
    return p._replace(
        a=torch.where(rows, a, p.a),
        edge=torch.where(rows, edges(a), p.edge),
        epoch=torch.where(which, epoch, p.epoch),
    )


def standard(key: Tensor, epoch: Tensor, particles: int, purpose: int) -> list[Tensor]:
    """Four standard normal scores (n, p) that are not correlated, the last of them for `ahead`."""
    found = list[np.ndarray[Any, Any]]()
    for more in range(4):
        against = np.stack(found, 1) if found else np.empty((len(key), 0, particles))
        found.append(scores(array(key), array(epoch), purpose + more, against))
    return [torch.from_numpy(each) for each in found]


def seated(state: UncertainCrack, which: Tensor) -> UncertainCrack:
    """The guides at `which` (n,) where they span what is believed, of length and of growth."""
    guides, p = state.guides, state.particles
    whole = array(p.a) < limits(state)
    middle, sd = map(torch.from_numpy, mean_and_sd(elementary.log(array(p.a)), whole))
    growth, growth_sd = map(torch.from_numpy, mean_and_sd(array(p.growth), whole))
    local = torch.from_numpy(mean_and_sd(array(p.local), whole)[0])
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
