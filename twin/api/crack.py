"""The crack in its part, as coordinates or as a drawing."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Header, Response

from twin.api.context import PATH, Context, Name, Site
from twin.api.problems import documented
from twin.api.responses import JSON, chosen, json_answer, time_or_none
from twin.api.schema import Crack
from twin.api.state_pages import row
from twin.component import Component
from twin.drawing.crack import Subject, png, svg
from twin.drawing.outline import sketch

SVG, PNG = "image/svg+xml", "image/png"
_DRAWN = {SVG: {"schema": {"type": "string"}}, PNG: {"schema": {"type": "string"}}}
_HEADERS = {
    "Cache-Control": "no-store",
    "Vary": "Accept",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}


def add_crack(app: FastAPI, context: Context) -> None:
    """The route for the drawing."""

    @app.get(
        f"{PATH}/crack",
        tags=["state"],
        responses={
            200: {"model": Crack, "content": _DRAWN},
            **documented("unknown-component", "not-acceptable", "invalid", "overloaded"),
        },
    )
    async def get_crack(
        site: Site, component: Name, accept: Annotated[str | None, Header()] = None
    ) -> Response:
        """The crack in its part: JSON, SVG or PNG.

        A crack along a path is drawn as it runs, with y = 0 at half the height; others straight.
        """
        subject = _subject(context, context.component(site, component))
        media = chosen(accept, (JSON, SVG, PNG))
        if media == SVG:
            return Response(svg(subject), 200, _HEADERS, media_type=SVG)
        if media == PNG:
            return Response(await context.reads.ask(png, subject), 200, _HEADERS, media_type=PNG)
        return json_answer(_page(subject), headers={"Vary": "Accept"})


def _subject(context: Context, component: Component) -> Subject:
    r, cohort, i = row(context.service.fleet, context.views, component.name)
    return Subject(
        component=component.name,
        time=time_or_none(int(r.t_ns[i])),
        geometry=component.registration.crack.geometry.model_dump(),
        crack_length=float(r.crack_length[i]),
        crack_length_sd=float(r.crack_length_sd[i]),
        crack_limit=component.registration.crack.crack_limit,
        fractured=bool(r.fractured[i]),
        path=cohort.kind.path(cohort.state, i),
    )


def _page(subject: Subject) -> dict[str, object]:
    now = sketch(subject.geometry, subject.crack_length, subject.path)
    return {
        **subject._asdict(),
        "outline": now.outline,
        "holes": [hole._asdict() for hole in now.holes],
        "path": now.branches,
        "path_at_limit": sketch(subject.geometry, subject.crack_limit).branches,
    }
