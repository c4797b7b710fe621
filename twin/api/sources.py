"""What each source has delivered: whether what was sent has arrived."""

from __future__ import annotations

from bisect import bisect_right
from typing import Annotated, Any

from fastapi import FastAPI, Query, Response

from storage.journal.sequences import StreamMark
from twin.api.context import PATH, Context, Name, Site
from twin.api.problems import documented
from twin.api.responses import json_answer, time_or_none
from twin.api.schema_service import Sources
from twin.reserved import REGISTRATION, REGISTRATION_BEFORE

# Source and boot of what is no sensor's.
REGISTRATIONS = ((REGISTRATION, 0), (REGISTRATION_BEFORE, 0))

_PLACE = r"^[A-Za-z0-9._:-]{1,64}~[0-9]{1,19}$"
_AFTER = "`next` of the page before: a source and its boot."


def add_sources(app: FastAPI, context: Context) -> None:
    """The route for sources."""
    service = context.service

    @app.get(
        f"{PATH}/sources",
        tags=["state"],
        responses={
            200: {"model": Sources},
            **documented("unknown-component", "invalid", "overloaded"),
        },
    )
    async def get_sources(
        site: Site,
        component: Name,
        limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
        after: Annotated[str | None, Query(pattern=_PLACE, description=_AFTER)] = None,
    ) -> Response:
        """The numbers that each source has delivered, those missing, and how far the twin is."""
        found = context.component(site, component)
        marks_of = context.journal.marks_of
        known = await context.reads.ask(marks_of, found.name)  # at HTTP, each inspection is one
        known = [(key, mark) for key, mark in known if key not in REGISTRATIONS]
        behind = known if after is None else known[bisect_right(known, _key(after), key=_first) :]
        marks = behind[:limit]
        return json_answer(
            {
                "component": found.name,
                "watermark": time_or_none(max(0, service.fleet.watermark_ns)),
                "offset": service.committer.end,
                "sources": [_source(*key, mark) for key, mark in marks],
                "total": len(known),
                "next": _place(*marks[-1][0]) if len(behind) > len(marks) else None,
            }
        )


def _place(source: str, boot: int) -> str:
    return f"{source}~{boot}"


def _key(place: str) -> tuple[str, int]:
    source, _, boot = place.rpartition("~")
    return source, int(boot)


def _first(known: tuple[tuple[str, int], StreamMark]) -> tuple[str, int]:
    return known[0]


def _source(name: str, boot: int, mark: StreamMark) -> dict[str, Any]:
    return {
        "source": name,
        "boot": boot,
        "first": mark.first,
        "high": mark.high,
        "floor": mark.floor,
        "missing": mark.missing,
        "holes": mark.holes,
    }
