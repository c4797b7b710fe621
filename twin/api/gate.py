"""What every request passes before the application: who asks, how much, and whether we are up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twin.api.auth import Tokens
from twin.api.problems import ProblemError, problem

OPEN = frozenset({"/", "/healthz", "/readyz", "/docs", "/openapi.json"})  # they hold no data
READING = frozenset({"GET", "HEAD", "OPTIONS"})
_NOSNIFF = (b"x-content-type-options", b"nosniff")


class Gate:
    """Refuses strangers, large bodies and strange media types; adds what every answer carries."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        tokens: Tokens | None,
        max_body_bytes: int,
        is_up: Callable[[], bool],
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._max_body_bytes = max_body_bytes
        self._is_up = is_up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = self._refusal(scope)
        if refused is not None:
            answer = problem(refused.kind, str(refused.detail), refused.headers)
            await answer(scope, receive, _shortened(scope, _marked(send)))
            return
        if scope["method"] == "HEAD":
            await self._head(scope, receive, _marked(send))
            return
        if scope["method"] not in READING:
            receive = _bounded(receive, self._max_body_bytes)
        await self._app(scope, receive, _marked(send))

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

    def _refusal(self, scope: Scope) -> ProblemError | None:
        path, method = scope["path"], scope["method"]
        if path not in OPEN:
            if self._tokens is not None and (refused := _stranger(scope, self._tokens)):
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
        if has_body and media != "application/json":
            shown = media[:100] or "not stated"
            return ProblemError("unsupported-media-type", f"{shown}: send application/json")
        return None


def _stranger(scope: Scope, tokens: Tokens) -> ProblemError | None:
    kind, _, secret = _header(scope, b"authorization").partition(" ")
    if kind.lower() != "bearer" or not secret:
        challenge = {"WWW-Authenticate": 'Bearer realm="twin"'}
        return ProblemError("unauthorized", "send Authorization: Bearer and a token", challenge)
    found = tokens.scope(secret.strip())
    if found is None:
        challenge = {"WWW-Authenticate": 'Bearer realm="twin", error="invalid_token"'}
        return ProblemError("unauthorized", "the token is not known here", challenge)
    if found == "read" and _writes(scope):
        challenge = {"WWW-Authenticate": 'Bearer realm="twin", error="insufficient_scope"'}
        return ProblemError("forbidden", "the token may read only", challenge)
    return None


def _writes(scope: Scope) -> bool:
    """Whether a request changes something; a what-if forecast is a question with a body."""
    if scope["method"] in READING:
        return False
    return not (scope["method"] == "POST" and scope["path"].endswith("/forecast"))


def _bounded(receive: Receive, limit: int) -> Receive:
    """`receive` that stops a body when it grows beyond the limit."""
    size = 0

    async def bounded() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise _too_large(limit)
        return message

    return bounded


def _marked(send: Send) -> Send:
    """`send` that forbids browsers to guess what an answer is."""

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), _NOSNIFF]
        await send(message)

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
