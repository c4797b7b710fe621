"""What a component can be registered with, and what is in use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Response

from models.crack_path.stepper import EdgePlate
from models.fatigue.geometry import GEOMETRIES, Bound, Formula
from models.fatigue.laws import LAWS, TabulatedLaw
from models.fatigue.materials import MATERIALS
from models.fatigue.retardation import RETARDATIONS
from models.fatigue.tables import TableGeometry
from twin.api.context import PREFIX, Context
from twin.api.problems import documented
from twin.api.responses import json_answer
from twin.api.schema_service import Models
from twin.belief.cohort import Cohort
from twin.belief.fleet import Fleet
from twin.networks import DEFAULTS, identified
from twin.service import Service

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
    }
    names = sorted(path.stem for path in DEFAULTS.glob("*.safetensors"))
    learned = {name: _learned(name) for name in names}

    @app.get(
        f"{PREFIX}/models", tags=["models"], responses={200: {"model": Models}, **documented()}
    )
    async def get_models() -> Response:
        """Laws, geometries, retardations, materials and networks by name, and cohorts in use."""
        asked = _asked(context.service)
        known = {n: {**told, "in_use": n in asked} for n, told in learned.items()}
        used = cohorts(context.service.fleet)
        return json_answer({**offered, "weights": known, "cohorts": used})


def _asked(service: Service) -> set[str]:
    """The networks that this service asks, as it is set and with the parts that it has."""
    asked = {name for _, c in _used(service.fleet) for name in c.kind.networks}
    images = service.settings.ingest.read_images
    return asked | {"crack-image"} if images else asked


def cohorts(fleet: Fleet) -> list[dict[str, Any]]:
    """What is stepped together, and how many of each."""
    return [
        {
            "cohort": key,
            "belief": cohort.kind.group,
            **cohort.kind.parts(cohort.stepper),
            "components": sum(1 for name in cohort.members if name),
        }
        for key, cohort in _used(fleet)
    ]


def _used(fleet: Fleet) -> list[tuple[str, Cohort]]:
    return [each for section in fleet.sections.values() for each in section.cohorts.items()]


def _learned(name: str) -> dict[str, Any]:
    """Which weights these are, and where they come from, by their card."""
    _, card, sha256 = identified(name)
    told = ("about", "parameters", "data", "seed", "command", "figures")
    return {
        "sha256": sha256,
        "version": f"{name} seed {card['seed']}",
        "used_for": USES.get(name, ""),
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
