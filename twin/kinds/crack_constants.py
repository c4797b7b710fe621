"""What a registration says of laws and strength, as `models` takes it; and names of registries."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

from models.crack_path.stepper import EdgePlate
from models.fatigue.geometry import GEOMETRIES
from models.fatigue.laws import LAWS
from models.fatigue.materials import MATERIALS
from models.fatigue.retardation import RETARDATIONS
from models.fatigue.tables import TableGeometry, TableLaw, shape_name
from twin.kinds.crack_settings import CrackSettings

_REGISTRIES: tuple[Mapping[str, type], ...] = (LAWS, GEOMETRIES, RETARDATIONS)
_NAMES: dict[type, str] = {
    **{kind: name for registry in _REGISTRIES for name, kind in registry.items()},
    TableLaw: "tabulated",
    TableGeometry: "tabulated",
    EdgePlate: "plate",
}


def key(*parts: object) -> str:
    """The name of the cohort whose steppers consist of such parts, by the names in registries.

    It is on disk, in checkpoints: no name of a class is part of it.
    """
    return "-".join(_NAMES[type(part)] + shape_name(part) for part in parts)


def law(settings: CrackSettings) -> Any:  # noqa: ANN401  a law of any kind
    """The growth law: the registration's, else the material's."""
    if settings.law is not None:
        return settings.law.built(LAWS)
    material = MATERIALS[cast(str, settings.material)]
    return LAWS[material.law](**material.constants)


def toughness(settings: CrackSettings) -> float:
    """What is registered, else the material's, else none: ∞ [Pa √m]."""
    known, material = settings.toughness, settings.material
    if known == "off" or (known is None and material is None):
        return math.inf
    return known or MATERIALS[cast(str, material)].K_c


def yield_stress(settings: CrackSettings) -> float:
    """What is registered, else what the material's source gives, else none: ∞ [Pa].

    A value that the table merely assumes breaks no part.
    """
    known, retardation = settings.yield_stress, settings.retardation
    if known == "off":
        return math.inf
    if known is not None:
        return known
    if retardation is not None and retardation.kind != "none":
        return float(retardation.yield_stress)
    material = MATERIALS.get(settings.material or "")
    if material is None or "yield_stress" in material.assumed:
        return math.inf
    return material.yield_stress
