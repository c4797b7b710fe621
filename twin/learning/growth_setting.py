"""Under what specimens were cracked, and which law is sought: a TOML file and options over it.

```toml
end = "49.8 mm"                 # where a life ends; where half of the specimens came to, if absent

[load]
stress_range = 48.28
R = 0.2
unit = "MPa"

[geometry]                      # as in a registration
kind = "centre_crack"
W = 152.4
unit = "mm"

[law]                           # without C and exponent, which are sought
kind = "walker"
gamma = 0.5
```
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.crack.growth_fit import GROWTH_SD_ALONE
from models.crack.growth_shape import ConstantLoad, LawShape
from models.fatigue.geometry import GEOMETRIES
from models.fatigue.laws import LAWS
from sensors.refusal import shown
from twin.errors import SettingsError, unreadable
from twin.parameters import Geometry, Law, PlateParameters
from twin.sentences import sentence
from twin.units import EXPONENTS, INTENSITIES, LENGTHS, STRESSES, factor

TABLE = "tabulated"
_quantity = re.compile(r"\s*([+-]?[\d.]+(?:[eE][+-]?\d+)?)\s*(\S.*?)?\s*", re.ASCII).fullmatch
_LENGTHS_OF_GEOMETRIES = ("W", "H", "t", "radius")
_PLACEHOLDERS = (1.0, 3.0)  # of C and the exponent, which a law cannot be read without


class LoadTable(BaseModel):
    """Cycles of constant amplitude."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    stress_range: Annotated[float, Field(gt=0, le=1e15)] = Field(description="σ_max − σ_min.")
    R: Annotated[float, Field(ge=-100, lt=1)] = Field(description="Smallest over largest stress.")
    unit: Annotated[str, Field(max_length=16)] = Field(description="Of the stress: Pa, MPa, ksi.")

    @property
    def pascals(self) -> float:
        """The stress range [Pa]."""
        return self.stress_range * factor(self.unit, STRESSES, "unit")

    @model_validator(mode="after")
    def _known(self) -> LoadTable:
        factor(self.unit, STRESSES, "unit")
        return self


