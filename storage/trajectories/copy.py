"""A copy of a trajectory up to a row, beside a service that goes on recording.

Rows are only added, and files are replaced in one step: so whatever is read after the document of a
group holds at least the rows that this document speaks of. What it holds beyond them is cut off.
"""

from __future__ import annotations

import shutil
from collections.abc import Container
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from zarr.core.metadata import ArrayV3Metadata

from storage.errors import CorruptError, MissingError
from storage.pieces import Copying
from storage.trajectories.group import NAMES, TIME, loaded
from storage.trajectories.layout import DOCUMENT, TICKS, group_parts
from storage.trajectories.trajectories import Trajectories, copies_of


def copied_group(
    source: Path, name: str, to: Path, rows: int, known: Container[str], copying: Copying
) -> str | None:
    """Copy a group up to a row; what is wrong with it, if it cannot be told to be whole.

    What the source keeps a copy of is taken from there where it is damaged. Components that are not
    among those `known` joined later. Raises OSError, also FileNotFoundError for a trajectory that
    was exchanged meanwhile.
    """
    try:
        document, attributes, arrays = _parts(source, name)
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
    try:
        told = _mended(source, name, to, copying)
        _cut(to, name, rows, known)
    except CorruptError as exc:
        return str(exc)
    return "; ".join(told) or None


def _parts(source: Path, name: str) -> tuple[bytes, dict[str, Any], dict[str, ArrayV3Metadata]]:
    """The document of a group and what it says, or else the copy of it that the source keeps says.

    Raises CorruptError, FileNotFoundError.
    """
    path, kept = source / name / DOCUMENT, copies_of(source) / name / DOCUMENT
    try:
        document = path.read_bytes()
        return document, *group_parts(document, name)
    except (CorruptError, FileNotFoundError):
        if not (path.parent.is_dir() and kept.exists()):
            raise
    return b"", *group_parts(kept.read_bytes(), name)


def _mended(source: Path, name: str, to: Path, copying: Copying) -> list[str]:
    """Put what is damaged in a copy back from the copies that the source keeps; what that was."""
    try:
        loaded(to, name)
    except (CorruptError, MissingError):
        kept = copies_of(source) / name
        if kept.exists():
            shutil.copytree(kept, copies_of(to) / name)
        told = Trajectories(to).mend(name)
        for path in [path for path in copying.written if path.is_relative_to(to / name)]:
            if path.relative_to(to / name).parts[0] in (TIME, NAMES):
                del copying.written[path]  # it may be another now
        return [f"{text.replace(str(to), str(source))}, in the backup" for text in told]
    return []


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


def _cut(to: Path, name: str, rows: int, known: Container[str]) -> None:
    """Cut off what came after the moment of the copy; raises CorruptError."""
    copy = Trajectories(to)
    members = len(list(takewhile(lambda member: member in known, copy.members(name))))
    copy.truncate(name, rows, members)
    copy.open_group(name, ())  # which copies what nothing can be read without
