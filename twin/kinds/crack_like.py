"""What all kinds of cracks have in common, straight or along a path."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from torch import Tensor

from models.crack.forecast import has_load
from models.crack.state import belief, mean
from sensors.observation import Observation
from storage.trajectories.layout import Field
from twin.kinds.crack_fields import FIELDS, GROUP
from twin.kinds.crack_settings import CrackSettings
from twin.kinds.kind import TOLD, Columns, Expected, Flags, Kind, Own, State


class CrackLike(Kind[CrackSettings, Own, State]):
    """A crack, which grows by cycles and whose length inspections measure."""

    group: ClassVar[str] = GROUP
    settings: ClassVar[type[BaseModel]] = CrackSettings
    fields: ClassVar[tuple[Field, ...]] = FIELDS
    takes: ClassVar[tuple[type[Observation], ...]] = (Observation,)  # images are evidence, too
    is_inspected: ClassVar[bool] = True

    def stressed(self, settings: CrackSettings) -> tuple[object, ...]:
        """The geometry: another one leaves no plastic zone to go by."""
        return (settings.geometry,)

    def flags(self, state: Any) -> Flags:  # noqa: ANN401  of either kind
        """Whose mean length has reached the limit, and which parts are broken."""
        return Flags(mean(state.length) >= state.a_limit, state.fractured)

    def expected(self, state: Any) -> Expected:  # noqa: ANN401  of either kind
        """The believed length."""
        unknown = torch.full_like(state.a_limit, torch.inf)
        return Expected(mean(state.length), unknown, unknown)

    def said(self, state: Any, row: int) -> dict[str, float]:  # noqa: ANN401  of either kind
        """The believed length [m]."""
        return {"crack_length": float(mean(state.length[row : row + 1]))}

    def columns(self, state: Any, remaining: NDArray[np.float64]) -> Columns:  # noqa: ANN401
        """What is believed of cracks."""
        b, lengths = belief(state), self.lengths(state)
        lives = self.outlook(state, remaining)
        named = {f: getattr(b, f).numpy() for f in b._fields if f in _RECORDED}
        return named | {
            "remaining_cycles": remaining,
            "crack_length_low": lengths[:, 0],
            "crack_length_high": lengths[:, -1],
            "remaining_cycles_low": lives[:, 0],
            "remaining_cycles_high": lives[:, -1],
            "last_evidence": b.t_ns.numpy(),
        }

    def lengths(self, state: Any) -> NDArray[np.float64]:  # noqa: ANN401  of either kind
        """Quantiles (n, 3) of the length, at `TOLD` [m]."""
        return np.repeat(mean(state.length).numpy()[:, None], len(TOLD), axis=1)


_RECORDED = {field.name for field in FIELDS}


def known_lives(state: Any, life: Tensor) -> Tensor:  # noqa: ANN401  of either kind
    """The mean life (n,) of the particles (n, p), unknown where no load was seen."""
    return torch.where(has_load(state), mean(life), torch.nan)
