"""Whether a component can be stepped at all, asked before the journal holds its registration."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from models.crack import CrackStepper, belief, blocks, spectrum_load
from models.crack_joint import joint
from models.geometry import GEOMETRIES
from twin.cohort import TROUBLE, AnyStepper, beginnings, layout, out_of_memory, stepped
from twin.component import PlateParameters, Registration
from twin.credible import credible

SHORTEST = 1e-9  # [m] a few atoms: growth over decades of nothing would take for ever
STRESSES = (1e6, 1e8, 5e8)  # [Pa] ranges that are tried
DK = torch.logspace(3.0, 10.0, 29, dtype=torch.float64)  # [Pa √m]
RATIOS = (-2.0, 0.0, 0.3, 0.7, 0.95)
TOGETHER = 1024  # registrations that are tried at a time


def trial(registration: Registration) -> None:
    """Raises ValueError for constants that no crack can grow by, or that cannot be meant.

    What is in the journal is folded again at every start, so that a registration that breaks the
    fold would break it for ever.
    """
    if not isinstance(registration.geometry, PlateParameters):  # it has checked itself
        _check_sizes(registration)
        _check_factors(registration)
    stepper = registration.stepper()
    _check_growth(stepper, registration.crack_length)
    try:
        grown = float(_grown([stepper])[0])
    except ArithmeticError as exc:
        raise ValueError(str(exc)) from exc
    if not math.isfinite(grown) or grown < registration.crack_length:
        raise ValueError(f"a cycle takes its crack length to {grown:.6g} m")
    credible(registration)


def doubtful(registrations: Sequence[Registration]) -> set[int]:
    """The places of those whose `trial` may fail, but for what cannot be meant.

    Those of a layout are tried together, so that many take little longer than one; no sentence is
    made here.
    """
    found, groups = set[int](), dict[str, list[tuple[int, AnyStepper]]]()
    for i, registration in enumerate(registrations):
        try:
            if not isinstance(registration.geometry, PlateParameters):
                _check_sizes(registration)
            stepper = registration.stepper()
            groups.setdefault(layout(stepper), []).append((i, stepper))
        except TROUBLE:
            found.add(i)
    for group in groups.values():
        for first in range(0, len(group), TOGETHER):
            some = group[first : first + TOGETHER]
            known = [registrations[i] for i, _ in some]
            ends = torch.tensor([[r.crack_length, r.crack_limit] for r in known], dtype=DK.dtype)
            bad = _failing([stepper for _, stepper in some], ends)
            found |= {some[place][0] for place in bad}
    return found


def _failing(steppers: Sequence[AnyStepper], ends: Tensor) -> Iterator[int]:
    """The places of those that fail, or that the trial of all of them was broken by.

    `ends` (n, 2) are their `crack_length` and `crack_limit` [m].
    """
    try:
        good = _pass(steppers, ends)
        yield from torch.nonzero(~good).flatten().tolist()
    except TROUBLE as exc:
        if out_of_memory(exc):
            raise
        if len(steppers) == 1:
            yield 0
            return
        half = len(steppers) // 2
        yield from _failing(steppers[:half], ends[:half])
        yield from (half + place for place in _failing(steppers[half:], ends[half:]))


def _pass(steppers: Sequence[AnyStepper], ends: Tensor) -> Tensor:
    """Which of steppers of one layout pass (n,), as `trial` has it."""
    good, lengths = torch.ones(len(steppers), dtype=torch.bool), ends[:, 0]
    cracks = [s for s in steppers if isinstance(s, CrackStepper)]
    if len(cracks) == len(steppers):
        one = joint(cracks)
        factors = one.geometry.F(ends)
        good &= (torch.isfinite(factors) & (factors > 0.0)).all(1)
        for growth in _growths(one.law, lengths[:, None]):
            good &= (growth >= 0.0).all(1)
    else:
        for i, stepper in enumerate(steppers):
            for growth in _growths(stepper.law, float(lengths[i])):
                good[i] &= bool((growth >= 0.0).all())
    grown = _grown(steppers)
    return good & torch.isfinite(grown) & (grown >= lengths)


def _check_sizes(registration: Registration) -> None:
    if registration.crack_length < SHORTEST:
        raise ValueError(
            f"crack_length is {registration.crack_length} m: no crack is below {SHORTEST} m"
        )
    for size, value in registration.geometry.sizes:
        if not value > 0.0:
            raise ValueError(f"geometry.{size} is {value:g}: a size has to be above 0")


def _check_factors(registration: Registration) -> None:
    ends = [[registration.crack_length, registration.crack_limit]]
    factors = registration.geometry.built(GEOMETRIES).F(torch.tensor(ends, dtype=DK.dtype))
    if not bool((torch.isfinite(factors) & (factors > 0.0)).all()):
        raise ValueError(
            f"the geometry factors at crack_length and crack_limit are {factors[0].tolist()}: "
            "they must be above 0"
        )


def _check_growth(stepper: AnyStepper, length: float) -> None:
    """The law shall give no less than no growth, whatever the crack sees; ∞ is a fracture."""
    for ratio, growth in zip(RATIOS, _growths(stepper.law, length), strict=True):
        if not bool((growth >= 0.0).all()):  # NaN is not either
            worst = float(growth[~(growth >= 0.0)][0])
            raise ValueError(
                f"the law gives a growth of {worst:.3g} m a cycle at R = {ratio:g}: is one of its "
                "constants below 0?"
            )


def _growths(law: Any, length: float | Tensor) -> Iterator[Tensor]:  # noqa: ANN401  of any kind
    """Growth [m/cycle] at each of `RATIOS` for every `DK`, of each row of a law."""
    for ratio in RATIOS:
        yield law(DK, torch.full_like(DK, ratio), length)


def _grown(steppers: Sequence[AnyStepper]) -> Tensor:
    """The lengths (n,) [m] after one cycle of each of `STRESSES`."""
    rows = [[[stress, 0.6 * stress, 1.0] for stress in STRESSES]] * len(steppers)
    load = spectrum_load(torch.ones(len(rows), dtype=torch.int64), blocks(rows))
    return belief(stepped(steppers[0], beginnings(steppers), load)).crack_length
