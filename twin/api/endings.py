"""An answer that cannot be finished ends with its connection: nobody takes a part for the whole.

A service that stops leaves pages half sent, and what waits for it without an answer.
"""

from __future__ import annotations

import asyncio

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from storage.errors import StorageError
from twin.api.problems import problem
from twin.errors import TwinError

HANG_UP = "twin.hang_up"  # the extension by which a request's connection is closed

log = structlog.get_logger()


class Endings:
    """Says 503 for what did not begin, and hangs up on what did."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request be answered."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except (Exception, asyncio.CancelledError) as exc:
            why = exc.__cause__ if type(exc) is RuntimeError else exc  # Starlette's, around ours
            if not isinstance(why, (StorageError, TwinError, asyncio.CancelledError)):
                raise
            sentence = str(why) or "the service is stopping"
            if not begun:
                await problem("unavailable", sentence)(scope, receive, send)
                return
            hang_up = scope.get("extensions", {}).get(HANG_UP)
            if hang_up is None:
                raise
            log.warning("answer_cut_off", path=scope["path"], why=sentence)
            hang_up["now"]()
