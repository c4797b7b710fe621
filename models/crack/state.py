"""What is believed of cracks, and what is told of it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from models.fatigue.exposure import Exposure
from models.fatigue.geometry import Geometry
from models.fatigue.laws import Law
from models.fatigue.rainflow import Floats, Turning
from models.fatigue.retardation import Overload, Retardation
from models.fatigue.strength import Strength
from models.fatigue.value import Value
from models.filters.quantiles import quantiles

MOST_OPEN = 0.1  # of a measured length that may be growth of the open residue


class CrackState(NamedTuple):
    """What is believed of each crack; axis 0 component, axis 1 particle."""

    a: Tensor  # (n, p) length by the cycles that are counted, at the limit once fractured [m]
    length: Tensor  # (n, p) with the growth of the open residue: what is believed [m]
    law: Law  # leaves (n, 1) or (n, p)
    geometry: Geometry  # leaves (n, 1) or (n, p)
    retardation: Retardation  # leaves (n, 1) or (n, p)
    strength: Strength  # leaves (n, 1) or (n, p)
    overload: Overload  # leaves (n, p)
    counter: Turning
    exposure: Exposure
    a_limit: Tensor  # (n,) length at which the part is to be taken out [m]
    replace: Tensor  # (n,) bool, an inspection replaces the belief, or is only recorded
    cycles: Tensor  # (n,) seen so far [1]
    rate: Tensor  # (n, p) mean growth of the last load [m/cycle]
    open_growth: Tensor  # (n, p) growth if the residue closed now as half cycles [m]
    fractured: Tensor  # (n,) bool, all particles at the limit
    measured: Tensor  # (n,) last inspected length [m]
    measured_sd: Tensor  # (n,) [m]
    innovation: Tensor  # (n,) measured − believed just before [m]
    t_inspected_ns: Tensor  # (n,) int64, 0: never
    t_broken_ns: Tensor  # (n,) int64 of what broke it, 0: never
    t_ns: Tensor  # (n,) int64 last evidence

    @property
    def length_sd(self) -> Tensor:
        """(n,) over the particles [m]."""
        return torch.sqrt(mean((self.length - mean(self.length)[:, None]) ** 2))


class CrackBelief(NamedTuple):
    """What is told of each crack; all (n,)."""

    crack_length: Tensor  # with the open growth [m]
    crack_length_sd: Tensor  # over the particles [m]
    growth_rate: Tensor  # of the last load [m/cycle]
    cycles: Tensor  # [1]
    open_growth: Tensor  # [m]
    fractured: Tensor  # bool
    measured: Tensor  # [m]
    measured_sd: Tensor  # [m]
    innovation: Tensor  # [m]
    t_inspected_ns: Tensor  # int64
    t_ns: Tensor  # int64


class _Believed(Protocol):
    """What every state of a crack holds, so that it can be told; see `CrackState`."""

    @property
    def length(self) -> Tensor: ...
    @property
    def length_sd(self) -> Tensor: ...
    @property
    def rate(self) -> Tensor: ...
    @property
    def cycles(self) -> Tensor: ...
    @property
    def open_growth(self) -> Tensor: ...
    @property
    def fractured(self) -> Tensor: ...
    @property
    def measured(self) -> Tensor: ...
    @property
    def measured_sd(self) -> Tensor: ...
    @property
    def innovation(self) -> Tensor: ...
    @property
    def t_inspected_ns(self) -> Tensor: ...
    @property
    def t_ns(self) -> Tensor: ...


def belief(state: _Believed) -> CrackBelief:
    """What the state says, with the particles summed up."""
    a = mean(state.length)
    return CrackBelief(
        crack_length=a,
        crack_length_sd=state.length_sd,
        growth_rate=mean(state.rate),
        cycles=state.cycles,
        open_growth=mean(state.open_growth),
        fractured=state.fractured,
        measured=state.measured,
        measured_sd=state.measured_sd,
        innovation=state.innovation,
        t_inspected_ns=state.t_inspected_ns,
        t_ns=state.t_ns,
    )


def limit_of(state: CrackState) -> Tensor:
    """The geometry's limit (n·p,) [m]."""
    return torch.as_tensor(state.geometry.limit).expand_as(state.a).reshape(-1)


def mean(x: Tensor) -> Tensor:
    """Mean over axis 1, added in an order that the number of rows does not change."""
    p = x.shape[1]
    while x.shape[1] > 1:
        half = x.shape[1] // 2
        x = torch.cat((x[:, :half] + x[:, half : 2 * half], x[:, 2 * half :]), 1)
    return x[:, 0] / p


def columns(value: Value, n: int) -> Tensor:
    """A parameter as (n, 1) or (n, p), with axes behind for a table: floats and (n,) for all."""
    leaf = torch.as_tensor(value, dtype=None if isinstance(value, Tensor) else torch.float64)
    if leaf.ndim < 2:
        leaf = leaf.reshape(-1, 1)
    return leaf.expand(n, *leaf.shape[1:]).clone()


def lengths_told(a: Floats, a_limit: Floats, probabilities: Floats) -> Floats:
    """Quantiles of lengths (n, p); those beyond `a_limit` (n,) have come to an end."""
    return quantiles(a, probabilities, np.full(len(a), -np.inf), a_limit)


def lives_told(left: Floats, probabilities: Floats) -> Floats:
    """Quantiles of the cycles left (n, p); 0 and ∞ are ends."""
    return quantiles(left, probabilities, np.zeros(len(left)), np.full(len(left), np.inf))
