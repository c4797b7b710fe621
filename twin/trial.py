"""Whether a component can be stepped at all, asked before the journal holds its registration."""

from __future__ import annotations

import math

import torch

from models.crack import belief, blocks, spectrum_load
from models.geometry import GEOMETRIES
from twin.cohort import stepped
from twin.component import PlateParameters, Registration
from twin.credible import credible

SHORTEST = 1e-9  # [m] a few atoms: growth over decades of nothing would take for ever
STRESSES = (1e6, 1e8, 5e8)  # [Pa] ranges that are tried
DK = torch.logspace(3.0, 10.0, 29, dtype=torch.float64)  # [Pa √m]
RATIOS = (-2.0, 0.0, 0.3, 0.7, 0.95)


def trial(registration: Registration) -> None:
    """Raises ValueError for constants that no crack can grow by, or that cannot be meant.

    What is in the journal is folded again at every start, so that a registration that breaks the
    fold would break it for ever.
    """
    if not isinstance(registration.geometry, PlateParameters):  # it has checked itself
        _check_factors(registration)
    _check_growth(registration)
    try:
        grown = _grown(registration)
    except ArithmeticError as exc:
        raise ValueError(str(exc)) from exc
    if not math.isfinite(grown) or grown < registration.crack_length:
        raise ValueError(f"a cycle takes its crack length to {grown:.6g} m")
    credible(registration)


def _check_factors(registration: Registration) -> None:
    if registration.crack_length < SHORTEST:
        raise ValueError(
            f"crack_length is {registration.crack_length} m: no crack is below {SHORTEST} m"
        )
    for size, value in registration.geometry.sizes:
        if not value > 0.0:
            raise ValueError(f"geometry.{size} is {value:g}: a size has to be above 0")
    lengths = torch.tensor([[registration.crack_length, registration.crack_limit]]).double()
    factors = registration.geometry.built(GEOMETRIES).F(lengths)
    if not bool((torch.isfinite(factors) & (factors > 0.0)).all()):
        raise ValueError(
            f"the geometry factors at crack_length and crack_limit are {factors[0].tolist()}: "
            "they must be above 0"
        )


def _check_growth(registration: Registration) -> None:
    """The law shall give no less than no growth, whatever the crack sees; ∞ is a fracture."""
    law = registration.stepper().law
    for ratio in RATIOS:
        growth = law(DK, torch.full_like(DK, ratio), registration.crack_length)
        if not bool((growth >= 0.0).all()):  # NaN is not either
            worst = float(growth[~(growth >= 0.0)][0])
            raise ValueError(
                f"the law gives a growth of {worst:.3g} m a cycle at R = {ratio:g}: is one of its "
                "constants below 0?"
            )


def _grown(registration: Registration) -> float:
    """The length [m] after one cycle of each of `STRESSES`."""
    stepper = registration.stepper()
    rows = [[[stress, 0.6 * stress, 1.0] for stress in STRESSES]]
    load = spectrum_load(torch.ones(1, dtype=torch.int64), blocks(rows))
    return float(belief(stepped(stepper, stepper.init(1), load)).crack_length[0])
