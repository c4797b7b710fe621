"""Images whose message was on its way when a service ended: which of them the journal refers to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from sensors.observation import Snapshot, observation
from storage.errors import StorageError
from storage.journal.journal import Journal
from storage.store import Store
from twin.belief.lines import OBSERVATION

SLICE = 5000  # lines of the journal that are looked through in one go: it has one thread

log = structlog.get_logger()


async def settle_images(store: Store, in_thread: Callable[..., Awaitable[Any]]) -> None:
    """Remove the images that nothing refers to; all stay where the journal cannot be read.

    `in_thread` runs a question in the journal's thread. To be called before messages come.
    """
    unsettled = store.images.unsettled()
    if not unsettled:
        return
    found: set[str] = set()
    offset, end = max(min(unsettled.values()), store.journal.start), store.journal.end
    try:
        while offset < end:
            found |= await in_thread(_pictured, store.journal, offset, offset + SLICE)
            offset += SLICE
    except StorageError as exc:
        log.error("images_not_settled", images=len(unsettled), reason=str(exc))
        return
    for sha256 in unsettled:
        store.images.decide(sha256, kept=sha256 in found)
    log.info("images_settled", kept=len(found & unsettled.keys()), of=len(unsettled))


def _pictured(journal: Journal, offset: int, until: int) -> set[str]:
    """The images to which the entries between two offsets refer."""
    found = set()
    for _, entries in journal.read(offset, until):
        for entry in entries:
            if entry.kind == OBSERVATION and b"snapshot" in entry.body[:16]:
                what = observation(entry.body)
                if isinstance(what, Snapshot):
                    found.add(what.sha256)
    return found
