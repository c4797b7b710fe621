"""Who may come in by HTTP: connections in all and for each client, and how long they may take."""

from __future__ import annotations

import resource
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import structlog

from twin.api.shares import Shares
from twin.settings import HttpTable

if TYPE_CHECKING:
    from twin.api.http_protocol import Guarded

RESERVE = 256  # descriptors for the journal, its readers, images, trajectories and the broker
FEWEST = 16  # connections, however few descriptors there are
TOLD_EVERY_S = 60.0  # in the log; the metric counts each

log = structlog.get_logger()


class DoorLimits(NamedTuple):
    """What a connection may ask of us."""

    connections: int = 1000
    header_bytes: int = 32_768  # of all headers, and of anything else that the parser hoards
    headers: int = 100
    target_bytes: int = 8_192
    request_s: float = 30.0
    idle_s: float = 30.0
    answer_s: float = 30.0


def bounds(table: HttpTable) -> DoorLimits:
    """Those of the settings; fewer connections where the process may not open so many files."""
    return DoorLimits(
        connections=_connections(table.max_connections),
        header_bytes=table.max_header_bytes,
        headers=table.max_headers,
        target_bytes=table.max_target_bytes,
        request_s=table.request_timeout_s,
        idle_s=table.idle_timeout_s,
        answer_s=table.answer_timeout_s,
    )


def _connections(wanted: int) -> int:
    """As many as are wanted, or as the descriptors allow; the soft limit is raised if need be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted + RESERVE:
        soft = wanted + RESERVE if hard == resource.RLIM_INFINITY else min(wanted + RESERVE, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= wanted + RESERVE:
        return wanted
    allowed = max(FEWEST, soft - RESERVE)
    log.warning("fewer_connections", wanted=wanted, allowed=allowed, descriptors=soft)
    return allowed


class ConnectionLimits:
    """The connections of one server.

    Where a client has all that it may, its connection that has waited longest for a whole request
    makes room for its newest; only if every one is being answered, the newest is refused.
    """

    def __init__(
        self, bounds: DoorLimits, on_refused: Callable[[str], None] = lambda _: None
    ) -> None:
        self.bounds = bounds
        self._on_refused = on_refused
        self._refused = Counter[str]()  # by the kind of problem, or `dropped`
        self._shares = Shares(bounds.connections, "connections")
        self._inside: set[Guarded] = set()
        self._waiting: dict[str, OrderedDict[Guarded, None]] = {}  # for a request, longest first
        self._told = self._refused.copy()
        self._told_at = 0.0

    def __len__(self) -> int:
        return len(self._inside)

    def enter(self, guest: Guarded) -> bool:
        """Whether a connection may stay."""
        if not self._shares.take(guest.visitor):
            victim = self._longest(guest.visitor)
            if victim is None:
                return False
            victim.drop()
            self.leave(victim)
            if not self._shares.take(guest.visitor):
                return False
        self._inside.add(guest)
        self.wait(guest)
        return True

    def leave(self, guest: Guarded) -> None:
        """Forget a connection; may be called twice."""
        if guest in self._inside:
            self._inside.remove(guest)
            self._shares.give_back(guest.visitor)
            self.busy(guest)

    def refused(self, reason: str) -> None:
        """Count a connection or request that was ended."""
        self._refused[reason] += 1
        self._on_refused(reason)

    def wait(self, guest: Guarded) -> None:
        """A connection waits for a request, or the rest of it, from now on."""
        if guest in self._inside:
            own = self._waiting.setdefault(guest.visitor, OrderedDict())
            own[guest] = None
            own.move_to_end(guest)

    def busy(self, guest: Guarded) -> None:
        """A connection has its request."""
        own = self._waiting.get(guest.visitor)
        if own is not None:
            own.pop(guest, None)
            if not own:
                del self._waiting[guest.visitor]

    def sweep(self, now: float) -> None:
        """Let go of those who take too long, and tell how many were refused."""
        for guest in tuple(self._inside):
            guest.check(now)
        if now - self._told_at >= TOLD_EVERY_S and self._refused != self._told:
            log.warning("http_refused", **(self._refused - self._told))
            self._told, self._told_at = self._refused.copy(), now

    def _longest(self, visitor: str) -> Guarded | None:
        """The one to make room: the client's own, or anybody's if the client has none."""
        if self._shares.held(visitor):
            return next(iter(self._waiting.get(visitor, ())), None)
        first = [next(iter(own)) for own in self._waiting.values()]
        return min(first, key=lambda guest: guest.since, default=None)
