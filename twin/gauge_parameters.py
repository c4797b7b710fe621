"""The parts of a registration that say how a gauge is read, and what it can mean."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sensors.quality import NULL_CODES, Gauge
from twin.parameters import Constant, Positive


class CalibrationParameters(BaseModel):
    """From what the gauge says to stress: gain · x + offset, times E for a strain."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    gain: Constant = 1.0
    offset: Constant = Field(0.0, description="In the unit of the quantity: Pa or m/m.")
    youngs_modulus: Positive | None = Field(None, description="[Pa]; needed for strain.")


class GaugeParameters(BaseModel):
    """What a healthy gauge on a sound part does not say: such samples are set aside, and told."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    max_stress: Positive = Field(
        2e9, description="After calibration, either sign: no part bears more [Pa]."
    )
    max_strain: Positive = Field(
        0.05, description="Before calibration, either sign: no gauge reaches more [m/m]."
    )
    rail: Positive | None = Field(
        None,
        description="Before calibration, either sign: where the amplifier saturates "
        "[Pa or m/m]. Samples there are set aside; without it, flat tops are told and count.",
    )
    null_codes: Annotated[tuple[Constant, ...], Field(max_length=100)] | None = Field(
        None,
        description="What stands for a missing sample, in the unit of the wire, either "
        "sign; 9999 to 999999999 with up to two more nines if absent, none if empty.",
    )
    spike: Positive | None = Field(
        5e7, description="A lone sample that jumps by less always counts [Pa]; null: all do."
    )
    clip_samples: Annotated[int, Field(ge=2, le=1_000_000)] | None = Field(
        8, description="Equal samples at an extreme that are told; null: never."
    )
    stuck_samples: Annotated[int, Field(ge=2, le=1_000_000_000)] | None = Field(
        200, description="Equal samples in a row that are told as a stuck gauge; null: never."
    )
    stuck_s: Annotated[float, Field(strict=True, ge=0, le=1e9)] = Field(
        10.0, description="And at least as long [s]."
    )


@lru_cache(maxsize=4096)
def healthy(g: GaugeParameters) -> Gauge:
    """What a gauge can mean; equal parameters share it."""

    def number(value: float | None) -> float:
        return math.inf if value is None else float(value)

    return Gauge(
        max_stress=g.max_stress,
        max_strain=g.max_strain,
        rail=number(g.rail),
        null_codes=NULL_CODES if g.null_codes is None else g.null_codes,
        spike=number(g.spike),
        clip_samples=number(g.clip_samples),
        stuck_samples=number(g.stuck_samples),
        stuck_s=g.stuck_s,
    )
