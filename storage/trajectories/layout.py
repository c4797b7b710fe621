"""How a trajectory lies on disk: Zarr v3 metadata by CF conventions, and blocks as file contents.

Everything is encoded in memory and handed back as `{path: bytes}`, because zarr itself neither
fsyncs nor replaces several files in a chosen order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.core.array import AsyncArray
from zarr.core.array_spec import ArrayConfig
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.core.group import ConsolidatedMetadata, GroupMetadata
from zarr.core.metadata import ArrayV3Metadata
from zarr.storage import LocalStore, MemoryStore, StorePath

from storage.errors import CorruptError, StorageError

LAYOUT = 2  # raised by every change that an older program cannot read
LAYOUTS = {1: "tick", LAYOUT: "time"}  # what the first dimension is called in each
NEVER = -(2**63)  # [ns] no time: NaT of numpy, pandas and xarray
TICKS = 256  # rows of a block; a shard holds one block
WIDTH = 100  # components of a chunk, which is what a history of one component has to read
SHARD_WIDTH = 4000  # components of a shard
TIME_CHUNK = 4096
NAME_CHUNK = 1024
DOCUMENT = "zarr.json"
CALENDAR = "proleptic_gregorian"


INSTANT = "nanoseconds since 1970-01-01"  # the units of a field that is one; 0 is never


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a belief, as a (time, component) array."""

    name: str
    units: str  # by UDUNITS: m, m s-1, 1
    long_name: str
    dtype: str = "float32"
    fill: float = float("nan")  # where a component did not exist yet


def field_metadata(field: Field, layout: int = LAYOUT) -> ArrayV3Metadata:
    """The array of a field, still empty, as in groups of that layout."""
    return _array(
        (LAYOUTS[layout], "component"),
        dtype=np.dtype(field.dtype),
        fill=field.fill,
        chunks=(TICKS, WIDTH),
        shards=(TICKS, SHARD_WIDTH),
        attributes={
            "units": field.units,
            "long_name": field.long_name,
            **(_of_field(field) if layout > 1 else {"coordinates": "time"}),
        },
    )


def _of_field(field: Field) -> dict[str, Any]:
    """What else a reader has to know: the number that stands for no time, by CF conventions."""
    if " since " not in field.units:
        return {}
    return {"calendar": CALENDAR, "_FillValue": int(field.fill)}


def time_metadata(layout: int = LAYOUT) -> ArrayV3Metadata:
    """The event time of each record tick, the coordinate of the first dimension."""
    attributes = {
        "units": INSTANT,
        "calendar": CALENDAR,
        "standard_name": "time",
        "long_name": "event time of the record tick",
        **({"axis": "T"} if layout > 1 else {}),
    }
    return _array(
        (LAYOUTS[layout],),
        dtype=np.dtype("int64"),
        fill=NEVER if layout > 1 else 0,
        chunks=(TIME_CHUNK,),
        attributes=attributes,
    )


def name_metadata() -> ArrayV3Metadata:
    """The names of the components."""
    attributes = {"long_name": "site and component"}
    return _array(("component",), dtype=str, fill="", chunks=(NAME_CHUNK,), attributes=attributes)


def _array(
    dimensions: tuple[str, ...],
    *,
    dtype: np.dtype[Any] | type[str],
    fill: float | str,
    chunks: tuple[int, ...],
    attributes: dict[str, Any],
    shards: tuple[int, ...] | None = None,
) -> ArrayV3Metadata:
    array = zarr.create_array(
        MemoryStore(),
        shape=tuple(0 for _ in dimensions),
        dtype=dtype,
        chunks=chunks,
        shards=shards,
        compressors=[ZstdCodec(level=0), Crc32cCodec()],
        fill_value=fill,
        dimension_names=dimensions,
        attributes=attributes,
    )
    assert isinstance(array.metadata, ArrayV3Metadata)  # the default format
    return array.metadata


