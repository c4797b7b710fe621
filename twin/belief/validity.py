"""Where a part has left what its law was measured at, or what its geometry's formula is for."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from models import tree
from models.fatigue.exposure import Exposure, exposed, exposure, load_ratios
from models.fatigue.geometry import GEOMETRIES
from models.fatigue.geometry import outside as not_meant
from models.fatigue.rainflow import Cycles, open_half_cycles
from twin.belief.fleet import Fleet
from twin.component import Component
from twin.kinds.catalogue import AnyCrack
from twin.parameters import PlateParameters

UNBOUNDED = (-math.inf, math.inf)
NEARLY = 0.02  # how far a load ratio may be beyond, as gauges are not that exact
SHARE = 0.01  # of ΔK⁴, about that of the growth, from which on it matters


def outside(component: Component, state: AnyCrack, row: int) -> list[str]:
    """What is not known to hold for the part, in sentences; it follows from the state alone.

    Cycles that together do less than `SHARE` of the growth do not count: a ripple on a mean load
    has a high ratio in every service. A length is outside after an inspection that found less
    than the formula is meant for, or if an older release registered the part.
    """
    seen = _rows(state.exposure, torch.tensor([row]))
    return [*_ratios(component, seen), *_lengths(component, state, row)]


def outside_ahead(
    component: Component, state: AnyCrack, row: int, blocks: Cycles | None
) -> list[str]:
    """The same of a forecast: under `blocks`, or the load seen so far with what is open of it."""
    if blocks is None:
        one = tree.rows(state, torch.tensor([row]))
        load = exposed(one.exposure, open_half_cycles(one.counter))
    else:
        load = exposed(exposure(1), blocks)
    return [*_ratios(component, load), *_lengths(component, state, row)]


def _ratios(component: Component, load: Exposure) -> list[str]:
    """Of the only row of `load`."""
    lowest, highest = component.registration.crack.load_ratios
    if (lowest, highest) == UNBOUNDED:
        return []
    ratio, share = (leaf[0] for leaf in load_ratios(load))
    whose = "the material's" if component.registration.crack.law is None else "the law's"
    bounds = f"{whose} {_number(lowest)} … {_number(highest)}"
    found = []
    for beyond in (ratio > highest + NEARLY, ratio < lowest - NEARLY):
        if (part := float(share[beyond].sum())) >= SHARE:
            worst = float(ratio[beyond][ratio[beyond].abs().argmax()])
            found.append(f"load ratio {worst:.2g} beyond {bounds}, for {part:.0%} of the growth")
    return found


def _lengths(component: Component, state: AnyCrack, row: int) -> list[str]:
    geometry, a = component.registration.crack.geometry, float(state.length[row].mean())
    if isinstance(geometry, PlateParameters) or a >= component.registration.crack.shortest:
        return []
    faults = not_meant(geometry.built(GEOMETRIES), a)
    return [f"geometry {geometry.kind}: {fault.what}" for fault in faults]


def strayed(fleet: Fleet, names: Iterable[str]) -> dict[str, tuple[bool, bool]]:
    """Those of `names` that are outside: by their load, by their length; for many at once."""
    found = {}
    for key, some in _by_cohort(fleet, names).items():
        rows = torch.tensor([fleet.places[name].row for name in some])
        state = fleet.cohorts[key].state
        ratio, share = load_ratios(_rows(state.exposure, rows))
        known = [fleet.components[name].registration.crack for name in some]
        bounds = torch.tensor([r.load_ratios for r in known], dtype=torch.float64)
        lowest, highest = bounds.T[..., None]
        loaded = _much(share, ratio > highest + NEARLY) | _much(share, ratio < lowest - NEARLY)
        shortest = torch.tensor([r.shortest for r in known], dtype=torch.float64)
        short = state.length.index_select(0, rows).mean(1) < shortest
        for i in (loaded | short).nonzero()[:, 0].tolist():
            found[some[i]] = (bool(loaded[i]), bool(short[i]))
    return found


def _by_cohort(fleet: Fleet, names: Iterable[str]) -> dict[str, list[str]]:
    """The names that something is known of, by cohort."""
    found: dict[str, list[str]] = {}
    for name in names:
        r = fleet.components[name].registration.crack
        if r.load_ratios != UNBOUNDED or r.shortest > 0.0:
            found.setdefault(fleet.places[name].cohort, []).append(name)
    return found


def _much(share: Tensor, beyond: Tensor) -> Tensor:
    return torch.where(beyond, share, 0.0).sum(1) >= SHARE


def _rows(memory: Exposure, index: Tensor) -> Exposure:
    return Exposure(*(leaf.index_select(0, index) for leaf in memory))


def _number(x: float) -> str:
    return f"{x:g}" if math.isfinite(x) else "−∞"
