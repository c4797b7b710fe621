"""What stays of uncertain cracks when a registration changes: other constants, or one crack."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.crack.state import CrackState, limit_of
from models.crack.stepper import with_constants
from models.crack.uncertain import SHORT, at, edges, seated, standard, wide
from models.crack.uncertain_state import (
    GUIDES,
    Particles,
    UncertainCrack,
    array,
    exp,
    limits,
    told,
)
from models.fatigue.rainflow import Floats
from models.fatigue.retardation import Overload
from models.filters import elementary
from models.filters.quantiles import mean_and_sd
from models.filters.reading import REDRAWN

ROUNDING = 1e-9  # standard deviation of the logarithm of anything, below which all are alike
KERNEL = 0.2  # standard deviation of a new particle about an old one, of that of all
SHRUNK = (1.0 - KERNEL**2) ** 0.5


def carried(history: UncertainCrack, fresh: UncertainCrack, *, stressed: bool) -> UncertainCrack:
    """What is believed with the constants of `fresh`; no zone stays where ΔK comes from elsewhere.

    `fresh` may have another number of particles: then they are drawn anew, with the mean and the
    covariance that they have. Another scatter of growth is another belief beforehand: what was
    learned stays. Broken particles stay broken.
    """
    old, new = history.particles, fresh.particles
    limit = torch.from_numpy(limits(history))
    broken = old.a >= limit
    old = _with_growth_sd(old, new.growth_sd, limit)
    if old.a.shape[1] != new.a.shape[1]:
        old, broken = _redrawn(old, ~broken, new.a.shape[1])
    guides = with_constants(history.guides, fresh.guides, stressed=stressed)
    limit = limit_of(guides).view(-1, GUIDES)[:, :1]
    a = torch.where(broken, limit, old.a.minimum(limit))
    particles = new._replace(
        a=a,
        growth=old.growth,
        local=old.local,
        edge=torch.where(old.edge > a, old.edge, edges(a)),
        ahead=old.ahead,
        slope=old.slope,
        epoch=old.epoch,
    )
    state = fresh._replace(guides=guides, particles=particles)
    return told(seated(state, ~guides.fractured))


def taken_over(history: CrackState, fresh: UncertainCrack, *, stressed: bool) -> UncertainCrack:
    """An uncertain crack where a certain one was: about as long, and with what it has seen."""
    was, limit = history.length[:, :1], limit_of(history).view(-1, history.a.shape[1])[:, :1]
    h = history
    three = h._replace(
        a=wide(h.a),
        length=wide(h.length),
        open_growth=wide(h.open_growth),
        rate=wide(h.rate),
        overload=Overload(*map(wide, h.overload)),
    )
    guides = with_constants(three, fresh.guides, stressed=stressed)
    p, begun = fresh.particles, fresh.guides.a[:, GUIDES // 2 : GUIDES // 2 + 1]
    a = torch.where(was < limit, (was * p.a / begun).minimum(SHORT * limit), was)
    p = at(p, torch.ones(len(a), dtype=torch.bool), a, p.epoch)
    return told(seated(fresh._replace(guides=guides, particles=p), ~guides.fractured))


def as_certain(history: UncertainCrack) -> CrackState:
    """One crack of each row, as long as the median, with what the middle guide has seen."""
    g, middle = history.guides, GUIDES // 2
    broken = history.length >= torch.from_numpy(limits(history))

    def one(leaf: Tensor) -> Tensor:
        return leaf[:, middle : middle + 1].clone()

    return g._replace(
        a=torch.where(broken, history.length, history.length - one(g.open_growth)),
        length=history.length,
        open_growth=torch.where(broken, 0.0, one(g.open_growth)),
        rate=one(g.rate),
        overload=Overload(*map(one, g.overload)),
        fractured=broken[:, 0],
    )


def _with_growth_sd(p: Particles, growth_sd: Tensor, limit: Tensor) -> Particles:
    """The particles as if growth had had another scatter beforehand; see `carried`.

    What was learned is the precision that has been added to that beforehand; the rest of a
    particle moves with its growth, by regression.
    """
    changed = growth_sd != p.growth_sd
    if not changed.any():
        return p
    whole, x = array(p.a < limit), elementary.log(array(p.a))
    growth, local, rows = array(p.growth), array(p.local), array(changed)[:, None]
    mean, sd = mean_and_sd(growth, whole)
    mean, variance = mean[:, None], sd[:, None] ** 2
    was, now = array(p.growth_sd)[:, None] ** 2, array(growth_sd)[:, None] ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        learned = np.maximum(1.0 / variance - 1.0 / was, 0.0)
        after = 1.0 / (1.0 / now + learned)
        moved = mean * after / variance + np.sqrt(after / variance) * (growth - mean)
    score = array(standard(p.key, p.epoch, growth.shape[1], REDRAWN)[1])
    moved = np.where(sd[:, None] > ROUNDING, moved, np.sqrt(now) * score)
    by = np.where(rows & whole, moved - growth, 0.0) / np.maximum(variance, ROUNDING**2)
    a = exp(torch.from_numpy(x + _covariance(x, growth, whole) * by)).minimum(SHORT * limit)
    a = torch.where(torch.from_numpy(rows & whole), a, p.a)
    return p._replace(
        a=a,
        growth=torch.from_numpy(np.where(rows, moved, growth)),
        local=torch.from_numpy(local + _covariance(local, growth, whole) * by),
        edge=torch.where(a == p.a, p.edge, edges(a)),
    )


def _redrawn(p: Particles, whole: Tensor, many: int) -> tuple[Particles, Tensor]:
    """So many particles like those that are `whole`, and which are broken, as many as before.

    Each comes from one of those, chosen evenly along ln a, off by a narrow kernel; all have the
    mean and the covariance that those have: each score gives what is left of one quantity, and its
    share of the others (Cholesky).
    """
    among, drawn = array(whole), standard(p.key, p.epoch, many, REDRAWN)
    given = [elementary.log(array(p.a)), array(p.growth), array(p.local)]
    gone = np.round((1.0 - among.mean(1)) * many)[:, None]
    place, kept = np.arange(many) + 0.5, np.maximum(many - gone, 1.0)
    is_whole = place < many - gone
    order = np.argsort(np.where(among, given[0], np.inf), axis=1, kind="stable")
    count = np.maximum(among.sum(1), 1)[:, None]
    rank = np.minimum((place / kept * count).astype(np.int64), count - 1)
    chosen = np.take_along_axis(order, rank, 1)
    means = [mean_and_sd(each, among)[0][:, None] for each in given]
    left = [each - mean for each, mean in zip(given, means, strict=True)]
    made = [np.repeat(mean, many, axis=1) for mean in means]
    scores = list[Floats]()
    for k in range(len(given)):
        unit = _unit(left[k], among)
        score = SHRUNK * np.take_along_axis(unit, chosen, 1) + KERNEL * array(drawn[k])
        score = score - mean_and_sd(score, is_whole)[0][:, None]
        for before in scores:
            score = score - _covariance(score, before, is_whole) * before
        scores.append(_unit(score, is_whole))
        for other in range(k, len(given)):
            share = _covariance(left[other], unit, among)
            left[other] = left[other] - share * unit
            made[other] += share * scores[k]
    x, growth, local = map(torch.from_numpy, made)
    a = exp(x)
    after = p._replace(a=a, growth=growth, local=local, edge=edges(a), ahead=drawn[3])
    return after, torch.from_numpy(~is_whole)


def _unit(value: Floats, among: NDArray[np.bool_]) -> Floats:
    """Values (n, p) of mean 0 by their standard deviation; 0 where it is but rounding."""
    size = np.sqrt(_covariance(value, value, among))
    return np.where(size > ROUNDING, value / np.maximum(size, ROUNDING), 0.0)


def _covariance(one: Floats, other: Floats, among: NDArray[np.bool_]) -> Floats:
    """The covariance (n, 1) of values (n, p), of those that count."""
    means = (mean_and_sd(each, among)[0][:, None] for each in (one, other))
    first, second = (each - mean for each, mean in zip((one, other), means, strict=True))
    return mean_and_sd(first * second, among)[0][:, None]
