"""The parts of a registration: laws and geometries with their constants, calibration and gauge."""

from __future__ import annotations

import dataclasses
import math
from functools import lru_cache
from typing import Annotated, Any, Literal, cast

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    create_model,
    model_validator,
)

from models.crack_path.plate import FAR_SIDE_MARGIN
from models.crack_path.stepper import EdgePlate
from models.fatigue.geometry import FRONT_POINTS, GEOMETRIES
from models.fatigue.laws import LAWS
from models.fatigue.retardation import RETARDATIONS, ZONES
from models.fatigue.tables import TableGeometry, TableLaw, table_geometry, table_law
from sensors.refusal import shown
from twin.units import law_in_si, sizes_in_si, stresses_in_si, table_in_si

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
                f"crack_limit {crack_limit} m is beyond {1.0 - FAR_SIDE_MARGIN:.1%} of the width "
                f"{self.W} m"
            )


Law: Any = _choice((*_models(LAWS, LawParameters), TabulatedLawParameters))
Geometry: Any = _choice(
    (*_models(GEOMETRIES, GeometryParameters), TabulatedGeometryParameters, PlateParameters)
)
Retardation: Any = _choice(_models(RETARDATIONS, RetardationParameters))
