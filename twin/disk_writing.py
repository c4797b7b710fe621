"""Whether the disk obeys those who write, and what goes on until it does.

Every write of the service goes through here: what cannot be written is not acknowledged, is told
once in the log and all the time at `/readyz`, and is tried again until it is written. Nothing that
a disk can do ends the service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import structlog

from storage.errors import StorageError, UnavailableError
from storage.space import space

RETRY_S = (0.1, 5.0)  # first and longest wait while the disk does not obey
TIGHT = 1 << 20  # bytes; with less the disk is full
WAITING = {  # what does not happen while one of those who write cannot
    "journal": "nothing is acknowledged until then",
    "images": "no message behind an image is acknowledged until then",
    "archive": "history and checkpoints wait until then, everything else continues",
}

T = TypeVar("T")
log = structlog.get_logger()


class DiskWriter:
    """What one of those who write knows of the disk."""

    def __init__(self, writer: str, directory: Path) -> None:
        self._writer = writer
        self._unavailable, self._available = f"{writer}_unavailable", f"{writer}_available"
        self._directory = directory
        self.is_available = True
        self._reason = ""

    @property
    def trouble(self) -> str | None:
        """The sentence that says why nothing can be written, and what to do; None if all is well.

        It names files, and not where they are: whoever may ask for it need not know.
        """
        if self.is_available:
            return None
        reason = self._reason.replace(f"{self._directory}/", "")
        reason = reason.replace(f"{self._directory}", "the data directory")
        return (
            f"the {self._writer} cannot be written: {reason}" if reason else "it cannot be written"
        )

    def refused(self, exc: StorageError, waiting: int = 0) -> None:
        """Note that a write has failed; the first time it is logged."""
        self._reason = f"{exc}{_advice(self._directory, WAITING[self._writer])}"
        if self.is_available:
            log.error(self._unavailable, reason=self._reason, waiting=waiting)
        self.is_available = False

    def obeyed(self) -> None:
        """Note that a write has succeeded."""
        if not self.is_available:
            log.info(self._available)
        self.is_available = True

    async def insist(self, work: Callable[[], Awaitable[T]], waiting: int = 0) -> T:
        """What `work` gives, tried until the disk obeys; nothing has happened where it did not."""
        wait_s = RETRY_S[0]
        while True:
            try:
                result = await work()
            except UnavailableError as exc:
                self.refused(exc, waiting)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, RETRY_S[1])
            else:
                self.obeyed()
                return result


def _advice(directory: Path, waiting: str) -> str:
    """What a person can do about it, as far as the disk tells, and what waits for it."""
    try:
        found = space(directory)
    except OSError as exc:
        return f"; {directory} cannot be looked at: {exc.strerror}"
    if found.is_read_only:
        return (
            "; the disk is mounted read-only: mount it for writing; "
            f"{waiting}, and the service resumes by itself"
        )
    if found.free < max(TIGHT, found.size // 1000):
        return (
            f"; the disk is full, {found.free:,} of {found.size:,} bytes are free: make room; "
            f"{waiting}, and the service resumes by itself"
        )
    return ""
