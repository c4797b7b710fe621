"""What each source has delivered: whether what was sent has arrived."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Response

from storage.marks import Mark
from twin.api.answers import json_answer, time_or_none
from twin.api.context import PATH, Context, Name, Site
from twin.api.problems import documented
from twin.api.schema_service import Sources
from twin.reserved import REGISTRATION, REGISTRATION_BEFORE

# Source and boot of what is no sensor's.
REGISTRATIONS = ((REGISTRATION, 0), (REGISTRATION_BEFORE, 0))


def add_sources(app: FastAPI, context: Context) -> None:
    """The route for sources."""
    service = context.service

    @app.get(
        f"{PATH}/sources",
        tags=["state"],
        responses={200: {"model": Sources}, **documented("unknown-component", "invalid")},
    )
    async def get_sources(site: Site, component: Name) -> Response:
        """The numbers that each source has delivered, those missing, and how far the twin is."""
        found = context.component(site, component)
        marks = await service.journal(service.store.journal.marks_of, found.name)
        return json_answer(
            {
                "component": found.name,
                "watermark": time_or_none(max(0, service.fleet.watermark_ns)),
                "offset": service.committer.end,
                "sources": [_source(*key, mark) for key, mark in marks if key not in REGISTRATIONS],
            }
        )


def _source(name: str, boot: int, mark: Mark) -> dict[str, Any]:
    return {
        "source": name,
        "boot": boot,
        "first": mark.first,
        "high": mark.high,
        "floor": mark.floor,
        "missing": mark.missing,
        "holes": mark.holes,
    }
