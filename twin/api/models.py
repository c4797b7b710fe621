"""What a component can be registered with, and what is in use."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Response

from twin.api.context import PREFIX, Context
from twin.api.problems import documented
from twin.api.responses import json_answer
from twin.api.schema_service import Models
from twin.belief.cohort import Cohort
from twin.belief.fleet import Fleet
from twin.kinds.offered import offered
from twin.networks import DEFAULTS, identified
from twin.service import Service

USES = {
    "crack-k": "stress intensities along the paths of plates",
    "crack-spiking": "forecasts of paths",
    "crack-image": "reading images of cracks",
}


def add_models(app: FastAPI, context: Context) -> None:
    """The route for models."""
    known_kinds = offered()
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
        return json_answer({**known_kinds, "weights": known, "cohorts": used})


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
