"""What was believed: a Zarr store that xarray reads while it is written.

One group for each kind, with (time, component) arrays; in stores made before layout 2 the first
dimension is `tick`, and stays so until `twin rebuild`. A block of 256 ticks is one row of shards,
always rewritten whole: aside, fsynced, renamed. The group's `zarr.json` comes last and in one step
moves the committed length, beyond which nobody reads.
"""

# Over 300 lines: one Zarr store and its invariants; the groups' layout is in `layout`.

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from storage.durable import (
    disk,
    make_directory,
    prepare,
    remove_leftovers,
    swap,
    sync_directory,
    write_whole,
)
from storage.errors import CorruptError, MissingError
from storage.trajectories.group import NAMES, TIME, Group, cut, loaded, resized, written
from storage.trajectories.layout import (
    DOCUMENT,
    LAYOUT,
    NAME_CHUNK,
    TICKS,
    TIME_CHUNK,
    Field,
    array_document,
    encoded,
    field_metadata,
    group_parts,
    name_metadata,
    root_document,
    time_metadata,
)

COPIES = "copies"  # the directory beside, with those of axes and documents
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_READ = 100_000  # rows that a read returns at most, unless told otherwise


def copies_of(path: Path) -> Path:
    """Where the copies of what the store at `path` cannot be read without are."""
    return path.parent / COPIES / path.stem


