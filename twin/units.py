"""What people type with a unit, turned into SI where it comes in.

A registration is kept and told in SI alone: the fields that name a unit are read here, and are
gone afterwards. Stress intensities and growths may be written with √, sqrt() or ^0.5.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from models.fatigue.materials import INCH, KSI, MPa
from sensors.refusal import shown
from sensors.units import factors

LENGTHS = factors("length")  # [m], by the names that messages may use
STRESSES = factors("stress")  # [Pa]
ROOTS = {STRESSES[name]: INCH**0.5 for name in ("ksi", "psi")}  # √ of the length that goes with it
INTENSITIES = {  # [Pa √m]
    "Pa√m": 1.0,
    "MPa√m": MPa,
    "MPa√mm": MPa * 1e-3**0.5,
    "N/mm^1.5": MPa * 1e-3**0.5,
    "MN/m^1.5": MPa,
    "ksi√in": KSI * INCH**0.5,
    "psi√in": 1e-3 * KSI * INCH**0.5,
}
GROWTHS = {f"{unit}/cycle": metres for unit, metres in LENGTHS.items()} | {"nm/cycle": 1e-9}

EXPONENTS = {  # of a stress intensity in C: the constant that is it, and what is added
    "paris": ("m", 0.0),
    "walker": ("m", 0.0),
    "forman": ("m", -1.0),  # it divides by a stress intensity
    "nasgro": ("n", 0.0),
    "nasgro4": ("n", 0.0),
}
STEEPEST = 50.0  # exponent up to which a unit can be turned into another in floats
_INTENSE = ("K_c", "dK_th", "dK_0", "dK_1", "K_th", "floor")
_SIZES = ("W", "H", "t", "radius", "mouth", "path", "a")
_ROOT = re.compile(r"sqrt\((\w+)\)|\b(mm|m|in)\^(?:0\.5|\(?1/2\)?)")


def law_in_si(law: dict[str, Any]) -> dict[str, Any]:
    """A law of constants whose `C_unit` says what they are in, in Pa √m and m/cycle.

    K_c and thresholds are in the unit's stress intensity, `a_0` in the length of its growth.
    Raises ValueError for a law of which it is not known what C is in.
    """
    unit, kind = law["C_unit"], law.get("kind")
    found = {name: value for name, value in law.items() if name != "C_unit"}
    if unit is None:
        return found
    if kind not in EXPONENTS:
        raise ValueError(f"C_unit is given, and of a law {kind!r} it is not known what C is in")
    intensity, growth = constant_unit(unit)
    exponent, shift = EXPONENTS[kind]
    scales = dict.fromkeys(_INTENSE, intensity) | {"a_0": growth}
    found = _scaled(found, scales)
    if "C" in found and exponent in found:
        m = _number(exponent, found[exponent])
        if not abs(m) <= STEEPEST:
            raise ValueError(f"{exponent} is {shown(m)}: no law is that steep")
        found["C"] = _number("C", found["C"]) * growth / math.pow(intensity, m + shift)
    return found


def table_in_si(table: dict[str, Any]) -> dict[str, Any]:
    """A tabulated law with `dK_unit` and `growth_unit`, in Pa √m and m/cycle."""
    found = {k: v for k, v in table.items() if k not in ("dK_unit", "growth_unit")}
    return _scaled(
        found,
        {
            "dK": factor(_given(table, "dK_unit", "Pa√m"), INTENSITIES, "dK_unit"),
            "growth": factor(_given(table, "growth_unit", "m/cycle"), GROWTHS, "growth_unit"),
        },
    )


def sizes_in_si(geometry: dict[str, Any]) -> dict[str, Any]:
    """A geometry with the `unit` of its lengths, in metres."""
    found = {k: v for k, v in geometry.items() if k != "unit"}
    metres = factor(_given(geometry, "unit", "m"), LENGTHS, "unit")
    return _scaled(found, dict.fromkeys(_SIZES, metres))


def stresses_in_si(retardation: dict[str, Any]) -> dict[str, Any]:
    """A retardation whose `unit` is that of its stress, and of its intensities times √m, or √in."""
    found = {k: v for k, v in retardation.items() if k != "unit"}
    unit = _given(retardation, "unit", "Pa")
    pascals = factor(unit, STRESSES, "unit")
    intensity = pascals * ROOTS.get(pascals, 1.0)
    return _scaled(found, {"yield_stress": pascals} | dict.fromkeys(_INTENSE, intensity))


def registration_in_si(values: dict[str, Any]) -> dict[str, Any]:
    """A registration whose `unit` is that of its lengths, the geometry's too if that has none."""
    unit = _given(values, "unit", "m")
    metres = factor(unit, LENGTHS, "unit")
    found = {k: v for k, v in values.items() if k != "unit"}
    geometry = found.get("geometry")
    if isinstance(geometry, dict) and geometry.get("unit") is None and unit != "m":
        found["geometry"] = {**geometry, "unit": unit}
    return _scaled(found, {"crack_length": metres, "crack_limit": metres})


def constant_unit(unit: object) -> tuple[float, float]:
    """Stress intensity [Pa √m] and growth [m/cycle] of a unit like "MPa√m, m/cycle".

    Raises ValueError for any other text.
    """
    intensity, comma, growth = unit.partition(",") if isinstance(unit, str) else ("", "", "")
    if not comma:
        raise ValueError(
            f"C_unit is {shown(unit)}: it must be a stress intensity, a comma and a growth, like"
            ' "MPa sqrt(m), m/cycle"'
        )
    return factor(intensity, INTENSITIES, "C_unit"), factor(growth, GROWTHS, "C_unit")


def factor(unit: object, units: Mapping[str, float], name: str) -> float:
    """The size of a unit in SI; raises ValueError, naming those that there are."""
    text = unit.strip() if isinstance(unit, str) else ""
    plain = _ROOT.sub(lambda m: "√" + (m[1] or m[2]), text)
    plain = re.sub(r"[\s*·]", "", plain).replace("μ", "µ")
    plain = plain.replace("^(3/2)", "^1.5").replace("^3/2", "^1.5").replace("²", "^2")
    if plain not in units:
        value = shown(text if isinstance(unit, str) else unit)
        raise ValueError(f"{name} is {value}: it must be one of {', '.join(distinct(units))}")
    return units[plain]


def distinct(units: Mapping[str, float]) -> list[str]:
    """One name of each unit."""
    found: dict[float, str] = {}
    for name, size in units.items():
        found.setdefault(size, name)
    return list(found.values())


def _given(values: Mapping[str, Any], name: str, default: str) -> Any:  # noqa: ANN401  as it came
    """A unit as it was sent; the default where none or null was."""
    unit = values.get(name)
    return default if unit is None else unit


def _scaled(values: dict[str, Any], scales: Mapping[str, float]) -> dict[str, Any]:
    return {
        name: _times(name, value, scales[name]) if scales.get(name, 1.0) != 1.0 else value
        for name, value in values.items()
    }


def _times(name: str, value: object, scale: float) -> Any:  # noqa: ANN401  as it came
    if value is None:
        return None
    if isinstance(value, list | tuple):
        return [_times(name, item, scale) for item in value]
    return _number(name, value) * scale


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is {shown(value)}: it must be a number")
    try:
        return float(value)
    except OverflowError:  # an integer of 309 digits and more
        raise ValueError(f"{name} is {shown(value)}: it is too large") from None
