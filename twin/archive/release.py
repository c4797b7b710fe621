"""Which release runs, and the latest that has written into a store."""

from __future__ import annotations

import re
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from zlib import crc32

from storage.durable import write_whole
from storage.errors import UnavailableError

RELEASE = version("streaming-twin")
FILE = "release"  # beside the journal
_numbers = re.compile(r"\d+").findall
_form = re.compile(r"([!-~]+)\n([0-9a-f]{8})\n").fullmatch  # with its CRC-32
_early = re.compile(r"(\d+(?:\.\d+)*)\n").fullmatch  # without


def latest(directory: Path) -> str:
    """The latest release that has written into a store, as far as one has left its mark."""
    with suppress(OSError):
        return max(_named(directory) or RELEASE, RELEASE, key=_rank)
    return RELEASE


def damage(directory: Path) -> list[str]:
    """What is wrong with the mark of a store, which nobody believes then; raises OSError."""
    path = directory / FILE
    if not path.exists() or _named(directory) is not None:
        return []
    return [f"{path} is not as it was written: the next start writes it again"]


def _named(directory: Path) -> str | None:
    """The release that the mark names, None for one that is damaged; raises OSError."""
    text = (directory / FILE).read_text(errors="replace")
    if (early := _early(text)) is not None:
        return early[1]
    found = _form(text)
    return found[1] if found is not None and found[2] == _crc(found[1]) else None


def _crc(release: str) -> str:
    return f"{crc32(release.encode()):08x}"


def mark(directory: Path) -> None:
    """Leave this release's mark, unless a later one has; a disk that does not obey is passed by."""
    with suppress(UnavailableError, OSError):
        path, last = directory / FILE, latest(directory)
        text = f"{last}\n{_crc(last)}\n".encode()
        if not path.exists() or path.read_bytes() != text:
            write_whole(path, text)


def unreadable(directory: Path, what: str) -> str:
    """The sentence for a line that this release cannot read: who can, and what to do."""
    last = latest(directory)
    if last != RELEASE:
        return f"{what}: release {last} has written here, this is {RELEASE}: run {last} or later"
    return (
        f"{what}: this release, {RELEASE}, does not know it. A later one has written it, or one "
        "with a kind of belief that this one lacks: run that one"
    )


def is_later(release: str, than: str) -> bool:
    """Whether a release came after another."""
    return _rank(release) > _rank(than)


def _rank(release: str) -> tuple[int, ...]:
    return tuple(map(int, _numbers(release)[:3]))
