"""Places that clients share, and turns at what is scarce: no client takes all of either."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from twin.errors import OverloadedError


class Shares:
    """Places of which nobody holds more than are free.

    Whoever takes all that he can has half, a second such client half of the rest; somebody else
    always finds room (the dynamic threshold of A. K. Choudhury and E. L. Hahne, IEEE/ACM
    Trans. Networking 6 (1998) 130, doi:10.1109/90.664262, with α = 1).
    """

    def __init__(self, places: int, what: str) -> None:
        self.free = places
        self._places = places
        self._what = what  # in the plural
        self._held = Counter[str]()

    @property
    def taken(self) -> int:
        """Places that somebody holds."""
        return self._places - self.free

    def held(self, client: str) -> int:
        """Places that a client holds."""
        return self._held[client]

    def take(self, client: str, count: int = 1) -> bool:
        """Whether the places could be had; if so they are held until they are given back."""
        if self._held[client] + count > self.free - count + 1:
            return False
        self._held[client] += count
        self.free -= count
        return True

    def give_back(self, client: str, count: int = 1) -> None:
        """Let go of places."""
        self.free += count
        self._held[client] -= count
        if not self._held[client]:
            del self._held[client]

    @contextmanager
    def place(self, client: str) -> Iterator[None]:
        """Hold one place; raises OverloadedError if there is none for this client."""
        if not self.take(client):
            raise OverloadedError(
                f"{self.taken} {self._what} are under way, {self.held(client)} of them yours: "
                "no client may have more than are free"
            )
        try:
            yield
        finally:
            self.give_back(client)


class Turns:
    """So many at once; whoever waits gets his turn after one of every other client."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # in the order of their turns

    @asynccontextmanager
    async def turn(self, client: str) -> AsyncIterator[None]:
        """Wait for a turn, and have it."""
        await self._begin(client)
        try:
            yield
        finally:
            self._end()

    async def _begin(self, client: str) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._end()  # it came too late
            raise

    def _end(self) -> None:
        """Pass the turn on: to the client who has waited longest for one."""
        while self._waiting:
            client = next(iter(self._waiting))
            own = self._waiting.pop(client)
            turn = own.popleft()
            if own:
                self._waiting[client] = own
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
