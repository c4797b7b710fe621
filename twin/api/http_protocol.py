"""uvicorn's HTTP protocol, bounded: by itself it hoards headers, and waits for ever for the rest.

Of its own options `limit_concurrency` counts for requests whose headers are whole, and
`h11_max_incomplete_event_size` for another parser than the one that `uvicorn[standard]` installs.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, cast

import httptools
from fastapi import Response
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from twin.api.connection_limits import ConnectionLimits
from twin.api.endings import HANG_UP
from twin.api.problems import problem
from twin.api.visit import client_of

PIPELINED = 8  # requests that may wait behind one that is being answered
FAREWELL_S = 5.0  # for the last bytes of a connection that is being closed


class RefusedError(Exception):
    """What a callback of the parser raises, so that it stops."""


class Guarded(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        doors: ConnectionLimits,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.visitor = ""
        self.since = 0.0  # when it began to wait for a request, or for its end [s, loop's clock]
        self._doors = doors
        self._waits = True  # for a request, or for its end
        self._arriving = False  # a request has begun and is not whole
        self._stuck_since: float | None = None  # nobody takes the answer
        self._closing_since: float | None = None
        self._hoarded = 0  # bytes since the parser has told anything
        self._headers_size = self._headers_count = 0
        self._refusal: tuple[str, str] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the connection in, or say why not."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self.visitor = client_of(self.client[0]) if self.client else ""
        self.since = self.loop.time()
        if not self._doors.enter(self):
            self._refuse("unavailable", "too many connections are open: close some, or come later")

    def connection_lost(self, exc: Exception | None) -> None:
        """Give its place to somebody else."""
        self._doors.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has come; what is not HTTP, or too much, ends the connection."""
        self._unset_keepalive_if_required()
        self._hoarded += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # no other protocol is spoken here: the request is answered as it is
        except httptools.HttpParserError as exc:
            if self._refusal is None:
                self._refusal = "bad-request", f"this is not HTTP: {exc}"
            self._refuse(*self._refusal)
            return
        if self._hoarded > self._doors.bounds.header_bytes:
            self._refuse(*self._too_large())

    def on_message_begin(self) -> None:
        """A request begins: it shall be whole soon."""
        super().on_message_begin()
        self._headers_size = self._headers_count = 0
        self._arriving = True
        self._wait()

    def on_url(self, url: bytes) -> None:
        """Bound the target."""
        super().on_url(url)
        self._hoarded = 0
        if len(self.url) > self._doors.bounds.target_bytes:
            most = self._doors.bounds.target_bytes
            raise self._refused("target-too-long", f"the target is longer than {most} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Bound the headers, those behind a body among them."""
        self._hoarded = 0
        self._headers_count += 1
        self._headers_size += len(name) + len(value)
        most = self._doors.bounds
        if self._headers_count > most.headers or self._headers_size > most.header_bytes:
            raise self._refused(*self._too_large())
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request over, unless too many of this connection wait already."""
        self._hoarded = 0
        if len(self.pipeline) >= PIPELINED:
            raise self._refused("overloaded", f"more than {PIPELINED} requests wait behind one")
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            raise self._refused("bad-request", f"the request has {hosts} Host headers, not one")
        super().on_headers_complete()
        cycle = self.cycle
        self.scope["extensions"] = {HANG_UP: {"now": partial(self._hang_up, cycle)}}

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._hoarded = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._hoarded, self._arriving, self._waits = 0, False, False
        self._doors.busy(self)
        super().on_message_complete()
        if self.cycle.response_complete:
            self._wait()  # it was answered before it was whole

    def on_response_complete(self) -> None:
        """It waits for the next one."""
        is_last = not self.pipeline
        super().on_response_complete()
        if is_last and not self._arriving:
            self._wait()

    def pause_writing(self) -> None:
        """Much of an answer waits to be taken."""
        super().pause_writing()
        self._stuck_since = self.loop.time()

    def resume_writing(self) -> None:
        """It was taken."""
        super().resume_writing()
        self._stuck_since = None

    def drop(self) -> None:
        """End it at once."""
        self._doors.refused("dropped")
        self.transport.abort()

    def check(self, now: float) -> None:
        """End it if it takes too long."""
        most = self._doors.bounds
        if self.transport.is_closing():
            self._closing_since = self._closing_since or now
            if now - self._closing_since > FAREWELL_S:
                self.drop()
        elif self._stuck_since is not None and now - self._stuck_since > most.answer_s:
            self.drop()
        elif self._waits and self._arriving and now - self.since > most.request_s:
            self._refuse("too-slow", f"the request was not whole after {most.request_s:g} s")
        elif self._waits and not self._arriving and now - self.since > most.idle_s:
            self.transport.close()

    def _wait(self) -> None:
        self._waits, self.since = True, self.loop.time()
        self._doors.wait(self)

    def _refused(self, kind: str, detail: str) -> RefusedError:
        self._refusal = kind, detail
        return RefusedError(detail)

    def _too_large(self) -> tuple[str, str]:
        most = self._doors.bounds
        return "headers-too-large", (
            f"the headers are more than {most.headers}, or {most.header_bytes} bytes"
        )

    def _refuse(self, kind: str, detail: str) -> None:
        """Say why, unless an answer is under way, and hang up."""
        self._doors.refused(kind)
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first request
        is_silent = cycle is None or cycle.response_complete or not cycle.response_started
        if is_silent and not self.pipeline:
            self._tell(problem(kind, detail))
        self.transport.close()

    def _hang_up(self, cycle: RequestResponseCycle) -> None:
        """End it in the middle of an answer, once what was said of it has left."""
        cycle.disconnected = True
        self.transport.close()

    def _tell(self, answer: Response) -> None:
        headers = [*answer.raw_headers, (b"connection", b"close")]
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[answer.status_code] + lines + b"\r\n" + bytes(answer.body))


def guarded(doors: ConnectionLimits) -> type[asyncio.Protocol]:
    """What uvicorn makes a protocol with, for every connection."""
    return partial(Guarded, doors)  # type: ignore[return-value]  # it calls it, and no more