def outer_chunk(metadata: ArrayV3Metadata) -> tuple[int, ...]:
    """What one file of an array holds."""
    return tuple(int(n) for n in metadata.chunk_grid.chunk_shape)  # type: ignore[attr-defined]  # regular, as written by `_array`


def encoded(
    metadata: ArrayV3Metadata, path: Path, start: tuple[int, ...], values: np.ndarray
) -> dict[Path, bytes]:
    """The files that hold `values` from `start` on, which is the corner of a file.

    Files are filled up with the fill value, so that nothing on disk has to be read first.
    """
    chunk = outer_chunk(metadata)
    shape = tuple(-(-n // c) * c for n, c in zip(values.shape, chunk, strict=True))
    padded = np.full(shape, metadata.fill_value, dtype=values.dtype)
    padded[tuple(slice(n) for n in values.shape)] = values
    whole = metadata.update_shape(tuple(s + n for s, n in zip(start, shape, strict=True)))
    files: dict[str, Buffer] = {}
    target = _handle(whole, MemoryStore(files), "")
    target[tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))] = padded
    return {path / key: value.to_bytes() for key, value in files.items()}


def opened(metadata: ArrayV3Metadata, root: Path, name: str) -> zarr.Array[Any]:
    """An array on disk, with the shape that the caller knows of."""
    return _handle(metadata, LocalStore(root, read_only=True), name)


def _handle(
    metadata: ArrayV3Metadata, store: MemoryStore | LocalStore, name: str
) -> zarr.Array[Any]:
    # Empty chunks are written as well: a file that is missing is damage, not silence.
    config = ArrayConfig(order="C", write_empty_chunks=True)
    return zarr.Array(AsyncArray(metadata, StorePath(store, name), config=config))


def array_document(metadata: ArrayV3Metadata) -> bytes:
    """The `zarr.json` of an array."""
    return metadata.to_buffer_dict(default_buffer_prototype())[DOCUMENT].to_bytes()


def group_document(attributes: Mapping[str, Any], arrays: Mapping[str, ArrayV3Metadata]) -> bytes:
    """The `zarr.json` of a group: attributes and all array metadata, sealed with a CRC-32.

    One file, so that replacing it moves all shapes and the committed length at once.
    """
    metadata = GroupMetadata(
        attributes=dict(attributes),
        consolidated_metadata=ConsolidatedMetadata(metadata=dict(arrays)),
    )
    document = json.loads(metadata.to_buffer_dict(default_buffer_prototype())[DOCUMENT].to_bytes())
    document["attributes"]["seal"] = _seal(document)
    return json.dumps(document, indent=1).encode()


def group_parts(data: bytes, name: str) -> tuple[dict[str, Any], dict[str, ArrayV3Metadata]]:
    """Attributes and arrays of a group's `zarr.json`; raises CorruptError."""
    try:
        document = json.loads(data)
        seal = document["attributes"].pop("seal")
        if seal != _seal(document):
            raise CorruptError(f"the metadata of group {name!r} do not match their checksum")
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise CorruptError(f"the metadata of group {name!r} cannot be read: {exc}") from exc
    attributes = document["attributes"]
    if attributes["layout"] not in LAYOUTS:
        raise StorageError(
            f"group {name!r} has layout {attributes['layout']}, this program reads layouts up to "
            f"{LAYOUT}"
        )
    arrays = document["consolidated_metadata"]["metadata"]
    return attributes, {key: ArrayV3Metadata.from_dict(value) for key, value in arrays.items()}


def _seal(document: dict[str, Any]) -> int:
    return crc32(json.dumps(document, sort_keys=True).encode())


def root_document() -> bytes:
    """The `zarr.json` of the store itself, which holds nothing but groups."""
    return (
        GroupMetadata(attributes={}).to_buffer_dict(default_buffer_prototype())[DOCUMENT].to_bytes()
    )
