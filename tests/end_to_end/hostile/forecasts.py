"""One reader of forecasts, as many as he may have, and somebody who registers a part meanwhile."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from contextlib import suppress

from tests.end_to_end.hostile.strangers import JSON, REGISTRATION
from tests.end_to_end.hostile.target import Seen, Target

READERS, SECONDS, LATE_S = 12, 8.0, 2.0


def attack(target: Target, *, seconds: float = SECONDS) -> Seen:
    """What-if spectra without end, each asked for again when it is answered."""
    seen, enough, answered = Seen(), threading.Event(), list[int]()
    part = target.twin.registered[-1]  # a plate
    threads = [
        threading.Thread(target=_foresees, args=(target, part, enough, answered))
        for _ in range(READERS)
    ]
    waits, until = list[float](), time.monotonic() + seconds
    with target.watched() as watch:
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        while time.monotonic() < until:
            began = time.monotonic()
            path, body = f"/api/v1/components/new/part-{len(waits)}", json.dumps(REGISTRATION)
            status, _ = target.ask(path, "PUT", body.encode(), JSON)
            waits.append(time.monotonic() - began)
            if status != 201:
                seen.faults.append(f"a registration was answered by {status}")
            time.sleep(0.2)
        enough.set()
        for thread in threads:
            thread.join()
    seen.others = f"a PUT takes {max(waits):.2f} s at most; {watch.sentence()}"
    seen.told = f"forecasts by status: {dict(Counter(answered))}"
    seen.faults += watch.faults()
    if not {200, 422} & {*answered}:  # 422: it takes too long
        seen.faults.append("no forecast was answered")
    if max(waits) > LATE_S:
        seen.faults.append(f"a PUT took {max(waits):.1f} s")
    return seen


def _foresees(target: Target, part: str, enough: threading.Event, answered: list[int]) -> None:
    cycles = [[80.0 + i / 100, 40.0, 3] for i in range(500)]
    body = {"unit": "MPa", "cycles": cycles, "points": 500, "horizon_cycles": 1e7}
    sent = json.dumps(body).encode()
    while not enough.is_set():
        with suppress(OSError):
            answered.append(
                target.ask(f"/api/v1/components/{part}/forecast", "POST", sent, JSON)[0]
            )
            if answered[-1] != 200:
                time.sleep(0.2)
