"""Whether a component can be stepped at all, asked before the journal holds its registration."""

from __future__ import annotations

import math

import torch

from models.crack import belief, blocks, spectrum_load
from models.geometry import GEOMETRIES
from twin.api.problems import ProblemError
from twin.component import Registration

STRESSES = (1e6, 1e8, 5e8)  # [Pa] ranges that are tried


def trial(name: str, registration: Registration) -> None:
    """Raises ProblemError for constants that no crack can grow by.

    What is in the journal is folded again at every start, so that a registration that breaks the
    fold would break it for ever.
    """
    try:
        _check_sizes(registration)
        lengths = torch.tensor([registration.crack_length, registration.crack_limit]).double()
        factors = registration.geometry.built(GEOMETRIES).F(lengths)
        if not bool((torch.isfinite(factors) & (factors > 0.0)).all()):
            raise ValueError(f"the geometry factor is {factors.tolist()} at the two crack lengths")
        grown = _grown(registration)
    except (ValueError, ArithmeticError) as exc:
        raise ProblemError("invalid", f"{name} cannot be stepped: {exc}") from exc
    if not math.isfinite(grown) or grown < registration.crack_length:
        raise ProblemError(
            "invalid", f"{name} cannot be stepped: a cycle takes its crack length to {grown} m"
        )


def _check_sizes(registration: Registration) -> None:
    for size, value in registration.geometry.model_dump(exclude={"kind"}).items():
        if not value > 0.0:
            raise ValueError(f"geometry {size} {value} is not > 0")


def _grown(registration: Registration) -> float:
    """The length [m] after one cycle of each of `STRESSES`."""
    stepper = registration.stepper()
    rows = [[[stress, 0.6 * stress, 1.0] for stress in STRESSES]]
    load = spectrum_load(torch.ones(1, dtype=torch.int64), blocks(rows))
    return float(belief(stepper.step(stepper.init(1), load)).crack_length[0])
