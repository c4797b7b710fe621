"""The rows of many crack steppers as those of one, so that they are made and stepped at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

import torch
from torch import Tensor

from models.crack.state import columns
from models.crack.stepper import CrackStepper

P = TypeVar("P")


def joint(steppers: Sequence[CrackStepper]) -> CrackStepper:
    """One stepper with a row for each of `steppers`, of which each has one.

    They have the same types of law, geometry and retardation, and tables of the same shape. What
    it inits is, bit for bit, what they init one by one, joined.
    """
    first = steppers[0]

    def column(name: str) -> Tensor:
        return _column([getattr(stepper, name) for stepper in steppers])

    return CrackStepper(
        law=_part([stepper.law for stepper in steppers]),
        geometry=_part([stepper.geometry for stepper in steppers]),
        retardation=_part([stepper.retardation for stepper in steppers]),
        a_0=column("a_0"),
        a_limit=column("a_limit"),
        gate=column("gate")[:, 0],
        replace=torch.tensor([bool(stepper.replace) for stepper in steppers]),
        K_c=column("K_c"),
        yield_stress=column("yield_stress"),
        particles=first.particles,
        capacity=first.capacity,
    )


def _part(parts: Sequence[P]) -> P:
    """A law, a geometry or a retardation with the constants of all, (n, 1) or tables."""
    first: Any = parts[0]
    found = {f.name: _column([getattr(part, f.name) for part in parts]) for f in fields(first)}
    made: P = type(first)(**found)
    return made


def _column(values: Sequence[Any]) -> Tensor:
    if all(isinstance(value, Tensor) for value in values):
        return torch.cat([columns(value, 1) for value in values])
    return torch.tensor([float(value) for value in values], dtype=torch.float64)[:, None]
