"""Messages that were refused, and another try for them."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Response

from sensors.instant import rfc3339
from storage.dead_letters import KeptLetter
from twin.api.answers import json_answer
from twin.api.context import PREFIX, Context
from twin.api.problems import documented
from twin.api.schema_service import Letters, Resubmitted

LARGEST = 2**63 - 1
SHOWN = 2048  # bytes of a payload


def add_letters(app: FastAPI, context: Context) -> None:
    """The routes for dead letters."""
    service = context.service
    kept = service.store.journal.dead_letters

    @app.get(
        f"{PREFIX}/dead-letters",
        tags=["dead letters"],
        responses={200: {"model": Letters}, **documented("invalid", "damaged")},
    )
    async def list_letters(
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        after: Annotated[int, Query(ge=0, lt=LARGEST, description="Only behind this one.")] = 0,
    ) -> Response:
        """Refused messages and why, oldest first."""
        found = await service.journal(kept.list, limit + 1, after)
        page, census = found[:limit], kept.census
        return json_answer(
            {
                "items": [_letter(letter) for letter in page],
                "next": page[-1].id if len(found) > limit else None,
                "total": census.letters,
                "dropped": census.dropped,
            }
        )

    @app.post(
        f"{PREFIX}/dead-letters/{{number}}/resubmit",
        tags=["dead letters"],
        responses={
            200: {"model": Resubmitted},
            **documented("missing", "invalid", "unavailable", "damaged", "body-too-large"),
            **documented("unsupported-media-type"),
        },
    )
    async def resubmit(number: Annotated[int, Path(ge=1, lt=LARGEST)]) -> Response:
        """Judge a message again, say after its component was registered."""
        outcome = await context.done(service.resubmit(number))
        return json_answer({"id": number, "outcome": outcome.value})


def _letter(kept: KeptLetter) -> dict[str, Any]:
    letter = kept.letter
    return {
        "id": kept.id,
        "time": rfc3339(letter.t_ns),
        "topic": letter.topic,
        "reason": letter.reason,
        "sentence": letter.sentence,
        "content_type": letter.content_type,
        "properties": letter.properties,
        "payload": base64.b64encode(letter.payload[:SHOWN]).decode(),
        "payload_bytes": kept.payload_size,
    }
