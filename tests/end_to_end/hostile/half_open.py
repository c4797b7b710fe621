"""Requests that are begun and never finished, in their headers or in their bodies."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, suppress

from tests.end_to_end.hostile.target import Seen, Target

COUNT = 500  # of each kind
SECONDS = 45.0  # that they are kept waiting
TRICKLE_S = 1.0
HALF = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: "
BODY = (
    b"PUT /api/v1/components/a/b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: 100000\r\n\r\n{"
)


def attack(target: Target, count: int = COUNT, seconds: float = SECONDS) -> Seen:
    """Both kinds, with a byte now and then; all shall be gone in the end."""
    seen = Seen()
    with ExitStack() as stack, target.watched() as watch:
        begun = [
            stack.enter_context(_begun(target, beginning))
            for beginning in (HALF, BODY)
            for _ in range(count)
        ]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and (left := _trickled(begun)):
            time.sleep(TRICKLE_S)
        left = _trickled(begun)
    seen.others, seen.faults = watch.sentence(), watch.faults()
    seen.told = f"{left} of {len(begun)} still open after {seconds:.0f} s"
    if left:
        seen.faults.append(f"{left} requests that are not whole are still waited for")
    return seen


def _begun(target: Target, beginning: bytes) -> socket.socket:
    connection = target.connect()
    with suppress(OSError):
        connection.sendall(beginning)
    connection.setblocking(False)
    return connection


def _trickled(connections: list[socket.socket]) -> int:
    """Send each a byte; how many are still open."""
    left = 0
    for connection in connections:
        try:
            connection.send(b"x")
            left += connection.recv(65_536) != b""
        except BlockingIOError:
            left += 1
        except OSError:
            pass
    return left
