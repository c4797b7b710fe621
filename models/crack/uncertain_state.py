"""What is believed of uncertain cracks: guides, particles, and what is told of both."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.crack.state import CrackState, lengths_told, limit_of
from models.fatigue.exposure import Exposure
from models.fatigue.rainflow import Floats, Turning
from models.filters import elementary
from models.filters.quantiles import mean_and_sd

GUIDES = 3  # cracks to a row that are stepped exactly
UNKNOWN = -1.0  # of cycles left
PROBABILITIES = np.array([0.05, 0.25, 0.5, 0.75, 0.95])  # of the quantiles that are told
MEDIAN = 2  # of `PROBABILITIES`
HALF = PROBABILITIES[MEDIAN : MEDIAN + 1]


class Particles(NamedTuple):
    """What is believed of each crack: possible cracks, all as likely; axis 1 the particle."""

    a: Tensor  # (n, p) length, at the geometry's limit once broken [m]
    growth: Tensor  # (n, p) ln of a factor on growth that stays [1]
    local: Tensor  # (n, p) ln of the factor in the cell of ln a where the crack is [1]
    edge: Tensor  # (n, p) where that cell ends [m]
    ahead: Tensor  # (n, p) what the factor of cells ahead will be like, standard normal [1]
    slope: Tensor  # (n,) power by which growth rises with length, when it was last told
    factor: Tensor  # (n, guides) ln of the factor on growth of each guide
    key: Tensor  # (n,) int64 that draws are made with
    epoch: Tensor  # (n,) int64 of the evidence that moved the particles last
    growth_sd: Tensor  # (n,) of `growth`, before any evidence
    local_sd: Tensor  # (n,)
    local_length: Tensor  # (n,) of ln a
    wrong: Tensor  # (n,) probability that a reading is wrong altogether
    reading_sd: Tensor  # (n,) of a reading that states none [m]


class UncertainCrack(NamedTuple):
    """A crack as guides and particles, and what is told of them."""

    guides: CrackState
    particles: Particles
    length: Tensor  # (n, 1) median of the particles [m]
    expected: Tensor  # (n,) mean of those that are not broken: what an inspection should find [m]
    length_sd: Tensor  # (n,) of those that are not broken [m]
    outlook: Tensor  # (n, PROBABILITIES) quantiles of the cycles left, below 0: not known

    @property
    def a_limit(self) -> Tensor:
        """(n,) length at which the part is to be taken out [m]."""
        return self.guides.a_limit

    @property
    def rate(self) -> Tensor:
        """(n, 1) mean growth of the middle guide by the last load [m/cycle]."""
        return self.guides.rate[:, GUIDES // 2 : GUIDES // 2 + 1]

    @property
    def cycles(self) -> Tensor:
        """(n,) seen so far."""
        return self.guides.cycles

    @property
    def open_growth(self) -> Tensor:
        """(n, 1) growth of the middle guide if the open residue closed now [m]."""
        return self.guides.open_growth[:, GUIDES // 2 : GUIDES // 2 + 1]

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


def told(state: UncertainCrack) -> UncertainCrack:
    """The cracks with what is told of their particles."""
    a, limit = array(state.particles.a), limits(state)
    whole = a < limit
    expected, sd = mean_and_sd(a, whole)
    median = torch.from_numpy(lengths_told(a, array(state.a_limit), HALF))
    expected = np.where(whole.any(1), expected, limit[:, 0])
    return state._replace(
        length=median, expected=torch.from_numpy(expected), length_sd=torch.from_numpy(sd)
    )


def limits(state: UncertainCrack) -> Floats:
    """(n, 1) length that the geometry allows, where broken particles are [m]."""
    return array(limit_of(state.guides).view(-1, GUIDES)[:, :1])


def exp(x: Tensor) -> Tensor:
    """E to the power of each number; see `models.filters.elementary`."""
    return torch.from_numpy(elementary.exp(array(x)))


def array(leaf: Tensor, *, copied: bool = False) -> NDArray[Any]:
    """A leaf as compiled code takes it."""
    found: NDArray[Any] = leaf.contiguous().numpy()
    return found.copy() if copied else found
