"""Whether a component can be stepped at all, asked before the journal holds its registration."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from models.crack.growth import lanes
from models.crack.joint import joint
from models.crack.load import blocks, spectrum_load
from models.crack.state import CrackState, belief, limit_of
from models.crack.stepper import CrackStepper
from models.fatigue.effort import EffortError, at_most
from models.fatigue.geometry import GEOMETRIES
from models.fatigue.integration import STRIDE, advanced, strides
from models.fatigue.laws import Nasgro4Law, NasgroLaw, closure
from models.fatigue.rainflow import Cycles
from models.fatigue.tables import TableLaw
from twin.belief.cohort import TROUBLE, AnyStepper, beginnings, layout, out_of_memory, stepped
from twin.belief.credible import credible
from twin.component import PlateParameters, Registration

SHORTEST = 1e-9  # [m] a few atoms: growth over decades of nothing would take for ever
STRESSES = (1e6, 1e8, 5e8)  # [Pa] ranges that are tried
DK = torch.logspace(3.0, 10.0, 29, dtype=torch.float64)  # [Pa √m]
RATIOS = (-2.0, 0.0, 0.3, 0.7, 0.95)
FINE_DK = torch.logspace(3.0, 10.0, 113, dtype=torch.float64)  # [Pa √m], of laws with closure
FINE_RATIOS = tuple(torch.linspace(-2.0, 0.99, 24, dtype=torch.float64).tolist())
OPENING = torch.linspace(-2.0, 1.0 - 1e-6, 300, dtype=torch.float64)  # load ratios
MOST_STRIDES = 545  # of a crack, whatever its life is like: from 1 µm to 9.5 m
LIVES = ((1e7, 0.1), (1e8, 0.1), (1e8, -1.0), (1e8, 0.7))  # [Pa], [1]: ranges and load ratios
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
        if registration.unusual:
            _live([stepper])
    except EffortError as exc:
        raise ValueError(
            f"its crack cannot be followed in {MOST_STRIDES} strides, which suffice for every "
            "metal: its growth falls or leaps too steeply with its length"
        ) from exc
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
    found, groups = set[int](), dict[tuple[str, bool], list[tuple[int, AnyStepper]]]()
    for i, registration in enumerate(registrations):
        try:
            if not isinstance(registration.geometry, PlateParameters):
                _check_sizes(registration)
            stepper = registration.stepper()
            key = layout(stepper), registration.unusual
            groups.setdefault(key, []).append((i, stepper))
        except TROUBLE:
            found.add(i)
    for (_, is_unusual), group in groups.items():
        for first in range(0, len(group), TOGETHER):
            some = group[first : first + TOGETHER]
            known = [registrations[i] for i, _ in some]
            ends = torch.tensor([[r.crack_length, r.crack_limit] for r in known], dtype=DK.dtype)
            bad = _failing([stepper for _, stepper in some], ends, is_unusual=is_unusual)
            found |= {some[place][0] for place in bad}
    return found


def _failing(steppers: Sequence[AnyStepper], ends: Tensor, *, is_unusual: bool) -> Iterator[int]:
    """The places of those that fail, or that the trial of all of them was broken by.

    `ends` (n, 2) are their `crack_length` and `crack_limit` [m].
    """
    try:
        good = _pass(steppers, ends)
        if is_unusual:
            _live(steppers)
        yield from torch.nonzero(~good).flatten().tolist()
    except TROUBLE as exc:
        if out_of_memory(exc):
            raise
        if len(steppers) == 1:
            yield 0
            return
        half = len(steppers) // 2
        yield from _failing(steppers[:half], ends[:half], is_unusual=is_unusual)
        rest = _failing(steppers[half:], ends[half:], is_unusual=is_unusual)
        yield from (half + place for place in rest)


def _pass(steppers: Sequence[AnyStepper], ends: Tensor) -> Tensor:
    """Which of steppers of one layout pass (n,), as `trial` has it."""
    good, lengths = torch.ones(len(steppers), dtype=torch.bool), ends[:, 0]
    cracks = [s for s in steppers if isinstance(s, CrackStepper)]
    if len(cracks) == len(steppers):
        one = joint(cracks)
        factors = one.geometry.F(ends)
        good &= (torch.isfinite(factors) & (factors > 0.0)).all(1)
        for _, growth in _growths(one.law, lengths[:, None]):
            good &= (growth >= 0.0).all(1)
        law: Any = one.law
        if not isinstance(law, TableLaw):
            good &= law.C[:, 0] >= 0.0
        if isinstance(law, NasgroLaw | Nasgro4Law):
            good &= _closes(law)
    else:
        for i, stepper in enumerate(steppers):
            try:
                _check_growth(stepper, float(lengths[i]))
            except ValueError:
                good[i] = False
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
    a, limit = registration.crack_length, registration.longest
    if (count := strides(a, limit)) > MOST_STRIDES:
        raise ValueError(
            f"crack_length is {a:g} m where a crack may become {limit:.3g} m: to follow it takes "
            f"{count} strides, at most {MOST_STRIDES} are taken. A crack of "
            f"{limit / (1.0 + STRIDE) ** MOST_STRIDES:.2g} m is long enough"
        )


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
    law: Any = stepper.law
    if not isinstance(law, TableLaw) and not float(law.C) >= 0.0:
        raise ValueError(f"C is {float(law.C):g}: below 0 a crack would shrink")
    if isinstance(law, NasgroLaw | Nasgro4Law) and not bool(_closes(law).all()):
        raise ValueError(
            f"with alpha {float(law.alpha):g} and S {float(law.S):g} the law holds a crack for "
            "closed beyond the peak of its cycle: nothing known grows so"
        )
    for ratio, growth in _growths(law, length):
        if not bool((growth >= 0.0).all()):  # NaN is not either
            worst = float(growth[~(growth >= 0.0)][0])
            raise ValueError(
                f"the law gives a growth of {worst:.3g} m a cycle at R = {ratio:.2g}: is one of "
                "its constants below 0?"
            )


def _closes(law: NasgroLaw | Nasgro4Law) -> Tensor:
    """Whether cracks of each row of a law (n, 1) open at no more than the peak, at any R."""
    return (closure(OPENING, law.alpha, law.S)[0] <= 1.0).reshape(-1, len(OPENING)).all(1)


def _growths(law: Any, length: float | Tensor) -> Iterator[tuple[float, Tensor]]:  # noqa: ANN401
    """Load ratios, and growth [m/cycle] there, for every `DK` and each row of a law of any kind.

    Laws with closure have more of a shape, and are tried at more.
    """
    is_fine = isinstance(law, NasgroLaw | Nasgro4Law)
    ranges = FINE_DK if is_fine else DK
    for ratio in FINE_RATIOS if is_fine else RATIOS:
        yield ratio, law(ranges, torch.full_like(ranges, ratio), length)


def _live(steppers: Sequence[AnyStepper]) -> None:
    """Raises EffortError where whole lives of cracks take too many strides.

    Cracks along paths take so many as their plates have room for segments.
    """
    if not all(isinstance(stepper, CrackStepper) for stepper in steppers):
        return
    for span, ratio in LIVES:
        mean = 0.5 * span * (1.0 + ratio) / (1.0 - ratio)
        state = cast(CrackState, beginnings(steppers))
        with at_most(MOST_STRIDES):
            lived(state, blocks([[[span, mean, 1e15]]] * len(steppers)))


def lived(state: CrackState, cycles: Cycles) -> Tensor:
    """Whether cracks (n·p,) break under cycles that all act together.

    By the form of the integration that counts its strides; steps take the same ones, in compiled
    code that counts none.
    """
    return advanced(state.length.reshape(-1), lanes(state, cycles), limit_of(state)).broken


def _grown(steppers: Sequence[AnyStepper]) -> Tensor:
    """The lengths (n,) [m] after one cycle of each of `STRESSES`."""
    rows = [[[stress, 0.6 * stress, 1.0] for stress in STRESSES]] * len(steppers)
    load = spectrum_load(torch.ones(len(rows), dtype=torch.int64), blocks(rows))
    return belief(stepped(steppers[0], beginnings(steppers), load)).crack_length
