"""Server-sent events, until the client leaves or the service stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated

import msgspec
from fastapi import FastAPI, Header, Query, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from sensors.instant import rfc3339
from twin.api.context import PREFIX, Context
from twin.api.problems import documented, problem
from twin.api.shares import Shares
from twin.api.visit import visit_now
from twin.belief.events import KINDS, PAGE, Event
from twin.errors import OverloadedError

MEDIA_TYPE = "text/event-stream"
HEARTBEAT_S = 15.0
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


class EventStream:
    """The listeners of one service."""

    def __init__(self, context: Context, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._events = context.events
        self._heartbeat_s = heartbeat_s
        self._texts: dict[int, bytes] = {}
        self.places = Shares(context.service.settings.http.max_listeners, "listeners")

    async def text(self, after_id: int) -> AsyncGenerator[bytes, None]:
        """The events after a number as text; a comment while nothing happens."""
        yield f"retry: {RETRY_MS}\n\n".encode()
        async with aclosing(_beating(self._events.pages(after_id), self._heartbeat_s)) as news:
            async for page in news:
                yield b": nothing new\n\n" if page is None else b"".join(map(self._sent, page))

    def _sent(self, event: Event) -> bytes:
        """An event as it is sent, made once for all who listen."""
        if event.kind == "missed":
            return _written(event)  # it has the number of another
        if event.id not in self._texts:
            self._texts[event.id] = _written(event)
            while len(self._texts) > PAGE:
                del self._texts[next(iter(self._texts))]
        return self._texts[event.id]


class _Listening(StreamingResponse):
    """An answer that is one of the listeners for as long as it is sent.

    The place is taken where it is given back, with no moment between: a thousand who ask at once
    are told apart one by one.
    """

    def __init__(self, listeners: EventStream, after_id: int) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(listeners.text(after_id), 200, headers, media_type=MEDIA_TYPE)
        self._listeners = listeners

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events, or the problem that too many listen already."""
        with visit_now() as visit:
            try:
                visit.hold(self._listeners.places)
            except OverloadedError as exc:
                await problem("overloaded", str(exc))(scope, receive, send)
                return
            await super().__call__(scope, receive, send)


def add_stream(app: FastAPI, context: Context, heartbeat_s: float = HEARTBEAT_S) -> None:
    """The route for events."""
    listeners = EventStream(context, heartbeat_s)

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
        given = last_event_id if last_event_id is not None else after
        last_id = context.events.last_id
        return _Listening(listeners, last_id if given is None else given)


async def _beating(
    events: AsyncIterator[list[Event]], heartbeat_s: float
) -> AsyncGenerator[list[Event] | None, None]:
    """The events as they come, and None whenever there was none for a while."""
    coming = asyncio.ensure_future(_next(events))
    try:
        while True:
            await asyncio.wait({coming}, timeout=heartbeat_s)
            if not coming.done():
                yield None
                continue
            page = coming.result()
            if page is None:
                return
            yield page
            coming = asyncio.ensure_future(_next(events))
    finally:
        coming.cancel()


async def _next(events: AsyncIterator[list[Event]]) -> list[Event] | None:
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
