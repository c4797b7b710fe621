"""Digital libraries on disk, as Zarr groups that xarray reads.

    with xr.open_zarr("crack.zarr", consolidated=False) as library:
        library.frames.sel(sample=3, frame=-1)

Samples are written in whole blocks; the attribute `committed` says how many of them are there. It
moves on last, when the block is on disk: a build that was killed goes on from it. Before there is
one sample the group is made aside, and takes its place when it is complete.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from storage.durable import ASIDE, disk, sync_directory, sync_file, write_whole
from storage.errors import CorruptError, InUseError, MissingError

BLOCK = 32  # samples that are written together
DOCUMENT = "zarr.json"

Row = Mapping[str, Any]  # the value of each column for one sample


class Column(NamedTuple):
    """An array of a library, for one sample."""

    dtype: str
    shape: tuple[int, ...]
    dimensions: tuple[str, ...]
    meaning: str
    unit: str = "1"

    @property
    def fill(self) -> float:
        """What stands where nothing was written."""
        return float("nan") if self.dtype == "float64" else 0


class Axis(NamedTuple):
    """A coordinate of a library."""

    values: NDArray[np.float64]
    meaning: str
    unit: str


class ReadLibrary:
    """A library that is looked at; raises MissingError where there is none at `path`."""

    def __init__(self, path: Path) -> None:
        try:
            self._group = zarr.open_group(path, mode="r")
        except (FileNotFoundError, FileExistsError, ValueError) as exc:  # a file is "existing"
            raise MissingError(f"{path} is no library") from exc
        self.path = path
        self.attributes: dict[str, Any] = dict(self._group.attrs)

    def names(self) -> list[str]:
        """The arrays that hold something of every sample."""
        return sorted(
            name
            for name, array in self._group.arrays()
            if (array.metadata.dimension_names or ("",))[0] == "sample"  # type: ignore[union-attr]  # of Zarr v3
        )

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array, samples first."""
        return self._array(name).shape

    def read(self, name: str, samples: slice) -> NDArray[Any]:
        """An array of some samples."""
        return np.asarray(self._array(name)[samples])

    def _array(self, name: str) -> zarr.Array[Any]:
        return cast("zarr.Array[Any]", self._group[name])


class WrittenLibrary(ReadLibrary):
    """A library that one process at a time writes to: see `writing`."""

    @property
    def committed(self) -> int:
        """How many samples are there."""
        return int(self.attributes["committed"])

    def write(self, rows: Sequence[Row], columns: Mapping[str, Column]) -> None:
        """Add samples behind those that are there, durably; raises UnavailableError.

        They lie within one block. Values that are smaller than their column are filled up.
        """
        start, group = self.committed, zarr.open_group(self.path, mode="r+")
        for name, column in columns.items():
            whole = np.full((len(rows), *column.shape), column.fill, dtype=column.dtype)
            for k, row in enumerate(rows):
                value = np.asarray(row[name])
                window: tuple[int | slice, ...] = (k, *map(slice, value.shape))
                whole[window] = value
            with disk():
                array = group[name]
                assert isinstance(array, zarr.Array)
                array[start : start + len(rows)] = whole
                _synced(self.path / name / "c" / str(start // BLOCK))
        self.note(committed=start + len(rows))

    def note(self, **attributes: Any) -> None:
        """Set attributes durably; raises UnavailableError."""
        self.attributes |= attributes
        with disk():
            document = json.loads((self.path / DOCUMENT).read_bytes())
            document["attributes"] |= attributes
            write_whole(self.path / DOCUMENT, json.dumps(document, indent=2).encode())


def create(
    path: Path,
    attributes: Mapping[str, Any],
    samples: int,
    columns: Mapping[str, Column],
    axes: Mapping[str, Axis],
) -> None:
    """An empty library, which is there as a whole or not at all.

    Raises UnavailableError, and CorruptError where something that no build has left is in the way.
    """
    aside = path.with_name(path.name + ASIDE)
    with disk():
        if aside.exists():  # of a build that was killed right here
            _require_own(aside)
            shutil.rmtree(aside)
        group = zarr.open_group(aside, mode="w-", attributes={**attributes, "committed": 0})
        for name, column in columns.items():
            group.create_array(
                name,
                shape=(samples, *column.shape),
                chunks=(min(BLOCK, samples), *column.shape),
                dtype=column.dtype,
                fill_value=column.fill,
                dimension_names=("sample", *column.dimensions),
                attributes={"long_name": column.meaning, "units": column.unit},
            )
        for name, axis in axes.items():
            array = group.create_array(
                name, shape=axis.values.shape, dtype="float64", dimension_names=(name,),
                attributes={"units": axis.unit, "long_name": axis.meaning},
            )  # fmt: skip  # one call
            array[:] = axis.values
        _synced(aside)
        aside.rename(path)
        sync_directory(path.absolute().parent)


def _require_own(aside: Path) -> None:
    """Raises CorruptError for what no build has left: it is not to be removed."""
    if aside.is_symlink() or (any(aside.iterdir()) and not (aside / DOCUMENT).is_file()):
        raise CorruptError(f"{aside} is there, and no build has left it: move it away")


@contextmanager
def writing(path: Path) -> Iterator[WrittenLibrary]:
    """The library at `path`, to be written to by nobody else.

    Raises MissingError where there is none, InUseError while another process writes to it.
    """
    library = WrittenLibrary(path)
    with disk():
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise InUseError(f"another process writes to {path}") from exc
        library.attributes = dict(zarr.open_group(path, mode="r").attrs)  # nobody adds to it now
        yield library
    finally:
        os.close(descriptor)


def _synced(directory: Path) -> None:
    """Make all files at or below a path durable, and their names."""
    if not directory.exists():  # a block that holds nothing but fill values
        return
    for path in (directory, *(directory.rglob("*") if directory.is_dir() else ())):
        if path.is_dir():
            sync_directory(path)
        else:
            sync_file(path)
    sync_directory(directory.parent)
