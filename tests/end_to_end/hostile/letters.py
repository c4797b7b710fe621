"""A thousand dead letters in one page, each with user properties of a megabyte."""

from __future__ import annotations

import json
import time

from storage.journal.entry import DeadLetter
from storage.store import Store
from tests.end_to_end.hostile.target import Seen, Target

LETTERS, PROPERTY = 200, 1 << 20  # and bytes of each's one property
PAGE = 16 << 20  # a page that is larger is a fault


def attack(target: Target, count: int = LETTERS) -> Seen:
    """Such letters are put into the store while the service is stopped; then four read them."""
    target.twin.stop()
    topic, properties = "twin/v1/a/b/load", {"p": "x" * PROPERTY}
    letters = [
        DeadLetter(time.time_ns(), topic, "json", "no JSON", b"{", "", properties)
        for _ in range(10)
    ]
    with Store(target.twin.data) as store:
        for _ in range(count // len(letters)):
            store.journal.append((), letters, now_ns=time.time_ns())
    target.twin.start(240.0)
    seen = Seen()
    with target.watched() as watch:
        status, page = _asked(target, "/api/v1/dead-letters?limit=1000")
        _, again = _asked(target, "/api/v1/dead-letters?limit=1000&order=asc")
    seen.others, seen.faults = watch.sentence(), watch.faults()
    seen.told = f"a page of {len(page) >> 10} KiB, {watch.growth >> 20} MiB more memory"
    seen.faults += [f"a page of {len(p) >> 20} MiB" for p in (page, again) if len(p) > PAGE]
    if target.twin.is_alive and (status != 200 or not json.loads(page)["items"]):
        seen.faults.append(f"the page: {status}, {page[:100]!r}")
    return seen


def _asked(target: Target, path: str) -> tuple[int, bytes]:
    try:
        return target.ask(path)
    except OSError:
        return 0, b""
