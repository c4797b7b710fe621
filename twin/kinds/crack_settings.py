"""What is known of a crack before anything is observed: its part of a registration."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from models.fatigue.geometry import GEOMETRIES, outside
from models.fatigue.materials import MATERIALS
from sensors.refusal import shown
from twin.parameters import Geometry, Law, PlateParameters, Retardation, Strength
from twin.units import registration_in_si


def _known_material(name: str) -> str:
    if name not in MATERIALS:
        raise ValueError(f"material {shown(name)} is not one of {', '.join(sorted(MATERIALS))}")
    return name


class Uncertainty(BaseModel):
    """What nobody knows of a crack beforehand: it is believed as particles."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    crack_length_sd: Annotated[float, Field(strict=True, ge=0, le=1)] = Field(
        0.0, description="Standard deviation of the initial length [m]."
    )
    growth_sd: Annotated[float, Field(strict=True, ge=0, le=2)] = Field(
        0.3,
        description="Standard deviation of ln of the part's own growth factor, which stays. Within "
        "one alloy it is 0.2 to 0.5 from heat to heat.",
    )
    local_sd: Annotated[float, Field(strict=True, ge=0, le=2)] = Field(
        0.15, description="Standard deviation of ln of the growth factor that wanders."
    )
    local_length: Annotated[float, Field(strict=True, ge=0.01, le=10)] = Field(
        0.1, description="How far that one is remembered, in ln of the crack length [1]."
    )
    reading_sd: Annotated[float, Field(strict=True, gt=0, le=1)] = Field(
        1e-3, description="Standard deviation of an inspection that states none [m]."
    )
    wrong_readings: Annotated[float, Field(strict=True, ge=0, le=0.5)] = Field(
        0.01, description="Probability that an inspection is wrong altogether."
    )
    particles: Annotated[int, Field(strict=True, ge=16, le=1024)] = Field(
        128, description="Cracks by which the crack is believed."
    )


