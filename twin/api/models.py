"""What a component can be registered with, and what is in use."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response

from models.geometry import GEOMETRIES, Bound, Formula
from models.laws import LAWS, TabulatedLaw
from models.materials import MATERIALS
from models.path_crack import EdgePlate, PathStepper
from models.retardation import RETARDATIONS, NoRetardation
from models.tables import TableGeometry
from models.weights import DEFAULTS, card_of
from twin.api.answers import json_answer
from twin.api.context import PREFIX, Context
from twin.api.problems import documented
from twin.api.schema_service import Models
from twin.cohort import AnyStepper
from twin.fleet import Fleet

USES = {
    "crack-k": "stress intensities along the paths of plates",
    "crack-spiking": "forecasts of paths",
    "crack-image": "reading images of cracks",
}


def add_models(app: FastAPI, context: Context) -> None:
    """The route for models."""
    offered = {
        "laws": _sentences(LAWS | {"tabulated": TabulatedLaw}),
        "geometries": _sentences(GEOMETRIES | {"tabulated": TableGeometry, "plate": EdgePlate}),
        "geometry_ranges": {name: _range(kind) for name, kind in GEOMETRIES.items()},
        "retardations": _sentences(RETARDATIONS),
        "materials": {name: material.source for name, material in MATERIALS.items()},
        "material_load_ratios": {name: m.R_range for name, m in MATERIALS.items()},
        "weights": {path.stem: _learned(path) for path in sorted(DEFAULTS.glob("*.safetensors"))},
    }

    @app.get(
        f"{PREFIX}/models", tags=["models"], responses={200: {"model": Models}, **documented()}
    )
    async def get_models() -> Response:
        """Laws, geometries, retardations, materials and networks by name, and cohorts in use."""
        return json_answer({**offered, "cohorts": cohorts(context.service.fleet)})


def cohorts(fleet: Fleet) -> list[dict[str, Any]]:
    """What is stepped together, and how many of each."""
    return [
        {
            "cohort": key,
            "law": type(cohort.stepper.law).__name__,
            **_parts(cohort.stepper),
            "components": sum(1 for name in cohort.members if name),
        }
        for key, cohort in fleet.cohorts.items()
    ]


def _parts(stepper: AnyStepper) -> dict[str, str]:
    if isinstance(stepper, PathStepper):
        return {"geometry": type(stepper.plate).__name__, "retardation": NoRetardation.__name__}
    return {
        "geometry": type(stepper.geometry).__name__,
        "retardation": type(stepper.retardation).__name__,
    }


def _learned(path: Path) -> dict[str, Any]:
    """Where weights come from, by their card."""
    card = card_of(path)
    told = ("about", "parameters", "data", "seed", "command", "figures")
    return {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "used_for": USES.get(path.stem, ""),
        **{key: card[key] for key in told},
    }


def _range(kind: type[Formula]) -> dict[str, Any]:
    """For what a geometry's formula is meant, and how exact it is there."""
    bounds: tuple[Bound, ...] = vars(kind)["valid"]
    return {
        "valid": {bound.ratio: (bound.low, bound.high) for bound in bounds},
        "accuracy": vars(kind)["accuracy"],
    }


def _sentences(registry: Mapping[str, type]) -> dict[str, str]:
    return {name: (kind.__doc__ or name).split("\n")[0] for name, kind in registry.items()}
