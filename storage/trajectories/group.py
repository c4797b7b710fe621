"""One trajectory group as an immutable value: what is committed, and how to read it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from zarr.core.metadata import ArrayV3Metadata

from storage.durable import disk
from storage.errors import CorruptError, MissingError
from storage.trajectories.layout import (
    DOCUMENT,
    LAYOUT,
    LAYOUTS,
    SHARD_WIDTH,
    TICKS,
    group_document,
    group_parts,
    opened,
    outer_chunk,
)

TIME = "time"
NAMES = "component"
Growth = tuple[tuple[int, int], ...]  # (first row of a block, components from that block on)

# What zarr and its codecs raise for bytes that are not those that were written.
_DAMAGE = (ValueError, RuntimeError, AssertionError, IndexError, KeyError, TypeError)


@dataclass(frozen=True)
class Group:
    """What one `zarr.json` says, with the two short axes read into memory."""

    root: Path
    name: str
    committed: int  # rows
    growth: Growth
    since: dict[str, int]  # the first row of each field
    arrays: dict[str, ArrayV3Metadata]
    times: np.ndarray  # (committed,) int64 [ns]
    members: tuple[str, ...]

    @cached_property
    def columns(self) -> dict[str, int]:
        """The column of each component."""
        return {member: i for i, member in enumerate(self.members)}

    @property
    def path(self) -> Path:
        """The directory."""
        return self.root / self.name

    @property
    def layout(self) -> int:
        """How it was laid out when it was made, which is how it goes on."""
        return 1 if self.arrays[TIME].dimension_names == (LAYOUTS[1],) else LAYOUT

    @property
    def open_start(self) -> int:
        """The first row of the block that is rewritten at the next flush."""
        return self.committed - self.committed % TICKS

    def document(self) -> bytes:
        """The `zarr.json` that says all this."""
        attributes = {
            "Conventions": "CF-1.11",
            "layout": self.layout,
            "committed": self.committed,
            "growth": [list(step) for step in self.growth],
            "since": self.since,
        }
        return group_document(attributes, self.arrays)

    def stated(self) -> bytes | None:
        """The `zarr.json` that is on disk, if there is one."""
        path = self.path / DOCUMENT
        return path.read_bytes() if path.exists() else None

    def column(self, component: str) -> int:
        """The column of a component; raises MissingError."""
        found = self.columns.get(component)
        if found is None:
            raise MissingError(f"group {self.name!r} holds no component {component!r}")
        return found

    def field(self, name: str) -> ArrayV3Metadata:
        """The array of a field; raises MissingError."""
        if name in (TIME, NAMES) or name not in self.arrays:
            raise MissingError(f"group {self.name!r} holds no field {name!r}")
        return self.arrays[name]

    def width(self, row: int) -> int:
        """How many components the block of a row was written with."""
        found = bisect_right(self.growth, row, key=lambda step: step[0])
        return self.growth[found - 1][1] if found else 0

    def read(self, field: str, rows: range, columns: slice | int) -> np.ndarray:
        """A part of a field; raises CorruptError, which names the file."""
        self._require(field, rows, columns)
        array = opened(self.field(field), self.root, f"{self.name}/{field}")
        try:
            with disk():
                return np.asarray(array[rows.start : rows.stop : rows.step, columns])
        except _DAMAGE as exc:
            damaged = next(self.damaged(field, rows, columns), None)
            raise CorruptError(f"{damaged or array.path} is damaged: {exc}") from exc

    def damaged(self, field: str, rows: range, columns: slice | int) -> Iterator[Path]:
        """The files within a part of a field that cannot be read."""
        array = opened(self.field(field), self.root, f"{self.name}/{field}")
        for row, column, path in self._files(field, rows, columns):
            try:
                with disk():
                    _ = array[row : row + TICKS, column : column + SHARD_WIDTH]
            except _DAMAGE:
                yield path

    def missing(self, field: str, rows: range, columns: slice | int) -> Iterator[Path]:
        """The files within a part of a field that should be there and are not."""
        for row, column, path in self._files(field, rows, columns):
            expected = row >= self.since[field] and column < self.width(row)
            if expected and not path.exists():
                yield path

    def _require(self, field: str, rows: range, columns: slice | int) -> None:
        # zarr takes a missing file for one that holds nothing but the fill value.
        for path in self.missing(field, rows, columns):
            raise CorruptError(f"{path} is gone")

    def _files(
        self, field: str, rows: range, columns: slice | int
    ) -> Iterator[tuple[int, int, Path]]:
        """Row, column and path of the files that a selection touches."""
        selected = range(len(self.members))[columns]
        chosen = selected if isinstance(selected, range) else range(selected, selected + 1)
        if not rows or not chosen:
            return
        for block in range(rows[0] // TICKS, rows[-1] // TICKS + 1):
            for shard in range(chosen[0] // SHARD_WIDTH, chosen[-1] // SHARD_WIDTH + 1):
                path = self.path / field / "c" / str(block) / str(shard)
                yield block * TICKS, shard * SHARD_WIDTH, path


def loaded(root: Path, name: str) -> Group:
    """A group from disk; raises MissingError, CorruptError."""
    path = root / name / DOCUMENT
    if not path.exists():
        raise MissingError(f"there is no group {name!r} in {root}")
    with disk():
        data = path.read_bytes()
    try:
        attributes, arrays = group_parts(data, name)
    except CorruptError as exc:
        raise CorruptError(f"{path}: {exc}") from exc
    times = _axis(root, name, TIME, arrays[TIME])
    names = _axis(root, name, NAMES, arrays[NAMES])
    if np.any(times[1:] <= times[:-1]) or "" in names:
        raise CorruptError(f"the axes of group {name!r} do not fit what it says it holds")
    return Group(
        root=root,
        name=name,
        committed=attributes["committed"],
        growth=tuple((row, width) for row, width in attributes["growth"]),
        since=attributes["since"],
        arrays=arrays,
        times=times,
        members=tuple(str(member) for member in names),
    )


def _axis(root: Path, name: str, axis: str, metadata: ArrayV3Metadata) -> np.ndarray:
    directory = root / name / axis
    for i in range(-(-metadata.shape[0] // outer_chunk(metadata)[0])):
        if not (directory / "c" / str(i)).exists():
            raise CorruptError(f"{directory / 'c' / str(i)} is gone")
    try:
        with disk():
            return np.asarray(opened(metadata, root, f"{name}/{axis}")[:])
    except _DAMAGE as exc:
        raise CorruptError(f"{directory} is damaged: {exc}") from exc


def grown(growth: Growth, row: int, width: int, committed: int) -> Growth:
    """The growth after the block at `row` was written with `width` components."""
    following = row + TICKS
    later = [step for step in growth if step[0] > row]
    if following < committed and all(step[0] != following for step in later):
        found = bisect_right(growth, following, key=lambda step: step[0])
        later.insert(0, (following, growth[found - 1][1]))
    steps = [*(step for step in growth if step[0] < row), (row, width), *later]
    return tuple(step for i, step in enumerate(steps) if i == 0 or step[1] != steps[i - 1][1])


def written(group: Group, row: int, times: np.ndarray, members: Sequence[str]) -> Group:
    """The group after a block has been written at `row`."""
    names = group.members if len(members) <= len(group.members) else tuple(members)
    axis = np.concatenate((group.times[:row], times, group.times[row + len(times) :]))
    shaped = replace(
        group,
        committed=len(axis),
        growth=grown(group.growth, row, len(members), len(axis)),
        times=axis,
        members=names,
    )
    return resized(shaped)


def cut(group: Group, rows: int, members: int | None = None) -> Group:
    """The group without the rows from `rows` on, and without its components from `members` on."""
    kept = tuple(step for step in group.growth if step[0] < rows)
    names = group.members[:members]
    return resized(
        replace(group, committed=rows, growth=kept, times=group.times[:rows], members=names)
    )


def resized(group: Group) -> Group:
    """The same with the shapes of all arrays as they should be."""
    first = LAYOUTS[group.layout]
    length: dict[Any, int] = {first: group.committed, "component": len(group.members)}
    arrays = {
        name: metadata.update_shape(tuple(length[d] for d in metadata.dimension_names or ()))
        for name, metadata in group.arrays.items()
    }
    return replace(group, arrays=arrays)
