"""The configuration of a digital library as a TOML file.

`twin library config NAME` prints the whole of a library's; what a file leaves out stays as the
library has it. Unknown keys and values that cannot be are refused.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.crack_frames import limits
from models.crack_frames.config import CONFIGS, CrackLibrary, Loads
from models.crack_frames.window import PictureWindow
from models.xfem.elasticity import Elastic
from models.xfem.plate import Plate
from twin.errors import SettingsError, UnknownError, unreadable
from twin.sentences import sentence

Size = Annotated[float, Field(gt=0, le=1e4)]
Position = Annotated[float, Field(ge=-1e4, le=1e4)]
Stress = Annotated[float, Field(ge=-1e12, le=1e12)]
Count = Annotated[int, Field(ge=1, le=10_000)]
Side = Annotated[int, Field(ge=8, le=4096)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


class MaterialTable(_Table):
    """How stiff the plate is."""

    E: Annotated[float, Field(gt=0, le=1e13)] = Field(description="Young's modulus [Pa].")
    nu: Annotated[float, Field(ge=0, le=0.45)] = Field(
        description="Poisson's ratio; 0.45 at most: beyond it the elements lock."
    )
    plane: Literal["stress", "strain"] = Field(description="Plane stress, or strain.")


class PlateTable(_Table):
    """The plate and its mesh; x from 0 to `width`, y from −`height`/2 to `height`/2."""

    width: Annotated[float, Field(ge=1e-4, le=100)] = Field(description="[m]")
    height: Size = Field(description="[m]; 20 widths at most.")
    columns: Annotated[int, Field(ge=16, le=256)] = Field(description="Elements across.")
    fine: Size = Field(description="The mesh is uniform in |y| up to here [m].")
    band: Annotated[tuple[Position, Position], Field(strict=False)] = Field(
        description="y between which cracks may run [m]."
    )
    closure: Literal["uniform", "grip", "clamp"] = Field(
        description="Shear on all faces, rigid ends that do not rotate, or a cantilever."
    )
    material: MaterialTable


class LoadsTable(_Table):
    """The normal distributions from which the load of each slice is drawn."""

    tension: Stress = Field(description="Mean [Pa].")
    tension_sd: Annotated[Stress, Field(ge=0)] = Field(description="Standard deviation [Pa].")
    shear: Stress = Field(description="Mean [Pa].")
    shear_sd: Annotated[Stress, Field(ge=0)] = Field(description="Standard deviation [Pa].")
    scale: Annotated[float, Field(gt=0, le=1e6)] = Field(description="Of both.")


class WindowTable(_Table):
    """What the pictures show."""

    pixel: Size = Field(description="Side of a pixel [m].")
    columns: Side = Field(description="Pixels across.")
    rows: Side = Field(description="Pixels above each other.")
    left: Position = Field(description="x of the left edge [m].")
    top: Position = Field(description="y of the upper edge [m].")


class LibraryTable(_Table):
    """Everything that a sample depends on, but for its seed and its index."""

    crack: Size = Field(description="Length of the initial edge crack [m].")
    height: Position = Field(description="y of its mouth [m].")
    slices: Count = Field(description="Of the ligament; one more frame than slices.")
    C: Annotated[float, Field(gt=0)] = Field(description="Paris [m/cycle / (Pa m^0.5)^m].")
    m: Annotated[float, Field(gt=0, le=20)] = Field(description="Paris [1].")
    K_c: Annotated[float, Field(gt=0)] = Field(description="Toughness [Pa m^0.5].")
    step: Size = Field(description="Least increment [m]; 1.1 elements or more.")
    margin: Size = Field(description="Growth stops so far before the far edge [m].")
    steepest: Annotated[float, Field(gt=0, le=80)] = Field(
        description="Of an increment against the x axis [degree]."
    )
    attempts: Count = Field(description="Loads drawn for a slice before a crack is arrested.")
    plate: PlateTable
    loads: LoadsTable
    window: WindowTable

    def built(self) -> CrackLibrary:
        """The configuration that `models` knows."""
        values = self.model_dump()
        plate = values.pop("plate")
        material, loads = Elastic(**plate.pop("material")), Loads(**values.pop("loads"))
        window = PictureWindow(**values.pop("window"))
        return CrackLibrary(
            **values, plate=Plate(**plate, material=material), loads=loads, window=window
        )


def configuration(name: str, file: Path | None = None) -> CrackLibrary:
    """The configuration of the library `name`, with what `file` changes of it.

    Raises UnknownError for a name that is no library's, SettingsError for a file that cannot be
    read or asks for what cannot be built.
    """
    if name not in CONFIGS:
        raise UnknownError(f"there is no library {name!r}; there are {', '.join(CONFIGS)}")
    if file is None:
        return checked(CONFIGS[name])
    try:
        changes = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingsError(f"configuration file {file}: {unreadable(exc)}") from exc
    return _built(_merged(plain(CONFIGS[name]), changes), str(file))


def checked(config: CrackLibrary) -> CrackLibrary:
    """A copy that shares nothing; SettingsError where it cannot be built."""
    return _built(plain(config), "configuration")


def plain(config: CrackLibrary) -> dict[str, Any]:
    """The configuration as JSON knows it."""
    document = asdict(config)
    document["plate"]["material"] = config.plate.material._asdict()
    answer: dict[str, Any] = json.loads(json.dumps(document))
    return answer


def toml(config: CrackLibrary) -> str:
    """The whole configuration as a file, each value with its meaning."""
    return "\n".join(_lines(LibraryTable.model_validate(plain(config)))) + "\n"


def differences(mine: object, other: object, key: str) -> list[str]:
    """The dotted keys below `key` at which two JSON values are not the same."""
    if isinstance(mine, dict) and isinstance(other, dict):
        return [
            one
            for name in sorted(mine.keys() | other.keys())
            for one in differences(mine.get(name), other.get(name), f"{key}.{name}")
        ]
    return [] if mine == other else [key]


def _built(values: dict[str, Any], source: str) -> CrackLibrary:
    try:
        return limits.checked(LibraryTable.model_validate(values).built())
    except ValidationError as exc:
        raise SettingsError(f"{source}: {sentence(exc, LibraryTable)}") from exc
    except ValueError as exc:
        raise SettingsError(f"{source}: {exc}") from exc


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`below` with the values of `above` over it, table by table."""
    tables = {
        key: _merged(below[key], value)
        for key, value in above.items()
        if isinstance(value, dict) and isinstance(below.get(key), dict)
    }
    return below | above | tables


def _lines(table: BaseModel, name: str = "") -> Iterator[str]:
    fields = type(table).model_fields
    values = {key: getattr(table, key) for key in fields}
    if name:
        yield from ("", f"[{name}]")
    for key, value in values.items():
        if not isinstance(value, BaseModel):
            yield f"{key} = {_value(value)}  # {fields[key].description}"
    for key, value in values.items():
        if isinstance(value, BaseModel):
            yield from _lines(value, f"{name}.{key}" if name else key)


def _value(value: object) -> str:
    """As TOML writes it; a number in its shorter form."""
    plain_form = json.dumps(value)
    if not isinstance(value, float):
        return plain_form
    return min(plain_form, np.format_float_scientific(value, trim="-", exp_digits=1), key=len)
