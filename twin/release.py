"""Which release runs, and the latest that has written into a store."""

from __future__ import annotations

import re
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from storage.durable import write_whole
from storage.errors import UnavailableError

RELEASE = version("streaming-twin")
FILE = "release"  # beside the journal
_numbers = re.compile(r"\d+").findall


def latest(directory: Path) -> str:
    """The latest release that has written into a store, as far as one has left its mark."""
    with suppress(OSError):
        text = (directory / FILE).read_text(errors="replace").strip()
        return max(text, RELEASE, key=_rank)
    return RELEASE


def mark(directory: Path) -> None:
    """Leave this release's mark, unless a later one has; a disk that does not obey is passed by."""
    with suppress(UnavailableError, OSError):
        path = directory / FILE
        if not path.exists() or latest(directory) != path.read_text(errors="replace").strip():
            write_whole(path, f"{latest(directory)}\n".encode())


def unreadable(directory: Path, what: str) -> str:
    """The sentence for a line that this release cannot read: who can, and what to do."""
    last = latest(directory)
    if last != RELEASE:
        return f"{what}: release {last} has written here, this is {RELEASE}: run {last} or later"
    return f"{what}: a release later than {RELEASE}, which this is, has written it: run that one"


def is_later(release: str, than: str) -> bool:
    """Whether a release came after another."""
    return _rank(release) > _rank(than)


def _rank(release: str) -> tuple[int, ...]:
    return tuple(map(int, _numbers(release)[:3]))
