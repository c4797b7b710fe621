"""Server-sent events, until the client leaves or the service stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated

import msgspec
from fastapi import FastAPI, Header, Query, Response
from fastapi.responses import StreamingResponse

from sensors.instant import rfc3339
from twin.api.context import PREFIX, Context
from twin.api.problems import documented
from twin.errors import OverloadedError
from twin.events import KINDS, Event

MEDIA_TYPE = "text/event-stream"
HEARTBEAT_S = 15.0
LISTENERS = 200  # each holds a connection for as long as it likes
RETRY_MS = 2000
LARGEST = 2**63 - 1

_DESCRIPTION = "\n".join(
    (
        "What happens from now on, or from behind an event; `missed` where some are gone.",
        "The kinds of events:",
        "",
        *(f"- `{kind}`: {text}" for kind, text in KINDS.items()),
    )
)

Id = Annotated[int | None, Header(ge=0, le=LARGEST, description="Go on behind this event.")]


class Stream:
    """The listeners of one service."""

    def __init__(self, context: Context, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._events = context.service.events
        self._heartbeat_s = heartbeat_s
        self._listeners = 0

    def check(self) -> None:
        """Raises OverloadedError if too many listen already."""
        if self._listeners >= LISTENERS:
            raise OverloadedError(f"{self._listeners} listen already")

    async def text(self, after_id: int) -> AsyncGenerator[bytes, None]:
        """The events after a number as text; a comment while nothing happens."""
        self._listeners += 1
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            async with aclosing(_beating(self._events.stream(after_id), self._heartbeat_s)) as news:
                async for event in news:
                    yield b": nothing new\n\n" if event is None else _written(event)
        finally:
            self._listeners -= 1


def add_stream(app: FastAPI, context: Context, heartbeat_s: float = HEARTBEAT_S) -> None:
    """The route for events."""
    listeners = Stream(context, heartbeat_s)

    @app.get(
        f"{PREFIX}/events",
        tags=["events"],
        description=_DESCRIPTION,
        responses={
            200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}},
            **documented("invalid", "overloaded"),
        },
    )
    async def get_events(
        last_event_id: Id = None,
        after: Annotated[int | None, Query(alias="last_event_id", ge=0, le=LARGEST)] = None,
    ) -> Response:
        """What happens from now on, or from behind an event; `missed` where some are gone."""
        listeners.check()
        given = last_event_id if last_event_id is not None else after
        after_id = context.service.events.last_id if given is None else given
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(listeners.text(after_id), 200, headers, media_type=MEDIA_TYPE)


async def _beating(
    events: AsyncIterator[Event], heartbeat_s: float
) -> AsyncGenerator[Event | None, None]:
    """The events, and None whenever there was none for a while."""
    coming = asyncio.ensure_future(_next(events))
    try:
        while True:
            await asyncio.wait({coming}, timeout=heartbeat_s)
            if not coming.done():
                yield None
                continue
            event = coming.result()
            if event is None:
                return
            yield event
            coming = asyncio.ensure_future(_next(events))
    finally:
        coming.cancel()


async def _next(events: AsyncIterator[Event]) -> Event | None:
    return await anext(events, None)


def _written(event: Event) -> bytes:
    page = {
        "kind": event.kind,
        "component": event.component or None,
        "time": rfc3339(event.t_ns) if event.t_ns else None,
        **event.data,
    }
    text = msgspec.json.encode(page).decode()
    return f"id: {event.id}\nevent: {event.kind}\ndata: {text}\n\n".encode()
