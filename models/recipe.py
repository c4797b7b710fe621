"""What `twin train` needs to know of a network: first weights, examples, loss, schedule, scores.

A recipe depends on nothing but the arrays that it is given (those of a digital library, samples
along axis 0) and seeds, so that every run of it can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray
from torch import nn

from models.training import Examples, Loss, Schedule

Arrays = Mapping[str, NDArray[Any]]  # fields of a library, all with the same axis 0: the sample
Scores = dict[str, float]


def _as_trained(network: nn.Module, validation: Examples) -> None:
    """Nothing is left to do."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one kind of network is trained and judged."""

    about: str  # a sentence
    network: Callable[[int], nn.Module]  # new, its first weights drawn from a seed
    examples: Callable[[Arrays, int], tuple[Examples, Examples]]  # train and validation, by seed
    loss: Loss
    schedule: Schedule
    scores: Callable[[nn.Module, Arrays], Scores]  # on samples that were held out
    settled: Callable[[nn.Module, Examples], None] = _as_trained  # last, such as a calibration
    needs: Mapping[str, Any] = field(default_factory=dict)  # of the library's configuration, by key
