"""What a part bears before it breaks at once: toughness, and yield of what is left of a section."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from models.fatigue.laws import FormanLaw, Law, Nasgro4Law, NasgroLaw
from models.fatigue.value import Value


class Strength(NamedTuple):
    """What breaks a part when a peak reaches it; leaves broadcast over (component, particle)."""

    K_c: Tensor  # toughness, ∞: none is known [Pa √m]
    yield_stress: Tensor  # of the net section, ∞: not judged [Pa]


def toughness(law: Law) -> Value:
    """The toughness that a law has among its own constants [Pa √m], ∞ without."""
    if isinstance(law, FormanLaw | NasgroLaw | Nasgro4Law):
        return law.K_c
    return math.inf


def strength(law: Law, K_c: Value, yield_stress: Value) -> Strength:
    """The strength of a part that is registered with `K_c` and `yield_stress`.

    The smaller toughness holds where the law has one of its own: from there on it gives ∞ anyhow.
    """
    own, given = (torch.as_tensor(K, dtype=torch.float64) for K in (toughness(law), K_c))
    return Strength(torch.minimum(own, given), torch.as_tensor(yield_stress, dtype=torch.float64))


def known(strength: Strength) -> bool:
    """Whether anything is known of any part, so that there is something to judge."""
    return any(bool(torch.isfinite(leaf).any()) for leaf in strength)