class SettingTable(BaseModel):
    """What a fit has to know beside the curves."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    load: LoadTable
    geometry: Geometry
    law: dict[str, Any] = Field({"kind": "paris"}, description="Kind, and constants that are held.")
    end: str | None = Field(None, description="Length at which a life ends, with its unit.")
    reading_sd: str | None = Field(None, description="Of a reading of length, with its unit.")
    growth_sd: Annotated[float, Field(ge=1e-3, le=3)] = Field(
        GROWTH_SD_ALONE, description="Between specimens, where there is one alone."
    )


class _LawTable(BaseModel):
    """A law by itself."""

    law: Law


class GrowthOptions(NamedTuple):
    """What the command line says; it goes before the file."""

    stress_range: str | None = None
    ratio: float | None = None
    geometry: str | None = None
    sizes: Sequence[str] = ()
    law: str | None = None
    constants: Sequence[str] = ()
    end: str | None = None
    reading_sd: str | None = None
    growth_sd: float | None = None


@dataclass(frozen=True, slots=True)
class GrowthSetting:
    """The same, in SI units and checked."""

    load: ConstantLoad
    geometry: dict[str, Any]  # as a registration has it, in SI units
    law: dict[str, Any]  # the kind, and what is held of it, in SI units
    shape: LawShape | None  # None: a table
    end: float | None  # [m]
    reading_sd: float  # [m]
    growth_sd: float  # [1]

    @property
    def exponent(self) -> str:
        """The name of the law's exponent; Paris's for a table."""
        return "m" if self.shape is None else self.shape.exponent


def growth_setting(file: Path | None, options: GrowthOptions) -> GrowthSetting:
    """The setting of a TOML file, with the options over it.

    Raises SettingsError, in a sentence, for what is missing or cannot be.
    """
    document = _merged(_document(file), options)
    try:
        table = SettingTable.model_validate(document)
    except ValidationError as exc:
        raise SettingsError(f"{_source(file)}: {sentence(exc, SettingTable)}") from exc
    if isinstance(table.geometry, PlateParameters):
        raise SettingsError("geometry plate has no formula of stress intensity: tabulate it")
    load = ConstantLoad(table.geometry.built(GEOMETRIES), table.load.pascals, table.load.R)
    held, shape = _law(table.law, load)
    return GrowthSetting(
        load,
        table.geometry.model_dump(exclude_none=True),
        held,
        shape,
        end=None if table.end is None else quantity(table.end, LENGTHS, "end", "mm"),
        reading_sd=0.0
        if table.reading_sd is None
        else quantity(table.reading_sd, LENGTHS, "reading_sd", "mm"),
        growth_sd=table.growth_sd,
    )


def quantity(text: str, units: Mapping[str, float], name: str, example: str) -> float:
    """A number with its unit, in SI; raises SettingsError, also where there is no unit."""
    found = _quantity(text)
    try:
        value = float(found[1]) if found else None
    except ValueError:
        value = None
    if found is None or value is None:
        raise SettingsError(f"{name} is {shown(text)}: write a number and a unit, as 1.5 {example}")
    if found[2] is None:
        raise SettingsError(f"{name} is {shown(text)} without a unit: write {text} {example}")
    if value <= 0.0:
        raise SettingsError(f"{name} is {shown(text)}: it must be above 0")
    try:
        return value * factor(found[2], units, f"the unit of {name}")
    except ValueError as exc:
        raise SettingsError(str(exc)) from exc


def _source(file: Path | None) -> str:
    return "the options" if file is None else f"{file.name} and the options"


def _document(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{file}: {unreadable(exc)}") from exc


def _merged(document: dict[str, Any], options: GrowthOptions) -> dict[str, Any]:
    """The document with what the command line says over it."""
    out = dict(document)
    load = document.get("load", {})
    if isinstance(load, dict):
        if options.stress_range is not None:
            pascals = quantity(options.stress_range, STRESSES, "stress range", "MPa")
            load = {**load, "stress_range": pascals, "unit": "Pa"}
        if options.ratio is not None:
            load = {**load, "R": options.ratio}
        out["load"] = load
    if options.geometry is not None:
        out["geometry"] = {"kind": options.geometry, **_sizes(options.sizes)}
    elif options.sizes:
        raise SettingsError("--size is given without --geometry")
    if options.law is not None:
        out["law"] = {"kind": options.law, **_constants(options.constants)}
    elif options.constants:
        raise SettingsError("--constant is given without --law")
    more = {name: getattr(options, name) for name in ("end", "reading_sd", "growth_sd")}
    return out | {name: value for name, value in more.items() if value is not None}


def _sizes(given: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in given:
        name, value = _pair(text, "--size", "W=152.4 mm")
        if name in _LENGTHS_OF_GEOMETRIES:
            found[name] = quantity(value, LENGTHS, name, "mm")
        else:
            found[name] = _plain(name, value)
    return found


def _constants(given: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in given:
        name, value = _pair(text, "--constant", "gamma=0.5")
        if name.startswith(("dK", "K")):
            found[name] = quantity(value, INTENSITIES, name, "MPa√m")
        elif name == "a_0":
            found[name] = quantity(value, LENGTHS, name, "mm")
        else:
            found[name] = _plain(name, value)
    return found


def _pair(text: str, option: str, example: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.strip() and value.strip()):
        raise SettingsError(f'{option} is {shown(text)}: write it as "{example}"')
    return name.strip(), value.strip()


def _plain(name: str, value: str) -> float | str:
    """A number without a unit, or a word."""
    if re.fullmatch(r"[A-Za-z_]+", value, re.ASCII):
        return value
    try:
        return float(value)
    except ValueError as exc:
        raise SettingsError(f"{name} is {shown(value)}: it must be a number") from exc


def _law(given: dict[str, Any], load: ConstantLoad) -> tuple[dict[str, Any], LawShape | None]:
    """What is held of a law, and its shape; None for a table."""
    kind = given.get("kind")
    if kind == TABLE:
        if others := sorted(given.keys() - {"kind"}):
            raise SettingsError(f"law.{others[0]} is given, and all of a table is sought")
        return dict(given), None
    if not isinstance(kind, str) or kind not in EXPONENTS:
        known = ", ".join((*EXPONENTS, TABLE))
        raise SettingsError(f"law.kind is {shown(kind)}: it must be one of {known}")
    sought = dict(zip(("C", EXPONENTS[kind][0]), _PLACEHOLDERS, strict=True))
    if held := sorted(sought.keys() & given.keys()):
        raise SettingsError(f"law.{held[0]} is given, and it is what is sought: leave it out")
    try:
        law = _LawTable.model_validate({"law": {**given, **sought}}).law
    except ValidationError as exc:
        raise SettingsError(sentence(exc, _LawTable)) from exc
    named = law.model_dump(exclude_none=True)
    exponent = EXPONENTS[kind][0]
    kept = {name: value for name, value in named.items() if name not in sought}
    return kept, LawShape(load, law.built(LAWS), exponent)
