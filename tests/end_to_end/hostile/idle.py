"""Connections that ask nothing, more than the service has descriptors for, and a load meanwhile."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime

from tests.end_to_end.hostile.target import Seen, Target

COUNT, SECONDS = 1_500, 8.0
DESCRIPTORS = 600  # that the service is given


def attack(target: Target, count: int = COUNT, seconds: float = SECONDS) -> Seen:
    """Open so many and hold them; the inspection of somebody else has to become durable."""
    seen, opened = Seen(), 0
    log = len(target.twin.log)
    with ExitStack() as stack, target.watched() as watch:
        deadline = time.monotonic() + seconds
        for _ in range(count):
            with suppress(OSError):
                stack.enter_context(socket.create_connection(target.address, timeout=1.0))
                opened += 1
            if time.monotonic() > deadline:
                break
        status = _inspected(target)
        time.sleep(max(0.0, deadline - time.monotonic()))
    written = len(target.twin.log) - log
    seen.others, seen.faults = watch.sentence(), watch.faults()
    seen.told = f"{opened} opened, {written >> 10} KiB of log, an inspection: {status}"
    if status != 201:
        seen.faults.append(f"an inspection was answered by {status}")
    if written > 100_000:
        seen.faults.append(f"{written >> 10} KiB of log were written")
    return seen


def _inspected(target: Target) -> int:
    name = target.twin.registered[0]
    time_ = datetime.now(UTC).isoformat()
    told = {"crack_length": 5.1, "unit": "mm", "crack_length_sd": 0.1, "time": time_}
    body = json.dumps(told).encode()
    with suppress(OSError):
        path = f"/api/v1/components/{name}/inspections"
        headers = {"Content-Type": "application/json"}
        return target.ask(path, "POST", body, headers, timeout_s=10.0)[0]
    return 0
