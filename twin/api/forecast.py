"""Forecasts: under the load seen so far, or under a what-if spectrum."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query, Response

from twin.api.answers import json_answer, time_or_none
from twin.api.context import PATH, Context, Name, Site
from twin.api.problems import ProblemError, documented
from twin.api.schema import Forecast, Horizon, Points, WhatIf
from twin.component import Component
from twin.forecasts import Question, forecast, mix

_KINDS = ("unknown-component", "invalid", "overloaded", "unavailable")


def add_forecasts(app: FastAPI, context: Context) -> None:
    """The routes for what is to come."""

    async def answer(component: Component, question: Question) -> Response:
        fleet = context.service.fleet
        place = fleet.places[component.name]
        cohort = fleet.cohorts[place.cohort]
        if question.blocks is None and not cohort.has_load(place.row):
            raise ProblemError(
                "no-load", f"{component.name} has seen no cycles yet: POST a spectrum"
            )
        made = await context.forecasts.ask(forecast, cohort, place.row, question)
        context.service.metrics.intensities.foreseen(made.found)
        return json_answer(
            {
                "component": component.name,
                "time": time_or_none(int(cohort.state.t_ns[place.row])),
                "load": "seen" if question.blocks is None else "what-if",
                **made.page,
            }
        )

    @app.get(
        f"{PATH}/forecast",
        tags=["forecast"],
        responses={200: {"model": Forecast}, **documented(*_KINDS, "no-load")},
    )
    async def get_forecast(
        site: Site,
        component: Name,
        cycles: Annotated[
            Horizon | None, Query(description="How far to look; a little beyond the limit.")
        ] = None,
        points: Annotated[Points, Query()] = 50,
    ) -> Response:
        """Crack length against cycles, and remaining life, under the load seen so far."""
        found = context.component(site, component)
        return await answer(found, Question(None, cycles, points))

    @app.post(
        f"{PATH}/forecast",
        tags=["forecast"],
        responses={
            200: {"model": Forecast},
            **documented(*_KINDS, "bad-request", "body-too-large", "unsupported-media-type"),
        },
    )
    async def what_if(site: Site, component: Name, body: WhatIf) -> Response:
        """The same under a spectrum that repeats. Changes nothing; a read token will do."""
        found = context.component(site, component)
        blocks = mix(list(body.cycles), body.shear_ratio)
        return await answer(found, Question(blocks, body.horizon_cycles, body.points))
