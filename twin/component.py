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
    BeforeValidator,
    ConfigDict,
    Field,
    create_model,
    model_validator,
)

from models.crack.stepper import CrackStepper
from models.crack_path.plate import FAR_SIDE_MARGIN
from models.crack_path.stepper import EdgePlate, PathStepper
from models.fatigue.geometry import FRONT_POINTS, GEOMETRIES, outside
from models.fatigue.laws import LAWS
from models.fatigue.materials import MATERIALS
from models.fatigue.retardation import RETARDATIONS, ZONES
from models.fatigue.tables import TableGeometry, TableLaw, table_geometry, table_law
from sensors.calibration import Calibration
from sensors.quality import NULL_CODES, Gauge
from sensors.refusal import shown
from sensors.topics import COMPONENT_PATTERN
from twin.networks import intensities
from twin.units import law_in_si, registration_in_si, sizes_in_si, stresses_in_si, table_in_si

NAME = re.compile(COMPONENT_PATTERN)

Constant = Annotated[float, Field(strict=True, ge=-1e15, le=1e15)]
Positive = Annotated[float, Field(strict=True, gt=0, le=1e15)]
Node = Annotated[tuple[Constant, ...], Field(min_length=2, max_length=2)]  # x, y


def _number_or_off(value: Any) -> Any:  # noqa: ANN401  whatever was sent
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is None or value == "off" or (is_number and 0.0 < value <= 1e12):
        return value
    raise ValueError(f'{shown(value)} is neither a number above 0 and up to 1e12 nor "off"')


Strength = Annotated[float | Literal["off"], BeforeValidator(_number_or_off)]
Length = Annotated[float, Field(strict=True, gt=0, le=100)]


@lru_cache(maxsize=64)
def _constant_names(kind: type[BaseModel]) -> tuple[str, ...]:
    """The fields that are kept and are constants."""
    fields = kind.model_fields.items()
    return tuple(k for k, f in fields if not f.exclude and k not in ("kind", "R_range"))