class CrackSettings(BaseModel):
    """A crack as somebody registers it; everything is in SI units unless a unit is named."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    material: Annotated[str, AfterValidator(_known_material)] | None = Field(
        None, description="A name of the material table; its constants are indicative."
    )
    law: Law | None = Field(None, description="Growth law; goes before the material's.")
    geometry: Geometry = Field(description="Where the crack is: its stress intensity.")
    retardation: Retardation | None = Field(None, description="Load interaction; none if absent.")
    toughness: Strength | None = Field(
        None,
        description="Stress intensity that breaks the part [Pa √m]; the material's and the law's "
        'own if absent. "off": that of the law alone.',
    )
    yield_stress: Strength | None = Field(
        None,
        description="The part breaks when the mean stress of its net section reaches this [Pa]; "
        "if absent, that of `retardation`, or the material's where its source gives one; "
        '"off": not judged. Not for plates.',
    )
    crack_length: Annotated[float, Field(strict=True, gt=0, le=100)] = Field(
        description="Initial length [m]."
    )
    crack_limit: Annotated[float, Field(strict=True, gt=0, le=100)] = Field(
        description="Alarm length [m]."
    )
    inspection: Literal["replace", "record"] = Field(
        "replace",
        description="An inspection replaces the belief, or with `uncertainty` is weighed against "
        "it; or is only recorded.",
    )
    uncertainty: Uncertainty | None = Field(
        None,
        description="What nobody knows of the crack beforehand: then inspections are weighed, and "
        "lengths and lives have quantiles. null: one crack is believed. Not for plates yet.",
    )
    surprise_factor: Annotated[float, Field(strict=True, gt=1, le=1e15)] | None = Field(
        5.0,
        description="An inspection further than this factor from the belief, or longer than a "
        "crack can be, waits for confirmation; null: none does, but for images that show a part of "
        "a crack, or what cannot be.",
    )
    gate: Annotated[float, Field(strict=True, ge=0, le=1e12)] = Field(
        1e5, description="Smallest reversal that counts as a turning point [Pa]."
    )
    life_alert_cycles: Annotated[float, Field(strict=True, ge=0, le=1e15)] | None = Field(
        50_000.0,
        description="An alert tells of a remaining life below this [cycles]; none if null or 0.",
    )
    unit: Annotated[str, Field(max_length=16)] | None = Field(
        None,
        exclude=True,
        description="Of crack_length, crack_limit, and the geometry if that names none: m if"
        " absent, mm, um, in. Kept in m.",
    )

    @model_validator(mode="before")
    @classmethod
    def _in_si(cls, values: Any) -> Any:  # noqa: ANN401  whatever was sent
        named = isinstance(values, dict) and "unit" in values
        return registration_in_si(values) if named else values

    @model_validator(mode="after")
    def _consistent(self) -> CrackSettings:
        if self.law is None and self.material is None:
            raise ValueError("a crack needs a law or a material")
        if self.crack_limit <= self.crack_length:
            raise ValueError(
                f"crack_limit {self.crack_limit} m is not beyond crack_length {self.crack_length} m"
            )
        sd = self.uncertainty.crack_length_sd if self.uncertainty else 0.0
        if sd > 0.5 * self.crack_length:
            raise ValueError(
                f"uncertainty.crack_length_sd {sd:g} m is more than half of crack_length "
                f"{self.crack_length:g} m: such a crack may be of any length"
            )
        if isinstance(self.geometry, PlateParameters):
            self.geometry.checked(self.crack_length, self.crack_limit)
            if self.retardation is not None and self.retardation.kind != "none":
                raise ValueError(
                    f"retardation {self.retardation.kind!r} is not known for a crack along a path: "
                    "leave it out"
                )
            if self.uncertainty is not None:
                raise ValueError("uncertainty is not known for a crack along a path: leave it out")
            return self
        if self.crack_limit > self._ever_longest:
            for name, size in self.geometry.sizes:
                if not size > 0.0:
                    raise ValueError(f"geometry.{name} is {size:g}: a size has to be above 0")
            raise ValueError(self._too_long())
        return self

    def _too_long(self) -> str:
        """Why its geometry bears no crack of `crack_limit`."""
        known = outside(self.geometry.built(GEOMETRIES), self.crack_limit)
        if shape := [fault.what for fault in known if not fault.of_length]:
            return f"geometry {self.geometry.kind}: {'; '.join(shape)}: no formula is meant for it"
        return (
            f"crack_limit is {self.crack_limit:.6g} m: a crack of geometry {self.geometry.kind} is "
            f"at most {self.longest:.4g} m long"
        )

    @property
    def _ever_longest(self) -> float:
        """The longest limit that any release took [m]: what a journal holds has to be read.

        The first ones followed a surface crack with a/c < 0.2 further than its equations hold.
        """
        if self.geometry.kind == "surface_crack" and self.geometry.aspect < 0.2:
            g = self.geometry
            return float(min(0.95 * g.t, 0.25 * g.aspect * g.W))
        return self.longest

    @cached_property
    def load_ratios(self) -> tuple[float, float]:
        """Lowest and highest load ratio for which the law is known to hold."""
        if self.law is None:
            return MATERIALS[cast(str, self.material)].R_range
        if self.law.R_range is not None:
            lowest, highest = self.law.R_range
            return lowest, highest
        if self.law.kind == "tabulated":  # below its first curve that is on the safe side
            return -math.inf, self.law.R[-1]
        return -math.inf, math.inf

    @cached_property
    def longest(self) -> float:
        """No crack of this geometry is longer [m]."""
        if isinstance(self.geometry, PlateParameters):
            return self.geometry.W + self.geometry.height  # an arc
        return float(self.geometry.built(GEOMETRIES).limit)

    @cached_property
    def shortest(self) -> float:
        """From which length on the geometry's formula holds [m]; ∞ if it never does."""
        if isinstance(self.geometry, PlateParameters):
            return 0.0
        geometry, limit = self.geometry.built(GEOMETRIES), self.longest
        if outside(geometry, limit):
            return math.inf
        lows = (b.low * limit / b.of(geometry, limit) for b in geometry.valid if b.low > 0.0)
        return max(lows, default=0.0) * (1.0 - 1e-9)

    @property
    def surprise(self) -> float:
        """The factor off the belief beyond which an inspection is held; infinity: none is."""
        if self.surprise_factor is None or self.inspection == "record":
            return math.inf
        return self.surprise_factor
