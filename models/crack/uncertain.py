"""An uncertain crack: guides that are stepped exactly, and particles that follow them.

The guides are a `CrackState` with three cracks to a row; see `models.crack.follow`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from models import tree
from models.compiled import stamp
from models.crack.follow import CELL, Followers, Trails, follow, working_space
from models.crack.load import CrackLoad, broken_at, chosen_of, dated, timely
from models.crack.run import CONSTANTS, COMPILED, Along, compiled_form, ran
from models.crack.state import CrackState, limit_of
from models.crack.stepper import CrackStepper, forgotten_cracks, placed
from models.crack.walk import Messages
from models.fatigue.laws import scaled
from models.fatigue.exposure import Exposure
from models.fatigue.rainflow import Floats, Ints, Turning
from models.fatigue.retardation import Overload
from models.fatigue.scalar_laws import Kinds
from models.filters import elementary
from models.filters.draws import normals
from models.filters.reading import AHEAD, AT_FIRST, Ensemble, Readings, assimilate
from models.filters.weights import mean_and_sd, normalised, quantiles, resampled
from models.tree import mapped

GUIDES = 3
UNKNOWN = -1.0  # of cycles left
MEDIAN = 2  # of `PROBABILITIES`
REACH = 1.25  # standard deviations of the particles that the outer guides stand off the middle one
NARROWEST = 0.005  # of ln a, so that guides tell how growth hangs on length
PROBABILITIES = np.array([0.05, 0.25, 0.5, 0.75, 0.95])  # of the quantiles that are told


class Particles(NamedTuple):
    """What is believed of each crack: possible cracks; axis 1 the particle."""

    a: Tensor  # (n, p) length, at the geometry's limit once broken [m]
    growth: Tensor  # (n, p) ln of a factor on growth that stays [1]
    local: Tensor  # (n, p) ln of the factor in the cell of ln a where the crack is [1]
    edge: Tensor  # (n, p) where that cell ends [m]
    least: Tensor  # (n, p) length at the last evidence: no particle shrinks below it [m]
    ahead: Tensor  # (n, p) what the factor of cells ahead will be like, standard normal [1]
    log_weight: Tensor  # (n, p) normalised
    slope: Tensor  # (n,) power by which growth rises with length, when it was last told
    factor: Tensor  # (n, guides) ln of the factor on growth of each guide
    key: Tensor  # (n,) int64 that draws are made with
    epoch: Tensor  # (n,) int64 of the evidence that made the particles
    local_sd: Tensor  # (n,)
    local_length: Tensor  # (n,) of ln a
    wrong: Tensor  # (n,) probability that a reading is wrong altogether
    reading_sd: Tensor  # (n,) of a reading that states none [m]


class UncertainCrack(NamedTuple):
    """A crack as guides and particles, and what is told of them."""

    guides: CrackState
    particles: Particles
    length: Tensor  # (n, 1) mean of the particles [m]
    length_sd: Tensor  # (n,) of the particles [m]
    outlook: Tensor  # (n, PROBABILITIES) quantiles of the cycles left, below 0: not known

    @property
    def a_limit(self) -> Tensor:
        """(n,) length at which the part is to be taken out [m]."""
        return self.guides.a_limit

    @property
    def rate(self) -> Tensor:
        """(n, guides) mean growth of the last load [m/cycle]."""
        return self.guides.rate

    @property
    def cycles(self) -> Tensor:
        """(n,) seen so far."""
        return self.guides.cycles

    @property
    def open_growth(self) -> Tensor:
        """(n, guides) growth of the open residue [m]."""
        return self.guides.open_growth

    @property
    def fractured(self) -> Tensor:
        """(n,) bool, all guides at the limit."""
        return self.guides.fractured

    @property
    def replace(self) -> Tensor:
        """(n,) bool, inspections are weighed, or only recorded."""
        return self.guides.replace

    @property
    def counter(self) -> Turning:
        """What is open of the series."""
        return self.guides.counter

    @property
    def exposure(self) -> Exposure:
        """The load so far."""
        return self.guides.exposure

    @property
    def measured(self) -> Tensor:
        """(n,) last inspected length [m]."""
        return self.guides.measured

    @property
    def measured_sd(self) -> Tensor:
        """(n,) [m]."""
        return self.guides.measured_sd

    @property
    def innovation(self) -> Tensor:
        """(n,) measured − believed just before [m]."""
        return self.guides.innovation

    @property
    def t_inspected_ns(self) -> Tensor:
        """(n,) int64, 0: never."""
        return self.guides.t_inspected_ns

    @property
    def t_broken_ns(self) -> Tensor:
        """(n,) int64 of what broke it, 0: never."""
        return self.guides.t_broken_ns

    @property
    def t_ns(self) -> Tensor:
        """(n,) int64 last evidence."""
        return self.guides.t_ns


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
        a = (guides.a[:, :1] * _exp(length_sd * length)).minimum(0.999 * limit)
        ones = torch.ones(n, dtype=torch.float64)
        particles = Particles(
            a=a,
            growth=growth_sd * growth,
            local=local_sd * local,
            edge=_edges(a),
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
        guides = guides._replace(law=mapped(_wide, guides.law))
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
        # guides of some rows have to be seated anew on the way: those go on from there
        for i in torch.nonzero(stop < len(row)).flatten().tolist():
            messages = torch.nonzero(row == i).flatten()
            own, lengths, ended = _row(state, i), list[Tensor](), list[Tensor]()
            while len(messages):
                some, reached, halt = self._followed(own, chosen_of(load, messages), 0 * messages)
                many = min(int(halt) + 1, len(messages))
                if many < len(messages):
                    first = messages[:many]
                    some, reached, _ = self._followed(own, chosen_of(load, first), 0 * first)
                if int(halt) < len(messages):
                    some = _reseated(own, some)
                    reached.fractured[-1] = some.fractured[0]
                own, messages = some, messages[many:]
                lengths.append(reached.length)
                ended.append(reached.fractured)
            here = torch.nonzero(row == i).flatten()
            after = tree.with_rows(after, torch.tensor([i]), own)
            along = Along(
                along.length.index_copy(0, here, torch.cat(lengths)),
                along.fractured.index_copy(0, here, torch.cat(ended)),
            )
        return after, along

    def _followed(
        self, state: UncertainCrack, load: CrackLoad, row: Tensor
    ) -> tuple[UncertainCrack, Along, Tensor]:
        """As `run`, up to where the guides of a row stray: the message (n,), beyond the last: none.

        Guides are those after all messages.
        """
        start = state.guides.length
        guides, trail = ran(state.guides, load, row)
        p = state.particles
        moved = [_array(leaf, copied=True) for leaf in (p.a, p.local, p.edge, p.slope)]
        along = np.empty((len(row), p.a.shape[1]))
        stop = np.full(len(start), len(row))
        kinds, constants, messages = compiled_form(guides, load, row)
        _follow(
            kinds,
            constants,
            Followers(
                *moved,
                *map(_array, (p.growth, p.key, p.epoch, p.factor, p.local_sd, p.local_length)),
                _array(p.log_weight),
            ),
            Trails(_array(start), _array(trail.length)),
            messages,
            along,
            stop,
            working_space(GUIDES),
        )
        a, local, edge, slope = map(torch.from_numpy, moved)
        particles = p._replace(a=a, local=local, edge=edge, slope=slope)
        after = told(state._replace(guides=guides, particles=particles))
        weight = _array(p.log_weight[row])
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
            _array(leaf, copied=True) for leaf in (p.a, p.growth, p.local, p.log_weight, p.least)
        )
        parent = np.zeros(x.shape, np.int64)
        readings = Readings(
            row=_array(rows),
            value=_array(load.length[rows]),
            sd=_array(_sds(state, load)[rows]),
            wrong=_array(p.wrong[rows]),
            epoch=_array(epoch[rows]),
            most=_array(limit),
        )
        made = assimilate(
            Ensemble(x, growth, local, weight, least, parent, _array(p.key)), readings
        )
        new = rows[torch.from_numpy(made)]
        a = torch.from_numpy(x)
        least_, ahead, edge, epochs = (leaf.clone() for leaf in (p.least, p.ahead, p.edge, p.epoch))
        epochs[new] = epoch[new]
        least_[new], edge[new] = a[new], _edges(a[new])
        ahead[new] = torch.from_numpy(
            normals(_array(p.key[new]), _array(epoch[new]), x.shape[1], AHEAD)
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
        edge=torch.where(which[:, None], _edges(a), p.edge),
        least=torch.where(which[:, None], a, p.least),
        log_weight=torch.where(which[:, None], even, p.log_weight),
    )
    return state._replace(
        guides=forgotten_cracks(state.guides, which & state.fractured), particles=particles
    )


def seated(state: UncertainCrack, which: Tensor) -> UncertainCrack:
    """The guides at `which` (n,) where they span what is believed, of length and of growth."""
    guides, p = state.guides, state.particles
    weight = _array(p.log_weight)
    whole = (p.a < limit_of(guides).view(-1, GUIDES)[:, :1]).numpy()
    weight = normalised(np.where(whole, weight, -math.inf))
    middle, sd = map(torch.from_numpy, mean_and_sd(elementary.log(_array(p.a)), weight))
    growth, growth_sd = map(torch.from_numpy, mean_and_sd(_array(p.growth), weight))
    local = torch.from_numpy(mean_and_sd(_array(p.local), weight)[0])
    off = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
    spread = (REACH * sd).clamp(min=NARROWEST)[:, None]
    length = _exp(middle[:, None] + off * spread)
    limit = limit_of(guides).view(-1, GUIDES)
    length = torch.where(torch.from_numpy(whole.any(1))[:, None], length, limit)
    factor = (growth + local)[:, None] + off * (REACH * growth_sd)[:, None]
    factor = torch.where(which[:, None], factor, p.factor)
    guides = guides._replace(law=scaled(guides.law, _exp(factor - p.factor)))
    guides = placed(guides, which, length)
    return state._replace(guides=guides, particles=p._replace(factor=factor))


def carried(history: UncertainCrack, fresh: UncertainCrack, *, stressed: bool) -> UncertainCrack:
    """What is believed with the constants of `fresh`; no zone stays where ΔK comes from elsewhere.

    `fresh` may have another number of particles: then some stand twice, or not any more.
    """
    old, new = history.particles, fresh.particles
    some = _some(old, new.a.shape[1])
    guides = kept(history.guides, fresh.guides, stressed=stressed)
    factor = new.factor  # that the fresh law has in it
    particles = some._replace(
        slope=old.slope,
        factor=factor,
        local_sd=new.local_sd,
        local_length=new.local_length,
        wrong=new.wrong,
        reading_sd=new.reading_sd,
    )
    limit = limit_of(guides).view(-1, GUIDES)[:, :1]
    particles = particles._replace(a=particles.a.minimum(limit))
    state = fresh._replace(guides=guides, particles=particles)
    return told(seated(state, ~guides.fractured))


def taken_over(history: CrackState, fresh: UncertainCrack, *, stressed: bool) -> UncertainCrack:
    """An uncertain crack where a certain one was: about as long, and with what it has seen."""
    was, limit = history.length[:, :1], limit_of(history).view(-1, history.a.shape[1])[:, :1]
    h = history
    wide = h._replace(
        a=_wide(h.a),
        length=_wide(h.length),
        open_growth=_wide(h.open_growth),
        rate=_wide(h.rate),
        overload=Overload(*map(_wide, h.overload)),
    )
    guides = kept(wide, fresh.guides, stressed=stressed)
    p = fresh.particles
    off = elementary.log(_array(p.a)) - elementary.log(_array(p.a)).mean(1, keepdims=True)
    a = torch.where(was < limit, (was * _exp(torch.from_numpy(off))).minimum(0.999 * limit), was)
    p = p._replace(a=a, edge=_edges(a), least=a.clone())
    return told(seated(fresh._replace(guides=guides, particles=p), ~guides.fractured))


def as_certain(history: UncertainCrack) -> CrackState:
    """One crack of each row, as long as the mean, with what the middle guide has seen."""
    g, middle = history.guides, GUIDES // 2

    def one(leaf: Tensor) -> Tensor:
        return leaf[:, middle : middle + 1].clone()

    return g._replace(
        a=torch.where(g.fractured[:, None], history.length, history.length - one(g.open_growth)),
        length=history.length,
        open_growth=one(g.open_growth),
        rate=one(g.rate),
        overload=Overload(*map(one, g.overload)),
    )


def kept(history: CrackState, fresh: CrackState, *, stressed: bool) -> CrackState:
    """The history of cracks with the constants of `fresh`."""
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


def _some(old: Particles, many: int) -> Particles:
    """So many of the particles, by their weights, if there are others."""
    if old.a.shape[1] == many:
        return old
    middle = np.full(len(old.a), 0.5)
    chosen = torch.from_numpy(resampled(_array(old.log_weight), middle, many))
    each = {
        name: getattr(old, name).gather(1, chosen)
        for name in ("a", "growth", "local", "edge", "least", "ahead")
    }
    even = torch.full(chosen.shape, -math.log(many), dtype=torch.float64)
    return old._replace(log_weight=even, **each)


def told(state: UncertainCrack) -> UncertainCrack:
    """The cracks with what is told of their particles."""
    mean, sd = mean_and_sd(_array(state.particles.a), _array(state.particles.log_weight))
    return state._replace(length=torch.from_numpy(mean)[:, None], length_sd=torch.from_numpy(sd))


def quantiles_of(state: UncertainCrack, value: Tensor) -> Floats:
    """Quantiles (n, PROBABILITIES) of a value (n, p) of each particle."""
    return quantiles(_array(value), _array(state.particles.log_weight), PROBABILITIES)


def _edges(a: Tensor) -> Tensor:
    """Where the cell of ln a ends that a crack is in [m]."""
    cells = np.floor(elementary.log(_array(a)) / CELL) + 1.0
    return torch.from_numpy(elementary.exp(CELL * cells))


def _column(value: float | Tensor, n: int) -> Tensor:
    """A number for each row (n, 1)."""
    return torch.as_tensor(value, dtype=torch.float64).reshape(-1, 1).expand(n, 1).clone()


def _wide(leaf: Tensor) -> Tensor:
    """A constant, with axes behind a table, of each guide."""
    return leaf.expand(len(leaf), GUIDES, *leaf.shape[2:]).clone()


def _exp(x: Tensor) -> Tensor:
    return torch.from_numpy(elementary.exp(_array(x)))


def _array(leaf: Tensor, *, copied: bool = False) -> NDArray[Any]:
    found: NDArray[Any] = leaf.contiguous().numpy()
    return found.copy() if copied else found


def _compiled(stamp_: int) -> Any:  # noqa: ANN401  a dispatcher
    @njit(cache=True, nogil=True, error_model="numpy")
    def followed(
        kinds: Kinds, constants: Floats, particles: Followers, trails: Trails, load: Messages,
        length: Floats, stop: Ints, pace: Floats,
    ) -> None:  # fmt: skip
        if stamp_ >= 0:
            follow(kinds, constants, particles, trails, load, length, stop, pace)

    return followed


_follow = _compiled(stamp(*COMPILED, *CONSTANTS, "crack/follow", "filters/draws"))
