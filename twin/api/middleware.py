"""What every request passes before the application: who asks, how much, and whether we are up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twin.api.auth import Token, Tokens
from twin.api.neighbours import Neighbours
from twin.api.problems import KINDS, ProblemError, problem
from twin.api.shares import Shares
from twin.api.visit import Visit, client_of, visiting

OPEN = frozenset({"/", "/healthz", "/readyz", "/docs", "/openapi.json"})  # they hold no data
READING = frozenset({"GET", "HEAD", "OPTIONS"})
OVERLOADED = KINDS["overloaded"][0]
PIECE = 65_536  # bytes of an answer that are handed over at a time
BODIES = 1024  # pieces of bodies in memory, of all requests that are not answered yet
_NOSNIFF = (b"x-content-type-options", b"nosniff")


class _Judged(NamedTuple):
    """What is known of a request before the application sees it."""

    visit: Visit
    refused: ProblemError | None


class AccessMiddleware:
    """Refuses strangers, large bodies and strange media types; adds what every answer carries."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        tokens: Tokens | None,
        neighbours: Neighbours,
        max_body_bytes: int,
        is_up: Callable[[], bool],
        on_overloaded: Callable[[], None],
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._neighbours = neighbours
        self._bodies = Shares(BODIES, "pieces of bodies")
        self._max_body_bytes = max_body_bytes
        self._is_up = is_up
        self._on_overloaded = on_overloaded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        judged = self._judged(scope)

        async def counted(message: Message) -> None:
            if message.get("status") == OVERLOADED:
                self._on_overloaded()
            await send(message)

        with visiting(judged.visit):
            await self._answer(judged, scope, receive, counted)

    async def _answer(self, judged: _Judged, scope: Scope, receive: Receive, send: Send) -> None:
        refused = judged.refused
        if refused is not None:
            answer = problem(refused.kind, str(refused.detail), refused.headers)
            await answer(scope, receive, _shortened(scope, _marked(send)))
            return
        if scope["method"] == "HEAD":
            await self._head(scope, receive, _marked(send))
            return
        if scope["method"] in READING:
            await self._app(scope, receive, _marked(send))
            return
        body = _Body(receive, self._max_body_bytes, self._bodies, judged.visit.client)
        try:
            await self._app(scope, body.receive, _marked(send))
        finally:
            body.forget()

    async def _head(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What GET would say, without a body; a stream ends before it begins."""
        told = asyncio.Event()

        async def gone() -> Message:
            if not told.is_set():
                return await receive()
            return {"type": "http.disconnect"}

        version = {**scope.get("asgi", {}), "spec_version": "2.3"}  # below 2.4 streams look up
        asked = {**scope, "method": "GET", "asgi": version}
        await self._app(asked, gone, _headers_only(send, told))

    def _judged(self, scope: Scope) -> _Judged:
        token = None if self._tokens is None else _token(scope, self._tokens)
        address = client_of(scope["client"][0]) if scope.get("client") else ""
        visit = Visit(
            client=f"token {token.name}" if token else address,
            is_known=self._tokens is None or token is not None,
        )
        return _Judged(visit, self._refusal(scope, token))

    def _refusal(self, scope: Scope, token: Token | None) -> ProblemError | None:
        path, method = scope["path"], scope["method"]
        if self._tokens is None and (refused := self._neighbours.refusal(scope)):
            return refused
        if path not in OPEN:
            if self._tokens is not None and (refused := _stranger(scope, token)):
                return refused
            if path.startswith("/api/") and not self._is_up():
                return ProblemError("starting", "the journal is being read back: ask /readyz")
        return None if method in READING else self._body_refusal(scope)

    def _body_refusal(self, scope: Scope) -> ProblemError | None:
        length = _header(scope, b"content-length")
        if length.isdigit() and int(length) > self._max_body_bytes:
            return _too_large(self._max_body_bytes)
        has_body = length not in ("", "0") or _header(scope, b"transfer-encoding")
        media = _header(scope, b"content-type").partition(";")[0].strip().lower()
        if (has_body or media) and media != "application/json":
            shown = media[:100] or "not stated"
            return ProblemError("unsupported-media-type", f"{shown}: send application/json")
        return None


def _token(scope: Scope, tokens: Tokens) -> Token | None:
    """The token that a request shows, if it is known here."""
    kind, _, secret = _header(scope, b"authorization").partition(" ")
    return tokens.find(secret.strip()) if kind.lower() == "bearer" and secret else None


def _stranger(scope: Scope, token: Token | None) -> ProblemError | None:
    kind, _, secret = _header(scope, b"authorization").partition(" ")
    if kind.lower() != "bearer" or not secret:
        challenge = {"WWW-Authenticate": 'Bearer realm="twin"'}
        return ProblemError("unauthorized", "send Authorization: Bearer and a token", challenge)
    if token is None:
        challenge = {"WWW-Authenticate": 'Bearer realm="twin", error="invalid_token"'}
        return ProblemError("unauthorized", "the token is not known here", challenge)
    if token.scope == "read" and _writes(scope):
        challenge = {"WWW-Authenticate": 'Bearer realm="twin", error="insufficient_scope"'}
        return ProblemError("forbidden", "the token may read only", challenge)
    return None


def _writes(scope: Scope) -> bool:
    """Whether a request changes something; a what-if forecast is a question with a body."""
    if scope["method"] in READING:
        return False
    return not (scope["method"] == "POST" and scope["path"].endswith("/forecast"))


class _Body:
    """The body of one request, as far as it has come: too large a one is refused meanwhile."""

    def __init__(self, receive: Receive, limit: int, bodies: Shares, client: str) -> None:
        self._receive = receive
        self._limit = limit
        self._bodies = bodies
        self._client = client
        self._size = self._pieces = 0

    async def receive(self) -> Message:
        """What comes next; raises ProblemError where there is more than may be."""
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._size > self._limit:
            raise _too_large(self._limit)
        more = -(-self._size // PIECE) - self._pieces
        if more > 0:
            if not self._bodies.take(self._client, more):
                raise ProblemError("overloaded", "the bodies of other requests fill the memory")
            self._pieces += more
        return message

    def forget(self) -> None:
        """The request is answered."""
        if self._pieces:
            self._bodies.give_back(self._client, self._pieces)
            self._pieces = 0


def _marked(send: Send) -> Send:
    """`send` that forbids browsers to guess what an answer is, and hands it over in pieces.

    Whoever takes an answer slowly is waited for between two pieces: nothing is copied ahead.
    """

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), _NOSNIFF]
        body = message.get("body", b"")
        if len(body) <= PIECE:
            await send(message)
            return
        view, more = memoryview(body), message.get("more_body", False)
        for at in range(0, len(body), PIECE):
            is_more = more or at + PIECE < len(body)
            piece = bytes(view[at : at + PIECE])
            await send({"type": "http.response.body", "body": piece, "more_body": is_more})

    return marked


def _shortened(scope: Scope, send: Send) -> Send:
    return _headers_only(send, asyncio.Event()) if scope["method"] == "HEAD" else send


def _headers_only(send: Send, told: asyncio.Event) -> Send:
    """`send` that ends the answer behind its headers, and says so."""

    async def headers_only(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b""})
            told.set()

    return headers_only


def _too_large(limit: int) -> ProblemError:
    return ProblemError("body-too-large", f"the body is larger than {limit} bytes")


def _header(scope: Scope, name: bytes) -> str:
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return ""
