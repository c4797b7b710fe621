"""Listeners to the events: however many come in one moment, and who they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.twin.fakes import House, house
from twin.api.application import application

PATIENCE_S = 10.0


class Listener:
    """Who listens until it goes."""

    def __init__(self, app: Any, address: str) -> None:
        self.status = 0
        self._gone, self._answered = asyncio.Event(), asyncio.Event()
        self._task = asyncio.ensure_future(app(_scope(address), self._receive, self._send))

    async def answered(self) -> int:
        """The status."""
        await asyncio.wait_for(self._answered.wait(), PATIENCE_S)
        return self.status

    async def leave(self) -> None:
        """Go, and wait until that was noticed."""
        self._gone.set()
        await asyncio.wait_for(self._task, PATIENCE_S)

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._answered.set()


def _scope(address: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/api/v1/events",
        "raw_path": b"/api/v1/events",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [(b"host", b"127.0.0.1")],
        "client": (address, 1),
        "server": ("127.0.0.1", 80),
    }


@asynccontextmanager
async def listening(home: House, *addresses: str) -> AsyncIterator[list[Listener]]:
    """All of these at once."""
    app = application(home.service)
    listeners = [Listener(app, address) for address in addresses]
    try:
        yield listeners
    finally:
        for listener in listeners:
            await listener.leave()


async def test_of_many_that_come_at_once_no_more_are_admitted_than_may(tmp_path: Path) -> None:
    many = [f"10.0.0.{i}" for i in range(20)]
    async with (
        house(tmp_path / "data", http={"max_listeners": 5}) as home,
        listening(home, *many) as listeners,
    ):
        answers = [await listener.answered() for listener in listeners]
        assert sorted(answers) == [200] * 5 + [429] * 15


async def test_a_listener_that_goes_makes_room_for_another(tmp_path: Path) -> None:
    async with house(tmp_path / "data", http={"max_listeners": 1}) as home:
        app = application(home.service)
        for address in ("10.0.0.1", "10.0.0.2"):
            listener = Listener(app, address)
            assert await listener.answered() == 200
            assert await Listener(app, "10.0.0.3").answered() == 429
            await listener.leave()


async def test_one_client_may_not_have_all_the_places(tmp_path: Path) -> None:
    async with (
        house(tmp_path / "data", http={"max_listeners": 8}) as home,
        listening(home, *["10.0.0.1"] * 8, "10.0.0.2") as (*greedy, other),
    ):
        assert [await listener.answered() for listener in greedy] == [200] * 4 + [429] * 4
        assert await other.answered() == 200
