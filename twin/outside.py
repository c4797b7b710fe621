"""Where the load has left what a component's law was measured at."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from models.exposure import Exposure, load_ratios
from twin.cohort import AnyState
from twin.component import Component
from twin.fleet import Fleet

UNBOUNDED = (-math.inf, math.inf)
NEARLY = 0.02  # how far a load ratio may be beyond, as gauges are not that exact
SHARE = 0.01  # of ΔK⁴, about that of the growth, from which on it matters


def outside(component: Component, state: AnyState, row: int) -> list[str]:
    """What of the load so far the law is not known to hold for, in sentences.

    It follows from the state alone. Cycles that together do less than `SHARE` of the growth do
    not count: a ripple on a mean load has a high ratio in every service.
    """
    lowest, highest = component.registration.load_ratios
    if (lowest, highest) == UNBOUNDED:
        return []
    ratio, share = (leaf[0] for leaf in load_ratios(_rows(state.exposure, torch.tensor([row]))))
    whose = "the material's" if component.registration.law is None else "the law's"
    bounds = f"{whose} {_number(lowest)} … {_number(highest)}"
    found = []
    for beyond in (ratio > highest + NEARLY, ratio < lowest - NEARLY):
        if (part := float(share[beyond].sum())) >= SHARE:
            worst = float(ratio[beyond][ratio[beyond].abs().argmax()])
            found.append(f"load ratio {worst:.2g} beyond {bounds}, for {part:.0%} of the growth")
    return found


def strayed(fleet: Fleet, names: Iterable[str]) -> list[str]:
    """Those of `names` whose load is outside, found for many at once."""
    found = []
    for key, some in _by_cohort(fleet, names).items():
        rows = torch.tensor([fleet.places[name].row for name in some])
        ratio, share = load_ratios(_rows(fleet.cohorts[key].state.exposure, rows))
        known = [fleet.components[name].registration.load_ratios for name in some]
        lowest, highest = torch.tensor(known, dtype=torch.float64).T[..., None]
        beyond = _much(share, ratio > highest + NEARLY) | _much(share, ratio < lowest - NEARLY)
        found += [some[i] for i in beyond.nonzero()[:, 0].tolist()]
    return found


def _by_cohort(fleet: Fleet, names: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        if fleet.components[name].registration.load_ratios != UNBOUNDED:
            found.setdefault(fleet.places[name].cohort, []).append(name)
    return found


def _much(share: Tensor, beyond: Tensor) -> Tensor:
    return torch.where(beyond, share, 0.0).sum(1) >= SHARE


def _rows(memory: Exposure, index: Tensor) -> Exposure:
    return Exposure(*(leaf.index_select(0, index) for leaf in memory))


def _number(x: float) -> str:
    return f"{x:g}" if math.isfinite(x) else "−∞"
