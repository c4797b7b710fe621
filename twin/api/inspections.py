"""Measured crack lengths that come by HTTP."""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated

import msgspec
from fastapi import FastAPI, Header, Response

from sensors.errors import MalformedError
from sensors.limits import KEY_END
from sensors.mqtt_packets import Message
from sensors.observation import Inspection
from sensors.topics import Topics
from storage.marks import Outcome
from twin.api.answers import JSON, json_answer, time_or_none
from twin.api.beliefs import row
from twin.api.context import PATH, Context, Name, Site
from twin.api.problems import ProblemError, documented
from twin.api.schema import Inspected, InspectionBody

SOURCE = "http"
Key = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        description="Any text of your choice: a repetition with the same key counts once, and is "
        "refused if it says something else.",
    ),
]


def add_inspections(app: FastAPI, context: Context) -> None:
    """The route for inspections."""
    service = context.service

    @app.post(
        f"{PATH}/inspections",
        tags=["inspections"],
        responses={
            200: {"model": Inspected, "description": "The key was used before: nothing is done."},
            201: {"model": Inspected},
            **documented("unknown-component", "conflict", "invalid", "unavailable", "key-reused"),
            **documented("bad-request", "body-too-large", "unsupported-media-type"),
        },
    )
    async def post_inspection(
        site: Site, component: Name, body: InspectionBody, idempotency_key: Key = None
    ) -> Response:
        """Add a measured crack length; answers once it is durable and believed."""
        found = context.component(site, component)
        if found.retired:
            raise ProblemError("conflict", f"{found.name} is retired")
        observation = _observation(context, found.name, body, idempotency_key)
        outcome = await context.done(service.observe(observation))
        if outcome is Outcome.CONFLICT:
            raise ProblemError(
                "key-reused",
                f"Idempotency-Key {idempotency_key!r} was used for another inspection of "
                f"{found.name}: nothing is done, send this one under a key of its own",
            )
        return _answer(context, observation, outcome)


def _observation(context: Context, name: str, body: InspectionBody, key: str | None) -> Inspection:
    """The inspection as if it had come by MQTT, so that the same checks judge it."""
    fields = {**body.model_dump(), "source": SOURCE, "boot": _boot(name, key), "seq": 0}
    topic = Topics(context.service.settings.mqtt.root).inspection(name)
    message = Message(topic, msgspec.json.encode(fields), JSON, {})
    parcel = context.service.inbox.parcel([message], lambda: None)
    if parcel.dead:
        raise MalformedError(parcel.dead[0].reason, parcel.dead[0].sentence)
    observation = parcel.lines[0].what
    assert isinstance(observation, Inspection)  # by its topic
    return observation


def _boot(name: str, key: str | None) -> int:
    """A number that stands for the key: each inspection is a stream of its own."""
    if key is None:
        return secrets.randbelow(KEY_END)
    digest = hashlib.sha256(f"{name}\0{key}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8]) % KEY_END


def _answer(context: Context, observation: Inspection, outcome: Outcome) -> Response:
    is_new = outcome is Outcome.ACCEPTED
    r, _, i = row(context.service.fleet, context.views, observation.component)
    is_last = is_new and int(r.t_inspected_ns[i]) == observation.t_ns
    page = {
        "component": observation.component,
        "outcome": "accepted" if is_new else "duplicate",
        "time": time_or_none(observation.t_ns),
        "crack_length": observation.crack_length,
        "innovation": float(r.innovation[i]) if is_last else None,
    }
    return json_answer(page, 201 if is_new else 200)
