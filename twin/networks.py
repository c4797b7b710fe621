"""The committed networks and the solver: loaded once, and handed to those who step and read."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

import models
from models.crack_frames.stepper import PictureStepper, stepper_of
from models.crack_path.intensities import WithFallback
from models.crack_path.plate import Solver
from models.crack_path.polyline import IntensitySolver
from models.intensity.operator import NAME, CrackOperator, operator_of
from storage.artifacts.weights import Card, Leaves, load

DEFAULTS = Path(models.__file__).with_name("default_weights")


class Identified(NamedTuple):
    """Weights, where they come from, and which they are."""

    tensors: dict[str, Tensor]  # shared, only to be read
    card: Card
    sha256: str


def tensors(leaves: Leaves) -> dict[str, Tensor]:
    """Weights from a file, as a network takes them."""
    return {name: torch.tensor(leaf) for name, leaf in leaves.items()}


def leaves(state: Mapping[str, Tensor]) -> Leaves:
    """Weights of a network, as a file takes them."""
    return {name: leaf.detach().contiguous().numpy() for name, leaf in state.items()}


def default(name: str) -> tuple[dict[str, Tensor], Card]:
    """The committed weights of `name`; shared, only to be read."""
    return identified(name)[:2]


def identified(name: str) -> Identified:
    """The committed weights of `name`, which are those of the first time that this was called.

    So that what a process says of its weights is what it works with, whatever an upgrade has put
    into their place on disk since. Raises StorageError for weights that cannot be read.
    """
    return _identified(DEFAULTS / f"{name}.safetensors")


@cache
def _identified(path: Path) -> Identified:
    found = load(path)
    return Identified(tensors(found.leaves), found.card, found.sha256)


@cache
def operator() -> CrackOperator:
    """The stress-intensity operator; shared, only to be read."""
    return operator_of(default(NAME)[0])


@cache
def solver() -> Solver:
    """The one solver of the process: who steps and who forecasts take turns."""
    return Solver(turn=threading.Lock())


@cache
def intensities() -> IntensitySolver:
    """The operator over XFEM; XFEM alone where there are no weights of it."""
    if not (DEFAULTS / f"{NAME}.safetensors").is_file():
        return solver()
    return WithFallback(operator(), solver())


@cache
def picture_stepper(name: str) -> PictureStepper:
    """The stepper of pictures, `crack-spiking` or `crack-artificial`."""
    return stepper_of(name, default(name)[0])
