"""A toy kind: hours under load, up to a limit.

All that a new kind takes: this file, and one line in the catalogue, which `enter` stands for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from models.crack.load import CrackLoad
from sensors.observation import AnyObservation, Series, Spectrum
from storage.trajectories.layout import Field as Recorded
from twin.kinds import catalogue
from twin.kinds.kind import Columns, Flags, Kind, Manner

UNLUCKY_H = 13.0  # a limit that `check` takes, and the stepper does not


class HoursSettings(BaseModel):
    """A machine that may run so long."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    limit_h: Annotated[float, Field(gt=0)]
    cycle_s: Annotated[float, Field(gt=0)] = 3.6


class HoursState(NamedTuple):
    """Hours so far; leaves (n,)."""

    hours: Tensor
    limit: Tensor
    cycle: Tensor  # that a cycle takes [h]
    t_ns: Tensor


class HoursLoad(NamedTuple):
    """Leaves (n,)."""

    hours: Tensor  # of samples
    cycles: Tensor
    t_ns: Tensor


@dataclass(frozen=True)
class HoursStepper:
    """Adds up."""

    limit_h: float
    cycle_s: float

    def init(self, n: int) -> HoursState:
        """None so far."""
        leaf = torch.ones(n, dtype=torch.float64)
        none = torch.zeros(n, dtype=torch.int64)
        return HoursState(0.0 * leaf, self.limit_h * leaf, self.cycle_s / 3600.0 * leaf, none)

    def step(self, state: HoursState, load: HoursLoad) -> HoursState:
        """With those of the load."""
        more = load.hours + load.cycles * state.cycle
        if not bool(torch.isfinite(more).all()):
            raise ValueError("hours are not finite")
        latest = torch.maximum(state.t_ns, load.t_ns)
        return state._replace(hours=state.hours + more, t_ns=latest)


class Hours(Kind[HoursSettings, HoursStepper, HoursState]):
    """See `Kind`."""

    name: ClassVar[str] = "hours"
    group: ClassVar[str] = "hours"
    settings: ClassVar[type[BaseModel]] = HoursSettings
    fields: ClassVar[tuple[Recorded, ...]] = (
        Recorded("under_load", "h", "hours under load", "float64"),
        Recorded("whole_hours", "1", "whole hours under load", "int64", -1),
        Recorded("last_evidence", "nanoseconds since 1970-01-01", "last evidence", "int64", 0),
    )

    def stepper(self, settings: HoursSettings) -> HoursStepper:
        """With its limit."""
        if settings.limit_h == UNLUCKY_H:
            raise ValueError("no stepper can be made of it")
        return HoursStepper(settings.limit_h, settings.cycle_s)

    def key(self, stepper: HoursStepper) -> str:
        """There is one cohort."""
        return "hours"

    def check(self, settings: HoursSettings) -> None:
        """A limit within a century."""
        if settings.limit_h > 876_600.0:
            raise ValueError(f"hours.limit_h is {settings.limit_h:g}: no machine runs a century")

    def flags(self, state: HoursState) -> Flags:
        """At the limit; twice as long, and it has ended."""
        return Flags(state.hours >= state.limit, state.hours >= 2.0 * state.limit)

    def said(self, state: HoursState, row: int) -> dict[str, float]:
        """The hours."""
        return {"under_load": float(state.hours[row])}

    def columns(self, state: HoursState, remaining: NDArray[np.float64]) -> Columns:
        """The hours."""
        whole = state.hours.floor().to(torch.int64).numpy()
        return {
            "under_load": state.hours.numpy(),
            "whole_hours": whole,
            "last_evidence": state.t_ns.numpy(),
        }

    def carried(self, history: HoursState, fresh: HoursState, how: Manner) -> HoursState:
        """The hours stay."""
        return fresh._replace(hours=history.hours, t_ns=history.t_ns)

    def load(self, load: CrackLoad, observations: Sequence[AnyObservation]) -> HoursLoad:
        """How long samples last, and how many cycles there are."""
        counts = load.sample_offset.diff().double()
        rates = torch.tensor([o.rate_hz if isinstance(o, Series) else 1.0 for o in observations])
        cycles = [
            float(np.frombuffer(o.cycles).reshape(-1, 3)[:, 2].sum())
            if isinstance(o, Spectrum)
            else 0.0
            for o in observations
        ]
        each = torch.tensor(cycles, dtype=torch.float64)
        return HoursLoad(counts / rates.double() / 3600.0, each, load.t_ns)


def enter() -> None:
    """What the line in the dict does."""
    catalogue.KINDS["hours"] = Hours()


enter()
