"""Headers without end, short and in one piece, without a token."""

from __future__ import annotations

import time
from contextlib import suppress

from tests.end_to_end.hostile.target import Seen, Target

BYTES, SECONDS = 64 << 20, 15.0  # of each kind, at most
SHORT = b"a:b\r\n" * 13_000
LONG = b"x" * 65_000
BEGINNING = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
KINDS = {
    "short headers": (BEGINNING, SHORT),
    "one long header": (BEGINNING + b"a: ", LONG),
    "a name of a header": (BEGINNING, LONG),
    "a target": (b"GET /", LONG),
    "empty lines": (b"", b"\r\n" * 30_000),
    "trailers": (
        b"POST /api/v1/dead-letters/1/resubmit HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n",
        SHORT,
    ),
    "requests in one piece": (b"", b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 1_500),
}


def attack(target: Target) -> Seen:
    """Each kind until the service hangs up, or the bound is reached."""
    seen, sent = Seen(), dict[str, int]()
    with target.watched() as watch:
        for kind, (beginning, more) in KINDS.items():
            if target.twin.is_alive:
                sent[kind] = _sent(target, beginning, more)
    seen.others, seen.faults = watch.sentence(), watch.faults(growth=100 << 20)
    seen.faults += [f"{kind}: {n >> 20} MiB were taken" for kind, n in sent.items() if n >= 8 << 20]
    seen.told = f"{sum(sent.values()) >> 10} KiB were taken, {watch.growth >> 20} MiB more memory"
    return seen


def _sent(target: Target, beginning: bytes, more: bytes) -> int:
    sent, deadline = 0, time.monotonic() + SECONDS
    with suppress(OSError), target.connect() as connection:
        connection.sendall(beginning)
        while sent < BYTES and time.monotonic() < deadline:
            sent += connection.send(more)
    return sent
