"""Forecasts: under the load seen so far, or under a what-if spectrum."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import FastAPI, Query, Response

from sensors.payload.decode import spectrum_of
from storage.errors import UnavailableError
from twin.api.context import PATH, Context, Name, Site
from twin.api.problems import ProblemError, documented
from twin.api.responses import json_answer, time_or_none
from twin.api.schema import Forecast, Horizon, Points, WhatIf
from twin.belief.cohort import Cohort
from twin.belief.validity import outside_ahead
from twin.component import Component
from twin.forecast.forecast import Answer, forecast
from twin.forecast.forecast import what_if as what_if_blocks
from twin.kinds.ahead import Question
from twin.service import Service

LONGEST_S = 20.0  # of one forecast, which others wait for
_KINDS = ("unknown-component", "invalid", "overloaded", "unavailable")


def add_forecasts(app: FastAPI, context: Context) -> None:
    """The routes for what is to come."""

    async def answer(component: Component, question: Question) -> Response:
        fleet = context.service.fleet
        place = fleet.places[component.name]
        cohort = fleet.cohorts[place.cohort]
        known = cohort.has_load(place.row) or cohort.is_over(place.row)
        if question.blocks is None and not known:
            raise ProblemError(
                "no-load", f"{component.name} has seen no cycles yet: POST a spectrum"
            )
        made = await context.forecasts.ask(_made, context.service, cohort, place.row, question)
        context.service.metrics.intensities.foreseen(made.found)
        return json_answer(
            {
                "component": component.name,
                "time": time_or_none(int(cohort.state.t_ns[place.row])),
                "load": "seen" if question.blocks is None else "what-if",
                "largest_range": question.largest_range,
                "outside": outside_ahead(component, cohort.state, place.row, question.blocks),
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
        """The same under a spectrum that repeats. Changes nothing; a read token will do.

        `unit` and `cycles` mean what they mean in a message of kind `load`: they pass the same
        checks and the component's calibration.
        """
        found = context.component(site, component)
        return await answer(found, _question(context, found, body))


def _made(service: Service, cohort: Cohort, row: int, question: Question) -> Answer:
    """A forecast, in a thread: given up after a while, and at once when the service stops."""
    until = time.monotonic() + LONGEST_S

    def go_on() -> None:
        if service.is_stopping:
            raise UnavailableError("the service is stopping")
        if time.monotonic() > until:
            raise ProblemError(
                "invalid",
                f"the forecast takes more than {LONGEST_S:g} s: ask for a nearer horizon or for "
                "fewer rows of cycles",
            )

    return forecast(cohort, row, question, go_on)


def _question(context: Context, component: Component, body: WhatIf) -> Question:
    """What a what-if spectrum asks, its cycles judged as if they had come by MQTT."""
    limits = context.service.inbox.limits
    rows = body.model_dump(include={"unit", "cycles", "shear_ratio"})
    key = {"source": "what-if", "boot": 0, "seq": 0, "t_ns": time.time_ns()}  # nobody keeps it
    spectrum = spectrum_of(component.name, rows | key, limits)
    blocks = what_if_blocks(spectrum, component.registration.calibrated, limits.stress)
    return Question(blocks, body.horizon_cycles, body.points)
