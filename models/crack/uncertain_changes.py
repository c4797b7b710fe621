"""What stays of uncertain cracks when a registration changes: other constants, or one crack."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from models.crack.state import CrackState, limit_of
from models.crack.stepper import with_constants
from models.crack.uncertain import edges, seated, wide
from models.crack.uncertain_state import GUIDES, Particles, UncertainCrack, array, exp, told
from models.fatigue.retardation import Overload
from models.filters import elementary
from models.filters.weights import resampled


def carried(history: UncertainCrack, fresh: UncertainCrack, *, stressed: bool) -> UncertainCrack:
    """What is believed with the constants of `fresh`; no zone stays where ΔK comes from elsewhere.

    `fresh` may have another number of particles: then some stand twice, or not any more.
    """
    old, new = history.particles, fresh.particles
    some = _some(old, new.a.shape[1])
    guides = with_constants(history.guides, fresh.guides, stressed=stressed)
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
    three = h._replace(
        a=wide(h.a),
        length=wide(h.length),
        open_growth=wide(h.open_growth),
        rate=wide(h.rate),
        overload=Overload(*map(wide, h.overload)),
    )
    guides = with_constants(three, fresh.guides, stressed=stressed)
    p = fresh.particles
    off = elementary.log(array(p.a)) - elementary.log(array(p.a)).mean(1, keepdims=True)
    a = torch.where(was < limit, (was * exp(torch.from_numpy(off))).minimum(0.999 * limit), was)
    p = p._replace(a=a, edge=edges(a), least=a.clone())
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


def _some(old: Particles, many: int) -> Particles:
    """So many of the particles, by their weights, if there are others."""
    if old.a.shape[1] == many:
        return old
    middle = np.full(len(old.a), 0.5)
    chosen = torch.from_numpy(resampled(array(old.log_weight), middle, many))
    each = {
        name: getattr(old, name).gather(1, chosen)
        for name in ("a", "growth", "local", "edge", "least", "ahead")
    }
    even = torch.full(chosen.shape, -math.log(many), dtype=torch.float64)
    return old._replace(log_weight=even, **each)
