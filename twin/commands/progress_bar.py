"""Progress on stderr, from the first thing that is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, ProgressColumn


@contextmanager
def shown(*columns: ProgressColumn) -> Iterator[Progress]:
    """A bar that is drawn once it is started: an order that is refused draws none."""
    progress = Progress(*columns, console=Console(stderr=True))
    try:
        yield progress
    finally:
        if progress.live.is_started:
            progress.stop()
