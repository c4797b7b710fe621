"""What is known of a component before anything is observed: its registration."""

from __future__ import annotations

import dataclasses
import math
import re
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal, cast

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    create_model,
    model_validator,
)

from models.crack import CrackStepper
from models.geometry import GEOMETRIES
from models.laws import LAWS
from models.materials import MATERIALS
from models.path_crack import EdgePlate, PathStepper
from models.path_plate import MARGIN
from models.retardation import RETARDATIONS, ZONES
from sensors.calibration import Calibration
from sensors.quality import NULL_CODES, Gauge

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}/[a-z0-9][a-z0-9-]{0,62}")

Constant = Annotated[float, Field(ge=-1e15, le=1e15)]
Positive = Annotated[float, Field(gt=0, le=1e15)]
Node = Annotated[tuple[Constant, ...], Field(min_length=2, max_length=2)]  # x, y


class Parameters(BaseModel):
    """A named law with its constants, in SI units."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: str

    def built(self, registry: dict[str, Any]) -> Any:  # noqa: ANN401  a law of any kind
        """The frozen dataclass of `models` that these constants describe."""
        constants = self.model_dump(exclude={"kind"})
        if "zone" in constants:
            constants["zone"] = ZONES[constants["zone"]]
        return registry[self.kind](**constants)


def _constant(field: dataclasses.Field[Any]) -> tuple[Any, Any]:
    """Type and default of one constant of a law."""
    default = ... if field.default is dataclasses.MISSING else field.default
    if field.name == "zone":  # lives change 2 to 6 times with the definition: it is named
        return Literal[tuple(ZONES)], default
    return Constant, default


def _models(registry: dict[str, Any]) -> tuple[type[Parameters], ...]:
    """One pydantic model for each law, so that the API and the fleet file know its constants."""
    return tuple(
        create_model(
            f"{kind.title().replace('_', '')}Parameters",
            __base__=Parameters,
            __doc__=(law.__doc__ or kind).split("\n")[0],
            **cast(Any, {"kind": (Literal[kind], ...)}),
            **cast(Any, {f.name: _constant(f) for f in dataclasses.fields(law)}),
        )
        for kind, law in registry.items()
    )


def _choice(models: tuple[type[Parameters], ...]) -> Any:  # noqa: ANN401  a type made at run time
    union: Any = None
    for model in models:
        union = model if union is None else union | model
    return Annotated[union, Field(discriminator="kind")]


class PlateParameters(Parameters):
    """A plate with an edge crack that runs along a path, driven by tension and shear."""

    kind: Literal["plate"]
    W: Positive = Field(description="Width [m]; the crack starts on the left side, x = 0.")
    H: Positive | None = Field(None, description="Height [m]; twice the width if absent.")
    mouth: Constant = Field(
        0.0,
        description="y of the mouth [m], from the middle of the height; that of `path`, if given.",
    )
    closure: Literal["uniform", "grip"] = Field(
        "uniform", description="Shear on all faces, or rigid ends that do not rotate."
    )
    path: Annotated[tuple[Node, ...], Field(min_length=2, max_length=32)] | None = Field(
        None, description="Nodes [m] of the initial crack, mouth first; straight across if absent."
    )

    @model_validator(mode="before")
    @classmethod
    def _with_mouth(cls, values: Any) -> Any:  # noqa: ANN401  whatever was sent
        """A path says where its mouth is; `mouth` repeats it, so that a dump can be read again."""
        match values:
            case {"path": [[_, y, *_], *_], **others} if "mouth" not in others:
                return {**values, "mouth": y}
        return values

    @model_validator(mode="after")
    def _one_mouth(self) -> PlateParameters:
        if self.path is not None and self.path[0][1] != self.mouth:
            y = self.path[0][1]
            raise ValueError(f"mouth {self.mouth} m is not that of the path, {y} m: leave one out")
        return self

    def plate(self, crack_length: float) -> EdgePlate:
        """The plate with its initial crack."""
        straight = ((0.0, self.mouth), (crack_length, self.mouth))
        path = np.array(self.path or straight, np.float64)
        return EdgePlate(self.W, self.height, self.closure, path)

    @property
    def height(self) -> float:
        """Height [m]."""
        return 2.0 * self.W if self.H is None else self.H

    def checked(self, crack_length: float, crack_limit: float) -> None:
        """Raises ValueError where no crack could be followed."""
        plate = self.plate(crack_length).checked()
        long = float(np.linalg.norm(np.diff(plate.path, axis=0), axis=1).sum())
        if abs(long - crack_length) > 1e-3 * crack_length:
            raise ValueError(f"crack_length {crack_length} m is not that of the path, {long} m")
        if crack_limit > (1.0 - MARGIN) * self.W:
            raise ValueError(
                f"crack_limit {crack_limit} m is beyond {1.0 - MARGIN:.1%} of the width {self.W} m"
            )


Law: Any = _choice(_models(LAWS))
Geometry: Any = _choice((*_models(GEOMETRIES), PlateParameters))
Retardation: Any = _choice(_models(RETARDATIONS))


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
    stuck_s: Annotated[float, Field(ge=0, le=1e9)] = Field(
        10.0, description="And at least as long [s]."
    )


def _known_material(name: str) -> str:
    if name not in MATERIALS:
        raise ValueError(f"material {name!r} is not one of {', '.join(sorted(MATERIALS))}")
    return name


class Registration(BaseModel):
    """A component as somebody registers it; everything is in SI units."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    material: Annotated[str, AfterValidator(_known_material)] | None = Field(
        None, description="A name of the material table; its constants are indicative."
    )
    law: Law | None = Field(None, description="Growth law; goes before the material's.")
    geometry: Geometry = Field(description="Where the crack is: its stress intensity.")
    retardation: Retardation | None = Field(None, description="Load interaction; none if absent.")
    crack_length: Annotated[float, Field(gt=0, le=100)] = Field(description="Initial length [m].")
    crack_limit: Annotated[float, Field(gt=0, le=100)] = Field(description="Alarm length [m].")
    inspection: Literal["replace", "record"] = Field(
        "replace", description="An inspection replaces the belief, or is only recorded."
    )
    surprise_factor: Annotated[float, Field(gt=1, le=1e15)] | None = Field(
        5.0,
        description="An inspection further than this factor from the belief, or longer than a "
        "crack can be, waits for confirmation; null: none does.",
    )
    calibration: CalibrationParameters = CalibrationParameters()
    gauge: GaugeParameters = GaugeParameters()
    gate: Annotated[float, Field(ge=0, le=1e12)] = Field(
        1e5, description="Smallest reversal that counts as a turning point [Pa]."
    )
    stale_after_s: Annotated[float, Field(gt=0, le=1e9)] = Field(
        600.0, description="Silence after which the component counts as stale [s]."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Registration:
        if self.law is None and self.material is None:
            raise ValueError("a component needs a law or a material")
        if self.crack_limit <= self.crack_length:
            raise ValueError(
                f"crack_limit {self.crack_limit} m is not beyond crack_length {self.crack_length} m"
            )
        if self.calibration.gain == 0.0:
            raise ValueError("calibration.gain is 0: every stress would be the same")
        if isinstance(self.geometry, PlateParameters):
            self.geometry.checked(self.crack_length, self.crack_limit)
            if self.retardation is not None and self.retardation.kind != "none":
                raise ValueError(
                    f"retardation {self.retardation.kind!r} is not known for a crack along a path: "
                    "leave it out"
                )
            return self
        if self.crack_limit > self.longest:
            raise ValueError(
                f"crack_limit {self.crack_limit} m is beyond the geometry's {self.longest} m"
            )
        return self

    @property
    def longest(self) -> float:
        """No crack of this geometry is longer [m]."""
        if isinstance(self.geometry, PlateParameters):
            return self.geometry.W + self.geometry.height  # an arc
        return float(self.geometry.built(GEOMETRIES).limit)

    @cached_property
    def calibrated(self) -> Calibration:
        """The map from what the gauge says to stress."""
        c = self.calibration
        return Calibration(c.gain, c.offset, c.youngs_modulus)

    @property
    def surprise(self) -> float:
        """The factor off the belief beyond which an inspection is held; infinity: none is."""
        if self.surprise_factor is None or self.inspection == "record":
            return math.inf
        return self.surprise_factor

    @cached_property
    def plausible(self) -> Gauge:
        """What the gauge can mean; equal registrations share it."""
        return _gauge(self.gauge)

    def stepper(self) -> CrackStepper | PathStepper:
        """The time-stepper that this registration asks for."""
        if isinstance(self.geometry, PlateParameters):
            return PathStepper(
                law=self._law(),
                plate=self.geometry.plate(self.crack_length),
                a_limit=self.crack_limit,
                gate=self.gate,
                replace=self.inspection == "replace",
            )
        return CrackStepper(
            law=self._law(),
            geometry=self.geometry.built(GEOMETRIES),
            retardation=(self.retardation or _NO_RETARDATION).built(RETARDATIONS),
            a_0=self.crack_length,
            a_limit=self.crack_limit,
            gate=self.gate,
            replace=self.inspection == "replace",
        )

    def _law(self) -> Any:  # noqa: ANN401  a law of any kind
        if self.law is not None:
            return self.law.built(LAWS)
        material = MATERIALS[cast(str, self.material)]
        return LAWS[material.law](**material.constants)


@lru_cache(maxsize=4096)
def _gauge(g: GaugeParameters) -> Gauge:
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


_NO_RETARDATION = Parameters(kind="none")


class Component(BaseModel):
    """A registration with its name and history."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=f"^{NAME.pattern}$")
    revision: int = Field(ge=1, description="Counts changes; the ETag.")
    registered_by: Literal["file", "api"]
    retired: bool = False
    registration: Registration