class Trajectories:
    """A Zarr store. One thread writes; any thread reads."""

    def __init__(self, path: Path, *, is_look: bool = False) -> None:
        """Open or create; raises UnavailableError. With `is_look` nothing is created or changed."""
        self._path = path
        self._copies = copies_of(path)
        self._groups: dict[str, Group] = {}
        self._written: dict[str, tuple[str, ...]] = {}  # the fields that a writer hands over
        self._swapping = threading.Lock()  # so that no read meets half of the open block
        if is_look:
            return
        with disk():
            make_directory(path)
            remove_leftovers(path)
            remove_leftovers(self._copies)
            document = path / DOCUMENT
            if not document.exists():
                write_whole(document, root_document())
            elif document.read_bytes() != root_document():
                with suppress(OSError):  # an older release's: it is read as well
                    write_whole(document, root_document())

    def groups(self) -> list[str]:
        """The names of the groups on disk."""
        return sorted(path.parent.name for path in self._path.glob(f"*/{DOCUMENT}"))

    def open_group(self, name: str, fields: Sequence[Field]) -> int:
        """Open a group for writing these fields, create what is missing; its committed rows.

        A field that the group holds and `fields` does not stays readable and is filled up.
        Raises ValueError if a field is not what it was, CorruptError.
        """
        if not _NAME.fullmatch(name) or any(not _NAME.fullmatch(f.name) for f in fields):
            raise ValueError(f"{name!r} {[f.name for f in fields]} are not all names for arrays")
        before = self._existing(name)
        wanted = {field.name: field_metadata(field, before.layout) for field in fields}
        for key in wanted.keys() & before.arrays.keys():
            shaped = wanted[key].update_shape(before.arrays[key].shape)
            if array_document(shaped) != array_document(before.arrays[key]):
                raise ValueError(f"field {key!r} of group {name!r} is not what it was: {fields}")
        since = before.open_start + TICKS * (before.committed % TICKS > 0)
        group = resized(
            replace(
                before,
                arrays={**wanted, **before.arrays},
                since={**dict.fromkeys(wanted, since), **before.since},
            )
        )
        with disk():
            if group.document() != before.stated() or _stale(group) or self._stale_copies(group):
                self._publish(group, {}, is_opening=True)
        self._groups[name] = group
        self._written[name] = tuple(wanted)
        return group.committed

    def committed(self, name: str) -> int:
        """The rows of a group that are on disk; raises MissingError, CorruptError."""
        return self._group(name).committed

    def times(self, name: str) -> np.ndarray:
        """The times of the committed rows [ns]; raises MissingError, CorruptError."""
        return self._group(name).times

    def files(self, name: str, start_row: int) -> list[Path]:
        """The files that hold the block of rows that begins at `start_row`."""
        shards = (self._path / name).glob(f"*/c/{start_row // TICKS}/*")
        return sorted(path for path in shards if path.name.isdigit())

    def members(self, name: str) -> tuple[str, ...]:
        """The components of a group in the order of the columns."""
        return self._group(name).members

    def write(
        self,
        name: str,
        start_row: int,
        times: np.ndarray,  # (k,) int64 [ns], rising
        members: Sequence[str],  # n, those of before first
        columns: Mapping[str, np.ndarray],  # each (k, n)
    ) -> int:
        """Write the block of at most 256 rows that begins at `start_row`; the committed rows.

        `start_row` is a multiple of 256 and not beyond the committed rows; a block is handed over
        from its start, and with all rows that it has already. After UnavailableError the
        committed rows are as before, and the same block may be written again.
        Raises ValueError for a block that does not fit.
        """
        before = self._group(name)
        self._check(before, start_row, times, members, columns)
        after = written(before, start_row, np.asarray(times, np.int64), members)
        files: dict[Path, bytes] = {}
        for field, values in columns.items():
            typed = np.asarray(values, after.arrays[field].dtype.to_native_dtype())
            files |= encoded(after.arrays[field], after.path / field, (start_row, 0), typed)
        files |= _time_files(after, start_row // TIME_CHUNK)
        files |= _name_files(before, after)
        with disk():
            self._publish(after, files)
        return after.committed

    def read(
        self,
        name: str,
        component: str,
        fields: Sequence[str],
        t_from_ns: int | None = None,
        t_to_ns: int | None = None,
        *,
        every: int = 1,
        limit: int = _READ,
    ) -> dict[str, np.ndarray]:
        """Columns of one component, `t_from_ns` ≤ time < `t_to_ns`, every so many rows.

        The result holds `time` [ns] and the fields, each (rows,). Raises MissingError,
        and CorruptError, which names the file.
        """
        group = self._group(name)
        column = group.column(component)
        rows = _rows(group.times, t_from_ns, t_to_ns, every, limit)
        found = {TIME: group.times[rows.start : rows.stop : rows.step]}
        return found | {field: self._column(group, field, rows, column) for field in fields}

    def block(self, name: str, start_row: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Times and columns of the committed rows of the block that begins at `start_row`.

        That is what a writer goes on with after a restart.
        Raises ValueError for a row at which no block begins.
        """
        group = self._group(name)
        if start_row % TICKS:
            raise ValueError(f"row {start_row} is not the start of a block of {TICKS}")
        rows = range(start_row, min(start_row + TICKS, group.committed))
        fields = self._written.get(name) or tuple(_fields(group))
        columns = {field: group.read(field, rows, slice(None)) for field in fields}
        return group.times[rows.start : rows.stop].copy(), columns

    def exchanged(self, change: Callable[[], None]) -> None:
        """Let `change` put another store in the place of this one; groups are to be opened again.

        Who reads meanwhile may get a part of each: it is for the caller to have them ask again.
        """
        with self._swapping:
            self._groups.clear()
            self._written.clear()
            change()
            self._groups.clear()

    def mend(self, name: str) -> list[str]:
        """Restore what there is a copy of where it is damaged or gone; a sentence for each file.

        Raises CorruptError where that is not enough.
        """
        told: list[str] = []
        for _ in range(1 + len(self._copied(name))):
            try:
                self._groups[name] = loaded(self._path, name)
            except (CorruptError, MissingError) as exc:
                restored = self._restored(name, told)
                if restored is None:
                    if isinstance(exc, CorruptError) or list((self._path / name).glob("*/c/*")):
                        raise CorruptError(str(exc)) from exc
                    return told
                told.append(f"{restored} was damaged or gone, and was restored from its copy")
            else:
                break
        return told

    def _copied(self, name: str) -> dict[Path, Path]:
        """The files of a group of which there is a copy, by the copy: the document first."""
        kept = self._copies / name
        copies = {kept / DOCUMENT: self._path / name / DOCUMENT}
        for axis in (TIME, NAMES):
            for path in sorted((kept / axis).glob("*")):
                if path.name.isdigit():  # not what a crash left half-written
                    copies[path] = self._path / name / axis / "c" / path.name
        return {copy: path for copy, path in copies.items() if copy.exists()}

    def _restored(self, name: str, told: Sequence[str]) -> Path | None:
        """Put the first copy that differs from its file in the file's place; None if none does."""
        with disk():
            for copy, path in self._copied(name).items():
                data = copy.read_bytes()
                if any(str(path) in text for text in told):
                    continue
                if not path.exists() or path.read_bytes() != data:
                    if path.name == DOCUMENT and _is_whole(path, name):
                        continue  # the copy is that of the flush before
                    make_directory(path.parent, self._path)
                    write_whole(path, data)
                    return path
        return None

    def forget(self, name: str) -> None:
        """Let go of a group that was moved away, and remove the copies of it."""
        self._groups.pop(name, None)
        self._written.pop(name, None)
        with disk():
            shutil.rmtree(self._copies / name, ignore_errors=True)

    def copies(self) -> list[str]:
        """The groups of which there are copies."""
        return sorted(path.parent.name for path in self._copies.glob(f"*/{DOCUMENT}"))

    def truncate(self, name: str, rows: int, members: int | None = None) -> None:
        """Forget the rows from `rows` on, so that they can be written again.

        And the components from the column `members` on, if that is given: they have to be such
        as no row that stays was given for.

        Nobody is told of them any more, even where the disk does not obey: after UnavailableError
        it is to be called again before the group is written to.
        Raises ValueError for more rows than there are.
        """
        before = self._group(name)
        if not 0 <= rows <= before.committed:
            raise ValueError(f"group {name!r} has {before.committed} rows, cannot keep {rows}")
        after = cut(before, rows, members)
        self._groups[name] = after
        with disk():
            self._publish(after, {})
            for field in _fields(after):
                _remove(after.path / field / "c", -(-rows // TICKS))
            _remove(after.path / TIME / "c", -(-rows // TIME_CHUNK))
            _remove(self._copies / name / TIME, -(-rows // TIME_CHUNK))

    def verify(self, name: str) -> list[str]:
        """Everything that is wrong with a group, one sentence each; reads all of it."""
        problems = []
        root = self._path / DOCUMENT
        if not root.exists() or root.read_bytes() != root_document():
            problems.append(f"{root} is not as it was written: the next start writes it again")
        try:
            group = loaded(self._path, name)
        except (CorruptError, MissingError) as exc:
            mended = f"; there is a copy in {self._copies}, which the next start restores"
            return [*problems, str(exc) + (mended if self._copied(name) else "")]
        rows = range(group.committed)
        for field in _fields(group):
            problems += [f"{path} is gone" for path in group.missing(field, rows, slice(None))]
            problems += [f"{path} is damaged" for path in group.damaged(field, rows, slice(None))]
        problems += [f"{path} is not what the group says" for path in _deviating(group)]
        problems += [
            f"{copy} is not the copy of {path} that it should be: the next start makes it again"
            for copy, path in self._copied(name).items()
            if not path.exists() or copy.read_bytes() != path.read_bytes()
        ]
        if any(later <= earlier for earlier, later in pairwise(group.times.tolist())):
            problems.append(f"the times of group {name!r} do not rise")
        return problems

    def _column(self, group: Group, field: str, rows: range, column: int) -> np.ndarray:
        """One column, the closed blocks unlocked, the open one between two flushes."""
        split = len(range(rows.start, min(rows.stop, group.open_start), rows.step))
        closed = group.read(field, rows[:split], column)
        if split == len(rows):
            return closed
        with self._swapping:
            return np.concatenate((closed, group.read(field, rows[split:], column)))

    def _group(self, name: str) -> Group:
        if name not in self._groups:
            self._groups[name] = loaded(self._path, name)
        return self._groups[name]

    def _existing(self, name: str) -> Group:
        try:
            group = loaded(self._path, name)
        except MissingError:
            if shards := list((self._path / name).glob("*/c/*/*")):
                raise CorruptError(f"{shards[0]} belongs to no group") from None
            axes = {TIME: time_metadata(self._layout()), NAMES: name_metadata()}
            return Group(self._path, name, 0, (), {}, axes, np.zeros(0, np.int64), ())
        return group

    def _layout(self) -> int:
        """The layout of a new group: that of those that are there, for a store does not mix."""
        return min((self._group(name).layout for name in self.groups()), default=LAYOUT)

    def _publish(
        self, group: Group, files: Mapping[Path, bytes], *, is_opening: bool = False
    ) -> None:
        """Blocks first, then the shapes, and the committed length last."""
        documents = _stale(group)
        document = {group.path / DOCUMENT: group.document()}
        copies = self._copies_of(group, files)
        if is_opening:  # of an earlier release, or before a crash
            copies |= self._stale_copies(group)
        ready = prepare({**files, **documents, **document, **copies}, self._path)
        with self._swapping:
            swap(ready, files)
            swap(ready, documents)
            swap(ready, document)
            self._groups[group.name] = group
        swap(ready, copies)

    def _copies_of(self, group: Group, files: Mapping[Path, bytes]) -> dict[Path, bytes]:
        """Copies of the short files without which none of the others can be read."""
        kept = self._copies / group.name
        copies = {
            kept / axis / path.name: data
            for path, data in files.items()
            for axis in (TIME, NAMES)
            if path.is_relative_to(group.path / axis)
        }
        return {**copies, kept / DOCUMENT: group.document()}

    def _stale_copies(self, group: Group) -> dict[Path, bytes]:
        """What is to be copied again."""
        stale = {}
        for axis in (TIME, NAMES):
            for path in (group.path / axis / "c").glob("*"):
                copy, data = self._copies / group.name / axis / path.name, path.read_bytes()
                if path.name.isdigit() and (not copy.exists() or copy.read_bytes() != data):
                    stale[copy] = data
        return stale

    def _check(
        self,
        group: Group,
        row: int,
        times: np.ndarray,
        members: Sequence[str],
        columns: Mapping[str, np.ndarray],
    ) -> None:
        count, end = len(times), row + len(times)
        if row % TICKS or not 0 <= row <= group.committed or not 1 <= count <= TICKS:
            raise ValueError(f"{count} rows at {row} are no block of {group.committed} rows")
        if end < group.committed and count < TICKS:
            raise ValueError(f"rows {end} to {group.committed - 1} would be lost")
        around = np.concatenate((group.times[max(row - 1, 0) : row], times, group.times[end:][:1]))
        if np.any(np.diff(around) <= 0):
            raise ValueError(f"the times of rows {row} to {end - 1} do not rise")
        known = min(len(members), len(group.members))
        if tuple(members[:known]) != group.members[:known] or len(set(members)) < len(members):
            raise ValueError(f"the components of group {group.name!r} may only be added to")
        if set(columns) != set(self._written.get(group.name, ())):
            raise ValueError(f"group {group.name!r} was not opened for {sorted(columns)}")
        for field, values in columns.items():
            if values.shape != (count, len(members)):
                raise ValueError(f"{field} is {values.shape}, not {(count, len(members))}")


def _rows(
    times: np.ndarray, t_from_ns: int | None, t_to_ns: int | None, every: int, limit: int
) -> range:
    if every < 1 or limit < 0:
        raise ValueError(f"every {every} rows, at most {limit} of them, is not a selection")
    start = 0 if t_from_ns is None else int(np.searchsorted(times, t_from_ns))
    stop = len(times) if t_to_ns is None else int(np.searchsorted(times, t_to_ns))
    return range(start, max(start, stop), every)[:limit]


def _fields(group: Group) -> list[str]:
    return [name for name in group.arrays if name not in (TIME, NAMES)]


def _time_files(group: Group, first: int) -> dict[Path, bytes]:
    """The one or two files that hold the times of a block, which never spans a boundary."""
    row = first * TIME_CHUNK
    values = group.times[row : row + TIME_CHUNK]
    return encoded(group.arrays[TIME], group.path / TIME, (row,), values)


def _name_files(before: Group, after: Group) -> dict[Path, bytes]:
    if len(after.members) == len(before.members):
        return {}
    start = len(before.members) // NAME_CHUNK * NAME_CHUNK
    names = np.array(after.members[start:], dtype=np.dtypes.StringDType())
    return encoded(after.arrays[NAMES], after.path / NAMES, (start,), names)


def _array_documents(group: Group) -> dict[Path, bytes]:
    return {
        group.path / name / DOCUMENT: array_document(metadata)
        for name, metadata in group.arrays.items()
    }


def _stale(group: Group) -> dict[Path, bytes]:
    """The documents of arrays that are not on disk as they should be."""
    return {
        path: data
        for path, data in _array_documents(group).items()
        if not path.exists() or path.read_bytes() != data
    }


def _deviating(group: Group) -> list[Path]:
    expected = _array_documents(group).items()
    return [path for path, data in expected if not path.exists() or not _is_same(path, data)]


def _is_same(path: Path, document: bytes) -> bool:
    """Whether a file says what a document says, however it is spaced."""
    try:
        return bool(json.loads(path.read_bytes()) == json.loads(document))
    except ValueError:
        return False


def _is_whole(path: Path, name: str) -> bool:
    try:
        group_parts(path.read_bytes(), name)
    except (OSError, CorruptError):
        return False
    return True


def _remove(directory: Path, first: int) -> None:
    """Remove blocks from number `first` on: files, or directories of files."""
    if not directory.exists():
        return
    for entry in directory.iterdir():
        if not entry.name.isdigit() or int(entry.name) < first:
            continue  # what a crash left half-written goes at a start
        if entry.is_dir():
            for file in entry.iterdir():
                file.unlink()
            entry.rmdir()
        else:
            entry.unlink()
    sync_directory(directory)
