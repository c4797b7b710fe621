"""A copy of a trajectory up to a row, beside a service that goes on recording.

Rows are only added, and files are replaced in one step: so whatever is read after the document of a
group holds at least the rows that this document speaks of. What it holds beyond them is cut off.
"""

from __future__ import annotations

from collections.abc import Container
from itertools import takewhile
from pathlib import Path

import numpy as np

from storage.errors import CorruptError, MissingError
from storage.group import NAMES, TIME, loaded
from storage.layout import DOCUMENT, TICKS, group_parts
from storage.pieces import Copying
from storage.trajectories import Trajectories


def copied_group(
    source: Path, name: str, to: Path, rows: int, known: Container[str], copying: Copying
) -> str | None:
    """Copy a group up to a row; what is wrong with it, if it cannot be told to be whole.

    Components that are not among those `known` joined later. Raises OSError, also FileNotFoundError
    for a trajectory that was exchanged meanwhile.
    """
    document = (source / name / DOCUMENT).read_bytes()
    try:
        attributes, arrays = group_parts(document, name)
    except CorruptError as exc:
        return str(exc)
    if attributes["committed"] < rows:
        return f"group {name!r} has {attributes['committed']} rows of the {rows} that were written"
    for array in arrays:
        for path in sorted((source / name / array / "c").rglob("*")):
            if path.is_file() and path.suffix == "" and _is_wanted(path, array, source, name, rows):
                copying.copy(path, to / path.relative_to(source))
    copying.put(document, to / name / DOCUMENT)
    copying.finish()
    return _cut(to, name, rows, known)


def is_same(source: Path, name: str, to: Path) -> bool:
    """Whether the rows of a copy are still the first of the trajectory that was copied."""
    try:
        now, then = loaded(source, name), loaded(to, name)
    except (CorruptError, MissingError):
        return False
    return bool(np.array_equal(now.times[: then.committed], then.times))


def _is_wanted(path: Path, array: str, source: Path, name: str, rows: int) -> bool:
    """Whether a file of an array belongs to rows that are wanted."""
    if array in (TIME, NAMES):
        return True
    block = path.relative_to(source / name / array / "c").parts[0]
    return block.isdigit() and int(block) * TICKS < rows


def _cut(to: Path, name: str, rows: int, known: Container[str]) -> str | None:
    try:
        copy = Trajectories(to)
        members = len(list(takewhile(lambda member: member in known, copy.members(name))))
        copy.truncate(name, rows, members)
        copy.open_group(name, ())  # which copies what nothing can be read without
    except CorruptError as exc:
        return str(exc)
    return None