class Parameters(BaseModel):
    """A named law with its constants, in SI units."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: str

    @property
    def constants(self) -> dict[str, Any]:
        """What the frozen dataclass of `models` is made of, as numbers."""
        found = {name: getattr(self, name) for name in _constant_names(type(self))}
        named: dict[str, dict[str, float]] = {"zone": ZONES, "point": FRONT_POINTS}
        return {k: named[k][v] if k in named else v for k, v in found.items()}

    def built(self, registry: dict[str, Any]) -> Any:  # noqa: ANN401  a law of any kind
        """The frozen dataclass of `models` that these constants describe."""
        return registry[self.kind](**self.constants)


Ratio = Annotated[float, Field(strict=True, ge=-1e3, lt=1)]
RatioRange = Annotated[tuple[Ratio, ...], Field(min_length=2, max_length=2)]
_R_RANGE = "Lowest and highest load ratio that the law was measured at."


class LawParameters(Parameters):
    """A growth law."""

    C_unit: Annotated[str, Field(max_length=64)] | None = Field(
        None,
        exclude=True,
        description="Stress intensity and growth that C is for, like `MPa sqrt(m), m/cycle`,"
        " `N/mm^1.5, mm/cycle` or `ksi sqrt(in), in/cycle`: K_c and thresholds are in it, too."
        " Pa √m and m/cycle if absent; kept in those.",
    )
    R_range: RatioRange | None = Field(None, description=_R_RANGE)

    @model_validator(mode="before")
    @classmethod
    def _in_si(cls, values: Any) -> Any:  # noqa: ANN401  whatever was sent
        if isinstance(values, dict) and "C_unit" in values:
            return law_in_si(values)
        return values

    @model_validator(mode="after")
    def _rising(self) -> LawParameters:
        if self.R_range is not None and self.R_range[0] > self.R_range[1]:
            raise ValueError(f"R_range {list(self.R_range)} is not the lowest, then the highest")
        return self


class GeometryParameters(Parameters):
    """Where a crack is."""

    unit: Annotated[str, Field(max_length=16)] | None = Field(
        None, exclude=True, description="Of its lengths: m if absent, mm, um, in. Kept in m."
    )

    @model_validator(mode="before")
    @classmethod
    def _in_si(cls, values: Any) -> Any:  # noqa: ANN401  whatever was sent
        return sizes_in_si(values) if isinstance(values, dict) and "unit" in values else values

    @property
    def sizes(self) -> list[tuple[str, float]]:
        """Names and values of its lengths and of their ratios."""
        return [(k, v) for k, v in self if isinstance(v, float)]


class RetardationParameters(Parameters):
    """Load interaction."""

    unit: Annotated[str, Field(max_length=16)] | None = Field(
        None,
        exclude=True,
        description="Of the yield stress, and times √m of K_th and floor (√in for ksi and psi):"
        " Pa if absent, MPa, ksi, … Kept in Pa.",
    )

    @model_validator(mode="before")
    @classmethod
    def _in_si(cls, values: Any) -> Any:  # noqa: ANN401  whatever was sent
        return stresses_in_si(values) if isinstance(values, dict) and "unit" in values else values


Numbers = Annotated[tuple[Constant, ...], Field(min_length=1, max_length=128)]


class TabulatedLawParameters(Parameters):
    """Growth as tabulated against ΔK and R, straight in logarithms and in R."""

    kind: Literal["tabulated"]
    R: Annotated[tuple[Constant, ...], Field(min_length=1, max_length=16)] = Field(
        description="Load ratios of the columns, rising; at most 15."
    )
    growth: Numbers = Field(description="Growth of each row [m/cycle], rising; at most 128.")
    dK: Annotated[  # noqa: N815  the literature's
        tuple[Annotated[tuple[Constant, ...], Field(max_length=16)], ...], Field(max_length=128)
    ] = Field(description="ΔK [Pa √m]: a row for each growth, a column for each R, rising down.")
    dK_unit: Annotated[str, Field(max_length=32)] | None = Field(  # noqa: N815  of dK
        None, exclude=True, description="Of dK: Pa√m if absent, MPa√m, … Kept in Pa √m."
    )
    growth_unit: Annotated[str, Field(max_length=32)] | None = Field(
        None, exclude=True, description="Of growth: m/cycle if absent, mm/cycle, … Kept in m."
    )
    R_range: RatioRange | None = Field(None, description=f"{_R_RANGE} That of R if absent.")

    @model_validator(mode="before")
    @classmethod
    def _in_si(cls, values: Any) -> Any:  # noqa: ANN401  whatever was sent
        named = isinstance(values, dict) and ("dK_unit" in values or "growth_unit" in values)
        return table_in_si(values) if named else values

    @model_validator(mode="after")
    def _is_table(self) -> TabulatedLawParameters:
        table_law(self.R, self.growth, self.dK)
        return self

    def built(self, registry: dict[str, Any]) -> TableLaw:
        """The law; `registry` is not read."""
        return table_law(self.R, self.growth, self.dK)


class TabulatedGeometryParameters(GeometryParameters):
    """Stress intensity as tabulated against the crack length: give beta or K_over_stress."""

    kind: Literal["tabulated"]
    a: Numbers = Field(description="Crack lengths [m], rising; the last one is the limit.")
    beta: Numbers | None = Field(None, description="F = K/(σ √(πa)) at each [1].")
    K_over_stress: Numbers | None = Field(None, description="Or K/σ at each [√m].")

    @model_validator(mode="after")
    def _is_table(self) -> TabulatedGeometryParameters:
        if (self.beta is None) == (self.K_over_stress is None):
            raise ValueError("a tabulated geometry has either beta or K_over_stress")
        self.built({})
        return self

    def built(self, registry: dict[str, Any]) -> TableGeometry:
        """The geometry; `registry` is not read."""
        known = self.K_over_stress or ()
        if len(known) == len(self.a) and min(self.a) > 0.0:
            known = tuple(K / math.sqrt(math.pi * a) for K, a in zip(known, self.a, strict=True))
        return table_geometry(self.a, known if self.beta is None else self.beta)


def _constant(field: dataclasses.Field[Any]) -> tuple[Any, Any]:
    """Type and default of one constant of a law."""
    default = ... if field.default is dataclasses.MISSING else field.default
    if field.name == "zone":  # lives change 2 to 6 times with the definition: it is named
        return Literal[tuple(ZONES)], default
    if field.name == "point":  # a crack of one length is on the safe side by the larger K
        return Literal[tuple(FRONT_POINTS)], Field(
            "governing",
            description="Whose K drives the crack: the deepest point's, or the larger one of that"
            " and the surface point's, which governs from a/c ≈ 0.8.",
        )
    return Constant, default


def _models(registry: dict[str, Any], base: type[Parameters]) -> tuple[type[Parameters], ...]:
    """One pydantic model for each law, so that the API and the fleet file know its constants."""
    return tuple(
        create_model(
            f"{kind.title().replace('_', '')}Parameters",
            __base__=base,
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


class PlateParameters(GeometryParameters):
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
        if crack_limit > (1.0 - FAR_SIDE_MARGIN) * self.W:
            raise ValueError(
                f"crack_limit {crack_limit} m is beyond {1.0 - FAR_SIDE_MARGIN:.1%} of the "
                f"width {self.W} m"
            )


Law: Any = _choice((*_models(LAWS, LawParameters), TabulatedLawParameters))
Geometry: Any = _choice(
    (*_models(GEOMETRIES, GeometryParameters), TabulatedGeometryParameters, PlateParameters)
)
Retardation: Any = _choice(_models(RETARDATIONS, RetardationParameters))


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


def _known_material(name: str) -> str:
    if name not in MATERIALS:
        raise ValueError(f"material {shown(name)} is not one of {', '.join(sorted(MATERIALS))}")
    return name


class Registration(BaseModel):
    """A component as somebody registers it; everything is in SI units unless a unit is named."""

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
        "replace", description="An inspection replaces the belief, or is only recorded."
    )
    surprise_factor: Annotated[float, Field(strict=True, gt=1, le=1e15)] | None = Field(
        5.0,
        description="An inspection further than this factor from the belief, or longer than a "
        "crack can be, waits for confirmation; null: none does, but for images that show a part of "
        "a crack, or what cannot be.",
    )
    calibration: CalibrationParameters = CalibrationParameters()
    gauge: GaugeParameters = Field(
        GaugeParameters(), description="What a healthy gauge says; else samples are set aside."
    )
    gate: Annotated[float, Field(strict=True, ge=0, le=1e12)] = Field(
        1e5, description="Smallest reversal that counts as a turning point [Pa]."
    )
    stale_after_s: Annotated[float, Field(strict=True, gt=0, le=1e9)] = Field(
        600.0, description="Silence after which the component counts as stale [s]."
    )
    life_alert_cycles: Annotated[float, Field(strict=True, ge=0, le=1e15)] | None = Field(
        50_000.0,
        description="An alert tells of a remaining life below this [cycles]; none if null or 0.",
    )
    unusual: bool = Field(
        False, description="Constants that hardly any part has are meant, and taken."
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
                K_c=self._toughness(),
                find=intensities(),
            )
        return CrackStepper(
            law=self._law(),
            geometry=self.geometry.built(GEOMETRIES),
            retardation=(self.retardation or _NO_RETARDATION).built(RETARDATIONS),
            a_0=min(self.crack_length, 0.999999 * self.longest),  # see `_ever_longest`
            a_limit=self.crack_limit,
            gate=self.gate,
            replace=self.inspection == "replace",
            K_c=self._toughness(),
            yield_stress=self._yield_stress(),
        )

    def _toughness(self) -> float:
        """What is registered, else the material's, else none: ∞ [Pa √m]."""
        if self.toughness == "off" or (self.toughness is None and self.material is None):
            return math.inf
        return self.toughness or MATERIALS[cast(str, self.material)].K_c

    def _yield_stress(self) -> float:
        """What is registered, else what the material's source gives, else none: ∞ [Pa].

        A value that the table merely assumes breaks no part.
        """
        if self.yield_stress == "off":
            return math.inf
        if self.yield_stress is not None:
            return self.yield_stress
        if self.retardation is not None and self.retardation.kind != "none":
            return float(self.retardation.yield_stress)
        material = MATERIALS.get(self.material or "")
        if material is None or "yield_stress" in material.assumed:
            return math.inf
        return material.yield_stress

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
    registered_ns: int = Field(
        0, ge=0, description="Since when it is watched: registered or brought back [ns, UTC]."
    )
