"""A history as an Arrow stream: columns as they are, instants as UTC timestamps [ns]."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import nanoarrow as na
import numpy as np
from nanoarrow.ipc import StreamWriter
from numpy.typing import NDArray

from storage.trajectories.layout import INSTANT

ARROW = "application/vnd.apache.arrow.stream"


def arrow(columns: Mapping[str, NDArray[Any]], units: Mapping[str, str]) -> bytes:
    """One record batch of `columns` (rows,); each field's unit stands in its metadata."""
    fields = {name: _schema(name, values, units) for name, values in columns.items()}
    rows = len(next(iter(columns.values())))
    children = [_array(fields[name], values) for name, values in columns.items()]
    batch = na.c_array_from_buffers(na.struct(fields), rows, [None], 0, children=children)
    file = io.BytesIO()
    with StreamWriter.from_writable(file) as writer:
        writer.write_array(batch)
    return file.getvalue()


def _schema(name: str, values: NDArray[Any], units: Mapping[str, str]) -> na.Schema:
    if name == "time" or units[name] == INSTANT:
        return na.timestamp("ns", "UTC")
    known = {np.dtype(np.float32): na.float32(), np.dtype(np.int64): na.int64()}
    return na.Schema(known.get(values.dtype, na.float64()), metadata={"unit": units[name]})


def _array(field: na.Schema, values: NDArray[Any]) -> Any:  # noqa: ANN401  nanoarrow has no types
    if field.type != na.Type.TIMESTAMP:
        kinds = {na.Type.FLOAT: np.float32, na.Type.INT64: np.int64}
        kind = kinds.get(field.type, np.float64)
        return na.c_array_from_buffers(
            field, len(values), [None, np.ascontiguousarray(values, kind)]
        )
    known = values != 0  # which stands for never
    valid = None if known.all() else np.packbits(known, bitorder="little")
    instants = np.ascontiguousarray(values, np.int64)
    return na.c_array_from_buffers(field, len(values), [valid, instants], int((~known).sum()))
