"""What a crack can be registered with, in sentences: laws, geometries, retardations, materials."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from models.crack_path.stepper import EdgePlate
from models.fatigue.geometry import GEOMETRIES, Bound, Formula
from models.fatigue.laws import LAWS, TabulatedLaw
from models.fatigue.materials import MATERIALS
from models.fatigue.parameters import LENGTHS, parameter
from models.fatigue.retardation import RETARDATIONS
from models.fatigue.tables import TableGeometry


def offered() -> dict[str, Any]:
    """See `schema_service.Models`."""
    return {
        "laws": _sentences(LAWS | {"tabulated": TabulatedLaw}),
        "geometries": _sentences(GEOMETRIES | {"tabulated": TableGeometry, "plate": EdgePlate}),
        "geometry_ranges": {name: _range(kind) for name, kind in GEOMETRIES.items()},
        "retardations": _sentences(RETARDATIONS),
        "materials": {name: material.source for name, material in MATERIALS.items()},
        "material_load_ratios": {name: m.R_range for name, m in MATERIALS.items()},
    }


def explain(schemas: dict[str, Any]) -> None:
    """Say what every law, geometry and load interaction is, and what each of its constants means.

    Their schemas are made of the dataclasses of `models`, which know neither.
    """
    for registry in (LAWS, GEOMETRIES, RETARDATIONS):
        for kind, law in registry.items():
            schema = schemas[f"{kind.title().replace('_', '')}Parameters"]
            about = (inspect.getdoc(law), LENGTHS.get(kind))
            schema["description"] = "\n\n".join(filter(None, about))
            for name, field in schema["properties"].items():
                if found := parameter(kind, name):
                    text = field.get("description", found.meaning)
                    field["description"] = f"{text} [{found.unit}]"
                    field["unit"] = found.unit


def _range(kind: type[Formula]) -> dict[str, Any]:
    """For what a geometry's formula is meant, and how exact it is there."""
    bounds: tuple[Bound, ...] = vars(kind)["valid"]
    return {
        "valid": {bound.ratio: (bound.low, bound.high) for bound in bounds},
        "accuracy": vars(kind)["accuracy"],
    }


def _sentences(registry: Mapping[str, type]) -> dict[str, str]:
    return {name: (kind.__doc__ or name).split("\n")[0] for name, kind in registry.items()}
