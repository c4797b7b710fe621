"""A thousand listeners to the events at once."""

from __future__ import annotations

import selectors
import socket
import time
from contextlib import ExitStack, suppress

from tests.end_to_end.hostile.target import Seen, Target

COUNT, SECONDS = 1_000, 10.0
LIMIT = 200  # what the documentation says
REQUEST = b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def attack(target: Target, count: int = COUNT) -> Seen:
    """All connect, then all ask in the same moment."""
    seen = Seen()
    with ExitStack() as stack, target.watched() as watch:
        connections = []
        for _ in range(count):
            with suppress(OSError):
                connections.append(stack.enter_context(target.connect()))
        for connection in connections:
            with suppress(OSError):
                connection.sendall(REQUEST)
        admitted, refused = _answers(connections)
    seen.others, seen.faults = watch.sentence(), watch.faults()
    seen.told = f"{admitted} of {len(connections)} listen, {refused} are refused"
    if admitted > LIMIT:
        seen.faults.append(f"{admitted} listen where the limit is {LIMIT}")
    if not admitted:
        seen.faults.append("nobody may listen")
    return seen


def _answers(connections: list[socket.socket]) -> tuple[int, int]:
    admitted, refused, deadline = 0, 0, time.monotonic() + SECONDS
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ)
        while selector.get_map() and time.monotonic() < deadline:
            for key, _ in selector.select(0.5):
                connection = connections[connections.index(key.fileobj)]  # type: ignore[arg-type]
                with suppress(OSError):
                    said = connection.recv(4096)
                    admitted += said.startswith(b"HTTP/1.1 200")
                    refused += not said.startswith(b"HTTP/1.1 200")
                selector.unregister(connection)
    return admitted, refused
