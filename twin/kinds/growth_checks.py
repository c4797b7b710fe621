"""Whether cracks can grow by a law at all: what the trials of all kinds of cracks share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from models.fatigue.laws import Nasgro4Law, NasgroLaw, closure
from models.fatigue.tables import TableLaw

DK = torch.logspace(3.0, 10.0, 29, dtype=torch.float64)  # [Pa √m]
RATIOS = (-2.0, 0.0, 0.3, 0.7, 0.95)
FINE_DK = torch.logspace(3.0, 10.0, 113, dtype=torch.float64)  # [Pa √m], of laws with closure
FINE_RATIOS = tuple(torch.linspace(-2.0, 0.99, 24, dtype=torch.float64).tolist())
OPENING = torch.linspace(-2.0, 1.0 - 1e-6, 300, dtype=torch.float64)  # load ratios


def check_growth(law: Any, length: float) -> None:  # noqa: ANN401  a law of any kind
    """Raise ValueError where a law gives less than no growth; ∞ is a fracture."""
    if not isinstance(law, TableLaw) and not float(law.C) >= 0.0:
        raise ValueError(f"C is {float(law.C):g}: below 0 a crack would shrink")
    if isinstance(law, NasgroLaw | Nasgro4Law) and not bool(closes(law).all()):
        raise ValueError(
            f"with alpha {float(law.alpha):g} and S {float(law.S):g} a crack would be closed even "
            "at the peak of its cycle, by Newman's function: check both"
        )
    for ratio, growth in growths(law, length):
        if not bool((growth >= 0.0).all()):  # NaN is not either
            worst = float(growth[~(growth >= 0.0)][0])
            raise ValueError(
                f"the law gives a growth of {worst:.3g} m a cycle at R = {ratio:.2g}: is one of "
                "its constants below 0?"
            )


def grows(law: Any, lengths: Tensor) -> Tensor:  # noqa: ANN401  a law of any kind
    """Which rows (n,) of a joint law pass `check_growth` at `lengths` (n,) [m]."""
    good = torch.ones(len(lengths), dtype=torch.bool)
    for _, growth in growths(law, lengths[:, None]):
        good &= (growth >= 0.0).all(1)
    if not isinstance(law, TableLaw):
        good &= law.C[:, 0] >= 0.0
    if isinstance(law, NasgroLaw | Nasgro4Law):
        good &= closes(law)
    return good


def closes(law: NasgroLaw | Nasgro4Law) -> Tensor:
    """Whether cracks of each row of a law (n, 1) open at no more than the peak, at any R."""
    return (closure(OPENING, law.alpha, law.S)[0] <= 1.0).reshape(-1, len(OPENING)).all(1)


def growths(law: Any, length: float | Tensor) -> Iterator[tuple[float, Tensor]]:  # noqa: ANN401
    """Load ratios, and growth [m/cycle] there, for every `DK` and each row of a law of any kind.

    Laws with closure have more of a shape, and are tried at more.
    """
    is_fine = isinstance(law, NasgroLaw | Nasgro4Law)
    ranges = FINE_DK if is_fine else DK
    for ratio in FINE_RATIOS if is_fine else RATIOS:
        yield ratio, law(ranges, torch.full_like(ranges, ratio), length)
