"""Measured crack lengths that come by HTTP."""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated

from fastapi import FastAPI, Header, Path, Response

from sensors.limits import KEY_END
from sensors.observation import Inspection
from sensors.payload.decode import inspection_of
from storage.journal.sequences import Outcome, verdict
from twin.api.context import PATH, Context, Name, Site
from twin.api.problems import ProblemError, documented
from twin.api.responses import json_answer, time_or_none
from twin.api.schema import Confirmed, Inspected, InspectionBody
from twin.api.state_pages import row
from twin.belief.inspected import broke_after
from twin.belief.inspection_gate import SOURCE as SOURCE_OF_CONFIRMATIONS
from twin.belief.inspection_gate import confirmation, identity, stream_of
from twin.errors import BelatedError
from twin.reserved import HTTP

BELIEVED_S = 5.0  # after which it is told that what is durable is not believed yet

Identity = Annotated[
    str,
    Path(
        pattern=r"^[A-Za-z0-9._:-]{1,64}~[0-9]{1,16}~[0-9]{1,16}$",
        description="`id` of the inspection: source, boot and seq.",
    ),
]
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
            202: {"model": Inspected, "description": "It is durable, and not believed yet."},
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
        try:
            outcome = await context.done(service.observe(observation, BELIEVED_S))
        except BelatedError:
            return _answer(context, observation, Outcome.ACCEPTED, stepped=False)
        if outcome is Outcome.CONFLICT:
            raise ProblemError(
                "key-reused",
                f"Idempotency-Key {idempotency_key!r} was used for another inspection of "
                f"{found.name}: nothing is done, send this one under a key of its own",
            )
        if outcome is Outcome.BEHIND:
            raise ProblemError(
                "conflict",
                f"this inspection of {found.name} cannot be told from one that was taken: the keys "
                "of so many later ones have come since that those of its time are not remembered; "
                "nothing is done",
            )
        return _answer(context, observation, outcome)


def add_confirmations(app: FastAPI, context: Context) -> None:
    """The route for believing an inspection that is held."""

    @app.post(
        f"{PATH}/inspections/{{id}}/confirm",
        tags=["inspections"],
        responses={
            200: {"model": Confirmed, "description": "It was confirmed before: nothing is done."},
            201: {"model": Confirmed},
            **documented("unknown-component", "missing", "conflict", "invalid", "unavailable"),
            **documented("body-too-large", "unsupported-media-type"),
        },
    )
    async def confirm_inspection(site: Site, component: Name, id: Identity) -> Response:  # noqa: A002  the path's name
        """Believe an inspection that jumps: `held` in the state has its id.

        The only way for a length that no crack there can have: it breaks the part. One that shows
        a part of a crack (`why`) is believed as the length that is seen.

        409 where it does not wait any more, or never did.
        """
        found = context.component(site, component)
        page = {"component": found.name, "id": id}
        if await _is_known(context, found.name, SOURCE_OF_CONFIRMATIONS, stream_of(id), 0):
            return json_answer(page | {"outcome": "duplicate"}, 200)
        held = context.service.fleet.held.get(found.name)
        if held is None or identity(held) != id:
            raise await _not_held(context, found.name, id)
        if found.retired:
            raise ProblemError("conflict", f"{found.name} is retired")
        if broke_after(context.service.fleet, found.name, held.t_ns):
            raise ProblemError(
                "conflict", f"{found.name} has broken since inspection {id}: inspect it again"
            )
        await context.done(context.service.observe(confirmation(held), BELIEVED_S))
        r, _, i = row(context.service.fleet, context.views, found.name)
        is_believed = (int(r.t_inspected_ns[i]), float(r.measured[i])) == (
            held.t_ns,
            held.crack_length,
        )
        if not is_believed and not (held.at_least and r.crack_length[i] >= held.crack_length):
            raise await _not_held(context, found.name, id)  # something came first
        return json_answer(page | {"outcome": "confirmed"}, 201)


async def _not_held(context: Context, name: str, id: str) -> ProblemError:  # noqa: A002  as above
    source, boot, seq = id.split("~")
    if await _is_known(context, name, source, int(boot), int(seq)):
        return ProblemError("conflict", f"inspection {id} of {name} does not wait for confirmation")
    return ProblemError("missing", f"{name} has no inspection {id}")


async def _is_known(context: Context, name: str, source: str, boot: int, seq: int) -> bool:
    """Whether the journal has taken an observation with this key."""
    mark = await context.service.threads.journal(context.journal.mark, name, source, boot)
    return mark is not None and verdict(mark, seq).outcome is Outcome.DUPLICATE


def _observation(context: Context, name: str, body: InspectionBody, key: str | None) -> Inspection:
    """The inspection as if it had come by MQTT, so that the same checks judge it."""
    inbox = context.service.inbox
    key_of = {"source": HTTP, "boot": _boot(name, key), "seq": 0}
    observation = inspection_of(name, body.model_dump(mode="json") | key_of, inbox.limits)
    inbox.check(observation)
    return observation


def _boot(name: str, key: str | None) -> int:
    """A number that stands for the key: each inspection is a stream of its own."""
    if key is None:
        return secrets.randbelow(KEY_END)
    digest = hashlib.sha256(f"{name}\0{key}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8]) % KEY_END


def _answer(
    context: Context, observation: Inspection, outcome: Outcome, *, stepped: bool = True
) -> Response:
    is_new = outcome is Outcome.ACCEPTED
    r, _, i = row(context.service.fleet, context.views, observation.component)
    held = context.service.fleet.held.get(observation.component)
    waits = held is not None and identity(held) == identity(observation)
    is_last = stepped and not waits and int(r.t_inspected_ns[i]) == observation.t_ns
    page = {
        "component": observation.component,
        "outcome": "accepted" if is_new else "duplicate",
        "time": time_or_none(observation.t_ns),
        "id": identity(observation),
        "held": waits,
        "believed": is_last,
        "crack_length": observation.crack_length,
        "innovation": float(r.innovation[i]) if is_new and is_last else None,
    }
    return json_answer(page, 200 if not is_new else 201 if stepped else 202)
